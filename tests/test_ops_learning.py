"""Pairs of spikes by their times, and traces of eligibility: formulas, kernel against reference, errors."""

import math

import pytest
import torch
from correlate_cases import CASES, DT, EMPTY, Sides, dense, sides
from test_ops_correlate import KINDS, MODES, looked_up

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.testing import DTYPES, assert_identical

RATES = {"pos": (-0.5, 10.0), "neg": (2.0, 20.0)}


def times(case, dtype=torch.float32, seed=0, device="cpu"):
    """Times since the last spikes, ms; some have not spiked."""
    s = sides(case, "trace", "trace", torch.float64, seed, device)
    rng = torch.Generator().manual_seed(seed + 1)
    made = []
    for side in (s.post, s.ring):
        silent = (torch.rand(side.shape, generator=rng) < 0.3).to(device)
        made.append(torch.where(silent, torch.nan, (side.abs() * 40).round() * DT).to(dtype))
    return Sides(case, *made, s.pointer, s.delay.to(dtype))


def results(call):
    found = []
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            found.append(call())
    return found


@pytest.mark.parametrize("case", [c for c in CASES if c.op != "conv2d"], ids=str)
def test_pairs_follow_the_formula(backend, case):
    s = times(case, torch.float64)
    scale = torch.linspace(0.5, 2.0, case.pre[0], dtype=torch.float64)
    for seen, found in (
        (s.ring[0], s.undelayed("spike_time_pairs", delay=s.delay, sample_scale=scale, **RATES)),
        (looked_up(s, "previous"), s.delayed(s.plan(), "spike_time_pairs", delay=s.delay, sample_scale=scale, **RATES)),
    ):
        post = s.post if case.op == "direct" else s.post.unsqueeze(2)
        seen = seen if case.op == "direct" or seen.ndim == 3 else seen.unsqueeze(1)
        t = seen - post - s.delay
        weights = scale.view(-1, *(1,) * (t.ndim - 1))
        expected = torch.where(t >= 0, 0.5 * (-t.abs() / 10).exp() * weights, 0.0).sum(0)
        torch.testing.assert_close(found[0], expected)
        expected = torch.where(t < 0, 2.0 * (-t.abs() / 20).exp() * weights, 0.0).sum(0)
        torch.testing.assert_close(found[1], expected)


def test_pairs_of_a_convolution(backend):
    post, pre = torch.zeros(1, 1, 2, 2), torch.full((1, 1, 3, 3), torch.nan)
    pre[0, 0, 1, 1] = 10.0  # seen by every tap, each at one place
    after, before = ops.spike_time_pairs_conv2d(post, pre, kernel=(2, 2), **RATES)
    torch.testing.assert_close(after, torch.full((1, 1, 2, 2), 0.5 * math.exp(-1)))
    assert not before.any()


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_kernels_equal_the_reference(native, device, case, dtype):
    s = times(case, dtype, device=device)
    scale = torch.rand(case.pre[0], generator=torch.Generator().manual_seed(0)).to(dtype).to(device)

    def pairs():
        found = list(s.undelayed("spike_time_pairs", delay=s.delay, **RATES))
        for mode in MODES:
            found += s.delayed(s.plan(mode, 0.3), "spike_time_pairs", sample_scale=scale, **RATES)
        return found

    for expected, actual in zip(*results(pairs), strict=True):
        assert_identical(actual, expected)
    for seed, kinds in enumerate(KINDS):
        for expected, actual in zip(*results(lambda k=kinds, n=seed: traces(case, k, dtype, n, device)), strict=True):
            assert_identical(actual, expected, str(kinds))


def stepped(s, trace, plan=None, **options):
    geometry = {name: pair for name, pair in s.case.geometry.items() if name != "kernel"}
    ring = (s.ring[0],) if plan is None else (s.ring, s.pointer, plan)
    ops.eligibility_step_(trace, s.post, *ring, **geometry, **options)


def traces(case, kinds, dtype, seed=0, device="cpu"):
    s = sides(case, *kinds, dtype, seed, device)
    start = torch.rand(case.pre[0], *case.weight, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    made = []
    for plan in (None, s.plan(), s.plan("linear", 0.3), s.plan("expdecay")):
        made.append(start.to(dtype).to(device))
        stepped(s, made[-1], plan, decay=0.9, scale=-0.3)
    made.append(ops.eligibility_sum(made[-1], made[-1].flatten(1)[:, 0]))
    return made


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_step_adds_the_correlation_of_each_sample(backend, case):
    for kinds in KINDS:
        s = sides(case, *kinds, torch.float64)
        trace = torch.ones(case.pre[0], *case.weight, dtype=torch.float64)
        plan = s.plan("expdecay")
        stepped(s, trace, plan, decay=0.5, scale=2.0)
        total = s.delayed(plan, scale=2.0) + 0.5 * case.pre[0]
        torch.testing.assert_close(trace.sum(0), total.double(), rtol=1e-6, atol=1e-6)
        factor = torch.linspace(-1, 1, case.pre[0], dtype=torch.float64)
        torch.testing.assert_close(ops.eligibility_sum(trace, factor), torch.einsum("b...,b->...", trace, factor))


@pytest.mark.parametrize("case", EMPTY, ids=str)
def test_empty(backend, case):
    s = times(case)
    for out in (*s.undelayed("spike_time_pairs", **RATES), *s.delayed(s.plan(), "spike_time_pairs", **RATES)):
        assert_identical(out, torch.zeros(case.weight))
    trace = torch.ones(case.pre[0], *case.weight)
    stepped(sides(case, "spikes", "trace"), trace, decay=0.5)
    assert ops.eligibility_sum(trace, torch.ones(case.pre[0])).shape == case.weight


def test_layout_does_not_matter(backend):
    s = times(dense(4, 5, 3))
    expected = s.undelayed("spike_time_pairs", delay=s.delay, **RATES)
    s.post, s.ring, s.delay = (t.transpose(-1, -2).contiguous().transpose(-1, -2) for t in (s.post, s.ring, s.delay))
    for one, other in zip(s.undelayed("spike_time_pairs", delay=s.delay, **RATES), expected, strict=True):
        assert_identical(one, other)
    s = sides(dense(4, 5, 3), "spikes", "trace")
    trace, wide = torch.ones(4, 3, 5), torch.ones(4, 3, 10)[..., ::2]
    for target in (trace, wide):
        stepped(s, target, s.plan(), decay=0.5)
    assert_identical(wide.contiguous(), trace)


@pytest.mark.parametrize("threads", [1, 5])
def test_same_for_any_number_of_threads(native, threads):
    before, made = torch.get_num_threads(), []
    try:
        for count in (3, threads):
            torch.set_num_threads(count)
            s = times(dense(9, 300, 70))
            made.append([*s.delayed(s.plan("linear"), "spike_time_pairs", **RATES)])
            made[-1] += traces(dense(9, 300, 70), KINDS[0], torch.float32)
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*made, strict=True):
        assert_identical(one, other)


def test_differentiable(backend):
    t = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([[3.0, 9.0]], [[4.0, 7.5, 1.0]])]
    assert torch.autograd.gradcheck(lambda post, pre: ops.spike_time_pairs_dense(post, pre, **RATES), t)
    trace, factor = torch.rand(2, 3, dtype=torch.float64), torch.rand(2, dtype=torch.float64)
    assert torch.autograd.gradcheck(ops.eligibility_sum, (trace.requires_grad_(), factor.requires_grad_()))


def test_errors_name_the_argument_and_change_nothing(backend):
    post, pre = torch.ones(2, 3), torch.ones(2, 4)
    for arguments, options, error, message in [
        ((post, pre[:1]), {}, ValueError, "last_post had shape"),
        ((post, pre.bool()), {}, TypeError, "last_pre was torch.bool"),
        ((post, pre), {"pos": (1.0, 0.0)}, ValueError, "pos was"),
        ((post, pre), {"delay": torch.ones(4, 3)}, ValueError, "delay had shape"),
        ((post, pre), {"sample_scale": torch.ones(3)}, ValueError, "sample_scale had shape"),
        ((post, torch.ones(5, 2, 4)), {}, ValueError, "last_pre had shape"),
    ]:
        with pytest.raises(error, match=message):
            ops.spike_time_pairs_dense(*arguments, **(RATES | options))
    trace = torch.ones(2, 3, 4)
    for arguments, error, message in [
        ((trace[:1], post, pre), ValueError, "trace had shape"),
        ((trace, post[:, :2], pre), ValueError, "trace had shape"),
        ((trace, post.double(), pre.bool()), TypeError, "post was torch.float64"),
        ((trace, post.clone().requires_grad_(), pre), RuntimeError, "post requires a gradient"),
        ((trace, trace[:, :, 0], pre), RuntimeError, "overlaps"),
        ((torch.ones(2, 3, 1).expand(2, 3, 4), post, pre), ValueError, "trace was expanded"),
    ]:
        with pytest.raises(error, match=message):
            ops.eligibility_step_(*arguments, decay=0.5)
    assert_identical(trace, torch.ones(2, 3, 4))
    with pytest.raises(ValueError, match="factor had shape"):
        ops.eligibility_sum(trace, torch.ones(3))


def test_compiled(native):
    s = times(dense(3, 4, 2))
    plan, options = s.plan("linear"), RATES

    def pairs(post, ring, pointer):
        return ops.spike_time_pairs_dense(post, ring, pointer, plan, **options)

    for one, other in zip(
        torch.compile(pairs, fullgraph=True)(s.post, s.ring, s.pointer), pairs(s.post, s.ring, s.pointer), strict=True
    ):
        assert_identical(one, other)
