"""The ring of samples: push and gather, kernel against reference bit for bit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import ops, reference
from inferno_cuda.testing import DTYPES, assert_identical, random_ring

MODES = ("previous", "next", "nearest", "linear", "expdecay")


def times(shape, low, high, dtype=torch.float32, seed=3):
    """A mixture of times on the grid of 1 ms, between its points and outside the range."""
    g = torch.Generator().manual_seed(seed)
    t = torch.rand(shape, generator=g, dtype=torch.float64) * (high - low) + low
    on_grid = torch.rand(shape, generator=g) < 0.4
    return torch.where(on_grid, t.round(), t).to(dtype)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.bool], ids=str)
@pytest.mark.parametrize("innermost", [False, True], ids=["rest innermost", "batch innermost"])
@pytest.mark.parametrize("obs", [(1, 1), (3, 5), (70, 33), (2, 3, 4), (5,), (), (2, 0)], ids=str)
def test_push_writes_one_slot_and_advances(backend, device, obs, dtype, innermost):
    data, pointer = random_ring((4, *obs), dtype, pointer=2, batch_innermost=innermost, device=device)
    expected = data.clone()
    for step in range(6):
        new, _ = random_ring((1, *obs), dtype, generator=torch.Generator().manual_seed(step), device=device)
        functional = ops.history_push(data, pointer, new[0])
        assert ops.history_push_(data, pointer, new[0]) is None
        expected[(2 + step) % 4] = new[0]
        assert_identical(data, expected)
        assert_identical(functional, expected)
        assert int(pointer) == (3 + step) % 4


def test_push_of_a_strided_observation(backend):
    data, pointer = random_ring((3, 6, 40))
    obs = torch.rand(40, 6).T
    ops.history_push_(data, pointer, obs)
    assert_identical(data[0], obs.contiguous())


def test_functional_push_is_differentiable(backend):
    data, pointer = random_ring((3, 2, 4))
    data.requires_grad_()
    obs = torch.rand(2, 4, requires_grad=True)
    (ops.history_push(data, pointer + 1, obs) * torch.arange(3.0).view(3, 1, 1)).sum().backward()
    assert_identical(obs.grad, torch.ones(2, 4))
    assert_identical(data.grad, torch.tensor([0.0, 0.0, 2.0]).view(3, 1, 1).expand(3, 2, 4))


def test_push_in_place_refuses_to_drop_a_gradient(backend):
    data, pointer = random_ring((3, 2, 4))
    before = data.clone()
    with pytest.raises(RuntimeError, match="obs requires a gradient"):
        ops.history_push_(data, pointer, torch.rand(2, 4, requires_grad=True))
    assert_identical(data, before)
    assert int(pointer) == 0


@pytest.mark.parametrize(
    "obs, error, match",
    [
        (torch.zeros(2, 5), ValueError, r"obs had shape \(2, 5\); it must be \(2, 4\)"),
        (torch.zeros(2, 4, dtype=torch.float64), TypeError, "obs was torch.float64"),
        (torch.zeros(2, 4, device="meta"), ValueError, "obs was on meta"),
    ],
)
def test_bad_push_leaves_the_ring(backend, obs, error, match):
    data, pointer = random_ring((3, 2, 4), pointer=1)
    before = data.clone()
    for push in (ops.history_push_, ops.history_push):
        with pytest.raises(error, match=match):
            push(data, pointer, obs)
    assert_identical(data, before)
    assert int(pointer) == 1


@pytest.mark.parametrize("overbound", [None, 0.0, -9.5])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gather_kernel_equals_reference(native, device, dtype, mode, overbound):
    for time_dtype in DTYPES:
        for depth in (None, 1, 7):
            data, pointer = random_ring((9, 3, 11), dtype, pointer=5, batch_innermost=True, device=device)
            shape = (3, 11) if depth is None else (3, 11, depth)
            time = times(shape, -2.0, 11.0, time_dtype).to(device)
            results = []
            for name in ("torch", "native"):
                with inferno_cuda.backend(name):
                    results.append(
                        ops.history_gather(
                            data, pointer, time, dt=1.0, mode=mode, time_constant=7.0, overbound=overbound
                        )
                    )
            assert_identical(results[1], results[0])


@pytest.mark.parametrize("mode", ["previous", "next", "nearest"])
@pytest.mark.parametrize("overbound", [None, 0.0, 1.0])
def test_gather_of_bool_samples(native, device, mode, overbound):
    data, pointer = random_ring((9, 3, 11), torch.bool, pointer=2, device=device)
    time = times((3, 11, 5), -2.0, 11.0).to(device)
    with inferno_cuda.backend("torch"):
        expected = ops.history_gather(data, pointer, time, dt=1.0, mode=mode, overbound=overbound)
    assert expected.dtype == torch.bool
    assert_identical(ops.history_gather(data, pointer, time, dt=1.0, mode=mode, overbound=overbound), expected)


def test_gather_of_expanded_and_permuted_times(native):
    data, pointer = random_ring((6, 4, 5), batch_innermost=True, pointer=3)
    delay = times((7, 5), 0, 5)
    selector = delay.T.unsqueeze(0).expand(4, 5, 7)
    got = ops.history_gather(data, pointer, selector, dt=1.0, mode="linear")
    assert_identical(got, ops.history_gather(data, pointer, selector.contiguous(), dt=1.0, mode="linear"))
    with inferno_cuda.backend("torch"):
        assert_identical(got, ops.history_gather(data, pointer, selector, dt=1.0, mode="linear"))


def both_backends(*arguments, **options):
    with inferno_cuda.backend("torch"):
        expected = ops.history_gather(*arguments, **options)
    return ops.history_gather(*arguments, **options), expected


@pytest.mark.parametrize("overbound", [None, 0.0, -0.0, 2.5])
@pytest.mark.parametrize("depth", [None, 1, 2, 50])
@pytest.mark.parametrize("dtype", [*DTYPES, torch.bool], ids=str)
def test_times_that_the_batch_shares(native, device, dtype, depth, overbound):
    """As a connection's selector is, in any layout; with times that are no number or out of range."""
    data, pointer = random_ring((8, 19, 13), dtype, pointer=6, batch_innermost=True, device=device)
    delay = times((depth or 1, 13), -1.0, 8.5).to(device)
    delay.view(-1)[::7] = torch.nan
    shared = delay.t() if depth else delay[0]
    for selector in (shared, shared.contiguous()):
        selector = selector.expand(19, *selector.shape)
        for mode in MODES[:3] if dtype == torch.bool else MODES:
            options = dict(dt=1.0, mode=mode, time_constant=3.0, overbound=overbound)
            got, expected = both_backends(data, pointer, selector, **options)
            assert_identical(got, expected)
            assert_identical(got, ops.history_gather(data, pointer, selector.clone(), **options))


@pytest.mark.parametrize("rest", [127, 128, 129, 257])
@pytest.mark.parametrize("mode", MODES)
def test_observations_around_the_edges_of_a_block(native, device, mode, rest):
    for batch, depth, time_dtype in ((1, None, torch.float32), (2, 1, torch.float64), (17, 3, torch.float32)):
        data, pointer = random_ring((5, batch, rest), pointer=2, batch_innermost=True, device=device)
        shape = (batch, rest) if depth is None else (batch, rest, depth)
        time = times(shape, -0.5, 4.5, time_dtype).to(device)
        time.view(-1)[-1] = torch.nan
        got, expected = both_backends(data, pointer, time, dt=1.0, mode=mode, time_constant=7.0, overbound=0.0)
        assert_identical(got, expected)


@pytest.mark.parametrize("time_constant", [0.2, 2.88, 2.89, 2.9, 2.91, 30.0, 1e6, float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_decays_of_any_size(native, device, dtype, time_constant):
    """Around where the exponential no longer needs its reduction, too."""
    data, pointer = random_ring((5, 4, 200), dtype, batch_innermost=True, device=device)
    time = times((4, 200), 0, 4, dtype).to(device)
    got, expected = both_backends(data, pointer, time, dt=1.0, mode="expdecay", time_constant=time_constant)
    assert_identical(got, expected)


@pytest.mark.parametrize("batch_innermost", [False, True])
@pytest.mark.parametrize("obs", [(3, 2, 4), (3, 2, 1), (1, 2, 4), (3, 1, 1, 5), (3, 2, 0), (0, 2, 3)], ids=str)
def test_gather_of_times_in_any_layout(native, device, obs, batch_innermost):
    data, pointer = random_ring((5, *obs), pointer=1, batch_innermost=batch_innermost, device=device)
    g = torch.Generator().manual_seed(2)
    order = torch.randperm(len(obs) + 1, generator=g).tolist()
    wide = times([(*obs, 6)[d] for d in order], -1.0, 5.0).to(device)
    time = wide.permute([order.index(d) for d in range(len(order))])
    for selector in (time, time[..., ::2], time[..., 0], time.flip(0)):
        got, expected = both_backends(data, pointer, selector, dt=1.0, mode="linear", overbound=0.5)
        assert_identical(got, expected)


def test_the_numbers_of_a_lookup_are_not_mixed_up(backend):
    """Calls that differ in one of them, or in the sign of a zero, have their own results."""
    data, pointer = random_ring((5, 2, 3), pointer=3)
    time = torch.full((2, 3), 9.0)
    for overbound in (0.0, -0.0, 0.0, None, 1.0):
        got = ops.history_gather(data, pointer, time, dt=1.0, overbound=overbound)
        assert_identical(got, data[3] if overbound is None else torch.full((2, 3), overbound))
    constant = torch.tensor(2.0)
    for value in (2.0, 4.0):
        constant.fill_(value)  # a tensor's value is read at every call
        time = torch.full((2, 3), 0.5)
        tensor, number = (
            ops.history_gather(data, pointer, time, dt=1.0, mode="expdecay", time_constant=c) for c in (constant, value)
        )
        assert_identical(tensor, number)


@pytest.mark.parametrize("obs", [(), (5,), (2, 3, 4), (2, 3, 4, 2)], ids=str)
def test_gather_for_any_number_of_dimensions(native, obs):
    data, pointer = random_ring((5, *obs), pointer=4)
    for shape in (obs, (*obs, 3)):
        time = times(shape, 0, 4)
        with inferno_cuda.backend("torch"):
            expected = ops.history_gather(data, pointer, time, dt=1.0, mode="linear")
        assert_identical(ops.history_gather(data, pointer, time, dt=1.0, mode="linear"), expected)


def test_gather_without_a_view_of_the_ring(native):
    data = torch.rand(5, 4, 3, 2).permute(0, 3, 1, 2)[:, :, ::2]  # the last two dimensions do not merge
    time = times((2, 2, 3), 0, 4)
    pointer = torch.tensor(1)
    got = ops.history_gather(data, pointer, time, dt=1.0)
    assert_identical(got, ops.history_gather(data.contiguous(), pointer, time, dt=1.0))


def test_literal_values(backend):
    data, pointer = torch.tensor([6.0, 7, 3, 4, 5]), torch.tensor(2)  # 7 is the newest
    look = lambda t, **k: ops.history_gather(data, pointer, torch.tensor(t), dt=1.0, **k).item()  # noqa: E731
    assert look(0.25, mode="linear") == 6.75
    assert look(0.0) == 7 and look(1.0) == 6 and look(4.0) == 3
    assert look(0.25) == 6 and look(0.25, mode="next") == 7
    assert look(0.5, mode="nearest") == 6 and look(0.49, mode="nearest") == 7
    assert look(9.0) == 3 and look(9.0, overbound=-1.0) == -1 and look(-1.0, overbound=-1.0) == -1
    assert look(1.0, offset=2) == 5
    assert look(0.5, mode="expdecay", time_constant=2.0) == pytest.approx(6 * 2.718281828459045**-0.25, rel=1e-6)


@pytest.mark.parametrize("dt", [0.1, 0.3, 0.7, 1.0, 1.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_d08_multiples_of_dt_are_exact(backend, dt, dtype):
    data, pointer = torch.arange(400, -1, -1.0), torch.tensor(0)
    for delay in (
        torch.tensor([k * dt for k in range(401)], dtype=dtype),
        torch.arange(401, dtype=dtype) * torch.tensor(dt, dtype=dtype),
    ):
        got = ops.history_gather(data.view(-1, 1), pointer, delay.view(1, -1), dt=dt, mode="previous")
        assert_identical(got.view(-1), torch.arange(401.0))


def test_nan_times_give_nan(backend):
    data, pointer = random_ring((4, 2))
    time = torch.tensor([torch.nan, 1.0])
    for overbound in (None, 3.0):
        got = ops.history_gather(data, pointer, time, dt=1.0, overbound=overbound)
        assert got[0].isnan() and not got[1].isnan()


def test_a_batch_of_none(backend):
    data, pointer = random_ring((5, 0, 3, 4))
    assert ops.history_gather(data, pointer, torch.zeros(0, 3, 4), dt=1.0).shape == (0, 3, 4)
    ops.history_push_(data, pointer, torch.zeros(0, 3, 4))
    assert int(pointer) == 1


def test_infinite_times_are_out_of_range(backend):
    data, pointer = random_ring((4, 4))
    time = torch.tensor([torch.inf, -torch.inf, 1e30, -1e30])
    assert_identical(ops.history_gather(data, pointer, time, dt=1.0, overbound=-1.0), torch.full((4,), -1.0))


@pytest.mark.parametrize("start", [-5, -1, 4, 11])
def test_pointers_count_modulo_the_slots(backend, start):
    """A pointer that was set by hand must not make a push leave the ring."""
    buffer = torch.zeros(12, 2, 2)
    ring, pointer = buffer[4:8], torch.tensor(start)
    ops.history_push_(ring, pointer, torch.ones(2, 2))
    assert buffer.sum() == 4 and ring[start % 4].sum() == 4
    assert int(pointer) == (start + 1) % 4


def test_overlapping_memory_is_refused(native):
    data, pointer = random_ring((3, 4, 4))
    before = data.clone()
    with pytest.raises(RuntimeError, match="overlaps"):
        ops.history_push_(data, pointer, data[0].T)
    assert_identical(data, before)
    with pytest.raises(ValueError, match="data was expanded"):
        ops.history_push_(data[:, :1].expand(3, 4, 4), pointer, torch.zeros(4, 4))


def test_gather_is_differentiable_in_data_and_time(backend):
    data, pointer = random_ring((5, 2, 3), torch.float64)
    time = torch.tensor([[0.3, 1.6, 2.2], [0.9, 3.4, 1.1]], dtype=torch.float64)
    for mode in ("linear", "expdecay"):
        call = lambda d, t, m=mode: ops.history_gather(d, pointer, t, dt=1.0, mode=m, time_constant=3.0)  # noqa: E731
        assert torch.autograd.gradcheck(call, (data.requires_grad_(), time.requires_grad_()))


def test_beyond_two_to_the_31_elements_by_stride(backend):
    wide = torch.zeros(2 * (2**31 + 8), dtype=torch.bool)  # untouched pages cost nothing
    ring = wide.view(2, -1)[:, -4:].unsqueeze(1)
    assert ring.stride(0) > 2**31
    pointer = torch.tensor(1)
    ops.history_push_(ring, pointer, torch.tensor([[True, False, True, True]]))
    assert_identical(wide[-4:], torch.tensor([True, False, True, True]))
    got = ops.history_gather(ring, pointer, torch.zeros(1, 4), dt=1.0)
    assert_identical(got, torch.tensor([[True, False, True, True]]))


@pytest.mark.parametrize(
    "change, error, match",
    [
        ({"time": torch.zeros(3)}, ValueError, r"time had shape \(3,\)"),
        ({"time": torch.zeros(2, 4, 2, 2)}, ValueError, "one more dimension"),
        ({"time": torch.zeros(2, 4, dtype=torch.int64)}, TypeError, "time was torch.int64"),
        ({"time": torch.zeros(2, 4, device="meta")}, ValueError, "time was on meta"),
        ({"pointer": torch.tensor(1.0)}, ValueError, "pointer was torch.float32"),
        ({"mode": "cubic"}, ValueError, "mode was 'cubic'"),
        ({"mode": "expdecay"}, ValueError, "time_constant was None"),
        ({"dt": 0.0}, ValueError, "dt was 0.0"),
        ({"tolerance": -1.0}, ValueError, "tolerance was -1.0"),
        ({"offset": 4}, ValueError, "offset was 4"),
        ({"max_time": 3.0}, ValueError, "max_time was 3.0"),
        ({"max_time": torch.inf}, ValueError, "max_time was inf"),
        ({"data": torch.zeros(3, 2, 4, dtype=torch.int64)}, TypeError, "data was torch.int64"),
        ({"data": torch.tensor(1.0)}, ValueError, "at least one slot"),
        ({"data": torch.zeros(3, 2, 4, dtype=torch.bool), "mode": "linear"}, TypeError, "cannot interpolate"),
    ],
)
def test_bad_gather(backend, change, error, match):
    arguments = {
        "data": torch.zeros(3, 2, 4),
        "pointer": torch.tensor(0),
        "time": torch.zeros(2, 4),
        "dt": 1.0,
    } | change
    with pytest.raises(error, match=match):
        ops.history_gather(**arguments)


@settings(max_examples=100, deadline=None)
@given(
    slots=st.integers(1, 300),
    dt=st.floats(0.05, 3),
    tolerance=st.sampled_from([0.0, 1e-6, 0.2]),
    mode=st.sampled_from(MODES),
    clamp=st.booleans(),
    double=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_plan_kernel_equals_reference(native_or_skip, slots, dt, tolerance, mode, clamp, double, seed):
    dtype = torch.float64 if double else torch.float32
    delay = times((5, 13), -dt, slots * dt * 1.1, dtype, seed)
    arguments = dict(dt=dt, slots=slots, max_delay=dt * (slots - 1), mode=mode, time_constant=4.0, tolerance=tolerance)
    overbound = None if clamp else 0.5
    plans = []
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            plans.append(ops.delay_plan(delay, overbound=overbound, **arguments))
    assert_identical(plans[1].slot, plans[0].slot)
    assert (plans[1].factor is None) == (plans[0].factor is None)
    if plans[0].factor is not None:
        assert_identical(plans[1].factor, plans[0].factor)


def test_portable_exp_is_accurate():
    x = torch.cat([torch.linspace(-745, 709, 200001, dtype=torch.float64), torch.tensor([0.0, -0.0, torch.nan])])
    ours, theirs = reference.exp(x), torch.exp(x)
    normal = theirs > 1e-300
    ulp = torch.ldexp(torch.ones_like(theirs[normal]), torch.frexp(theirs[normal]).exponent - 53)
    assert ((ours - theirs).abs()[normal] <= 2 * ulp).all()  # 1.5 of ours and half of theirs
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=5e-324, equal_nan=True)
