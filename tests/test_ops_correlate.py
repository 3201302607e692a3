"""Correlations of the two sides of synapses: worked numbers, kernel against reference, einsum, layouts, errors."""

import pytest
import torch
from correlate_cases import CASES, DT, EMPTY, TAU, conv, dense, sides
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.testing import DTYPES, assert_identical

KINDS = [("spikes", "trace"), ("trace", "spikes"), ("spikes", "spikes"), ("sparse", "trace"), ("trace", "trace")]
MODES = ("previous", "nearest", "linear", "expdecay")


def looked_up(s, mode, overbound=0.0):
    """The history [B, *pre, weight...] that every synapse of a dense or direct map finds."""
    case = s.case
    time = s.delay.expand(case.pre[0], *s.delay.shape)
    order = (s.pointer + torch.arange(case.slots)) % case.slots
    ring = s.ring[order].double()
    ring = ring if case.op == "direct" else ring.unsqueeze(2).expand(-1, -1, case.weight[0], -1)
    constant = TAU if mode == "expdecay" else None
    return ops.history_gather(
        ring,
        torch.tensor(0),
        time.double(),
        dt=DT,
        mode=mode,
        time_constant=constant,
        overbound=overbound,
        tolerance=1e-6,
    )


@pytest.mark.parametrize("case", [c for c in CASES if c.op != "conv2d"], ids=str)
def test_equals_the_sum_over_looked_up_values(backend, case):
    for post, pre in KINDS:
        s = sides(case, post, pre, torch.float64)
        for mode in MODES:
            equation = "bo,bo->o" if case.op == "direct" else "bo,boi->oi"
            expected = 0.5 * torch.einsum(equation, s.post.double(), looked_up(s, mode))
            actual = s.delayed(s.plan(mode), scale=0.5)
            torch.testing.assert_close(actual.double(), expected, rtol=1e-6, atol=1e-6, msg=f"{post} {pre} {mode}")


def unfolded(case, images):
    g = case.geometry
    options = {"stride": g["stride"], "padding": g["padding"], "dilation": g["dilation"]}
    return torch.nn.functional.unfold(images, g["kernel"], **options).view(len(images), *case.weight[1:], -1)


@pytest.mark.parametrize("case", [c for c in CASES if c.op == "conv2d"], ids=str)
def test_convolution_equals_the_sum_over_windows(backend, case):
    for post, pre in KINDS:
        s = sides(case, post, pre, torch.float64)
        expected = torch.einsum("bfp,bcyxp->fcyx", s.post.double().flatten(2), unfolded(case, s.ring[0].double()))
        torch.testing.assert_close(s.undelayed().double(), expected, rtol=1e-6, atol=1e-6)
        # at one delay for all, the ring's observation of that age
        s.delay.fill_(DT * (case.slots - 1))
        oldest = s.ring[int(s.pointer)].double()
        expected = torch.einsum("bfp,bcyxp->fcyx", s.post.double().flatten(2), unfolded(case, oldest))
        torch.testing.assert_close(s.delayed(s.plan()).double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_kernel_equals_reference(native, device, case, dtype):
    for seed, (post, pre) in enumerate(KINDS):
        s = sides(case, post, pre, dtype, seed, device)
        results = []
        for name in ("torch", "native"):
            with inferno_cuda.backend(name):
                made = [s.delayed(s.plan(mode, 0.3), scale=-0.7) for mode in MODES]
                results.append([s.undelayed(scale=0.3), s.delayed(s.plan()), *made])
        for expected, actual in zip(*results, strict=True):
            assert_identical(actual, expected, f"{post} {pre}")


@pytest.mark.parametrize("case", EMPTY, ids=str)
def test_empty(backend, case):
    for post, pre in KINDS:
        s = sides(case, post, pre)
        for out in (s.undelayed(), s.delayed(s.plan())):
            assert_identical(out, torch.zeros(case.weight))


def test_layout_does_not_matter(backend):
    for case in (dense(16, 9, 40, 4), conv(2, 2, (5, 4), 3, (3, 2))):
        for post, pre in KINDS:
            s = sides(case, post, pre)
            plan = s.plan("linear")
            expected = s.delayed(plan), s.undelayed()
            ring, value = s.ring, s.post
            wide = torch.zeros([2 * size for size in ring.shape], dtype=ring.dtype)
            every = tuple(slice(None, None, 2) for _ in ring.shape)
            wide[every] = ring
            rings = [wide[every]]
            rings += [ring.movedim(dim, -1).contiguous().movedim(-1, dim) for dim in range(ring.ndim)]
            for s.ring in rings:
                s.post = value.transpose(0, 1).contiguous().transpose(0, 1)
                assert_identical(s.delayed(plan), expected[0])
                torch.testing.assert_close(s.undelayed(), expected[1])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_same_for_any_number_of_threads(native, threads):
    before, results = torch.get_num_threads(), []
    cases = dense(9, 400, 70, 9), dense(9, 30, 700, 9), conv(2, 3, (9, 9), 40, (3, 3))
    try:
        for count in (3, threads):
            torch.set_num_threads(count)
            made = [sides(case, *kind) for case in cases for kind in KINDS[:2]]
            results.append([s.delayed(s.plan("expdecay")) for s in made] + [s.undelayed() for s in made])
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*results, strict=True):
        assert_identical(one, other)


def test_what_meets_a_zero_is_not_looked_at(backend):
    post = torch.tensor([[1.0, 0.0]])
    pre = torch.tensor([[torch.inf, 2.0]])
    plan = ops.delay_plan(torch.zeros(2, 2), dt=1.0, slots=1, max_delay=0.0)
    expected = torch.tensor([[torch.inf, 2.0], [0.0, 0.0]])
    assert_identical(ops.correlate_dense(post, pre.unsqueeze(0), torch.tensor(0), plan), expected)
    assert_identical(ops.correlate_dense(post.bool(), pre), expected)


@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 5), slots=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_sum_over_the_batch_is_that_of_its_samples(native_or_skip, batch, slots, seed):
    s = sides(dense(batch, 5, 4, slots), "trace", "spikes", torch.float64, seed)
    plan, total = s.plan("expdecay"), 0.0
    for b in range(batch):
        total = total + ops.correlate_dense(s.post[b : b + 1], s.ring[:, b : b + 1], s.pointer, plan)
    torch.testing.assert_close(s.delayed(plan), total)


def test_differentiable(backend):
    for case in (dense(2, 3, 2, 3), conv(1, 1, (3, 3), 2, (2, 2), 3)):
        s = sides(case, "trace", "trace", torch.float64)
        plan = s.plan("linear")

        def delayed(post, ring, s=s, plan=plan):
            s.post, s.ring = post, ring
            return s.delayed(plan)

        assert torch.autograd.gradcheck(delayed, (s.post.requires_grad_(), s.ring.requires_grad_()))


def test_spikes_on_both_sides_give_the_default_dtype(backend):
    s = sides(dense(3, 4, 2), "spikes", "spikes")
    assert s.undelayed().dtype == torch.get_default_dtype()


def test_errors_name_the_argument(backend):
    post, pre = torch.ones(2, 3), torch.ones(2, 4)
    ring, pointer = torch.ones(5, 2, 4), torch.tensor(0)
    plan = ops.delay_plan(torch.zeros(3, 4), dt=1.0, slots=5, max_delay=4.0)
    other = ops.delay_plan(torch.zeros(3, 5), dt=1.0, slots=5, max_delay=4.0)
    for arguments, error, message in [
        ((post, pre[:1]), ValueError, r"post had shape \(2, 3\)"),
        ((post, ring), ValueError, r"pre had shape \(5, 2, 4\)"),
        ((post, pre, pointer, plan), ValueError, r"with a plan"),
        ((post, ring, None, plan), ValueError, "pointer was None"),
        ((post, ring, pointer), ValueError, "plan was None"),
        ((post, ring, pointer, other), ValueError, r"plan was made for delays of shape \(3, 5\)"),
        ((post, ring, pointer.int(), plan), ValueError, "pointer was torch.int32"),
        ((post.int(), pre), TypeError, "post was torch.int32"),
        ((post, pre.double()), TypeError, "pre was torch.float64"),
        ((post, pre.to("meta")), ValueError, "pre was on meta"),
    ]:
        with pytest.raises(error, match=message):
            ops.correlate_dense(*arguments)
    with pytest.raises(ValueError, match=r"post had shape \(2, 3\)"):
        ops.correlate_direct(post, pre)
    images = torch.ones(2, 1, 4, 4)
    with pytest.raises(ValueError, match=r"it must be \(2, filters, 3, 3\)"):
        ops.correlate_conv2d(torch.ones(2, 2, 4, 4), images, kernel=(2, 2))
    with pytest.raises(ValueError, match="kernels of"):
        ops.correlate_conv2d(torch.ones(2, 2, 4, 4), images, kernel=(5, 5))


def test_compiled(native):
    s = sides(dense(3, 4, 2), "spikes", "trace")
    plan = s.plan("expdecay")
    compiled = torch.compile(lambda post, ring, pointer: ops.correlate_dense(post, ring, pointer, plan), fullgraph=True)
    assert_identical(compiled(s.post, s.ring, s.pointer), s.delayed(plan))
