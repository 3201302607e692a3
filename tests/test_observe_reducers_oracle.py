"""Reducers beside those of inferno-ai: the same series of observations, the same states."""

import pytest
import torch

from inferno_cuda import observe as ours

theirs = pytest.importorskip("inferno.observe")

SHAPE = (3, 5)
TIMES = {"duration": 4.0}, {"duration": 4.0, "inclusive": True}, {"duration": 0.0}, {"duration": 3.5, "inplace": True}
RINGS = pytest.mark.parametrize("times", TIMES, ids=lambda t: "-".join(f"{k}{v}" for k, v in t.items()))


def above(obs):
    return obs > 0.6


def spikes(rng):
    return (torch.rand(SHAPE, generator=rng) < 0.3,)


def levels(rng):
    return (torch.rand(SHAPE, generator=rng),)


def counts(rng):
    return (torch.randint(0, 3, SHAPE, generator=rng),)


def conditioned(rng):
    return *levels(rng), torch.rand(SHAPE, generator=rng) < 0.3


TRACES = ("CumulativeTraceReducer", "NearestTraceReducer")
SCALED = ("ScaledCumulativeTraceReducer", "ScaledNearestTraceReducer")
CONDITIONAL = ("ConditionalCumulativeTraceReducer", "ConditionalNearestTraceReducer")
CASES = [
    *((name, (20.0, 1.3, True), spikes) for name in TRACES),
    *((name, (7.0, -0.4, 1), counts) for name in TRACES),
    *((name, (20.0, 2, 0.5, 0.2), levels) for name in TRACES),
    *((name, (20.0, 0.7, 1.9, above), levels) for name in SCALED),
    *((name, (20.0, 0.0, -0.3), conditioned) for name in CONDITIONAL),
    ("EMAReducer", (0.3,), levels),
    ("CAReducer", (), levels),
    ("CAReducer", (), spikes),
    *(("EventReducer", (above, initial), levels) for initial in ("inf", "zero", "nan")),
    ("PassthroughReducer", (), levels),
    ("PassthroughReducer", (), spikes),
]
REDUCERS = pytest.mark.parametrize(
    "name, args, observe", CASES, ids=[f"{name}-{index}" for index, (name, *_) in enumerate(CASES)]
)


def pair(name, args, times, dt=1.0):
    return [getattr(module, name)(dt, *args, **times) for module in (ours, theirs)]


def assert_same(mine, other):
    """Bit for bit, but for the sign of zeros and for NaN, which is NaN."""
    assert (mine is None) == (other is None)
    if other is not None:
        assert mine.dtype == other.dtype
        torch.testing.assert_close(mine, other, rtol=0, atol=0, equal_nan=True)


def assert_same_state(mine, other):
    state, expected = mine.state_dict(), other.state_dict()
    assert list(state) == list(expected)
    assert state["_extra_state"] == expected["_extra_state"]
    assert_same(state["_data__data"], expected["_data__data"])


@REDUCERS
@RINGS
@pytest.mark.parametrize("dt", [1.0, 0.1])
def test_states_of_a_series(name, args, observe, times, dt):
    rng = torch.Generator().manual_seed(5)
    mine, other = pair(name, args, {**times, "duration": times["duration"] * dt}, dt)
    for step in range(12):
        obs = observe(rng)
        mine(*obs)
        other(*obs)
        assert_same(mine.peek(), other.peek())
        assert_same(mine.latest, other.latest)
        if step in (0, 2, 11):
            assert_same_state(mine, other)
    assert_same(mine.dump(), other.dump())
    assert_same_state(mine, other)


@REDUCERS
def test_looks_into_the_past(name, args, observe):
    rng = torch.Generator().manual_seed(6)
    mine, other = pair(name, args, {"duration": 5.0, "inclusive": True})
    assert mine.view(0.0) is None and mine.dump() is None and mine.peek() is None
    for _ in range(9):
        obs = observe(rng)
        mine(*obs)
        other(*obs)
    times = torch.rand(SHAPE, generator=rng) * 5
    grid = torch.randint(0, 6, (*SHAPE, 2), generator=rng).float()
    for time in (0.0, 2.0, 0.25, 5.0, grid):
        torch.testing.assert_close(mine.view(time), other.view(time), rtol=1e-6, atol=1e-6, equal_nan=True)
    torch.testing.assert_close(mine.view(times), other.view(times), rtol=1e-5, atol=1e-5, equal_nan=True)
    for module in (mine, other):
        with pytest.raises(ValueError):
            module.view(7.0)


@REDUCERS
@pytest.mark.parametrize("keepshape", [True, False])
def test_clears(name, args, observe, keepshape):
    rng = torch.Generator().manual_seed(7)
    mine, other = pair(name, args, {"duration": 3.0})
    for _ in range(2):
        for _ in range(4):
            obs = observe(rng)
            mine(*obs)
            other(*obs)
        assert_same(mine.dump(), other.dump())
        mine.clear(keepshape=keepshape)
        other.clear(keepshape=keepshape)
        assert mine.peek() is None
        assert_same(mine.data, other.data)
        assert_same_state(mine, other)


@REDUCERS
def test_takes_states_that_are_pushed(name, args, observe):
    mine, other = pair(name, args, {"duration": 3.0})
    first = observe(torch.Generator().manual_seed(8))
    for module in (mine, other):
        module(*first)
        module.push(torch.full(SHAPE, 2.5))
        module(*first)
    assert_same(mine.dump(), other.dump())


@pytest.mark.parametrize("attribute, value", [("dt", 0.5), ("dt", 2.0)])
def test_other_step_times(attribute, value):
    rng = torch.Generator().manual_seed(9)
    mine, other = pair("CumulativeTraceReducer", (20.0, 1.0, True), {"duration": 4.0})
    for _ in range(6):
        obs = spikes(rng)
        mine(*obs)
        other(*obs)
    for module in (mine, other):
        setattr(module, attribute, value)
    assert mine.decay == other.decay
    for _ in range(3):
        obs = spikes(rng)
        mine(*obs)
        other(*obs)
    assert_same(mine.dump(), other.dump())
