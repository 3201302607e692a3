"""The four kinds of synapses: worked numbers, lookup of the past, histories, bad input."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferno_cuda.neural import (
    DeltaCurrent,
    DeltaPlusCurrent,
    DoubleExponentialCurrent,
    SingleExponentialCurrent,
)
from inferno_cuda.neural.base import InfernoSynapse
from inferno_cuda.neural.synapses.mixins import CurrentDerivedSpikeMixin

KINDS = ("delta", "delta plus", "exponential", "double exponential")


def synapse(kind, shape=3, step_time=1.0, **options):
    if kind in ("delta", "delta plus"):
        cls = DeltaCurrent if kind == "delta" else DeltaPlusCurrent
        return cls(shape, step_time, **{"spike_charge": 2.0, **options})
    if "interp_mode" in options:
        options["spike_interp_mode"] = options.pop("interp_mode")
    if kind == "double exponential":
        return DoubleExponentialCurrent(
            shape, step_time, **{"spike_charge": 2.0, "tc_decay": 4.0, "tc_rise": 1.5, **options}
        )
    return SingleExponentialCurrent(shape, step_time, **{"spike_charge": 2.0, "time_constant": 4.0, **options})


def spikes(steps, *shape, seed=0):
    return torch.rand(steps, *shape, generator=torch.Generator().manual_seed(seed)) < 0.3


def run(module, inputs):
    return torch.stack([module(x) for x in inputs])


def states(module):
    return {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in module.state_dict().items()}


def assert_same_state(a, b):
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key], key


# -- currents ---------------------------------------------------------------------------------------------------------


def test_delta_is_charge_over_step(backend):
    s = synapse("delta", step_time=0.5)
    x = torch.tensor([[1.0, 0.0, -3.0]])
    assert torch.equal(s(x), torch.tensor([[4.0, 0.0, 4.0]])) and torch.equal(s.current, s(x))
    assert s.spike.tolist() == [[True, False, True]]
    s.current = torch.ones(1, 3)
    assert torch.equal(s.current, torch.tensor([[4.0, 0.0, 4.0]]))


def test_exponential_jumps_and_decays(backend):
    s = synapse("exponential", 1)
    currents = [s(torch.full((1, 1), x)).item() for x in (1.0, 0.0, 0.5)]
    assert currents == pytest.approx([0.5, 0.38940, 0.55327], abs=5e-6)
    assert s.spike.item() and s.current.item() == currents[-1]


def test_exponential_records_spikes(backend):
    s = synapse("exponential", 1, delay=2.0)
    for x in (1.0, 0.0, 0.5):
        s(torch.full((1, 1), x))
    assert s.spike_at(torch.tensor([[[2.0, 1.0, 0.0]]])).tolist() == [[[True, False, True]]]


def test_exponential_reads_parameters_live(backend):
    s = synapse("exponential", 1)
    s(torch.ones(1, 1))
    s.time_constant, s.spike_charge = 2.0, 3.0
    assert s(torch.ones(1, 1)).item() == pytest.approx(0.5 * math.exp(-0.5) + 1.5)


def test_assigning_pushes_onto_one_history(backend):
    s = synapse("exponential", 1, delay=2.0)
    s.current = torch.full((1, 1), 5.0)
    s.current = torch.full((1, 1), 6.0)
    s.spike = torch.ones(1, 1)
    assert s.current.item() == 6.0 and s.current_.read(2).item() == 5.0 and s.current_.pointer == 2
    assert s.spike.item() and s.spike_.pointer == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_returned_or_read_keeps_its_values(backend, kind):
    s = synapse(kind)
    kept, copies = [], []
    for x in spikes(10, 1, 3):
        kept += [s(x), s.current, s.spike]
        copies += [t.clone() for t in kept[-3:]]
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delay", [0.0, 3.0])
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_what_is_returned_is_the_present_current(backend, kind, delay, shape):
    for dtype in (torch.float32, torch.float16):
        s = synapse(kind, shape, batch_size=2, delay=delay).to(dtype)
        for x in spikes(6, 2, *shape):
            assert torch.equal(s(x * 1.5), s.current) and torch.equal(s.spike, x)


def test_delta_plus_weighs_spikes_and_adds_currents(backend):
    s = synapse("delta plus", step_time=0.5, delay=0.5)
    x = torch.tensor([[1.0, 0.0, -3.0]])
    extra = torch.tensor([[0.5, 1.0, 2.0]])
    assert s(x).tolist() == [[4.0, 0.0, -12.0]] and s.spike.tolist() == [[True, False, True]]
    assert s(x, extra, extra * 2, True).tolist() == [[6.5, 4.0, -5.0]]
    assert s(x.bool(), extra[0], -1.0).tolist() == [[3.5, 0.0, 5.0]]
    assert s.current_at(torch.full((1, 3), 0.5)).tolist() == [[6.5, 4.0, -5.0]]


def test_delta_plus_takes_many_currents():
    s = synapse("delta plus")
    assert torch.equal(s(torch.zeros(1, 3), *(torch.ones(1, 3) for _ in range(12))), torch.full((1, 3), 12.0))


@pytest.mark.parametrize("extra", ["a", torch.ones(2, 3), torch.ones(1, 3, dtype=torch.complex64),
                                   torch.ones(1, 3, device="meta")], ids=str)  # fmt: skip
def test_bad_currents_raise(backend, extra):
    s = synapse("delta plus", delay=2.0)
    before = states(s)
    with pytest.raises((TypeError, ValueError), match=r"inputs\[2\]"):
        s(torch.ones(1, 3), torch.ones(1, 3), extra)
    assert_same_state(states(s), before)


def test_double_exponential_is_a_difference(backend):
    s = synapse("double exponential", 1)
    gain, expected = 2.0 / 2.5, []
    pos = neg = 0.0
    for x in (1.0, 0.0, 0.5):
        pos, neg = pos * math.exp(-1 / 4) + gain * x, neg * math.exp(-1 / 1.5) + gain * x
        expected.append(pos - neg)
    assert [s(torch.full((1, 1), x)).item() for x in (1.0, 0.0, 0.5)] == pytest.approx(expected, abs=1e-6)
    assert s.pos_current.item() == pytest.approx(pos) and s.neg_current.item() == pytest.approx(neg)
    s.current = torch.ones(1, 1)
    assert s.current.item() == pytest.approx(pos - neg, abs=1e-6)
    s.tc_decay, s.tc_rise, s.spike_charge = 3.0, 1.0, 4.0
    pos, neg = pos * math.exp(-1 / 3) + 2.0, neg * math.exp(-1) + 2.0
    assert s(torch.ones(1, 1)).item() == pytest.approx(pos - neg, abs=1e-6)


def test_double_exponential_parts(backend):
    s = synapse("double exponential", 2, delay=2.0, current_overbound=7.0)
    s.pos_current = torch.tensor([[3.0, 5.0]])
    s.neg_current = torch.tensor([[1.0, 2.0]])
    assert (s.pos_current_.pointer, s.neg_current_.pointer, s.spike_.pointer) == (1, 1, 0)
    at = torch.tensor([[0.0, 2.5]])
    assert s.current.tolist() == [[2.0, 3.0]] and s.current_at(at).tolist() == [[2.0, 7.0]]
    assert s.pos_current_at(at).tolist() == [[3.0, 7.0]] and s.neg_current_at(at).tolist() == [[1.0, 7.0]]
    s.pos_current = s.neg_current = torch.zeros(1, 2)
    at = torch.full((1, 2), 0.75)
    old = torch.tensor([[3.0, 5.0]]) * math.exp(-0.25 / 4), torch.tensor([[1.0, 2.0]]) * math.exp(-0.25 / 1.5)
    torch.testing.assert_close(s.current_at(at), old[0] - old[1])


@pytest.mark.parametrize("constants", [(2.0, 2.0), (2.0, 3.0), (-2.0, 1.0), (2.0, 0.0)], ids=str)
def test_bad_time_constants_raise(constants):
    with pytest.raises(ValueError, match="tc_"):
        synapse("double exponential", tc_decay=constants[0], tc_rise=constants[1])


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_a_graph_does_not_change_the_numbers(backend, kind, dtype):
    with_graph, without = (synapse(kind, 5, batch_size=2, delay=2.0).to(dtype) for _ in range(2))
    g, total = torch.Generator().manual_seed(4), 0.0
    leaves = []
    for _ in range(6):
        x = torch.rand(2, 5, generator=g).to(dtype)
        leaves.append(x.clone().requires_grad_())
        out = with_graph(leaves[-1])
        assert torch.equal(out, without(x))
        total = total + out.sum()
    total.backward()
    assert all((leaf.grad != 0).any() for leaf in leaves) or kind == "double exponential"
    with_graph.clear()
    assert_same_state({k: v.shape for k, v in states(with_graph).items() if "data" in k},
                      {k: v.shape for k, v in states(without).items() if "data" in k})  # fmt: skip


def test_records_of_one_slot_are_row_major(backend):
    s = synapse("double exponential", (2, 3), batch_size=4)
    records = (s.spike_, s.pos_current_, s.neg_current_)
    assert all(r.value.is_contiguous() for r in records)
    s.delay = 2.0
    assert all(r.value.stride(1) == 1 for r in records)
    s.delay = 0.0
    assert all(r.value.is_contiguous() for r in records)
    s(torch.ones(4, 2, 3))
    assert s.spike.all()


class Threshold(CurrentDerivedSpikeMixin, InfernoSynapse):
    """Records what it is given; a spike is a current above 1 nA."""

    partialconstructor = None

    def __init__(self, delay, **over):
        InfernoSynapse.__init__(self, 2, 1.0, delay, 1, False)
        options = {"current_overbound": 0.0, "spike_overbound": False, **over}
        CurrentDerivedSpikeMixin.__init__(self, torch.zeros(1, 2), "previous", tolerance=0.0, **options)

    def to_spikes(self, currents):
        return currents > 1.0

    def clear(self, **kwargs):
        self.current_.reset(0.0)

    def forward(self, x):
        self.current = x
        return self.current


@pytest.mark.parametrize("over", [False, True, None])
def test_spikes_derived_from_currents(backend, over):
    s = Threshold(2.0, spike_overbound=over)
    for x in ([2.0, 0.5], [0.0, 3.0]):
        s(torch.tensor([x]))
    assert s.spike.tolist() == [[False, True]] and s.spike.dtype == torch.bool
    s.spike = torch.ones(1, 2)
    assert s.spike.tolist() == [[False, True]] and list(s.state_dict()) == ["_current__data", "_extra_state"]
    at = torch.tensor([[[0.0, 1.0, 0.5, -1.0], [0.0, 1.0, 0.5, -1.0]]])
    end = [False, True] if over is None else [over, over]
    assert s.spike_at(at).tolist() == [[[False, True, True, end[0]], [True, False, False, end[1]]]]
    assert s.double().spike_at(at.double()).dtype == torch.bool


# -- the past ---------------------------------------------------------------------------------------------------------


def test_nearest_takes_the_older_sample_on_a_tie(backend):
    s = synapse("delta", 1, spike_charge=1.0, delay=3.0, interp_mode="Nearest")
    for x in (0.0, 0.0, 1.0, 0.0):
        s(torch.full((1, 1), x))
    at = torch.tensor([[[0.4, 0.5, 0.6, 1.4, 1.5, 3.1]]])
    assert s.current_at(at).tolist() == [[[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]]]
    assert s.spike_at(at).tolist() == [[[False, True, True, True, False, False]]]


def test_previous_takes_the_older_sample(backend):
    s = synapse("delta", 1, spike_charge=1.0, delay=3.0)
    for x in (0.0, 0.0, 1.0, 0.0):
        s(torch.full((1, 1), x))
    at = torch.tensor([[[0.0, 0.01, 0.99, 1.0, 1.01, 2.0]]])
    assert s.current_at(at).tolist() == [[[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]]]


def test_exponential_decays_between_samples(backend):
    s = synapse("exponential", 1, delay=3.0)
    for x in (1.0, 0.0, 0.0, 0.0):
        s(torch.full((1, 1), x))
    at = torch.tensor([[[0.0, 0.25, 1.0, 1.75, 3.0]]])
    expected = 0.5 * torch.exp(-(3.0 - at) / 4.0)
    torch.testing.assert_close(s.current_at(at), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("over", [0.0, 7.5, None], ids=str)
@pytest.mark.parametrize("spike_over", [False, True, None], ids=str)
def test_out_of_range(backend, kind, over, spike_over):
    s = synapse(kind, 2, delay=3.0, current_overbound=over, spike_overbound=spike_over)
    s(torch.ones(1, 2))
    for _ in range(3):
        s(torch.tensor([[0.0, 1.0]]))
    at = torch.tensor([[[3.5, -0.5], [3.5, -0.5]]])
    inside = torch.tensor([[[3.0, 0.0], [3.0, 0.0]]])
    currents = s.current_at(inside) if over is None else torch.full((1, 2, 2), over)
    fired = s.spike_at(inside) if spike_over is None else torch.full((1, 2, 2), spike_over)
    assert torch.equal(s.current_at(at), currents) and torch.equal(s.spike_at(at), fired)
    # the current of a double exponential starts at zero
    assert s.current_at(inside)[0, 1].max() > 0 and s.spike_at(inside)[0, 0].tolist() == [True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_the_range_ends_at_the_delay_and_not_at_the_oldest_sample(backend, kind):
    s = synapse(kind, 1, delay=2.5, current_overbound=-1.0, spike_overbound=True)
    s(torch.ones(1, 1))
    for _ in range(3):
        s(torch.zeros(1, 1))
    at = torch.tensor([[[2.5, 2.6]]])
    assert s.current_at(at)[0, 0, 0] > 0 and s.current_at(at)[0, 0, 1] == -1.0
    s(torch.zeros(1, 1))
    assert s.spike_at(at).tolist() == [[[False, True]]]


@pytest.mark.parametrize("kind", KINDS)
def test_tolerance_snaps_and_widens_the_range(backend, kind):
    s = synapse(kind, 1, delay=3.0, interp_tol=0.125)
    for x in (1.0, 0.0, 1.0, 0.0):
        s(torch.full((1, 1), x))
    near, exact = torch.tensor([[[3.125, 2.875, 1.125, 0.875]]]), torch.tensor([[[3.0, 3.0, 1.0, 1.0]]])
    assert torch.equal(s.current_at(near), s.current_at(exact)) and torch.equal(s.spike_at(near), s.spike_at(exact))
    assert s.current_at(torch.tensor([[3.25]])).item() == 0.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["previous", "nearest"])
def test_selector_layouts(backend, kind, mode):
    s = synapse(kind, 5, batch_size=3, delay=4.0, interp_mode=mode)
    run(s, spikes(9, 3, 5))
    delay = torch.rand(5, 7, generator=torch.Generator().manual_seed(1)) * 5 - 0.5
    whole = delay.expand(3, 5, 7)
    for at in (whole, whole.contiguous(), delay.t().contiguous().t().expand(3, 5, 7)):
        assert at.shape == s.current_at(at).shape == s.spike_at(at).shape
        for d in range(7):
            assert torch.equal(s.current_at(at)[..., d], s.current_at(at[..., d]))
            assert torch.equal(s.spike_at(at)[..., d], s.spike_at(at[..., d]))
    assert torch.equal(s.current_at(whole.round().long().clamp(0)), s.current_at(whole.round().clamp(0)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 3), (1, 2), (1, 3, 2, 2), (3,), (1,)], ids=str)
def test_bad_selectors_raise(backend, kind, shape):
    s = synapse(kind, delay=2.0)
    for look in (s.current_at, s.spike_at):
        with pytest.raises(ValueError, match="selector"):
            look(torch.zeros(shape))


@pytest.mark.parametrize("kind", KINDS)
def test_delayed_current_describes_current_at(backend, kind):
    s = synapse(kind, 2, 0.5, delay=3.0, interp_tol=0.25, current_overbound=1.5)
    how = s.delayed_current()
    record, *expected = {
        "delta": ("spike_", "previous", None, 4.0),
        "delta plus": ("current_", "previous", None, 1.0),
        "exponential": ("current_", "expdecay", 4.0, 1.0),
        "double exponential": ("pos_current_", "expdecay", 4.0, 1.0),
    }[kind]
    assert how.record is getattr(s, record)
    assert [how.mode, how.time_constant, how.scale] == expected
    assert (how.tolerance, how.overbound) == (0.25, 1.5)
    if kind == "double exponential":
        minus = how.minus
        assert minus.record is s.neg_current_ and minus.minus is None
        assert (minus.mode, minus.time_constant, minus.scale) == ("expdecay", 1.5, 1.0)
        assert (minus.tolerance, minus.overbound) == (0.25, 0.0)
        clamped = synapse(kind, current_overbound=None).delayed_current()
        assert clamped.overbound is None and clamped.minus.overbound is None
    else:
        assert how.minus is None


# -- size of the history ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delay, slots", [(0.0, 1), (0.4, 2), (1.0, 2), (2.5, 4), (3.0, 4)])
def test_history_covers_the_delay(kind, delay, slots):
    s = synapse(kind, delay=delay)
    assert s.spike_.recordsz == slots and s.spike_.duration == s.delay == delay
    assert s.spike_.value.shape == (slots, 1, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name, value", [("dt", 0.5), ("delay", 5.0), ("delay", 1.0), ("batchsz", 4)])
def test_setters_clear(backend, kind, name, value):
    s = synapse(kind, batch_size=2, delay=3.0)
    run(s, torch.ones(3, 2, 3))
    setattr(s, name, value)
    assert getattr(s, name) == value and not s.spike_.value.any() and not s.current.any()
    fresh = synapse(kind, step_time=s.dt, delay=s.delay, batch_size=s.batchsz)
    assert_same_state(states(s), states(fresh))
    inputs = spikes(8, s.batchsz, 3)
    assert torch.equal(run(s, inputs), run(fresh, inputs))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_batch_size_keeps_the_history(backend, kind):
    s = synapse(kind, batch_size=2)
    s(torch.ones(2, 3))
    s.batchsz = 2
    assert s.spike.all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name, value", [("dt", 0.0), ("dt", float("nan")), ("delay", -1.0), ("batchsz", 0)])
def test_bad_settings_raise(kind, name, value):
    s = synapse(kind, delay=3.0)
    s(torch.ones(1, 3))
    before = states(s)
    with pytest.raises(ValueError, match=name):
        setattr(s, name, value)
    assert_same_state(states(s), before)


@pytest.mark.parametrize("kind", KINDS)
def test_clear(backend, kind):
    s = synapse(kind, delay=3.0)
    run(s, torch.ones(2, 1, 3))
    s.clear(keep_adaptations=False)
    assert_same_state(states(s), states(synapse(kind, delay=3.0)))


# -- bad arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "changes",
    [{"spike_charge": 0.0}, {"spike_charge": float("nan")}, {"delay": -1.0}, {"interp_tol": -1.0}, {"step_time": 0.0},
     {"shape": 0}, {"batch_size": 0}],
    ids=str,
)  # fmt: skip
def test_bad_parameters_raise(kind, changes):
    with pytest.raises(ValueError):
        synapse(kind, **changes)


def test_bad_time_constant_raises():
    with pytest.raises(ValueError, match="time_constant"):
        synapse("exponential", time_constant=0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_mode_raises(kind):
    with pytest.raises(RuntimeError, match="interp_mode"):
        synapse(kind, interp_mode="linear")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "inputs, error",
    [
        ((torch.ones(2, 3),), ValueError),
        ((torch.ones(3),), ValueError),
        ((torch.ones(1, 3, 1),), ValueError),
        ((torch.ones(1, 3, device="meta"),), ValueError),
        ((torch.ones(1, 3, dtype=torch.complex64),), TypeError),
        ((1.0,), TypeError),
        ((), TypeError),
        ((torch.ones(1, 3), torch.ones(1, 4)), (TypeError, ValueError)),
    ],
)
def test_bad_inputs_raise(backend, kind, inputs, error):
    s = synapse(kind, delay=2.0)
    s(torch.ones(1, 3))
    before = states(s)
    with pytest.raises(error, match="inputs"):
        s(*inputs)
    assert_same_state(states(s), before)


# -- constructors -----------------------------------------------------------------------------------------------------


def test_partialconstructors():
    s = DeltaCurrent.partialconstructor(2.0, "nearest", 0.5, 1.0, True, True)((2, 2), 0.5, 1.5, 3)
    assert (s.shape, s.dt, s.delay, s.batchsz, s.spike_charge, s.inplace) == ((2, 2), 0.5, 1.5, 3, 2.0, True)
    how = s.delayed_current()
    assert (how.mode, how.tolerance, how.overbound) == ("nearest", 0.5, 1.0)
    assert repr(s) == "DeltaCurrent(shape=(2, 2), batchsz=3, dt=0.5, delay=1.5)"
    s = SingleExponentialCurrent.partialconstructor(2.0, 5.0, "nearest", 0.5, None, None, True)(4, 0.5, 1.5, 3)
    assert (s.shape, s.dt, s.delay, s.batchsz, s.spike_charge, s.time_constant) == ((4,), 0.5, 1.5, 3, 2.0, 5.0)
    assert s.inplace and s.delayed_current().overbound is None
    s = DeltaPlusCurrent.partialconstructor(2.0, "nearest", 0.5, 1.0, True, True)((2, 2), 0.5, 1.5, 3)
    assert (s.shape, s.dt, s.delay, s.batchsz, s.spike_charge, s.inplace) == ((2, 2), 0.5, 1.5, 3, 2.0, True)
    how = s.delayed_current()
    assert (how.mode, how.tolerance, how.overbound) == ("nearest", 0.5, 1.0)
    s = DoubleExponentialCurrent.partialconstructor(2.0, 5.0, 1.0, "nearest", 0.5, None, None, True)(4, 0.5, 1.5, 3)
    assert (s.shape, s.dt, s.delay, s.batchsz) == ((4,), 0.5, 1.5, 3)
    assert (s.spike_charge, s.tc_decay, s.tc_rise) == (2.0, 5.0, 1.0)
    assert s.inplace and s.delayed_current().overbound is None


@pytest.mark.parametrize("kind, names", [
    ("delta", ["spike"]), ("delta plus", ["current", "spike"]), ("exponential", ["current", "spike"]),
    ("double exponential", ["spike", "pos_current", "neg_current"]),
])  # fmt: skip
def test_state_dict_keys(kind, names):
    state = synapse(kind, delay=2.0).state_dict()
    assert list(state) == [f"_{name}__data" for name in names] + ["_extra_state"]
    assert list(state["_extra_state"]) == [f"_{name}__pointer" for name in names]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_other_dtypes(backend, kind, dtype):
    s = synapse(kind, delay=2.0).to(dtype)
    x = torch.ones(1, 3)
    assert s(x).dtype == s.current.dtype == s.current_at(torch.ones(1, 3)).dtype == dtype
    assert s.spike_.value.dtype == torch.bool


# -- invariants -------------------------------------------------------------------------------------------------------

PROPERTY = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PROPERTY
@given(kind=st.sampled_from(KINDS), dt=st.sampled_from([0.1, 0.3, 0.7, 1.0, 1.3]), k=st.integers(0, 9))
def test_a_delay_of_k_steps_is_the_past(backend, kind, dt, k):
    s = synapse(kind, 4, dt, delay=9 * dt)
    inputs = spikes(25, 1, 4, seed=k)
    at = torch.full((1, 4), k * dt)
    now, then, fired = [], [], []
    for x in inputs:
        now.append(s(x))
        then.append(s.current_at(at))
        fired.append(s.spike_at(at))
    assert torch.equal(torch.stack(then)[k:], torch.stack(now)[: 25 - k])
    assert torch.equal(torch.stack(fired)[k:], inputs[: 25 - k]) and not torch.stack(then)[:k].any()


@PROPERTY
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 99))
def test_batch_items_are_independent_and_synapses_permute(backend, kind, seed):
    inputs = spikes(20, 3, 6, seed=seed)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    at = torch.rand(3, 6, generator=torch.Generator().manual_seed(seed)) * 4
    whole, moved = (synapse(kind, 6, batch_size=3, delay=4.0) for _ in range(2))
    assert torch.equal(run(whole, inputs)[..., order], run(moved, inputs[..., order]))
    assert torch.equal(whole.current_at(at)[:, order], moved.current_at(at[:, order]))
    for b in range(3):
        alone = synapse(kind, 6, delay=4.0)
        run(alone, inputs[:, b : b + 1])
        assert torch.equal(alone.current_at(at[b : b + 1])[0], whole.current_at(at)[b])


@PROPERTY
@given(kind=st.sampled_from(KINDS), cut=st.integers(1, 19), inplace=st.booleans())
def test_save_load_resume_equals_uninterrupted(backend, kind, cut, inplace):
    inputs = spikes(20, 2, 6, seed=cut)
    whole, first, second = (synapse(kind, 6, batch_size=2, delay=3.0, inplace=inplace) for _ in range(3))
    expected = run(whole, inputs)
    start = run(first, inputs[:cut])
    second.load_state_dict(first.state_dict())
    assert torch.equal(torch.cat([start, run(second, inputs[cut:])]), expected)
    assert_same_state(states(second), states(whole))
