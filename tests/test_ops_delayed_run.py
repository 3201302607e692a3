"""Delayed sums over sequences: equal to the ops of a step bit for bit, on every backend, and what they refuse."""

import pytest
import torch
from delayed_run_cases import CASES, DT, MODES, SMALL, Case, Problem, conv, problem

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.testing import DTYPES, assert_identical


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("history", [None, torch.bool], ids=["same", "bool"])
def test_every_step_equals_that_of_the_step_op(backend, device, case, history):
    p = problem(case, history=history, device=device)
    for mode in MODES:
        for overbound in (0.0, None, 1.5):
            options = {"mode": mode, "overbound": overbound, "scale": 0.7}
            out = p.run(**options)
            for t in {0, case.steps // 2, case.steps - 1}:
                assert_identical(out[t], p.step(t, **options), f"{mode}, overbound {overbound}, step {t}")


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_kernel_equals_reference(native, device, case, dtype):
    for history in (None, torch.bool):
        p = problem(case, dtype, history=history, device=device, seed=1)
        for mode in ("previous", "linear", "expdecay"):
            results = []
            for name in ("torch", "native"):
                with inferno_cuda.backend(name):
                    results.append(p.run(mode=mode, scale=0.7, overbound=-0.3))
            assert_identical(results[1], results[0], f"{mode}, {history}")


def test_layout_does_not_matter(backend):
    for case in (Case("dense", (16, 9), (5, 9), 4, 30), conv((3, 2, 5, 4), (2, 2, 2, 2))):
        p = problem(case)
        expected = p.run(mode="linear")
        wide = torch.zeros(*(2 * size for size in p.series.shape))
        wide[tuple(slice(None, None, 2) for _ in p.series.shape)] = p.series
        views = [p.series.movedim(dim, -1).contiguous().movedim(-1, dim) for dim in (0, 1)]
        views.append(wide[tuple(slice(None, None, 2) for _ in p.series.shape)])
        for series in views:
            assert_identical(Problem(case, series, p.weight, p.bias, p.delay).run(mode="linear"), expected)
        weight, delay = (t.transpose(0, 1).contiguous().transpose(0, 1) for t in (p.weight, p.delay))
        assert_identical(Problem(case, p.series, weight, p.bias, delay).run(mode="linear"), expected)


def test_chunks_equal_one_run(backend):
    for case in SMALL:
        p = problem(case, seed=2)
        whole, slots = p.run(mode="linear"), case.slots
        for cut in range(1, case.steps):
            parts = p.series[: slots - 1 + cut], p.series[cut:]
            runs = [Problem(case, part, p.weight, p.bias, p.delay).run(mode="linear") for part in parts]
            assert_identical(torch.cat(runs), whole)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_same_for_any_number_of_threads(native, threads):
    before, cases = torch.get_num_threads(), (Case("dense", (19, 60), (70, 60), 9, 300), CASES[11])
    try:
        for case in cases:
            p = problem(case, seed=3)
            results = []
            for count in (3, threads):
                torch.set_num_threads(count)
                out = p.run(mode="linear")
                results.append((out.detach(), *p.grads(torch.ones_like(out), mode="linear")))
            for one, other in zip(*results, strict=True):
                assert_identical(one, other)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("steps, inputs, outputs, batch", [(0, 3, 4, 2), (5, 0, 4, 2), (5, 4, 0, 2), (5, 4, 3, 0)])
def test_empty(backend, steps, inputs, outputs, batch):
    p = problem(Case("dense", (batch, inputs), (outputs, inputs), 3, steps))
    out = p.run(mode="linear")
    assert out.shape == (steps, batch, outputs)
    if inputs == 0:
        assert_identical(out, p.bias.expand(out.shape))
    for leaf, grad in zip(p.tensors(), p.grads(torch.ones_like(out), mode="linear"), strict=True):
        assert grad.shape == leaf.shape


def test_infinite_samples_reach_only_those_who_look_at_them(backend):
    series = torch.zeros(5, 1, 2)
    series[3, 0, 0] = torch.inf  # input 0 in step 1 of 3
    delay = torch.tensor([[1.0, 0.0], [9.0, 0.0], [0.0, 0.0], [0.5, 0.0]])
    timing = {"dt": 1.0, "slots": 3, "max_delay": 2.0}
    for mode in ("previous", "linear"):
        y = ops.delayed_dense_run(series, torch.ones(4, 2), delay, mode=mode, **timing)
        inf, between = torch.inf, torch.inf if mode == "linear" else 0.0
        expected = [[0, 0, 0, 0], [0, 0, inf, between], [inf, 0, 0, inf if mode == "previous" else torch.nan]]
        if mode == "linear":
            y, expected = torch.where(y.isnan(), inf, y), [[inf if v != v else v for v in row] for row in expected]
        assert_identical(y[:, 0], torch.tensor(expected, dtype=torch.float32))


def test_a_plan_may_come_along(backend):
    for case in SMALL:
        p = problem(case)
        plan = ops.delay_plan(p.delay, mode="linear", **p.timing)
        assert_identical(p.run(mode="linear", plan=plan), p.run(mode="linear"))
        cotangent = torch.ones_like(p.run())
        for a, b in zip(p.grads(cotangent, mode="linear", plan=plan), p.grads(cotangent, mode="linear"), strict=True):
            assert_identical(a, b)


def dense(**changes):
    arguments = {
        "series": torch.zeros(5, 2, 4),
        "weight": torch.zeros(3, 4),
        "delay": torch.zeros(3, 4),
        **{"dt": DT, "slots": 3, "max_delay": 2 * DT},
    } | changes
    return ops.delayed_dense_run(**arguments)


@pytest.mark.parametrize(
    "changes, error, match",
    [
        ({"series": torch.zeros(5, 4)}, ValueError, r"series had shape \(5, 4\)"),
        ({"series": torch.zeros(1, 2, 4)}, ValueError, "series had 1 observations; it must have slots - 1 = 2"),
        ({"series": torch.zeros(5, 2, 4).double()}, TypeError, "series was torch.float64"),
        ({"weight": torch.zeros(3, 5)}, ValueError, r"weight had shape \(3, 5\)"),
        ({"weight": torch.zeros(3, 4).int()}, TypeError, "weight was torch.int32"),
        ({"delay": torch.zeros(4)}, ValueError, r"delay had shape \(4,\)"),
        ({"delay": torch.full((3, 4), torch.nan)}, ValueError, "delay had NaN"),
        ({"bias": torch.zeros(4)}, ValueError, r"bias had shape \(4,\)"),
        ({"bias": torch.zeros(3).double()}, TypeError, "bias was torch.float64"),
        ({"dt": 0.0}, ValueError, "dt was 0.0"),
        ({"slots": 0}, ValueError, "slots was 0"),
        ({"mode": "cubic"}, ValueError, "mode was 'cubic'"),
        ({"mode": "expdecay"}, ValueError, "time_constant"),
        ({"delay": torch.zeros(3, 4, requires_grad=True)}, RuntimeError, "mode 'previous' has none"),
    ],
)
def test_bad_input(backend, changes, error, match):
    with pytest.raises(error, match=match):
        dense(**changes)


def test_bad_plans_and_geometry(backend):
    plan = ops.delay_plan(torch.zeros(3, 4), dt=DT, slots=4, max_delay=DT)
    with pytest.raises(ValueError, match="4 slots; it must fit weight"):
        dense(plan=plan)
    p = problem(SMALL[1])
    with pytest.raises(ValueError, match=r"weight had shape \(3,\); it must be \(4,\)"):
        ops.delayed_direct_run(torch.zeros(5, 2, 4), p.weight, p.delay, **p.timing)
    p = problem(SMALL[2])
    with pytest.raises(ValueError, match="stride was"):
        p.run(stride=(0, 1))
    with pytest.raises(ValueError, match="fit into the image"):
        p.run(dilation=(9, 9))
    with pytest.raises(ValueError, match="series had shape"):
        ops.delayed_conv2d_run(torch.zeros(9, 2, 4), p.weight, p.delay, **p.timing)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_opcheck(native, case):
    raw, p = torch.ops.inferno_cuda, problem(case, outside=False)
    plan = ops.delay_plan(p.delay, mode="linear", **p.timing)
    pairs = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)} | case.geometry
    numbers = [*case.inputs[2:], *(n for pair in pairs.values() for n in pair)] if case.op == "conv2d" else []
    numbers = [1] if case.op == "direct" else numbers
    series, utils = p.series.flatten(2), ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    grad = torch.rand_like(p.run().flatten(2))
    slot = plan.slot.clamp(min=1)

    def check(op, *args):
        torch.library.opcheck(op.default, args, test_utils=utils)

    check(raw.delayed_run, series, p.weight, p.bias, plan.slot, plan.factor, case.slots, True, 1.0, 0.0, numbers)
    check(raw.delayed_run_series, grad, p.weight, plan.slot, plan.factor, case.slots, True, numbers)
    for newer in (True, False):
        check(raw.delayed_run_taps, grad, series, p.weight, slot, case.slots, newer, 1.0, 0.0, numbers)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_compile_fullgraph_with_gradients(native, case):
    p = problem(case, outside=False)
    leaves = [t.requires_grad_() for t in p.tensors()]

    def loss():
        return p.run(mode="linear").square().sum()

    expected = torch.autograd.grad(loss(), leaves)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for a, b in zip(torch.autograd.grad(compiled(), leaves), expected, strict=True):
        torch.testing.assert_close(a, b)
        assert (a != 0).any()
