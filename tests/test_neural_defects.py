"""One test per reported fault of the library whose interface this package has; named after the fault."""

import copy
import io
import pickle

import pytest
import torch

from inferno_cuda.neural import (
    LIF,
    DeltaCurrent,
    DeltaPlusCurrent,
    DoubleExponentialCurrent,
    LinearDense,
    SingleExponentialCurrent,
    Updater,
)
from inferno_cuda.state import ShapedTensor

CELL = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 3.0, "time_constant": 20.0}
SYNAPSES = [
    (DeltaCurrent, {}),
    (DeltaPlusCurrent, {}),
    (SingleExponentialCurrent, {"time_constant": 5.0}),
    (DoubleExponentialCurrent, {"tc_decay": 5.0, "tc_rise": 2.0}),
]
DELTA = DeltaCurrent.partialconstructor(1.0)
EXPONENTIAL = SingleExponentialCurrent.partialconstructor(1.0, 5.0)


def lif(shape=3, step_time=1.0, **changes):
    return LIF(shape, step_time, **{**CELL, **changes})


def fed(synapse, *values):
    for value in values:
        synapse(torch.full(synapse.batchedshape, float(value)))
    return synapse


@pytest.mark.parametrize("cls, options", SYNAPSES)
def test_d01_spike_at_uses_tolerance_and_overbound_as_named(backend, cls, options):
    options = {**options, "spike_charge": 1.0, "delay": 3.0}
    s = fed(cls(1, 1.0, spike_overbound=True, **options), 0, 0, 1, 0)
    assert s.spike_at(torch.tensor([[9.0]])) and s.spike_at(torch.tensor([[0.4]]))
    s = fed(cls(1, 1.0, spike_overbound=None, **options), 1, 0, 0, 0)
    assert s.spike_at(torch.tensor([[9.0]])) and not s.spike_at(torch.tensor([[-9.0]]))


@pytest.mark.parametrize("cls, options", SYNAPSES)
def test_d01b_tolerance_is_not_the_overbound_spike(backend, cls, options):
    s = fed(cls(1, 1.0, spike_charge=1.0, delay=3.0, interp_tol=0.1, **options), 0, 0)
    assert not s.spike_at(torch.tensor([[9.0]]))


def test_d02_delay_setter_equals_a_fresh_synapse(backend):
    a, b = (DeltaCurrent(1, 1.0, spike_charge=1.0, delay=d, current_overbound=-9.0) for d in (3.0, 5.0))
    a.delay = 5.0
    for s in (a, b):
        assert (s.delay, s.spike_.duration, s.spike_.recordsz) == (5.0, 5.0, 6)
        assert s.current_at(torch.tensor([[5.5]])).item() == -9.0


def test_d06_spike_with_zero_refractory_period(backend):
    neuron = lif(refrac_t=0.0)
    assert not neuron.spike.any()
    assert not neuron(torch.zeros(1, 3)).any() and not neuron.spike.any()
    for x in ([1e6, 0.0, 1e6], [0.0, 1e6, 1e6], [0.0, 0.0, 0.0]):
        out = neuron(torch.tensor([x]))
        assert torch.equal(out, neuron.spike) and torch.equal(out, torch.tensor([x]) > 0)
        other = lif(refrac_t=-0.0)
        other.load_state_dict(neuron.state_dict())
        assert torch.equal(other.spike, out) and torch.equal(copy.deepcopy(neuron).spike, out)
        assert not neuron.refrac.any()


@pytest.mark.parametrize("step_time, refrac_t, period", [(1.0, 3.0, 3), (0.1, 0.3, 3), (0.2, 1.0, 5), (0.25, 1.25, 5),
                                                         (0.1, 0.5, 5), (0.1, 10.0, 100), (1.3, 13.0, 10)])  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_d07_refractory_period_is_a_whole_number_of_steps(backend, step_time, refrac_t, period, dtype):
    neuron = lif(1, step_time, refrac_t=refrac_t).to(dtype)
    train = [bool(neuron(torch.full((1, 1), 1e6, dtype=dtype))) for _ in range(2 * period + 1)]
    assert [t for t, spike in enumerate(train) if spike] == [0, period, 2 * period]


@pytest.mark.parametrize("step_time", [1.3, 0.7, 0.1])
def test_d08_multiples_of_the_step_are_looked_up_exactly(backend, step_time):
    s = SingleExponentialCurrent(
        1, step_time, spike_charge=1.0, time_constant=5.0, delay=100 * step_time, current_overbound=None
    )
    s.current_.value = torch.arange(100.0, -1.0, -1.0).view(-1, 1, 1)
    at = torch.tensor([k * step_time for k in range(101)]).view(1, 1, -1)
    assert torch.equal(s.current_at(at).flatten(), torch.arange(101.0))
    d = DeltaCurrent(1, step_time, spike_charge=step_time, delay=100 * step_time)
    d.spike_.value = (torch.arange(100, -1, -1) % 3 == 0).view(-1, 1, 1)
    assert torch.equal(d.spike_at(at).flatten(), torch.arange(101) % 3 == 0)
    assert torch.equal(d.current_at(at) > 0, d.spike_at(at))


@pytest.mark.parametrize("construct", [DELTA, EXPONENTIAL])
def test_d10_zero_delay_lookups_have_the_shape_of_the_selector(backend, construct):
    s = fed(construct(3, 1.0, 0.0, 1), 1)
    at = torch.tensor([0.0, 0.5]).expand(1, 3, 2)
    current, spike = s.current_at(at), s.spike_at(at)
    assert current.shape == spike.shape == (1, 3, 2)
    assert torch.equal(current[..., 0], s.current) and spike[..., 0].all()
    assert not current[..., 1].any() and not spike[..., 1].any()
    clamped = fed(DeltaCurrent(3, 1.0, spike_charge=1.0, current_overbound=None), 1)
    assert torch.equal(clamped.current_at(at), torch.ones(1, 3, 2))


MODULES = {
    "LIF": lambda: lif(),
    "DeltaCurrent": lambda: DELTA(3, 1.0, 2.0, 1),
    "SingleExponentialCurrent": lambda: EXPONENTIAL(3, 1.0, 2.0, 1),
    "LinearDense": lambda: LinearDense(3, 3, 1.0, synapse=EXPONENTIAL, delay=2.0, bias=True,
                                       delay_init=lambda d: d + 1.0),
}  # fmt: skip


def saved(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), saved],
                         ids=["d17_deepcopy", "d48_pickle", "d48_save"])  # fmt: skip
def test_d17_d48_copies_are_independent(backend, name, duplicate):
    torch.manual_seed(0)
    module = MODULES[name]()
    inputs = torch.rand(12, 1, 3) * 400 * (torch.rand(12, 1, 3) < 0.5)
    expected = [module(x) for x in inputs[:4]]
    other = duplicate(module)
    frozen = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in module.state_dict().items()}
    theirs = [other(x) for x in inputs[4:]]
    for key, value in module.state_dict().items():
        assert torch.equal(value, frozen[key]) if isinstance(value, torch.Tensor) else value == frozen[key]
    ours = [module(x) for x in inputs[4:]]
    assert torch.equal(torch.stack(ours), torch.stack(theirs)) and torch.stack(expected + ours).any()
    assert repr(other) == repr(module)


def test_d24_updater_takes_a_reduction():
    conn = LinearDense(2, 2, 1.0, synapse=DELTA)
    updater = Updater(conn, "weight", reduction=torch.mean)
    updater.weight.pos, updater.weight.pos = torch.full((2, 2), 2.0), torch.full((2, 2), 4.0)
    assert torch.equal(updater.weight.pos, torch.full((2, 2), 3.0))


def test_d25_reduction_forgets_the_former_value():
    conn = LinearDense(1, 1, 1.0, synapse=DELTA)
    updater = conn.defaultupdater()
    updater.weight.pos, updater.weight.pos = torch.full((1, 1), 2.0), torch.full((1, 1), 4.0)
    assert updater.weight.pos.item() == 6.0
    updater.weight.reduction(torch.mean)
    assert updater.weight.pos.item() == 3.0


def test_d30_lookups_decay_with_the_present_time_constant(backend):
    s = SingleExponentialCurrent(1, 1.0, spike_charge=1.0, time_constant=5.0, delay=3.0)
    s.time_constant = 50.0
    fed(s, 1, 0)
    expected = s.current_.read(2) * torch.exp(torch.tensor(-0.5 / 50.0))
    torch.testing.assert_close(s.current_at(torch.tensor([[0.5]])), expected)


@pytest.mark.parametrize("add", ["add_batched", "add_delayed"])
def test_d32_wrong_kinds_of_state_raise_type_errors(add):
    s = EXPONENTIAL(3, 1.0, 2.0, 1)
    ShapedTensor.create(s, "shaped_", torch.zeros(1, 3))
    with pytest.raises(TypeError, match="'current'"):
        getattr(s, add)("current")
    with pytest.raises(RuntimeError, match="'nothing'"):
        getattr(s, add)("nothing")
    with pytest.raises(TypeError, match="'shaped_'"):
        s.add_delayed("shaped_")
    with pytest.raises(TypeError, match="'voltage'"):
        lif().add_batched("voltage")


def test_d33_updatesome_without_an_updater_does_nothing():
    conn = LinearDense(3, 3, 1.0, synapse=DELTA)
    before = conn.weight.clone()
    conn.updatesome("weight")
    assert torch.equal(conn.weight, before)


def test_d40_pending_updates_are_neither_parameters_nor_saved():
    conn = LinearDense(1, 1, 1.0, synapse=DELTA)
    conn.updater = conn.defaultupdater()
    keys = list(conn.state_dict())
    conn.updater.weight = torch.ones(1, 1)
    assert [name for name, _ in conn.named_parameters()] == ["weight_"] and list(conn.state_dict()) == keys
    before = conn.weight.clone()
    conn.updater.weight = torch.ones(1, 1).long()
    conn.update()
    assert torch.equal(conn.weight, before + 2)


def test_d41_setters_copy_and_validate():
    conn = LinearDense(3, 2, 1.0, synapse=DELTA, bias=True, delay=3.0)
    for name, shape in (("weight", (2, 3)), ("bias", (2,)), ("delay", (2, 3))):
        x = torch.zeros(shape)
        setattr(conn, name, x)
        x.fill_(5.0)
        assert not getattr(conn, name).any()
        with pytest.raises(ValueError, match=name):
            setattr(conn, name, torch.zeros(7))
        assert getattr(conn, name).shape == shape


@pytest.mark.parametrize("construct", [DELTA, EXPONENTIAL])
def test_d49_a_change_of_batch_size_clears_the_history(backend, construct):
    s = fed(construct(1, 1.0, 2.0, 2), 1)
    s.batchsz = 3
    assert not s.spike.any() and not s.current.any() and s.spike_.pointer == 0
    conn = LinearDense(1, 1, 1.0, synapse=construct, batch_size=2)
    conn(torch.ones(2, 1))
    conn.batchsz = 3
    assert conn(torch.zeros(3, 1)).shape == (3, 1) and not conn.synspike.any()


@pytest.mark.parametrize("construct", [DELTA, EXPONENTIAL])
def test_d53_inputs_without_use_raise(backend, construct):
    s = construct(1, 1.0, 0.0, 1)
    with pytest.raises(TypeError, match="one input"):
        s(torch.ones(1, 1), torch.full((1, 1), 100.0))
    assert not s.spike.any() and s.spike_.pointer == 0


def test_d55_inputs_do_not_grow_the_state(backend):
    neuron = lif(batch_size=2)
    with pytest.raises(ValueError, match="inputs"):
        neuron(torch.ones(5, 2, 3))
    assert neuron.voltage.shape == neuron.batchedshape == (2, 3)


def test_d30_double_exponential_interpolates_with_the_present_time_constants(backend):
    s = DoubleExponentialCurrent(1, 1.0, spike_charge=1.0, tc_decay=5.0, tc_rise=2.0, delay=3.0)
    s.tc_decay, s.tc_rise = 50.0, 20.0
    fed(s, 1, 0)
    half = torch.tensor([[0.5]])
    torch.testing.assert_close(s.pos_current_at(half), s.pos_current_.read(2) * torch.exp(torch.tensor(-0.5 / 50)))
    torch.testing.assert_close(s.neg_current_at(half), s.neg_current_.read(2) * torch.exp(torch.tensor(-0.5 / 20)))
    torch.testing.assert_close(s.current_at(half), s.pos_current_at(half) - s.neg_current_at(half))


@pytest.mark.parametrize("cls, options", SYNAPSES)
def test_d08_d10_d49_lookup_and_batch_size(backend, cls, options):
    s = cls(3, 1.3, spike_charge=1.0, delay=13.0, **options)
    for k in range(11):
        s((torch.arange(3.0) == k % 3).expand(1, 3))
    at = torch.tensor([k * 1.3 for k in range(11)]).expand(1, 3, 11)
    fired = torch.tensor([[[(10 - age) % 3 == i for age in range(11)] for i in range(3)]])
    assert torch.equal(s.spike_at(at), fired)
    assert cls(3, 1.0, spike_charge=1.0, **options).current_at(torch.zeros(1, 3, 2)).shape == (1, 3, 2)
    s.batchsz = 2
    assert not s.spike_.value.any() and not s.current.any()


@pytest.mark.parametrize("cls, options", SYNAPSES)
def test_d53_extra_inputs_are_added_or_refused(backend, cls, options):
    s, x = cls(1, 1.0, spike_charge=1.0, **options), torch.ones(1, 1)
    if cls is DeltaPlusCurrent:
        assert s(x, torch.full((1, 1), 100.0)).item() == 101.0
    else:
        with pytest.raises(TypeError, match="one input"):
            s(x, torch.full((1, 1), 100.0))
        assert not s.spike.any()
