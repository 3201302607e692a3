"""The scalar functions of csrc/core, one by one."""

import math

import mpmath
import numpy as np
import pytest
import torch
from core_py import eps_of, load
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import reference

core = load()


@given(st.floats(-745.1, 709.7))
def test_exp_is_within_one_ulp(x):
    with mpmath.workprec(120):
        error = abs(mpmath.mpf(float(core.exp(x))) - mpmath.exp(mpmath.mpf(x)))
        assert error <= math.ulp(float(mpmath.exp(x)))


@given(st.floats(-87.25, 88.625, width=32))
def test_exp_of_floats_is_within_a_unit_and_a_half(x):
    exact = math.exp(x)
    assert abs(float(core.exp_float(x)) - exact) <= 1.5 * float(np.spacing(np.float32(exact)))


def test_exp_of_floats_at_the_ends():
    x = np.array([0.0, -0.0, -104, -103.5, -1e30, 88.7, 88.8, 1e30, np.inf, -np.inf, np.nan], dtype=np.float32)
    expected = np.array([1, 1, 0, 2.0**-149, 0, np.exp(np.float64(x[5])), *[np.inf] * 3, 0, np.nan])
    np.testing.assert_allclose(core.exp_float(x), expected, rtol=1e-7, atol=0)


def test_exp_at_the_ends():
    x = np.array([0.0, -0.0, -745.2, -1e300, 709.8, 1e300, np.inf, -np.inf, np.nan])
    expected = np.array([1.0, 1.0, 0.0, 0.0, np.inf, np.inf, np.inf, 0.0, np.nan])
    np.testing.assert_array_equal(core.exp(x), expected)


def test_exp_has_its_reference_s_bits():
    x = torch.cat([torch.linspace(-750, 712, 200_001), torch.linspace(-1, 1, 200_001)]).double()
    x = torch.cat([x, torch.tensor([torch.inf, -torch.inf, torch.nan], dtype=torch.float64)])
    torch.testing.assert_close(torch.from_numpy(core.exp(x.numpy())), reference.exp(x), rtol=0, atol=0, equal_nan=True)


def test_exp_of_floats_has_its_reference_s_bits():
    x = torch.cat([torch.linspace(-106, 90, 400_001), torch.linspace(-1, 1, 200_001)])
    x = torch.cat([x, torch.tensor([torch.inf, -torch.inf, torch.nan])])
    ours = torch.from_numpy(core.exp_float(x.numpy()))
    torch.testing.assert_close(ours, reference.exp(x), rtol=0, atol=0, equal_nan=True)


def test_half_to_float_for_every_half():
    every = np.arange(1 << 16, dtype=np.uint16)
    np.testing.assert_array_equal(core.half_to_float(every), every.view(np.float16).astype(np.float32))


def test_bfloat16_to_float_for_every_bfloat16():
    every = torch.arange(1 << 16, dtype=torch.int32).to(torch.uint16)
    expected = every.view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(core.bfloat16_to_float(every.numpy()), expected)


def floats_around_every(narrow):
    """Every value of a 16-bit type, the midpoints between neighbours, and the floats next to each."""
    narrow = narrow[np.isfinite(narrow) & (narrow >= 0)].astype(np.float32)
    middle = ((narrow[1:].astype(np.float64) + narrow[:-1]) / 2).astype(np.float32)
    x = np.concatenate([narrow, middle])
    x = np.concatenate([x, np.nextafter(x, np.float32(np.inf)), np.nextafter(x, np.float32(-np.inf))])
    return np.concatenate([x, -x, np.array([np.inf, -np.inf, 65519.99, 65520, 3.4e38, 1e-45], dtype=np.float32)])


def test_float_to_half_rounds_to_even():
    x = floats_around_every(np.arange(1 << 16, dtype=np.uint16).view(np.float16))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(core.float_to_half(x), x.astype(np.float16).view(np.uint16))
    assert core.float_to_half(np.nan) == 0x7E00


def test_float_to_bfloat16_rounds_to_even():
    every = torch.arange(1 << 16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
    x = floats_around_every(every.float().numpy())
    expected = torch.from_numpy(x).bfloat16().view(torch.uint16).numpy()
    np.testing.assert_array_equal(core.float_to_bfloat16(x), expected)
    assert core.float_to_bfloat16(np.nan) == 0x7FC0


@given(st.floats(-1e12, 1e12))
def test_round_even_is_rint(x):
    assert core.round_even(x) == np.rint(x)


@given(st.integers(-(1 << 40), 1 << 40), st.integers(-(1 << 40), 1 << 40), st.integers(1, 1 << 20))
def test_ring_slot_is_a_remainder(pointer, back, slots):
    assert core.ring_slot(pointer, back, slots) == (pointer - back) % slots


times = st.one_of(st.floats(-5, 60), st.integers(-3, 70).map(lambda k: k * 0.1), st.just(math.inf), st.just(-math.inf))


@settings(deadline=None)
@given(
    time=st.lists(times, min_size=1, max_size=20),
    dt=st.sampled_from([0.1, 0.25, 1.0, 1.3, 3.7]),
    slots=st.integers(1, 40),
    tolerance=st.sampled_from([0.0, 1e-7, 0.05]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_lookup_has_its_reference_s_bits(time, dt, slots, tolerance, dtype):
    time = torch.tensor(time, dtype=dtype)
    limits = {"dt": dt, "max_time": dt * (slots - 1), "max_age": slots - 1, "tolerance": tolerance}
    expected = reference.lookup(time, eps=eps_of(dtype), **limits)
    grid = core.TimeGrid(eps=eps_of(dtype), **limits)
    for i, t in enumerate(time.tolist()):
        at = (core.lookup if dtype == torch.float64 else core.lookup_float)(t, grid)
        assert (at.older, at.newer) == (expected.older[i], expected.newer[i])
        assert (at.blend, bool(at.inside)) == (expected.blend[i], bool(expected.inside[i]))
        assert 0 <= at.newer <= at.older < slots


@pytest.mark.parametrize("time", [math.inf, -math.inf, math.nan])
def test_times_without_a_place_are_outside(time):
    for lookup, dtype in ((core.lookup, torch.float64), (core.lookup_float, torch.float32)):
        assert not lookup(time, core.TimeGrid(dt=0.5, max_time=2.0, max_age=4, eps=eps_of(dtype))).inside
