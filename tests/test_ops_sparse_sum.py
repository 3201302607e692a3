"""Sums over listed synapses: kernels against the reference bit for bit, against dense sums, gradients, bad input."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sparse_cases import CASES, DT, MODES, SMALL, Case, both, dense_of, problem

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.testing import DTYPES, assert_identical

LEARNING = ("linear", "expdecay")


def cotangent_of(made, seed=9):
    with torch.no_grad():
        like = made()
    drawn = torch.rand(like.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5
    return drawn.to(like)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("history", [None, torch.bool], ids=["same", "bool"])
def test_kernels_equal_reference(native, device, case, dtype, history):
    p = problem(case, dtype, history=history, device=device)
    for mode in MODES:
        for overbound in (None, 1.5):
            options = {"mode": mode, "overbound": overbound, "scale": 0.7}
            expected, made = both(lambda o=options: p.run(**o))
            assert_identical(made, expected, f"{mode}, overbound {overbound}")
            with inferno_cuda.backend("native"):
                found = p.step(case.steps - 1, **options)
            assert_identical(found, expected[-1], f"last step, {mode}, overbound {overbound}")


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_without_delays(native, device, case, dtype):
    spikes, p = (problem(case, dtype, history=history, device=device) for history in (torch.bool, None))
    for series in (spikes.series, p.series):
        for data in (series, series[0], series[0, 0]):
            expected, made = both(lambda x=data: ops.sparse_sum(x, p.weight, p.links, bias=p.bias, scale=0.7))
            assert_identical(made, expected)
            assert made.shape == (*data.shape[:-1], case.outputs)
    none = torch.zeros_like(p.delay)
    p.case.slots, p.delay = 1, none
    assert_identical(p.run(), ops.sparse_sum(p.series, p.weight, p.links, bias=p.bias))


@pytest.mark.parametrize("history", [None, torch.bool], ids=["same", "bool"])
def test_any_memory_layout(backend, history):
    p = problem(Case(5, 7, 6, 30), history=history)
    expected, (data, pointer) = p.step(1), p.ring(1)
    plan = ops.delay_plan(p.delay, **p.timing())
    apart = torch.stack([data, data], 2)[:, :, 0]
    for layout in (data.contiguous(), apart, data.flip(2).contiguous().flip(2)):
        assert_identical(ops.delayed_sparse(layout, pointer, p.weight, plan, p.links, bias=p.bias), expected)
    wide = torch.stack([p.weight, p.bias.new_zeros(30)], 1)[:, 0]
    assert_identical(ops.delayed_sparse(data, pointer, wide, plan, p.links, bias=p.bias), expected)


def test_any_number_of_threads(native):
    p = problem(Case(9, 200, 3000, 40000), seed=3)
    cotangent, threads, found = cotangent_of(p.run), torch.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            found.append([p.run(mode="linear"), *p.grads(lambda: p.run(mode="linear"), cotangent)])
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert_identical(a, b)


@pytest.mark.parametrize("mode", MODES)
def test_equals_dense_sums_with_zeros_for_what_is_absent(backend, device, mode):
    inputs, outputs, chosen = 23, 17, torch.randperm(23 * 17, generator=torch.Generator().manual_seed(1))[:90]
    p = problem(Case(4, inputs, outputs, 90), torch.float64, device=device, outside=False)
    p.links = ops.connectivity(chosen % inputs, chosen // inputs, inputs=inputs, outputs=outputs).to(device)
    matrices = [dense_of(x, p.links) for x in (p.weight, p.delay)]
    expected = ops.delayed_dense_run(p.series, *matrices, bias=p.bias, **p.timing(mode))
    torch.testing.assert_close(p.run(mode=mode), expected, rtol=1e-13, atol=1e-13)
    plain = torch.nn.functional.linear(p.series, matrices[0], p.bias)
    torch.testing.assert_close(ops.sparse_sum(p.series, p.weight, p.links, bias=p.bias), plain, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("mode", LEARNING)
@pytest.mark.parametrize("history", [None, torch.bool], ids=["same", "bool"])
def test_gradients(native, device, case, mode, history):
    p = problem(case, torch.float64, history=history, device=device)
    for overbound in (0.7, None):
        options = {"mode": mode, "overbound": overbound, "scale": 0.7}
        for run in (lambda o=options: p.run(**o), lambda o=options: p.step(0, **o))[: 1 if overbound is None else 2]:
            cotangent = cotangent_of(run)
            for a, b in zip(*both(lambda r=run, c=cotangent: p.grads(r, c)), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype, close", [(torch.float32, 1e-5), (torch.float16, 4e-3), (torch.bfloat16, 4e-2)])
def test_gradients_of_narrow_types_and_without_delays(native, device, case, dtype, close):
    p = problem(case, dtype, device=device)
    runs = [lambda: p.run(mode="linear"), lambda: ops.sparse_sum(p.series, p.weight, p.links, bias=p.bias)]
    for run in runs:
        cotangent = cotangent_of(run)
        for a, b in zip(*both(lambda r=run, c=cotangent: p.grads(r, c)), strict=True):
            assert a.dtype == dtype
            largest = float(b.abs().max()) if b.numel() else 0.0
            torch.testing.assert_close(a, b, rtol=close, atol=close * max(largest, 1.0))


@pytest.mark.parametrize("case", SMALL, ids=str)
@pytest.mark.parametrize("mode", LEARNING)
def test_gradcheck(backend, case, mode):
    p = problem(case, torch.float64, outside=False, seed=4)
    p.delay = (p.delay + 0.013 * DT).clamp(max=DT * (case.slots - 1) - 0.01)  # off the grid, where derivatives jump

    def f(*leaves):
        p.series, p.weight, p.bias, p.delay = leaves
        return p.run(mode=mode), p.step(1, mode=mode)

    leaves = [x.clone().requires_grad_() for x in p.leaves()]
    assert torch.autograd.gradcheck(f, leaves)


def test_second_derivatives_are_refused(native):
    p = problem(SMALL[0])
    p.weight.requires_grad_()
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(p.run().sum(), p.weight, create_graph=True)


synapses = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(pairs=synapses, seed=st.integers(0, 999), batch=st.integers(1, 9))
def test_synapses_may_be_given_in_any_order(native_or_skip, pairs, seed, batch):
    """The list is sorted, a permutation of synapses that differ is the same list, and no synapse is lost."""
    g = torch.Generator().manual_seed(seed)
    source, target = (torch.tensor([p[k] for p in pairs], dtype=torch.int64) for k in (0, 1))
    weight = torch.randint(-8, 9, (len(pairs),), generator=g).float()  # whose sums are exact in any order
    data = torch.randint(-8, 9, (batch, 5), generator=g).float()
    links = ops.connectivity(source, target, inputs=5, outputs=6)
    expected = torch.zeros(batch, 6).index_add(1, target, data[:, source] * weight)
    assert torch.equal(ops.sparse_sum(data, weight[links.order], links), expected)
    given_again = list(zip(links.target.tolist(), links.source.tolist(), links.order.tolist(), strict=True))
    assert given_again == sorted(given_again)
    assert torch.equal(links.source, source[links.order].int()) and torch.equal(links.target, target[links.order].int())
    mixed = torch.randperm(len(pairs), generator=g)
    other = ops.connectivity(source[mixed], target[mixed], inputs=5, outputs=6)
    assert all(torch.equal(getattr(other, name), getattr(links, name)) for name in ("source", "target", "start"))
    half = len(pairs) // 2
    halves = slice(half), slice(half, None)
    parts = (ops.connectivity(source[some], target[some], inputs=5, outputs=6) for some in halves)
    split = [weight[:half], weight[half:]]
    total = sum(ops.sparse_sum(data, w[one.order], one) for w, one in zip(split, parts, strict=True))
    assert torch.equal(total, expected)


def test_infinite_weights_meet_zeros_as_in_a_product_where_many_inputs_spike(native):
    links = ops.connectivity(torch.arange(4), torch.tensor([0, 1, 2, 2]), inputs=4, outputs=4)
    weight = torch.tensor([torch.inf, torch.nan, 1.0, 2.0])
    for batch in (1, 20):
        spikes = torch.tensor([False, False, True, True]).expand(batch, 4)
        for made in both(lambda x=spikes: ops.sparse_sum(x, weight, links)):
            assert made[:, :2].isnan().all() and (made[:, 2:] == torch.tensor([3.0, 0.0])).all()


def test_empty(backend):
    p = problem(Case(3, 4, 6, 9))
    plan = ops.delay_plan(p.delay, **p.timing())
    nobody = torch.zeros(6, 0, 4)
    assert ops.delayed_sparse(nobody, torch.tensor(0), p.weight, plan, p.links).shape == (0, 6)
    assert ops.sparse_sum(torch.zeros(2, 0, 4), p.weight, p.links).shape == (2, 0, 6)
    p.series = p.series[: p.case.slots - 1]
    assert p.run().shape == (0, 3, 6)


def changed(**what):
    p = problem(Case(3, 4, 6, 9))
    for name, value in what.items():
        setattr(p, name, value(getattr(p, name)))
    return p


@pytest.mark.parametrize(
    "p, error, match",
    [
        (changed(weight=lambda w: w[1:]), ValueError, r"weight had shape \(8,\); it must be \(9,\), the synapses"),
        (changed(bias=lambda b: b[1:]), ValueError, r"bias had shape \(5,\); it must be \(6,\)"),
        (changed(bias=lambda b: b.double()), TypeError, "bias was torch.float64"),
        (changed(delay=lambda d: d[1:]), ValueError, r"delay had shape \(8,\)"),
        (changed(series=lambda x: x[..., 1:]), ValueError, "its last size must be 4, the inputs"),
        (changed(series=lambda x: x[:3]), ValueError, "with slots - 1 = 5 of the past"),
        (changed(series=lambda x: x.double()), TypeError, "series was torch.float64"),
        (changed(links=lambda x: tuple(x)), TypeError, "links was tuple; it must be a Connectivity"),
    ],
)
def test_bad_input(backend, p, error, match):
    with pytest.raises(error, match=match):
        p.run()


@pytest.mark.parametrize(
    "source, target, error, match",
    [
        ([0, 3], [0, 0], ValueError, "source had entries from 0 to 3; they must be within 0 and 2"),
        ([0, 1], [0, -1], ValueError, "target had entries from -1 to 0; they must be within 0 and 1"),
        ([0, 1], [0], ValueError, "source had 2 entries on cpu, target 1 on cpu"),
        ([[0]], [0], ValueError, r"source had shape \(1, 1\)"),
        ([0.5], [0], TypeError, "source was torch.float32; it must have integers"),
        ([True], [0], TypeError, "source was torch.bool"),
    ],
)
def test_bad_synapses(source, target, error, match):
    with pytest.raises(error, match=match):
        ops.connectivity(torch.tensor(source), torch.tensor(target), inputs=3, outputs=2)
    with pytest.raises(ValueError, match="outputs was 0"):
        ops.connectivity(torch.tensor([0]), torch.tensor([0]), inputs=3, outputs=0)


def test_compiles_and_maps(native):
    p = problem(Case(3, 4, 6, 9))
    data, pointer = p.ring(0)
    plan = ops.delay_plan(p.delay, **p.timing())

    def f(weight):
        return ops.delayed_sparse(data, pointer, weight, plan, p.links)

    compiled = torch.compile(f, fullgraph=True, backend="eager")
    assert_identical(compiled(p.weight), ops.delayed_sparse(data, pointer, p.weight, plan, p.links))
    weights = torch.stack([p.weight, -p.weight])
    mapped = torch.func.vmap(lambda w: ops.sparse_sum(p.series, w, p.links))(weights)
    assert_identical(mapped[0], ops.sparse_sum(p.series, p.weight, p.links))
    assert torch.equal(mapped[1], -mapped[0])
