"""Bounds of parameter updates."""

import inspect
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import functional as F
from inferno_cuda.neural import Accumulator

NAMES = [n for n in F.__all__ if n.startswith("bound_")]
KINDS = ["power", "scaled_power", "multiplicative", "scaled_multiplicative", "sharp"]
PARAM = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])
POS, NEG = torch.tensor([0.5, 1.0, 2.0, 3.0, 4.0]), torch.tensor([1.0, 0.25, 0.5, 1.0, 3.0])


def test_there_are_fifteen():
    assert len(NAMES) == 15
    assert set(NAMES) == {f"bound_{side}{kind}" for side in ("upper_", "lower_", "") for kind in KINDS}


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_inferno(name):
    upstream = pytest.importorskip("inferno").functional
    ours, theirs = (inspect.signature(getattr(f, name)).parameters for f in (F, upstream))
    a, b = ([(p.name, p.kind, p.default) for p in side.values()] for side in (ours, theirs))
    assert a == b


@pytest.mark.parametrize("side", ["upper", "lower"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_half_bounds_equal_inferno(side, kind, dtype):
    upstream = pytest.importorskip("inferno").functional
    name, options = f"bound_{side}_{kind}", {"power": 2.0, "range": 3.0, "unknown": None}
    args = (torch.randn(3, 5).to(dtype), torch.rand(3, 5).to(dtype), 0.75)
    assert torch.equal(getattr(F, name)(*args, **options), getattr(upstream, name)(*args, **options))


LIMITS = [(1.0, -1.0), (1.0, None), (None, -1.0), (None, None)]
WORKING = [(kind, limits) for kind in ("multiplicative", "sharp") for limits in LIMITS]


@pytest.mark.parametrize("kind, limits", [*WORKING, ("scaled_multiplicative", LIMITS[0])])
def test_full_bounds_equal_inferno_where_that_works(kind, limits):
    upstream = pytest.importorskip("inferno").functional
    name = f"bound_{kind}"
    assert torch.equal(getattr(F, name)(PARAM, POS, NEG, *limits), getattr(upstream, name)(PARAM, POS, NEG, *limits))


def test_values():
    assert F.bound_upper_power(PARAM, POS, 2.0, power=2.0).tolist() == [4.5, 4.0, 4.5, 3.0, 0.0]
    assert F.bound_lower_power(PARAM, NEG, -1.0, power=3.0).tolist() == [0.0, 0.25, 1.6875, 8.0, 81.0]
    assert F.bound_upper_scaled_multiplicative(PARAM, POS, 2.0, 2.0).tolist() == [0.75, 1.0, 1.5, 1.5, 0.0]
    assert F.bound_upper_sharp(PARAM, POS, 1.0).tolist() == [0.5, 1.0, 2.0, 0.0, 0.0]
    assert F.bound_lower_sharp(PARAM, NEG, 0.0).tolist() == [0.0, 0.0, 0.5, 1.0, 3.0]


def test_d18_full_power_bounds_work():
    x = torch.ones(2)
    assert F.bound_power(x, x, x, 2.0, 0.0, upper_power=2.0, lower_power=2.0).tolist() == [0.0, 0.0]
    assert F.bound_scaled_power(x, 4 * x, x, 2.0, 0.0, upper_power=2.0, lower_power=1.0).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given_max, given_min", list(itertools.product([True, False], repeat=2)))
def test_d18_full_bounds_are_the_half_bounds_where_there_is_a_limit(kind, given_max, given_min):
    high, low = (3.0 if given_max else None), (-2.0 if given_min else None)
    scaled = {"range": 5.0 if given_max and given_min else 1.0} if "scaled" in kind else {}
    power = ({"power": 2.0}, {"power": 3.0}) if "power" in kind else ({}, {})
    pos = getattr(F, f"bound_upper_{kind}")(PARAM, POS, high, **power[0], **scaled) if given_max else POS
    neg = getattr(F, f"bound_lower_{kind}")(PARAM, NEG, low, **power[1], **scaled) if given_min else NEG
    full = getattr(F, f"bound_{kind}")
    options = {"upper_power": 2.0, "lower_power": 3.0} if "power" in kind else {}
    assert torch.equal(full(PARAM, POS, NEG, high, low, **options), pos - neg)


@pytest.mark.parametrize("kind", KINDS)
def test_a_half_bound_needs_its_limit(kind):
    for side in ("upper", "lower"):
        with pytest.raises(TypeError, match="'limit' was None"):
            getattr(F, f"bound_{side}_{kind}")(PARAM, POS, None, power=1.0, range=1.0)


@pytest.mark.parametrize("limits", [(1.0, 1.0), (0.0, 1.0), (float("nan"), 0.0)])
def test_scaled_bounds_need_a_range(limits):
    with pytest.raises(ValueError, match="'max'.*must be greater than 'min'"):
        F.bound_scaled_multiplicative(PARAM, POS, NEG, *limits)
    with pytest.raises(ValueError, match="'max'.*must be greater than 'min'"):
        F.bound_scaled_power(PARAM, POS, NEG, *limits, upper_power=1.0, lower_power=1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_accumulators_take_them(kind):
    powers = {"power": 2.0} if "power" in kind else {}
    scaled = {"range": 3.0} if "scaled" in kind else {}
    half, full = Accumulator(), Accumulator()
    half.upperbound(getattr(F, f"bound_upper_{kind}"), 2.0, **powers, **scaled)
    half.lowerbound(getattr(F, f"bound_lower_{kind}"), -1.0, **powers, **scaled)
    full.fullbound(
        getattr(F, f"bound_{kind}"), 2.0, -1.0, **({"upper_power": 2.0, "lower_power": 2.0} if powers else {})
    )
    for accumulator in (half, full):
        accumulator.pos, accumulator.neg = POS, NEG
    assert torch.equal(half(PARAM), full(PARAM))
    assert not torch.equal(half(PARAM), PARAM + POS - NEG)


values = st.lists(st.floats(0.0, 1.0, width=32), min_size=4, max_size=4)


@given(values, values, values, st.sampled_from(KINDS), st.floats(1.0, 3.0))
@settings(max_examples=60, deadline=None)
def test_a_parameter_within_its_limits_stays_there(param, pos, neg, kind, power):
    x, p, n = (torch.tensor(v, dtype=torch.float64) for v in (param, pos, neg))
    if kind == "sharp":
        # a sharp bound stops what is at the limit, and no more
        p, n = p * (1 - x), n * x
    delta = getattr(F, f"bound_{kind}")(x, p, n, 1.0, 0.0, upper_power=power, lower_power=power)
    assert (x + delta >= -1e-12).all() and (x + delta <= 1 + 1e-12).all()
