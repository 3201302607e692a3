"""What the host keeps between steps, and lookups in one pass: nothing but the time of a call may tell them apart."""

import copy

import pytest
import torch
from synapse_cases import KINDS, synapse

import inferno_cuda
from inferno_cuda import neural, ops

LIF = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 3.0, "time_constant": 20.0}
ADEX = {
    "rest_v": -60.0,
    "rheobase_v": -50.0,
    "sharpness": 2.0,
    "reset_v": -65.0,
    "thresh_v": -45.0,
    "refrac_t": 3.0,
    "tc_membrane": 20.0,
    "tc_adaptation": 30.0,
    "voltage_coupling": 0.1,
    "spike_increment": 1.0,
}


def of_both_backends(call):
    with inferno_cuda.backend("torch"):
        expected = call()
    with inferno_cuda.backend("native"):
        return call(), expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("over", [None, 0.0, 0.3, -1.5])
@pytest.mark.parametrize("kind", KINDS)
def test_past_currents_are_those_of_the_reference(native, kind, over, dtype):
    random = torch.Generator().manual_seed(1)
    cells = synapse(kind, (3, 5), 0.7, delay=7.0, batch_size=4, current_overbound=over).to(dtype)
    for _ in range(13):
        cells(torch.rand(4, 3, 5, generator=random) < 0.4)
    at = 9 * torch.rand(4, 3, 5, 6, generator=random) - 1
    at[..., 0] = 0.7 * (10 * torch.rand(4, 3, 5, generator=random)).round()
    at[0, 0, 0, 1] = torch.nan
    elsewhere = at.transpose(1, 2).contiguous().transpose(1, 2)
    for selector in (at, at[..., 2], elsewhere, at.double(), at[:1].expand_as(at)):
        ours, expected = of_both_backends(lambda selector=selector: cells.current_at(selector))
        assert ours.dtype == expected.dtype == dtype and ours.shape == selector.shape
        torch.testing.assert_close(ours, expected, rtol=0, atol=0, equal_nan=True)


def test_parts_whose_pointers_differ_are_looked_up_where_they_are(native):
    cells = synapse("double exponential", 4, delay=3.0)
    for _ in range(5):
        cells(torch.ones(1, 4))
    cells.pos_current = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    at = torch.tensor([[0.0, 0.5, 1.0, 2.5]])
    ours, expected = of_both_backends(lambda: cells.current_at(at))
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_long_history_is_looked_up_exactly(native, dtype):
    """Float32 counts a million steps, but not the parts between them: such times are computed with in float64."""
    slots = (1 << 20) + 3
    data = torch.arange(slots, dtype=torch.float32).view(slots, 1, 1)
    pointer = torch.tensor(5)
    at = torch.tensor([0.0, 1.0, 77.5, 524288.5, 1048576.0, 1048578.0], dtype=dtype).view(1, 1, -1)
    for mode in ("previous", "next", "linear"):
        ours, expected = of_both_backends(lambda mode=mode: ops.history_gather(data, pointer, at, dt=1.0, mode=mode))
        assert torch.equal(ours, expected)
        age = {"previous": at.ceil(), "next": at.floor(), "linear": at}[mode]
        newest = (pointer - 1).item()
        torch.testing.assert_close(ours, ((newest - age) % slots).float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("make", [lambda: neural.LIF(5, 1.0, **LIF), lambda: neural.AdEx(5, 1.0, **ADEX)])
def test_every_parameter_is_read_again_once_it_is_set(backend, make):
    """A neuron that has stepped before goes on as one that was made with the new parameters."""
    current = torch.linspace(0, 60, 5).expand(1, 5)
    changes = {"dt": 0.5, "rest_v": -58.0, "reset_v": -70.0, "thresh_v": -40.0, "refrac_t": 5.0, "resistance": 2.0}
    old, new = make(), make()
    for _ in range(7):
        old(current)
    new.load_state_dict(old.state_dict())
    for name, value in changes.items():
        setattr(old, name, value)
        setattr(new, name, value)
        for _ in range(5):
            fresh = copy.deepcopy(new)
            assert torch.equal(old(current), fresh(current))
            assert torch.equal(old.voltage, fresh.voltage) and torch.equal(old.refrac, fresh.refrac)
            new.load_state_dict(fresh.state_dict())


def test_steps_that_differ_in_an_option_do_not_share_their_numbers(backend):
    cells, twin = (neural.AdEx(5, 1.0, **ADEX) for _ in range(2))
    current = torch.linspace(0, 60, 5).expand(1, 5)
    for k in range(12):
        options = {"refrac_lock": bool(k % 2), "adapt": k % 3 != 0}
        twin = copy.deepcopy(twin)
        assert torch.equal(cells(current, **options), twin(current, **options))
        assert torch.equal(cells.current_adaptation, twin.current_adaptation)
        assert torch.equal(cells.voltage, twin.voltage)


def test_a_deleted_parameter_is_missed(backend):
    cells = neural.LIF(2, 1.0, **LIF)
    cells(torch.zeros(1, 2))
    cells(torch.zeros(1, 2))
    del cells.resistance
    with pytest.raises(AttributeError, match="resistance"):
        cells(torch.zeros(1, 2))


def test_kept_numbers_are_in_no_copy_and_no_file(native):
    cells = neural.LIF(2, 1.0, **LIF)
    cells(torch.zeros(1, 2))
    assert cells._packed_steps and not copy.deepcopy(cells)._packed_steps


@pytest.mark.parametrize("over", [None, 0.0, -0.0, 2.0])
@pytest.mark.parametrize(("charge", "dt"), [(-2.0, 1.0), (1e37, 1e-3), (float("nan"), 1.0)])
def test_silent_synapses_have_one_value(native, charge, dt, over):
    """What no spike is as a current is a product: of a negative charge -0, of one beyond float32 NaN."""
    cells = neural.DeltaCurrent(3, dt, spike_charge=1.0, delay=2 * dt, current_overbound=over)
    cells.spike_charge = charge
    cells(torch.tensor([[True, False, True]]))
    cells(torch.tensor([[False, False, True]]))
    at = dt * torch.tensor([[[0.0, 1.0, 9.0, torch.nan]] * 3])
    ours, expected = of_both_backends(lambda: cells.current_at(at))
    torch.testing.assert_close(ours, expected, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(ours.signbit() & ~ours.isnan(), expected.signbit() & ~expected.isnan())


def test_a_time_constant_that_is_a_tensor_is_read_in_every_step(backend):
    if backend == "native":
        with pytest.raises(RuntimeError, match="decay are tensors"):
            tensor_tau(20.0)(torch.zeros(1, 5))
        return
    cells, plain = tensor_tau(20.0), neural.LIF(5, 1.0, **LIF)
    current = torch.linspace(0, 9, 5).expand(1, 5)
    for tau in (20.0, 20.0, 2.0, 2.0):
        cells.time_constant.data.fill_(tau)
        plain.time_constant = tau
        with torch.no_grad():
            assert torch.equal(cells(current), plain(current))
        torch.testing.assert_close(cells.voltage, plain.voltage)
    cells(current)
    (gradient,) = torch.autograd.grad(cells.voltage.sum(), cells.time_constant)
    assert gradient != 0


def tensor_tau(value):
    cells = neural.LIF(5, 1.0, **LIF)
    cells.time_constant = torch.nn.Parameter(torch.tensor(value))
    return cells


@pytest.mark.parametrize(("kind", "name"), [("exponential", "time_constant"), ("double exponential", "tc_rise")])
def test_time_constants_of_synapses_are_numbers(backend, kind, name):
    cells = synapse(kind, 3, delay=2.0)
    setattr(cells, name, torch.nn.Parameter(torch.tensor(3.0)))
    before = cells.spike_.pointer
    with pytest.raises(TypeError, match=f"'{name}' is a Tensor"):
        cells(torch.ones(1, 3))
    with pytest.raises(TypeError, match=f"'{name}' is a Tensor"):
        cells.current_at(torch.zeros(1, 3))
    assert cells.spike_.pointer == before


def test_zeros_of_either_sign_are_one_number(backend):
    out = []
    for gain in (0.0, -0.0):
        ring = torch.zeros(2, 1, 3, dtype=torch.bool), torch.tensor(0)
        out.append(ops.synapse_step_("delta", torch.ones(1, 3), ring, gain=gain))
    assert not out[0].signbit().any() and not out[1].signbit().any()


def test_what_the_checks_refuse_no_fast_path_takes(backend):
    state = torch.zeros(1, 4), torch.zeros(1, 4), torch.zeros(1, 4)
    adaptation, values = torch.zeros(4, 3), {"dt": 1.0, "refrac_t": 1.0, "thresh_v": 1.0, "rest_v": 0.0}
    values |= {"resistance": 1.0, "decay": 0.9, "reset_v": 0.0}
    with pytest.raises(ValueError, match="constants had shape"):
        ops.neuron_step_("alif", *state, adaptation=adaptation, constants=torch.ones(3, 2), **values)
    with pytest.raises(ValueError, match="does not adapt"):
        ops.neuron_step_("lif", *state, constants=torch.ones(2, 3), **values)
    ring, pointer = torch.zeros(3, 1, 4), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ValueError, match="pointer"):
        ops.history_push_(ring, pointer, torch.zeros(1, 4))
    with pytest.raises(ValueError, match="pointer"):
        ops.synapse_step_("delta", torch.ones(1, 4), (ring.bool(), pointer), gain=1.0)
    for dt in (1e-46, 1e39):
        with pytest.raises(ValueError, match="dt was"):
            ops.history_gather(ring, torch.tensor(0), torch.zeros(1, 4), dt=dt)


def test_raw_lookups_stay_in_the_ring(native):
    raw, ring, time = torch.ops.inferno_cuda, torch.zeros(4, 1, 1), torch.full((1, 1, 1), 40.0)
    with pytest.raises(RuntimeError, match="max_age"):
        raw.history_gather(ring, torch.tensor(0), time, 1.0, 1e3, 1000, 0, 1.0, 0.0, 0.0, 1, None)
    how = torch.tensor([1.0, 1e3, 0.0, 1.0, 0.0, 1000.0, 0.0, 1.0, 1.0, 0.0, -1.0, 1.0, 0.0], dtype=torch.float64)
    with pytest.raises(RuntimeError, match="max_age"):
        raw.history_look_up(ring, torch.tensor(0), time, how, None, None)
    with pytest.raises(RuntimeError, match="no whole number"):
        raw.history_look_up(ring, torch.tensor(0), time, how.where(how != 1000.0, torch.nan), None, None)
