"""Synapses: histories, settings, constructors, checkpoints, bad input."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from states import assert_same_state, run, spikes, states
from synapse_cases import KINDS, PROPERTY, synapse

from inferno_cuda.neural import (
    DeltaCurrent,
    DeltaPlusCurrent,
    DoubleExponentialCurrent,
    SingleExponentialCurrent,
)


@pytest.mark.parametrize("constants", [(2.0, 2.0), (2.0, 3.0), (-2.0, 1.0), (2.0, 0.0)], ids=str)
def test_bad_time_constants_raise(constants):
    with pytest.raises(ValueError, match="tc_"):
        synapse("double exponential", tc_decay=constants[0], tc_rise=constants[1])


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
        synapse(kind, interp_mode="cubic")


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
