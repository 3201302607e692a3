"""The ways that kernels of learning rules take for what is common: times of whole steps, and few spikes at delays."""

import math

import pytest
import torch
from correlate_cases import DT, TAU, dense, sides
from test_ops_learning import RATES, results

from inferno_cuda import ops
from inferno_cuda.testing import assert_identical

FLOATS = (torch.float32, torch.float64)
BATCH, INPUTS, OUTPUTS, SLOTS = 21, 37, 24, 6


def whole_times(shape, step, dtype, seed):
    """Times of whole steps; some long ago, some never."""
    rng = torch.Generator().manual_seed(seed)
    steps = torch.randint(0, 60, shape, generator=rng).to(dtype)
    # with a step of 1 ms, lags of which the exponential is 0 in float32, for which a table has no place
    long = 100 if step == 1.0 and dtype == torch.float32 else 15
    steps = torch.where(torch.rand(shape, generator=rng) < 0.05, steps * long, steps)
    return torch.where(torch.rand(shape, generator=rng) < 0.1, torch.nan, steps * step)


def pairs(post, pre, *ring, **options):
    found = results(lambda: ops.spike_time_pairs_dense(post, pre, *ring, **options, **RATES))
    for expected, actual in zip(*found, strict=True):
        assert_identical(actual, expected)
    return found[1]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("step", [1.0, 0.5, 0.1])
def test_lags_of_a_table_are_those_of_the_formula(native, step, dtype):
    post = whole_times((BATCH, OUTPUTS), step, dtype, 0)
    ring = whole_times((SLOTS, BATCH, INPUTS), step, dtype, 1)
    delay = (torch.arange(OUTPUTS * INPUTS).remainder(SLOTS + 1) * step).view(OUTPUTS, INPUTS).to(dtype)
    scale = torch.linspace(-1, 2, BATCH, dtype=dtype)
    pairs(post, ring[0])
    pairs(post, ring[0], delay=delay, sample_scale=scale)
    timing = {"dt": step, "slots": SLOTS, "max_delay": step * (SLOTS - 1)}
    for beyond in (math.nan, 3 * step, 0.3):
        plan = ops.delay_plan(delay, overbound=beyond, **timing)
        pairs(post, ring, torch.tensor(2), plan, sample_scale=scale)
    pairs(post.t().contiguous().t(), ring[0].t().contiguous().t(), delay=delay)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_one_time_off_the_grid_changes_no_other_sum(native, dtype):
    post, pre = whole_times((BATCH, OUTPUTS), 1.0, dtype, 2), whole_times((BATCH, INPUTS), 1.0, dtype, 3)
    off = torch.cat([pre, torch.full((BATCH, 1), 0.3, dtype=dtype)], 1)
    for by_table, computed in zip(pairs(post, pre), pairs(post, off), strict=True):
        assert torch.equal(by_table, computed[:, :-1])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_of_neurons_that_never_or_always_spike(native, dtype):
    never, always = torch.full((BATCH, OUTPUTS), torch.nan, dtype=dtype), torch.zeros(BATCH, INPUTS, dtype=dtype)
    assert not any(side.any() for side in pairs(never, always))
    assert not any(side.any() for side in pairs(always, never))
    after, before = pairs(always, always)
    torch.testing.assert_close(after, torch.full_like(after, 0.5 * BATCH))
    assert not before.any()


def test_times_near_and_far_off_the_grid(native):
    for longest in (10.0, 880.0, 3000.0):  # of which the exponentials are normal, are not, and are 0
        rng = torch.Generator().manual_seed(int(longest))
        post = torch.rand((BATCH, OUTPUTS), generator=rng) * longest
        pre = torch.rand((BATCH, INPUTS), generator=rng) * longest
        pre[0, 0] = torch.nan
        pairs(post, pre, delay=torch.rand((OUTPUTS, INPUTS), generator=rng) * 5)


def few(case, post, dtype, share=0.05):
    """Sides of which the inputs are mostly 0: no value, one, or several of a key."""
    s = sides(case, post, "trace", dtype)
    rng = torch.Generator().manual_seed(9)
    s.ring = torch.where(torch.rand(s.ring.shape, generator=rng) < share, s.ring, 0.0)
    return s


def layouts(ring):
    """As it is, with the samples of an input together, and with gaps."""
    yield ring
    yield ring.permute(0, 2, 1).contiguous().permute(0, 2, 1)
    yield ring.repeat_interleave(2, -1)[..., ::2]


@pytest.mark.parametrize("dtype", (*FLOATS, torch.float16), ids=str)
@pytest.mark.parametrize("post", ["trace", "sparse", "spikes"])
def test_correlations_with_few_values_at_delays(native, post, dtype):
    s = few(dense(BATCH, 50, 40, 9), post, dtype)
    infinite = s.ring.clone()
    infinite[3, 4, 5] = math.inf
    for mode in ("previous", "linear", "expdecay"):
        plan = s.plan(mode)
        for ring in (*layouts(s.ring), *layouts(s.ring != 0), infinite):
            expected, actual = results(lambda r=ring, p=plan: ops.correlate_dense(s.post, r, s.pointer, p, scale=0.5))
            assert torch.equal(actual, expected) or ring is infinite
            torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", (*FLOATS, torch.float16), ids=str)
@pytest.mark.parametrize("post", ["trace", "sparse", "spikes"])
def test_eligibility_with_few_values_at_delays(native, post, dtype):
    s = few(dense(BATCH, 300, 7, 5), post, dtype)
    start = torch.rand((BATCH, 7, 300), generator=torch.Generator().manual_seed(4)).to(dtype)
    for mode, beyond in (("previous", 0.0), ("expdecay", 0.0), ("linear", 0.0), ("previous", 0.5)):
        plan = s.plan(mode, beyond)
        for ring in (*layouts(s.ring), *layouts(s.ring != 0)):

            def step(ring=ring, plan=plan):
                trace = start.clone()
                ops.eligibility_step_(trace, s.post, ring, s.pointer, plan, decay=math.exp(-DT / TAU), scale=0.2)
                return trace

            expected, actual = results(step)
            assert_identical(actual, expected)


def test_one_trace_of_each_sample_for_any_number_of_threads(native):
    s = few(dense(BATCH, 300, 40, 5), "trace", torch.float32)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            trace = torch.ones(BATCH, 40, 300)
            ops.eligibility_step_(trace, s.post, s.ring, s.pointer, s.plan(), decay=0.9)
            times = whole_times((BATCH, 40), 1.0, torch.float32, 1), whole_times((BATCH, 300), 1.0, torch.float32, 2)
            found.append([trace, *ops.spike_time_pairs_dense(*times, **RATES)])
    finally:
        torch.set_num_threads(threads)
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))
