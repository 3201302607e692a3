"""Synapse steps that must refuse before they change anything, and histories that must not lose a spike."""

import pytest
import torch
from torch.autograd import forward_ad

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.neural import DeltaCurrent, DeltaPlusCurrent, DoubleExponentialCurrent, SingleExponentialCurrent
from inferno_cuda.ops import synapse as synapse_ops
from inferno_cuda.state import RecordTensor, _ring

KINDS = {
    "delta": lambda **kw: DeltaCurrent(3, 1.0, spike_charge=2.0, **kw),
    "delta_plus": lambda **kw: DeltaPlusCurrent(3, 1.0, spike_charge=2.0, **kw),
    "exponential": lambda **kw: SingleExponentialCurrent(3, 1.0, spike_charge=2.0, time_constant=4.0, **kw),
    "double_exponential": lambda **kw: DoubleExponentialCurrent(
        3, 1.0, spike_charge=2.0, tc_decay=4.0, tc_rise=1.5, **kw
    ),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def state(synapse):
    records = [handle for handle in synapse._handles() if isinstance(handle, RecordTensor)]
    return [(record.value.clone(), record.pointer) for record in records]


def assert_unchanged(synapse, before):
    for (value, pointer), (old, old_pointer) in zip(state(synapse), before, strict=True):
        assert torch.equal(value, old) and pointer == old_pointer


def rings(shape, slots=3, currents=1):
    data = [torch.zeros(slots, *shape, dtype=torch.bool), *(torch.zeros(slots, *shape) for _ in range(currents))]
    return [(ring, torch.tensor(0)) for ring in data]


# -- forward-mode differentiation -------------------------------------------------------------------------------------


@kinds
def test_tangents_are_refused(backend, kind):
    synapse, x = KINDS[kind](delay=2.0), torch.ones(1, 3)
    before = state(synapse)
    with forward_ad.dual_level():
        with pytest.raises(RuntimeError, match="tangent"):
            synapse(forward_ad.make_dual(x, torch.ones(1, 3)))
        assert_unchanged(synapse, before)
        assert torch.equal(synapse(x), KINDS[kind](delay=2.0)(x))  # a level alone does no harm


def test_tangents_of_injected_currents_are_refused(backend):
    synapse = KINDS["delta_plus"]()
    before = state(synapse)
    with forward_ad.dual_level(), pytest.raises(RuntimeError, match="tangent"):
        synapse(torch.ones(1, 3), forward_ad.make_dual(torch.ones(1, 3), torch.ones(1, 3)))
    assert_unchanged(synapse, before)


# -- what is recorded -------------------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("graph", [False, True])
def test_a_number_that_the_cast_rounds_to_zero_is_a_spike(backend, kind, graph):
    synapse = KINDS[kind](delay=3.0)
    synapse(torch.zeros(1, 3, dtype=torch.float64))
    x = torch.tensor([[1e-50, 0.0, 1.0]], dtype=torch.float64, requires_grad=graph)
    current = synapse(x)
    assert synapse.spike_.value[1].tolist() == [[True, False, True]]
    assert synapse.spike.tolist() == [[True, False, True]] and int(synapse.spike_.value.sum()) == 2
    if kind != "delta":
        assert current[0, 0] == 0  # the drive is that of the number in the currents' dtype
    synapse(torch.zeros(1, 3, dtype=torch.float64))
    assert not synapse.spike.any() and int(synapse.spike_.value.sum()) == 2


# -- tensors as charge ------------------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("charge", [torch.ones(2), torch.ones(4, 3), torch.ones(1, 1, 3)], ids=lambda t: str(t.shape))
def test_a_charge_that_does_not_broadcast_changes_nothing(kind, charge):
    synapse = KINDS[kind](delay=2.0)
    synapse(torch.ones(1, 3))
    synapse.spike_charge = charge
    before = state(synapse)
    with pytest.raises(ValueError, match="spike_charge"):
        synapse(torch.ones(1, 3))
    assert_unchanged(synapse, before)


@kinds
def test_a_charge_for_each_synapse(kind):
    synapse, each = KINDS[kind](), [KINDS[kind]() for _ in range(3)]
    synapse.spike_charge = torch.tensor([1.0, 2.0, 3.0])
    x = torch.ones(1, 3)
    out = synapse(x)
    for k, one in enumerate(each):
        one.spike_charge = k + 1.0
        assert torch.equal(out[:, k], one(x)[:, k])


# -- the native backend does not give way -----------------------------------------------------------------------------


@kinds
def test_native_refuses_a_tensor_as_charge(native, kind):
    synapse = KINDS[kind]()
    synapse.spike_charge = torch.full((3,), 2.0)
    before = state(synapse)
    with inferno_cuda.backend("native"), pytest.raises(RuntimeError, match="'native'.*spike_charge"):
        synapse(torch.ones(1, 3))
    assert_unchanged(synapse, before)


def test_native_refuses_more_currents_than_its_kernel_takes(native):
    synapse, extra = KINDS["delta_plus"](), [torch.ones(1, 3)] * 9
    before = state(synapse)
    with inferno_cuda.backend("native"):
        with pytest.raises(RuntimeError, match="'native'.*8 injected currents, there were 9"):
            synapse(torch.zeros(1, 3), *extra)
        assert_unchanged(synapse, before)
        assert synapse(torch.zeros(1, 3), *extra[:8]).tolist() == [[8.0] * 3]
    with inferno_cuda.backend("auto"):
        assert synapse(torch.zeros(1, 3), *extra).tolist() == [[9.0] * 3]


def test_native_refuses_rings_whose_dimensions_do_not_merge(native):
    spikes, (data, pointer) = rings((2, 3, 4))
    apart = torch.zeros(3, 2, 4, 3).transpose(2, 3)
    assert apart.shape == data.shape
    arguments = {"gain": 1.0, "decay": (0.5,)}
    with inferno_cuda.backend("native"), pytest.raises(RuntimeError, match="'native'.*contiguous"):
        ops.synapse_step_("exponential", torch.ones(2, 3, 4), spikes, [(apart, pointer)], **arguments)
    assert spikes[1] == pointer == 0 and not spikes[0].any() and not apart.any()
    with inferno_cuda.backend("auto"):
        ops.synapse_step_("exponential", torch.ones(2, 3, 4), spikes, [(apart, pointer)], **arguments)
    assert apart[0].eq(1).all() and pointer == 1


# -- overlaps ---------------------------------------------------------------------------------------------------------


def double(rings, inputs):
    return ops.synapse_step_("double_exponential", inputs, rings[0], rings[1:], gain=1.0, decay=(0.5, 0.25))


def test_inputs_within_a_ring_are_refused(backend):
    given = rings((3, 4), currents=2)
    with pytest.raises(RuntimeError, match="overlaps another tensor in memory"):
        double(given, given[1][0][0])
    assert all(pointer == 0 for _, pointer in given) and not given[0][0].any()


def test_rings_that_overlap_are_refused(backend):
    given, memory = rings((3, 4), currents=2), torch.zeros(5, 3, 4)
    given[1:] = [(memory[:3], torch.tensor(0)), (memory[2:], torch.tensor(0))]
    with pytest.raises(RuntimeError, match="overlaps another tensor in memory"):
        double(given, torch.ones(3, 4))
    assert all(pointer == 0 for _, pointer in given) and not given[0][0].any() and not memory.any()
    given[1:] = [(memory[:2], torch.tensor(0)), (memory[2:], torch.tensor(0))]
    double(given, torch.ones(3, 4))  # neighbours are apart


def test_two_views_of_one_pointer_are_refused(backend):
    given = rings((3, 4), currents=2)
    given[2] = (given[2][0], given[1][1].view(()))
    with pytest.raises(ValueError, match="a pointer was given twice"):
        double(given, torch.ones(3, 4))
    assert given[1][1] == 0 and not given[0][0].any()


# -- the compiled models ----------------------------------------------------------------------------------------------


def test_codes_are_those_of_the_compiled_models(native):
    listed = ["exponential: 1 1 0", "delta: 0 0 0", "double_exponential: 2 2 0", "delta_plus: 1 0 1"]
    codes = {"exponential": 0, "delta": 1, "double_exponential": 2, "delta_plus": 3}
    assert synapse_ops._codes(listed) == codes
    assert set(synapse_ops._CODES) == set(synapse_ops.MODELS)


@pytest.mark.parametrize("line", ["delta: 1 0 0", "delta: 0 1 0", "delta: 0 0 1", "gamma: 0 0 0"])
def test_other_compiled_models_do_not_import(line):
    listed = [line, "delta_plus: 1 0 1", "exponential: 1 1 0", "double_exponential: 2 2 0"]
    with pytest.raises(ImportError, match="rebuild"):
        synapse_ops._codes(listed)


# -- CUDA graphs ------------------------------------------------------------------------------------------------------


def test_a_held_ring_is_not_copied_while_a_graph_is_captured(monkeypatch):
    synapse = KINDS["exponential"](delay=2.0)
    synapse(torch.ones(1, 3))
    synapse.current_.hold()
    before = state(synapse)
    monkeypatch.setattr(_ring, "capturing", lambda data: True)
    with pytest.raises(RuntimeError, match="CUDA graph"):
        synapse(torch.ones(1, 3))
    assert_unchanged(synapse, before)
    monkeypatch.undo()
    synapse(torch.ones(1, 3))
    monkeypatch.setattr(_ring, "capturing", lambda data: True)
    synapse(torch.ones(1, 3))  # the copy was made
    assert synapse.current_.pointer == 0
