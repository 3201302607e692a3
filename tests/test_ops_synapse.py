"""The step of synapses: kernel against reference bit for bit, worked numbers, bad arguments."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import ops, reference
from inferno_cuda.ops.synapse import MODELS
from inferno_cuda.testing import DTYPES, assert_identical, random_ring

DECAY = {"exponential": (0.9,), "double_exponential": (0.9, 0.55)}
RINGS = {model: {"decay": DECAY.get(model, ()), "gain": 1.7} for model in MODELS}


def rings_of(model, shape, dtype=torch.float32, slots=4, innermost=True, seed=0, device="cpu"):
    g = torch.Generator().manual_seed(seed)
    kinds = [torch.bool] + [dtype] * MODELS[model]
    return [
        random_ring((slots, *shape), kind, pointer=k % slots, batch_innermost=innermost, generator=g, device=device)
        for k, kind in enumerate(kinds)
    ]


def inputs_of(shape, dtype, seed=1):
    g = torch.Generator().manual_seed(seed)
    fired = torch.rand(shape, generator=g) < 0.4
    return fired if dtype == torch.bool else (torch.randn(shape, generator=g) * fired).to(dtype)


def copies(rings):
    return [(data.clone(), pointer.clone()) for data, pointer in rings]


def step(model, inputs, rings, **options):
    return ops.synapse_step_(model, inputs, rings[0], rings[1:], **{**RINGS[model], **options})


def assert_same_rings(a, b):
    for (data, pointer), (other, other_pointer) in zip(a, b, strict=True):
        assert_identical(data, other)
        assert_identical(pointer, other_pointer)


def assert_native_equals_reference(model, inputs, rings, steps=3, **options):
    sides = {"torch": copies(rings), "native": rings}
    for _ in range(steps):
        outs = {}
        for name, side in sides.items():
            with inferno_cuda.backend(name):
                outs[name] = step(model, inputs, side, **options)
        assert_identical(outs["native"], outs["torch"])
        assert outs["native"].is_contiguous()
        assert_same_rings(sides["native"], sides["torch"])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("innermost", [False, True], ids=["rest innermost", "batch innermost"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (70, 133), (2, 3, 4), (5,), (6, 1), (2, 0), (0, 3)], ids=str)
def test_kernel_equals_reference(native, device, model, dtype, innermost, shape):
    for slots in (1, 4):
        for kind in (torch.bool, dtype):
            rings = rings_of(model, shape, dtype, slots, innermost, device=device)
            inputs = inputs_of(shape, kind).to(device)
            assert_native_equals_reference(model, inputs, rings, dtype=dtype)


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(list(MODELS)),
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    slots=st.integers(1, 5),
    layouts=st.lists(st.booleans(), min_size=3, max_size=3),
    reverse=st.booleans(),
    count=st.integers(0, 8),
    seed=st.integers(0, 99),
)
def test_any_strides(native_or_skip, model, dtype, shape, slots, layouts, reverse, count, seed):
    rings = [
        rings_of(model, shape, dtype, slots + k, layout, seed)[k]
        for k, layout in zip(range(MODELS[model] + 1), layouts, strict=False)
    ]

    def drawn(kind, k):
        x = inputs_of(shape[::-1] if reverse else shape, kind, seed + k)
        return x.permute(*range(len(shape))[::-1]) if reverse else x

    injected = [drawn(dtype, k) for k in range(count if model == "delta_plus" else 0)]
    assert_native_equals_reference(model, drawn(dtype, 50), rings, injected=injected, dtype=dtype)


@pytest.fixture(scope="module")
def native_or_skip():
    if not ops.native_status.loaded:
        pytest.skip(ops.native_status.problem)


def test_worked_numbers(backend):
    x = torch.tensor([[1.0, 0.0, -0.5, torch.nan]])
    spikes = (torch.zeros(2, 1, 4, dtype=torch.bool), torch.tensor(1))
    one, two = ((torch.full((2, 1, 4), v), torch.tensor(0)) for v in (8.0, 4.0))
    assert ops.synapse_step_("delta", x, spikes, gain=3.0).tolist() == [[3.0, 0.0, 3.0, 3.0]]
    assert spikes[0][1].tolist() == [[True, False, True, True]] and not spikes[0][0].any() and spikes[1] == 0
    x = x[:, :3]
    rings = [(data[..., :3], pointer) for data, pointer in (spikes, one, two)]
    extra = [torch.full((1, 3), v) for v in (10.0, 0.25)]
    got = ops.synapse_step_("delta_plus", x, rings[0], rings[1:2], gain=2.0, injected=extra)
    assert got.tolist() == [[12.25, 10.25, 9.25]] and one[0][0, :, :3].tolist() == got.tolist() and one[1] == 1
    got = ops.synapse_step_("exponential", x, rings[0], rings[1:2], gain=2.0, decay=[0.5])
    assert got.tolist() == [[8.125, 5.125, 3.625]]
    got = ops.synapse_step_("double_exponential", x, rings[0], rings[1:], gain=2.0, decay=[0.5, 0.25])
    assert got.tolist() == [[4.0625 - 1.0, 2.5625 - 1.0, 1.8125 - 1.0]]
    assert two[0][0, :, :3].tolist() == [[3.0, 1.0, 0.0]]


def test_injected_currents_are_added_in_order(backend):
    x, big = torch.ones(1, 5), torch.full((1, 5), 2.0**24)
    rings = rings_of("delta_plus", (1, 5))
    assert_identical(step("delta_plus", x, rings, gain=1.0, injected=[big, -big]), torch.zeros(1, 5))
    assert_identical(step("delta_plus", x, rings, gain=1.0, injected=[-big, big]), torch.ones(1, 5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_difference_is_that_of_what_was_recorded(backend, dtype):
    rings = rings_of("double_exponential", (3, 50), dtype)
    got = step("double_exponential", inputs_of((3, 50), dtype), rings)
    newest = [data[int(pointer) - 1] for data, pointer in rings[1:]]
    assert_identical(got, newest[0] - newest[1])


@pytest.mark.parametrize("start", [-5, -1, 4, 11])
def test_pointers_count_modulo_the_slots(backend, start):
    buffer = torch.zeros(12, 2, 2)
    spikes, current = (torch.zeros(3, 2, 2, dtype=torch.bool), torch.tensor(start)), torch.tensor(start)
    ops.synapse_step_("exponential", torch.ones(2, 2), spikes, [(buffer[4:8], current)], gain=1.0, decay=[0.5])
    assert buffer.sum() == 4 and buffer[4 + start % 4].sum() == 4 and int(current) == (start + 1) % 4
    assert spikes[0][start % 3].all() and spikes[0].sum() == 4 and int(spikes[1]) == (start + 1) % 3


BAD = [
    ({"model": "triple"}, ValueError, "model was 'triple'"),
    ({"inputs": torch.zeros(2, 5)}, ValueError, r"spikes had shape \(4, 2, 4\); it must be \(N, 2, 5\)"),
    ({"inputs": torch.zeros(2, 4, dtype=torch.float64)}, TypeError, "inputs was torch.float64"),
    ({"inputs": torch.zeros(())}, ValueError, r"inputs had shape \(\)"),
    ({"currents": []}, ValueError, "currents had 0 rings"),
    ({"currents": [(torch.zeros(4, 2, 5), torch.tensor(0))]}, ValueError, r"currents\[0\] had shape"),
    ({"currents": [(torch.zeros(0, 2, 4), torch.tensor(0))]}, ValueError, "at least one slot"),
    ({"currents": [(torch.zeros(4, 2, 4), torch.tensor(0.0))]}, ValueError, "pointer was torch.float32"),
    ({"currents": [(torch.zeros(4, 2, 4, dtype=torch.int32), torch.tensor(0))]}, TypeError, "currents were"),
    ({"currents": [(torch.zeros(4, 1, 4).expand(4, 2, 4), torch.tensor(0))]}, ValueError, "was expanded"),
    ({"currents": [(torch.zeros(4, 2, 4, device="meta"), torch.tensor(0))]}, ValueError, "was on meta"),
    ({"spikes": (torch.zeros(4, 2, 4), torch.tensor(0))}, TypeError, "spikes was torch.float32"),
    ({"decay": []}, ValueError, "decay had 0 numbers"),
    ({"decay": [0.5, 0.5]}, ValueError, "decay had 2 numbers"),
    ({"injected": [torch.zeros(2, 4)]}, ValueError, "takes none"),
    ({"model": "delta_plus", "decay": [], "injected": [torch.zeros(4)]}, ValueError, r"injected\[0\] had shape \(4,\)"),
    ({"model": "delta_plus", "decay": [], "injected": [torch.zeros(2, 4).half()]}, TypeError, "was torch.float16"),
    ({"inputs": torch.ones(2, 4, requires_grad=True)}, RuntimeError, "inputs requires a gradient"),
]


@pytest.mark.parametrize("change, error, match", BAD, ids=[match for *_, match in BAD])
def test_bad_arguments_leave_the_rings(backend, change, error, match):
    rings = rings_of("exponential", (2, 4))
    before = copies(rings)
    arguments = {"model": "exponential", "inputs": torch.ones(2, 4), "spikes": rings[0], "currents": rings[1:],
                 "gain": 1.0, "decay": [0.5]}  # fmt: skip
    with pytest.raises(error, match=match):
        ops.synapse_step_(**{**arguments, **change})
    assert_same_rings(rings, before)


def test_a_pointer_belongs_to_one_ring(backend):
    (spikes, pointer), (data, _) = rings_of("exponential", (2, 4))
    with pytest.raises(ValueError, match="a pointer was given twice"):
        step("exponential", torch.ones(2, 4), [(spikes, pointer), (data, pointer)])


def test_overlapping_memory_is_refused(native):
    rings = rings_of("double_exponential", (4, 4))
    before = copies(rings)
    with pytest.raises(RuntimeError, match="overlaps"):
        step("double_exponential", rings[1][0][0], rings)
    with pytest.raises(RuntimeError, match="overlaps"):
        step("double_exponential", torch.ones(4, 4), [rings[0], rings[1], (rings[1][0], torch.tensor(0))])
    assert_same_rings(rings, before)


def test_rings_that_need_a_gradient_are_refused(backend):
    spikes, (data, pointer) = rings_of("exponential", (2, 4))
    with pytest.raises(RuntimeError, match=r"currents\[0\] requires a gradient"):
        step("exponential", torch.ones(2, 4), [spikes, (data.requires_grad_(), pointer)])


def test_graphs_notice_the_write(backend):
    spikes, (data, pointer) = rings_of("exponential", (2, 4))
    weight = torch.ones(4, 2, 4, requires_grad=True)
    loss = (weight * data).sum()
    step("exponential", torch.ones(2, 4), [spikes, (data, pointer)])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("model", MODELS)
def test_the_reference_is_differentiable(model):
    g = torch.Generator().manual_seed(1)
    x, *newest = (torch.rand(2, 3, generator=g, dtype=torch.float64) + 0.5 for _ in range(1 + MODELS[model]))
    extra = [torch.rand(2, 3, generator=g, dtype=torch.float64)] if model == "delta_plus" else []

    def run(*tensors):
        past, injected = tensors[1 : 1 + MODELS[model]], tensors[1 + MODELS[model] :]
        current, recorded = reference.synapse_advance(
            model, tensors[0], past, injected=injected, dtype=torch.float64, **RINGS[model]
        )
        return current, *recorded

    if model == "delta":
        (gradient,) = torch.autograd.grad(run(x.requires_grad_())[0].sum(), x)
        assert gradient.eq(1.7).all()  # straight through the test for a spike
    else:
        assert torch.autograd.gradcheck(run, [t.requires_grad_() for t in (x, *newest, *extra)])


@pytest.mark.parametrize("model", MODELS)
def test_compile_fullgraph(native, device, model):
    def run(x, *tensors):
        rings = [tensors[:2], *([tensors[2:4]] if MODELS[model] else []), *([tensors[4:]] if MODELS[model] > 1 else [])]
        for _ in range(3):
            out = step(model, x, rings)
        return out * 2

    results = []
    for function in (run, torch.compile(run, fullgraph=True, backend="aot_eager")):
        rings = rings_of(model, (2, 9), device=device)
        x = inputs_of((2, 9), torch.bool).to(device)
        results.append((function(x, *(t for ring in rings for t in ring)), rings))
    assert_identical(results[1][0], results[0][0])
    assert_same_rings(results[1][1], results[0][1])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("n", [0, 1, 37])
def test_opcheck(native, device, model, n):
    rings = rings_of(model, (2, n), device=device)
    tensors = [t for ring in rings for t in ring]
    tensors += [None] * (6 - len(tensors))
    x = inputs_of((2, n), torch.bool).to(device)
    extra = [torch.ones(2, n, device=device)] if model == "delta_plus" else []
    args = (list(MODELS).index(model), 0, x, extra, *tensors, 1.5, 0.9, 0.5)
    utils = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    torch.library.opcheck(torch.ops.inferno_cuda.synapse_step_.default, args, test_utils=utils)


@pytest.mark.cuda
@pytest.mark.parametrize("model", MODELS)
def test_cuda_graph_moves_the_pointers(native, model):
    x = inputs_of((5, 70), torch.bool).cuda()
    rings, eager = rings_of(model, (5, 70), device="cuda"), rings_of(model, (5, 70), device="cuda")
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = step(model, x, rings)
    for _ in range(6):
        graph.replay()
        assert_identical(out, step(model, x, eager))
    assert_same_rings(rings, eager)
