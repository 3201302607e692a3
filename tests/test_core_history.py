"""Ring pushes, gathers and delay plans of csrc, CPU and emulated, against their references."""

import numpy as np
import pytest
import torch
from core_py import (
    BACKENDS,
    FLOATING,
    MODES,
    SCALARS,
    array,
    assert_same,
    eps_of,
    load,
    sparse_array,
    uniform,
    with_specials,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import reference

core = load()
every_dtype = pytest.mark.parametrize("dtype", [*FLOATING, torch.bool], ids=SCALARS.get)
every_backend = pytest.mark.parametrize("backend", BACKENDS)
sizes = st.tuples(st.integers(1, 7), st.integers(1, 9), st.integers(1, 40))
layouts = st.permutations([0, 1, 2])


def laid_out(tensor, order):
    """The same values with memory in another order of dimensions."""
    inverse = [order.index(d) for d in range(3)]
    return tensor.permute(order).contiguous().permute(inverse)


def samples(generator, shape, dtype):
    if dtype == torch.bool:
        return torch.rand(shape, generator=generator) < 0.5
    return with_specials(generator, uniform(generator, shape, -3, 3, dtype))


def times(generator, shape, dt, slots, dtype):
    """Times in and around a ring's span, a third of them on its grid."""
    time = uniform(generator, shape, -dt, dt * (slots + 1), dtype)
    on_grid = torch.rand(time.shape, generator=generator) < 0.3
    return with_specials(generator, torch.where(on_grid, (time / dt).round() * dt, time))


def grid_of(dtype, mode, dt, slots, time_constant=5.0, tolerance=0.0):
    return core.TimeGrid(
        dt=dt,
        max_time=dt * (slots - 1),
        max_age=slots - 1,
        mode=getattr(core.Interp, mode),
        time_constant=time_constant,
        tolerance=tolerance,
        eps=eps_of(dtype),
    )


@every_backend
@every_dtype
@settings(deadline=None)
@given(size=sizes, order=layouts, obs_transposed=st.booleans(), seed=st.integers(0, 999))
def test_pushes_have_the_reference_s_bits(backend, dtype, size, order, obs_transposed, seed):
    generator = torch.Generator().manual_seed(seed)
    data = laid_out(samples(generator, size, dtype), order)
    expected = data.clone()
    pointer = torch.randint(size[0], (), generator=generator)
    expected_pointer = pointer.clone()
    for _ in range(3):
        obs = samples(generator, size[1:], dtype)
        obs = obs.T.contiguous().T if obs_transposed else obs
        reference.history_push_(expected, expected_pointer, obs)
        getattr(core, backend).history_push(array(data), pointer.numpy(), array(obs))
        assert_same(data, expected)
        assert pointer == expected_pointer


@every_backend
@every_dtype
@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None, max_examples=40)
@given(
    size=sizes,
    depth=st.one_of(st.none(), st.integers(1, 3)),
    order=layouts,
    dt=st.sampled_from([0.1, 1.0, 1.3]),
    offset=st.integers(0, 3),
    overbound=st.sampled_from([None, 0.0, -1.5]),
    time_dtype=st.sampled_from([torch.float32, torch.float64]),
    expanded=st.booleans(),
    seed=st.integers(0, 999),
)
def test_gathers_have_the_reference_s_bits(
    backend, dtype, mode, size, depth, order, dt, offset, overbound, time_dtype, expanded, seed
):
    if dtype == torch.bool and mode in ("linear", "expdecay"):
        return
    if dtype == torch.bool and overbound is not None:
        overbound = bool(overbound)
    generator = torch.Generator().manual_seed(seed)
    slots, batch, rest = size
    data = laid_out(samples(generator, size, dtype), order)
    pointer = torch.randint(slots, (), generator=generator)
    time = times(generator, (1 if expanded else batch, rest, depth or 1), dt, slots, time_dtype)
    time = time.expand(batch, rest, depth or 1)
    expected = reference.history_gather(
        data,
        pointer,
        time if depth else time[..., 0],
        dt=dt,
        mode=mode,
        time_constant=5.0,
        tolerance=0.0,
        eps=eps_of(time_dtype),
        offset=offset,
        max_time=dt * (slots - 1),
        max_age=slots - 1,
        overbound=overbound,
    )
    out = torch.empty(time.shape, dtype=dtype)
    getattr(core, backend).history_gather(
        array(data),
        pointer.numpy(),
        time.numpy(),
        array(out),
        grid=grid_of(time_dtype, mode, dt, slots),
        type=getattr(core.Scalar, SCALARS[dtype]),
        time_type=getattr(core.Scalar, SCALARS[time_dtype]),
        offset=offset,
        clamp=overbound is None,
        overbound=overbound or 0.0,
    )
    assert_same(out if depth else out[..., 0], expected)


@pytest.mark.parametrize("shared", [False, True], ids=["own times", "shared times"])
@pytest.mark.parametrize("depth", [1, 3, 64, 127, 128, 129, 200])
@pytest.mark.parametrize("mode", MODES)
def test_gathers_in_ranges_have_the_same_bits(mode, depth, shared):
    generator = torch.Generator().manual_seed(depth)
    slots, batch, rest, dt = 11, 3, 5, 1.3
    data = laid_out(samples(generator, (slots, batch, rest), torch.float32), [0, 2, 1])
    time = times(generator, (1 if shared else batch, depth, rest), dt, slots, torch.float32).transpose(1, 2)
    time = time.expand(batch, rest, depth).numpy()
    out = torch.empty(batch, rest, depth)
    grid = grid_of(torch.float32, mode, dt, slots)
    scalars = dict(type=core.Scalar.f32, time_type=core.Scalar.f32, clamp=False, overbound=-2.5)

    def gather(to, **options):
        core.cpu.history_gather(array(data), np.array(4), time, array(to), grid=grid, **scalars, **options)

    gather(out)
    pieces = torch.full_like(out, 77.0)
    for begin, end in ((0, 1), (1, 1), (1, depth), (depth, 4 * depth - 1), (4 * depth - 1, 5 * depth)):
        gather(pieces, range=(begin, end))
    assert_same(pieces, out)


@every_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=SCALARS.get)
@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(0, 700),
    slots=st.sampled_from([1, 2, 20, 255, 256]),
    dt=st.sampled_from([0.1, 1.0, 1.3]),
    tolerance=st.sampled_from([0.0, 1e-3]),
    clamp=st.booleans(),
    seed=st.integers(0, 999),
)
def test_plans_have_the_reference_s_bits(backend, dtype, mode, count, slots, dt, tolerance, clamp, seed):
    generator = torch.Generator().manual_seed(seed)
    delay = times(generator, count, dt, slots, dtype).nan_to_num(0.0, torch.inf, -torch.inf)  # ops refuse a NaN here
    limits = dict(slots=slots, clamp=clamp)
    expected_slot, expected_factor = reference.delay_plan(
        delay,
        dt=dt,
        max_delay=dt * (slots - 1),
        mode=mode,
        time_constant=5.0,
        tolerance=tolerance,
        eps=eps_of(dtype),
        **limits,
    )
    slot = torch.empty(count, dtype=expected_slot.dtype)
    factor = torch.empty(count, dtype=dtype)
    getattr(core, backend).delay_plan(
        delay.numpy(),
        slot.numpy(),
        factor.numpy(),
        grid=grid_of(dtype, mode, dt, slots, tolerance=tolerance),
        type=getattr(core.Scalar, SCALARS[dtype]),
        **limits,
    )
    assert_same(slot, expected_slot)
    assert_same(factor, expected_factor)


FAR = 2**31 + 3


@every_backend
@pytest.mark.parametrize("strides", [(FAR, 2, 1), (1, FAR, 3), (1, 2, FAR)], ids=["slot", "batch", "rest"])
@pytest.mark.parametrize("dtype", [np.bool_, np.float32])
def test_elements_2_31_apart(backend, strides, dtype):
    data = sparse_array([2, 2, 2], strides, dtype)
    pointer = np.array(1)
    ops = getattr(core, backend)
    obs = sparse_array([2, 2], [FAR, 1], dtype)
    obs[:] = [[1, 0], [1, 1]]
    ops.history_push(data, pointer, obs)
    ops.history_push(data, pointer, 1 - obs if dtype == np.float32 else ~obs)
    assert pointer == 1
    np.testing.assert_array_equal(data[1], obs)
    np.testing.assert_array_equal(data[0], np.logical_not(obs))
    time = sparse_array([2, 2, 1], [FAR, 1, 1], np.float32)
    time[0] = 1
    out = np.empty([2, 2, 1], dtype=dtype)
    kind = core.Scalar.boolean if dtype == np.bool_ else core.Scalar.f32
    grid = grid_of(torch.float32, "previous", 1.0, 2)
    ops.history_gather(data, pointer, time, out, grid=grid, type=kind, time_type=core.Scalar.f32)
    np.testing.assert_array_equal(out[..., 0], [[1, 0], [0, 0]])
