"""Interpolation and extrapolation between two samples."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import functional as F

OLD, NEW = torch.tensor([1.0, 1.0]), torch.tensor([3.0, 5.0])
AT = torch.tensor([0.5, 1.5])  # ms since the older sample, of 2
DT = 2.0


def close(actual, expected):
    torch.testing.assert_close(actual, torch.tensor(expected))


def test_interp_values():
    close(F.interp_previous(OLD, NEW, AT, DT), [1.0, 1.0])
    close(F.interp_next(OLD, NEW, AT, DT), [3.0, 5.0])
    close(F.interp_nearest(OLD, NEW, AT, DT), [1.0, 5.0])
    close(F.interp_linear(OLD, NEW, AT, DT), [1.5, 4.0])
    close(F.interp_expdecay(OLD, NEW, AT, DT, time_constant=4.0), [math.exp(-0.125), math.exp(-0.375)])
    close(F.interp_expratedecay(OLD, NEW, AT, DT, rate_constant=0.25), [math.exp(-0.125), math.exp(-0.375)])


def test_nearest_prefers_the_older_sample_halfway():
    half = torch.tensor([1.0, 1.0])
    close(F.interp_nearest(OLD, NEW, half, DT), [1.0, 1.0])
    old, new = F.extrap_nearest(torch.tensor([9.0, 9.0]), half, OLD, NEW, DT)
    close(old, [9.0, 9.0])
    close(new, [3.0, 5.0])


def test_extrap_values():
    value = torch.tensor([2.0, 2.0])
    pairs = {
        F.extrap_previous: ([2.0, 2.0], [3.0, 5.0]),
        F.extrap_next: ([1.0, 1.0], [2.0, 2.0]),
        F.extrap_neighbors: ([2.0, 2.0], [2.0, 2.0]),
        F.extrap_nearest: ([2.0, 1.0], [3.0, 2.0]),
        F.extrap_linear_forward: ([1.0, 1.0], [5.0, 1.0 + 2.0 / 1.5]),
        F.extrap_linear_backward: ([3.0 - 2.0 / 1.5, -7.0], [3.0, 5.0]),
    }
    for extrap, (old, new) in pairs.items():
        got = extrap(value, AT, OLD, NEW, DT)
        close(got[0], old)
        close(got[1], new)


def test_extrap_linear_adjusts_the_fixed_end():
    value = torch.tensor([2.0, 2.0])
    old, new = F.extrap_linear_forward(value, AT, OLD, NEW, DT, adjust=torch.zeros_like)
    close(old, [0.0, 0.0])
    close(new, [8.0, 4.0 / 1.5])
    old, new = F.extrap_linear_backward(value, AT, OLD, NEW, DT, adjust=torch.zeros_like)
    close(old, [4.0 / 1.5, 8.0])
    close(new, [0.0, 0.0])


@given(
    st.lists(st.tuples(*[st.floats(-100, 100, width=32)] * 3, st.floats(0.05, 0.95)), min_size=1, max_size=8),
    st.floats(0.1, 10.0),
    st.floats(0.5, 50.0),
)
@settings(max_examples=50, deadline=None)
def test_interpolating_what_was_extrapolated_gives_the_value_back(rows, dt, tau):
    value, old, new, fraction = torch.tensor(rows, dtype=torch.float64).unbind(1)
    at = fraction * dt
    inverse = [
        (F.extrap_linear_forward, F.interp_linear, {}),
        (F.extrap_linear_backward, F.interp_linear, {}),
        (F.extrap_neighbors, F.interp_linear, {}),
        (F.extrap_nearest, F.interp_nearest, {}),
        (F.extrap_previous, F.interp_previous, {}),
        (F.extrap_next, F.interp_next, {}),
        (F.extrap_expdecay, F.interp_expdecay, {"time_constant": tau}),
        (F.extrap_expratedecay, F.interp_expratedecay, {"rate_constant": 1 / tau}),
    ]
    for extrap, interp, kwargs in inverse:
        ends = extrap(value, at, old, new, dt, **kwargs)
        torch.testing.assert_close(interp(*ends, at, dt, **kwargs), value, rtol=1e-9, atol=1e-9)


def test_expdecay_extrapolation_lies_on_one_decay():
    old, new = F.extrap_expdecay(OLD, AT, OLD, NEW, DT, time_constant=4.0)
    torch.testing.assert_close(new, old * math.exp(-DT / 4.0))


@pytest.mark.parametrize("name", [n for n in F.__all__ if n.startswith(("interp_", "extrap_"))])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions_equal_inferno(name, dtype):
    upstream = pytest.importorskip("inferno").functional
    torch.manual_seed(0)
    value, old, new = torch.randn(3, 2, 50, dtype=dtype)
    at = torch.rand(2, 50, dtype=dtype) * 0.9 + 0.05
    args = (old, new, at, 1.0) if name.startswith("interp") else (value, at, old, new, 1.0)
    kwargs = {"time_constant": 5.0, "rate_constant": 0.2, "unknown": None}
    torch.testing.assert_close(getattr(F, name)(*args, **kwargs), getattr(upstream, name)(*args, **kwargs))
