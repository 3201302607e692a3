"""Sequences of synapse steps: against single steps and the reference bit for bit, gradients, bad arguments."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import ops, reference
from inferno_cuda.ops.synapse import MODELS
from inferno_cuda.testing import DTYPES, assert_identical

DECAY = {"exponential": (0.9,), "double_exponential": (0.9, 0.55)}
NUMBERS = {model: {"decay": DECAY.get(model, ()), "gain": 1.7} for model in MODELS}


def drawn(shape, dtype, seed=1):
    g = torch.Generator().manual_seed(seed)
    fired = torch.rand(shape, generator=g) < 0.4
    return fired if dtype == torch.bool else (torch.randn(shape, generator=g) * fired).to(dtype)


def newest_of(model, shape, dtype, seed=9):
    return [drawn(shape, dtype, seed + k) for k in range(MODELS[model])]


def run(model, inputs, newest, **options):
    return ops.synapse_run(model, inputs, newest, **{**NUMBERS[model], **options})


def flat(result):
    return (result[0], *result[1])


def stepped(model, inputs, newest, dtype, injected=()):
    """What single steps give and record."""
    pointer = inputs.new_zeros((), dtype=torch.int64)
    spikes = (inputs.new_zeros((1, *inputs.shape[1:]), dtype=torch.bool), pointer)
    rings = [(x.clone().unsqueeze(0), pointer.clone()) for x in newest]
    currents, recorded = [], [[] for _ in newest]
    for t, x in enumerate(inputs):
        currents.append(
            ops.synapse_step_(
                model, x, spikes, rings, injected=[y[t].contiguous() for y in injected], dtype=dtype, **NUMBERS[model]
            )
        )
        for (data, _), kept in zip(rings, recorded, strict=True):
            kept.append(data[0].clone())
    return torch.stack(currents), *map(torch.stack, recorded)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (70, 33), (2, 3, 4), (5,)], ids=str)
def test_a_sequence_is_that_many_steps(backend, device, model, dtype, shape):
    for kind in (torch.bool, dtype):
        inputs = drawn((6, *shape), kind).to(device)
        newest = [x.to(device) for x in newest_of(model, shape, dtype)]
        kept = [x.clone() for x in newest]
        got = flat(run(model, inputs, newest, dtype=dtype))
        for a, b in zip(got, stepped(model, inputs, newest, dtype), strict=True):
            assert_identical(a, b)
        for a, b in zip(newest, kept, strict=True):
            assert_identical(a, b)


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(list(MODELS)),
    dtype=st.sampled_from(DTYPES),
    steps=st.integers(0, 9),
    shape=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    count=st.integers(0, 9),
    as_bool=st.booleans(),
    layout=st.sampled_from(["plain", "reversed", "expanded", "sliced"]),
    seed=st.integers(0, 99),
)
def test_kernel_equals_reference(native_or_skip, model, dtype, steps, shape, count, as_bool, layout, seed):
    def laid_out(kind, k):
        if layout == "expanded":
            return drawn(shape, kind, seed + k).expand(steps, *shape)
        if layout == "reversed":
            x = drawn((*shape[::-1], steps), kind, seed + k)
            return x.permute(*range(x.ndim)[::-1])
        x = drawn((2 * steps, *shape), kind, seed + k)
        return x[::2] if layout == "sliced" else x[:steps]

    inputs, newest = laid_out(torch.bool if as_bool else dtype, 0), newest_of(model, shape, dtype, seed)
    injected = [laid_out(dtype, 20 + k) for k in range(count if model == "delta_plus" else 0)]
    sides = []
    for name in ("torch", "native" if count <= 8 else "auto"):
        with inferno_cuda.backend(name):
            sides.append(flat(run(model, inputs, newest, injected=injected, dtype=dtype)))
    assert len(sides[0]) == len(sides[1]) == 1 + MODELS[model]
    for a, b in zip(*sides, strict=True):
        assert_identical(b, a)
        assert a.shape == inputs.shape


def test_worked_numbers(backend):
    x = torch.tensor([1.0, 0.0, -0.5, 0.0]).view(4, 1, 1)
    assert run("delta", x, (), gain=3.0)[0].flatten().tolist() == [3.0, 0.0, 3.0, 0.0]
    one, two = torch.full((1, 1), 8.0), torch.full((1, 1), 4.0)
    got, (kept,) = run("exponential", x, [one], gain=2.0, decay=[0.5])
    assert got.flatten().tolist() == [6.0, 3.0, 0.5, 0.25] and kept is got
    got, parts = run("double_exponential", x, [one, two], gain=2.0, decay=[0.5, 0.25])
    assert parts[1].flatten().tolist() == [3.0, 0.75, -0.8125, -0.203125]
    assert got.flatten().tolist() == (parts[0] - parts[1]).flatten().tolist()
    got, _ = run("delta_plus", x, [one], gain=2.0, injected=[torch.full_like(x, 10.0), torch.full_like(x, 0.25)])
    assert got.flatten().tolist() == [12.25, 10.25, 9.25, 10.25]


def leaves_of(model, shape=(7, 2, 3), dtype=torch.float64, injected=2):
    inputs = drawn(shape, dtype)
    extra = [drawn(shape, dtype, 30 + k) for k in range(injected if model == "delta_plus" else 0)]
    return [x.clone().requires_grad_() for x in (inputs, *newest_of(model, shape[1:], dtype), *extra)]


def run_leaves(model, leaves, **options):
    count = MODELS[model] + 1
    return flat(run(model, leaves[0], leaves[1:count], injected=leaves[count:], dtype=leaves[0].dtype, **options))


@pytest.mark.parametrize("model", [m for m in MODELS if m != "delta"])
def test_gradcheck(backend, model):
    assert torch.autograd.gradcheck(lambda *leaves: run_leaves(model, leaves), leaves_of(model))
    assert torch.autograd.gradgradcheck(lambda *leaves: run_leaves(model, leaves), leaves_of(model))


def test_delta_passes_the_gradient_of_the_magnitude(backend):
    (x,) = leaves_of("delta")
    current, _ = run("delta", x, (), gain=3.0, dtype=torch.float64)
    cost = torch.rand(x.shape, dtype=torch.float64)
    (current * cost).sum().backward()
    torch.testing.assert_close(x.grad, 3.0 * cost)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("present", ["all", "current", "recorded"])
def test_backward_kernel_equals_reference(native, device, model, dtype, present):
    found = []
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            leaves = [x.detach().to(device).requires_grad_() for x in leaves_of(model, (5, 3, 170), dtype)]
            outputs = run_leaves(model, leaves)
            outputs = {"all": outputs, "current": outputs[:1], "recorded": outputs[1:] or outputs}[present]
            costs = [drawn(y.shape, dtype, 50 + k).to(device) for k, y in enumerate(outputs)]
            found.append(torch.autograd.grad(outputs, leaves, costs, allow_unused=True))
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert_identical(b, a)


@pytest.mark.parametrize("model", ["exponential", "double_exponential"])
def test_the_adjoint_is_that_of_single_steps(backend, model):
    leaves = leaves_of(model)
    outputs, newest, total = [], leaves[1:], 0.0
    for x in leaves[0]:
        current, newest = reference.synapse_advance(model, x, newest, injected=(), dtype=x.dtype, **NUMBERS[model])
        outputs.append(current)
    cost = torch.rand(leaves[0].shape, dtype=torch.float64)
    total = (torch.stack(outputs) * cost).sum()
    wanted = torch.autograd.grad(total, leaves)
    got = torch.autograd.grad((run_leaves(model, leaves)[0] * cost).sum(), leaves)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_nothing_is_kept_for_the_backward_pass(backend):
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        run_leaves("exponential", leaves_of("exponential"))
    assert not saved


X = torch.ones(3, 2, 4)
BAD = [
    ({"model": "triple"}, ValueError, "model was 'triple'"),
    ({"inputs": torch.zeros(3)}, ValueError, r"inputs had shape \(3,\)"),
    ({"inputs": X.double()}, TypeError, "inputs was torch.float64"),
    ({"inputs": torch.zeros(3, 2, 5)}, ValueError, r"newest\[0\] had shape \(2, 4\); it must be \(2, 5\)"),
    ({"newest": []}, ValueError, "newest had 0 currents"),
    ({"newest": [torch.zeros(2, 4, dtype=torch.int32)]}, TypeError, "the currents were torch.int32"),
    ({"newest": [torch.zeros(2, 4, device="meta")]}, ValueError, "was on meta"),
    ({"decay": []}, ValueError, "decay had 0 numbers"),
    ({"injected": [X]}, ValueError, "takes none"),
    ({"model": "delta_plus", "decay": [], "injected": [X[0]]}, ValueError, r"injected\[0\] had shape \(2, 4\)"),
    ({"model": "delta_plus", "decay": [], "injected": [X.half()]}, TypeError, "was torch.float16"),
]


@pytest.mark.parametrize("change, error, match", BAD, ids=[match for *_, match in BAD])
def test_bad_arguments(backend, change, error, match):
    arguments = {"model": "exponential", "inputs": X, "newest": [X[0]], "gain": 1.0, "decay": [0.5]}
    with pytest.raises(error, match=match):
        ops.synapse_run(**{**arguments, **change})


def test_too_many_injected_currents_for_the_kernel(native):
    injected = [X] * 9
    assert run("delta_plus", X, [X[0]], gain=1.0, injected=injected)[0].eq(10).all()
    with inferno_cuda.backend("native"), pytest.raises(RuntimeError, match="8 injected currents"):
        run("delta_plus", X, [X[0]], injected=injected)


def test_forward_mode_is_refused(backend):
    with torch.autograd.forward_ad.dual_level():
        x = torch.autograd.forward_ad.make_dual(X, X)
        with pytest.raises(RuntimeError, match="forward"):
            run("exponential", x, [X[0]])


@pytest.mark.parametrize("model", MODELS)
def test_compile_fullgraph(native, device, model):
    def loss(inputs, *newest):
        return sum((y * y).sum() for y in flat(run(model, inputs, newest, dtype=torch.float32)))

    results = []
    for function in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
        leaves = [x.detach().to(device).requires_grad_() for x in leaves_of(model, dtype=torch.float32, injected=0)]
        value = function(*leaves)
        value.backward()
        results.append([value, leaves[0].grad])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(b, a)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("n", [0, 37])
def test_opcheck(native, device, model, n):
    inputs = drawn((4, 2, n), torch.bool).to(device)
    newest = [x.to(device) for x in newest_of(model, (2, n), torch.float32)]
    utils = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    code, raw = list(MODELS).index(model), torch.ops.inferno_cuda
    torch.library.opcheck(raw.synapse_run.default, (code, 0, inputs, [], newest, 1.5, 0.9, 0.5), test_utils=utils)
    grads = [torch.ones(4, 2, n, device=device)] + [None, None]
    torch.library.opcheck(raw.synapse_run_backward.default, (code, *grads, 1.5, 0.9, 0.5), test_utils=utils)
