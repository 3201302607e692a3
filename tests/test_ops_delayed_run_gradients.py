"""Gradients of delayed sums: kernels against autograd of the reference in float64, and both against differences."""

import pytest
import torch
from delayed_run_cases import CASES, DT, SMALL, TAU, Case, problem

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.testing import assert_identical

LEARNING = ("linear", "expdecay")
NAMES = ("series", "weight", "bias", "delay")


def cotangent(p, seed=9):
    with torch.no_grad():
        shape = p.run(mode="previous").shape
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5


def reference_grads(p, weights, **options):
    with inferno_cuda.backend("torch"):
        return p.grads(weights, **options)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("mode", LEARNING)
@pytest.mark.parametrize("history", [None, torch.bool], ids=["same", "bool"])
def test_kernels_give_the_gradients_of_the_reference(native, device, case, mode, history):
    for overbound in (0.7, None):
        options = {"mode": mode, "overbound": overbound, "scale": 0.7}
        p = problem(case, torch.float64, history=history, device=device)
        weights = cotangent(p)
        expected = reference_grads(p, weights, **options)
        for name, a, b in zip(NAMES[-len(expected) :], p.grads(weights, **options), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("case", [*SMALL, CASES[2], CASES[7], CASES[11]], ids=str)
@pytest.mark.parametrize("dtype, close", [(torch.float32, 1e-5), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_narrow_types(native, device, case, dtype, close):
    for mode in LEARNING:
        p = problem(case, dtype, device=device)
        weights = cotangent(p).to(dtype)
        for a, b in zip(p.grads(weights, mode=mode), reference_grads(p, weights, mode=mode), strict=True):
            assert a.dtype == dtype
            torch.testing.assert_close(a, b, rtol=close, atol=close * max(float(b.abs().max()), 1.0))


@pytest.mark.parametrize("case", SMALL, ids=str)
@pytest.mark.parametrize("mode", LEARNING)
def test_gradcheck(backend, case, mode):
    p = problem(case, torch.float64, outside=False, seed=4)
    p.delay = p.delay + 0.013 * DT  # off the grid, where the derivative jumps
    p.delay.clamp_(max=DT * (case.slots - 1) - 0.01)

    def f(*leaves):
        p.series, p.weight, p.bias, p.delay = leaves
        return p.run(mode=mode)

    assert torch.autograd.gradcheck(f, [t.requires_grad_() for t in p.tensors()], fast_mode=True)


@pytest.mark.parametrize("mode", LEARNING)
def test_on_the_grid_the_derivative_is_that_of_smaller_delays(backend, mode):
    """And at 0, where linear has none, that of larger ones."""
    for case in SMALL:
        p = problem(case, torch.float64, grid=True, outside=False, seed=5)
        weights = cotangent(p)
        got = p.grads(weights, mode=mode)[-1]

        def loss(delay, p=p, weights=weights):
            p.delay = delay
            return (p.run(mode=mode) * weights).sum()

        exact, h = p.delay.detach(), 1e-4
        for at in range(exact.numel()):
            end = exact.clone().view(-1)
            start = end.clone()
            if end[at] > 0:
                start[at] -= 2 * h
                end[at] -= h  # off the grid
            elif mode == "expdecay":
                continue
            else:
                end[at] += h
            slope = (loss(end.view_as(exact)) - loss(start.view_as(exact))) / (end[at] - start[at])
            # a finite difference is no better
            torch.testing.assert_close(got.view(-1)[at], slope, rtol=1e-3, atol=1e-3)


def test_expdecay_at_0_goes_on_as_between_samples(backend):
    series = torch.tensor([3.0, 5.0]).double().view(2, 1, 1)
    delay = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    weight = torch.full((1, 1), 2.0, dtype=torch.float64)
    timing = {"dt": 1.0, "slots": 2, "max_delay": 1.0, "mode": "expdecay", "time_constant": TAU}
    ops.delayed_dense_run(series, weight, delay, **timing).sum().backward()
    torch.testing.assert_close(delay.grad, torch.full((1, 1), 2.0 * 5.0 / TAU, dtype=torch.float64))


def test_one_slot_has_no_slope(backend):
    p = problem(Case("dense", (2, 3), (4, 3), 1, 5), outside=False)
    assert_identical(p.grads(cotangent(p), mode="linear")[-1], torch.zeros(4, 3))


@pytest.mark.parametrize("mode", LEARNING)
def test_out_of_range_a_delay_gets_no_gradient(backend, mode):
    p = problem(SMALL[0], torch.float64)
    p.delay[0], p.delay[1], p.delay[2] = -1.0, 9.0, 0.3
    grad = p.grads(cotangent(p), mode=mode, overbound=2.0)[-1]
    assert not grad[:2].any() and grad[2].all()


@pytest.mark.parametrize("mode", LEARNING)
def test_clamped_delays_get_gradients_that_lead_inward(backend, mode):
    p = problem(SMALL[0], torch.float64)
    for outside, end, inward in ((-1.0, 0.0, -1.0), (9.0, 3 * DT, 1.0)):
        weights = cotangent(p)
        p.delay = torch.full_like(p.delay, end).detach()
        at_end = p.grads(weights, mode=mode, overbound=None)[-1]
        p.delay = torch.full_like(p.delay, outside).detach()
        grad = p.grads(weights, mode=mode, overbound=None)[-1]
        assert (at_end.sign() == inward).any() and (at_end.sign() == -inward).any()
        assert_identical(grad, torch.where(at_end.sign() == inward, at_end, 0.0))


@pytest.mark.parametrize("case", SMALL, ids=str)
@pytest.mark.parametrize("history", [None, torch.bool], ids=["same", "bool"])
def test_a_step_has_the_gradients_of_a_sequence_of_one(backend, case, history):
    for mode in LEARNING:
        p = problem(case, torch.float64, history=history)
        leaves = [t.requires_grad_() for t in p.tensors()]
        out, t = p.run(mode=mode, scale=0.7), 2
        weights = cotangent(p)[t].to(out)
        expected = torch.autograd.grad(out[t], leaves, weights)
        for a, b in zip(torch.autograd.grad(p.step(t, mode=mode, scale=0.7), leaves, weights), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_only_what_is_asked_for(native):
    """Gradients of fewer tensors are those of all of them."""
    p = problem(SMALL[2], torch.float64)
    weights = cotangent(p)
    expected = dict(zip(NAMES, p.grads(weights, mode="linear"), strict=True))
    for name in NAMES:
        tensors = {n: getattr(p, n).detach() for n in NAMES}
        leaf = tensors[name].requires_grad_()
        for key, value in tensors.items():
            setattr(p, key, value)
        torch.testing.assert_close(torch.autograd.grad(p.run(mode="linear"), leaf, weights)[0], expected[name])


def test_gradients_that_are_expanded(native):
    p = problem(SMALL[0], torch.float64)
    leaves = [t.requires_grad_() for t in p.tensors()]
    expanded = torch.autograd.grad(p.run(mode="linear").sum(), leaves)
    for a, b in zip(expanded, p.grads(torch.ones_like(cotangent(p)), mode="linear"), strict=True):
        assert_identical(a, b)


def test_forward_mode_is_refused(native):
    p = problem(SMALL[0])
    with torch.autograd.forward_ad.dual_level():
        p.weight = torch.autograd.forward_ad.make_dual(p.weight, torch.ones_like(p.weight))
        with pytest.raises((RuntimeError, NotImplementedError), match="jvp|forward"):
            p.run(mode="linear")


def test_half_of_the_delays_learned_by_descent_find_the_lags(backend):
    """Each output is to fire on one lag of each input: from the wrong lags, delays alone learn it."""
    torch.manual_seed(0)
    slots, steps, batch = 9, 60, 8
    train = (torch.rand(slots - 1 + steps, batch, 3) < 0.2).float()
    smooth = torch.nn.functional.avg_pool1d(train.movedim(0, -1), 5, 1, 2).movedim(-1, 0)
    wanted = torch.randint(1, slots - 1, (4, 3)).float() + 0.25
    timing = {"dt": 1.0, "slots": slots, "max_delay": slots - 1.0, "mode": "linear", "overbound": None}
    target = ops.delayed_dense_run(smooth, torch.ones(4, 3), wanted, **timing)
    delay = (wanted + torch.empty(4, 3).uniform_(-2, 2)).clamp(0, slots - 1).requires_grad_()
    optimizer = torch.optim.Adam([delay], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        out = ops.delayed_dense_run(smooth, torch.ones(4, 3), delay, **timing)
        (out - target).square().mean().backward()
        optimizer.step()
    assert (delay - wanted).abs().median() < 0.1
