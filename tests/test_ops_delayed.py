"""Delayed sums of every map of inputs to outputs: kernel against reference bit for bit, against autograd, bad input."""

from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.testing import DTYPES, assert_identical, random_ring

MODES = ("previous", "next", "nearest", "linear", "expdecay")


@dataclass
class Case:
    """An op, the shape of the inputs [B, ...] of its history and that of its weights."""

    op: str
    inputs: tuple
    weight: tuple
    slots: int = 6
    geometry: dict = field(default_factory=dict)

    def __str__(self):
        shapes = "x".join(map(str, self.inputs)) + "-" + "x".join(map(str, self.weight))
        return f"{self.op}-N{self.slots}-{shapes}" + "".join(f"-{k[0]}{v}" for k, v in self.geometry.items())


def conv(inputs, weight, slots=6, **geometry):
    pairs = {name: pair if isinstance(pair, tuple) else (pair, pair) for name, pair in geometry.items()}
    return Case("delayed_conv2d", inputs, weight, slots, pairs)


DENSE = [Case("delayed_dense", (3, 13), (7, 13))]
DIRECT = [
    Case("delayed_direct", (1, 1), (1,), 1),
    Case("delayed_direct", (1, 33), (33,)),
    Case("delayed_direct", (16, 40), (40,), 21),
    Case("delayed_direct", (70, 19), (19,), 300),
    Case("delayed_direct", (2, 5), (5,)),
]
CONV = [
    conv((1, 1, 1, 1), (1, 1, 1, 1), 1),
    conv((3, 2, 7, 6), (4, 2, 3, 2)),
    conv((1, 1, 9, 8), (3, 1, 5, 5), 300),
    conv((1, 2, 9, 8), (2, 2, 3, 3), stride=2, padding=1),
    conv((5, 2, 9, 8), (3, 2, 3, 2), stride=(2, 1), padding=(1, 2), dilation=(2, 3)),
    conv((4, 1, 6, 9), (2, 1, 2, 4), stride=(1, 3), padding=(3, 0), dilation=(1, 2)),
    conv((2, 3, 5, 5), (2, 3, 3, 3), padding=4),
    conv((300, 1, 4, 30), (2, 1, 2, 2), padding=1),
]
ALL = DENSE + DIRECT + CONV


def problem(case, dtype=torch.float32, *, history=None, device="cpu", seed=0):
    """A random ring, weights, bias and delays, some of them beyond both ends of the range."""
    g = torch.Generator().manual_seed(seed)
    data, pointer = random_ring(
        (case.slots, *case.inputs), history or dtype, pointer=case.slots // 2, batch_innermost=True, generator=g,
        device=device,
    )  # fmt: skip
    weight = (torch.rand(case.weight, generator=g, dtype=torch.float64) - 0.4).to(dtype).to(device)
    bias = torch.rand(case.weight[0], generator=g, dtype=torch.float64).to(dtype).to(device)
    delay = (torch.rand(case.weight, generator=g, dtype=torch.float64) * (case.slots + 1) - 1).to(dtype).to(device)
    return data, pointer, weight, bias, delay


def run(case, data, pointer, weight, bias, delay, *, mode="previous", overbound=0.0, scale=1.0):
    plan = ops.delay_plan(
        delay, dt=1.0, slots=case.slots, max_delay=case.slots - 1.0, mode=mode, time_constant=5.0, overbound=overbound
    )
    op = getattr(ops, case.op)
    return op(data, pointer, weight, plan, bias=bias, scale=scale, **case.geometry)


def formula(case, data, pointer, weight, bias, delay, *, mode="previous", overbound=0.0, scale=1.0):
    """The definition, in float64, through a gather of the samples of every synapse at every place."""
    history, weight = data.double() * scale, weight.double()
    look = {"dt": 1.0, "mode": mode, "time_constant": 5.0, "overbound": overbound}
    if case.op == "delayed_direct":
        y = weight * ops.history_gather(history, pointer, delay.expand(data.shape[1], -1), **look)
    elif case.op == "delayed_dense":
        z = ops.history_gather(history, pointer, delay.T.expand(data.shape[1], -1, -1), **look)
        y = torch.einsum("bio,oi->bo", z, weight)
    else:
        y = []
        slots, batch = data.shape[:2]
        geometry = {k: case.geometry[k] for k in ("stride", "padding", "dilation") if k in case.geometry}
        image = F.unfold(torch.ones(1, *data.shape[2:], dtype=torch.float64), weight.shape[2:], **geometry)
        unfolded = F.unfold(history.flatten(0, 1), weight.shape[2:], **geometry)
        unfolded = unfolded.unflatten(0, (slots, batch))
        for w, d in zip(weight, delay, strict=True):
            z = ops.history_gather(unfolded, pointer, d.flatten()[:, None].expand(unfolded.shape[1:]), **look)
            y.append((torch.where(image > 0, z, 0.0) * w.flatten()[:, None]).sum(1))
        y = torch.stack(y, 1)
        size = F.conv2d(history[0], weight, **geometry).shape[2:]
        y = y.unflatten(2, size)
    return y if bias is None else y + bias.double().view(-1, *(1 for _ in y.shape[2:]))


@pytest.mark.parametrize("case", ALL, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("history", ["same", "bool"])
def test_kernel_equals_reference(native, device, case, dtype, history):
    args = problem(case, dtype, history=torch.bool if history == "bool" else None, device=device)
    for mode in MODES[:3] if history == "bool" else MODES:
        for overbound in (None, 1.5):
            results = []
            for name in ("torch", "native"):
                with inferno_cuda.backend(name):
                    results.append(run(case, *args, mode=mode, overbound=overbound, scale=0.7))
            assert_identical(results[1], results[0], f"{mode}, overbound {overbound}")


@pytest.mark.cuda
@pytest.mark.parametrize("case", ALL, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_cuda_equals_cpu(native, case, mode):
    args = problem(case)
    assert_identical(run(case, *(a.cuda() for a in args), mode=mode), run(case, *args, mode=mode))


@pytest.mark.parametrize("case", ALL, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_agrees_with_the_formula(backend, device, case, mode):
    args = problem(case, torch.float64, device=device)
    for overbound in (0.0, None, 1.5):
        got, expected = (f(case, *args, mode=mode, overbound=overbound) for f in (run, formula))
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CONV, ids=str)
def test_without_delays_it_is_a_convolution(backend, case):
    data, pointer, weight, bias, delay = problem(case, torch.float64)
    newest = data[(pointer - 1) % case.slots]
    got = run(case, data, pointer, weight, bias, torch.zeros_like(delay))
    torch.testing.assert_close(got, F.conv2d(newest, weight, bias, **case.geometry))


@pytest.mark.parametrize("case", ALL, ids=str)
@pytest.mark.parametrize("threads", [2, 3])
def test_same_result_for_any_number_of_threads(native, case, threads):
    args = problem(case)
    before = torch.get_num_threads()
    expected = run(case, *args, mode="expdecay")
    try:
        torch.set_num_threads(threads)
        assert_identical(run(case, *args, mode="expdecay"), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("case", ALL, ids=str)
def test_layouts_and_batch_items_do_not_matter(backend, case):
    data, pointer, *rest = problem(case)
    expected = run(case, data, pointer, *rest, mode="linear")
    wide = torch.zeros(*(2 * size for size in data.shape))
    every_other = wide[tuple(slice(None, None, 2) for _ in data.shape)]
    every_other.copy_(data)
    for other in (data.contiguous(), every_other, data.transpose(-1, -2).contiguous().transpose(-1, -2)):
        assert_identical(run(case, other, pointer, *rest, mode="linear"), expected)
    last = data.shape[1] - 1
    assert_identical(run(case, data[:, last:], pointer, *rest, mode="linear"), expected[last:])


def expensive(case):
    return case.inputs[0] > 100 or case.slots > 100


@pytest.mark.parametrize("case", [case for case in ALL if not expensive(case)], ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("history", [torch.float64, torch.bool], ids=str)
def test_gradients_equal_autograd_of_the_formula(backend, case, mode, history):
    if history == torch.bool and mode in ("linear", "expdecay"):
        return
    grads = []
    for function in (run, formula):
        data, pointer, weight, bias, delay = problem(case, torch.float64, history=history, seed=3)
        leaves = [weight.requires_grad_(), bias.requires_grad_()]
        if history != torch.bool:
            leaves.append(data.requires_grad_())
        y = function(case, data, pointer, weight, bias, delay, mode=mode, overbound=0.3)
        (y * torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view(y.shape)).sum().backward()
        grads.append([leaf.grad for leaf in leaves])
    for actual, expected in zip(*grads, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    assert all((g != 0).any() for g in grads[0][:2])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**20),
    batch=st.sampled_from([1, 2, 8]),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_any_geometry(native, seed, batch, size, kernel, stride, padding, dilation):
    case = conv((batch, 2, *size), (2, 2, *kernel), 4, stride=stride, padding=padding, dilation=dilation)
    args = problem(case, seed=seed)
    fits = all(d * (k - 1) < s + 2 * p for s, k, p, d in zip(size, kernel, padding, dilation, strict=True))
    if not fits:
        with pytest.raises(ValueError, match="fit into the image"):
            run(case, *args)
        return
    results = []
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            results.append(run(case, *args, mode="linear", overbound=-1.0))
    assert_identical(*results)
    exact = formula(case, *args, mode="linear", overbound=-1.0)
    torch.testing.assert_close(results[0].double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_taps_outside_the_image_contribute_nothing_whatever_their_weight(backend, value):
    case = conv((2, 1, 3, 3), (1, 1, 3, 3), 2, padding=1)
    data, pointer, weight, bias, delay = problem(case)
    weight[0, 0, 0] = value  # the first row of taps: above the image in the first row of places alone
    y = run(case, data, pointer, weight, bias, delay.fill_(7.0), overbound=1.0)
    assert y[:, :, 0].isfinite().all() and not y[:, :, 1:].isfinite().any()


@pytest.mark.parametrize("op, shape", [("delayed_direct", (0,)), ("delayed_conv2d", (0, 1, 2, 2))])
def test_empty(backend, op, shape):
    case = Case(op, (2, 0) if op == "delayed_direct" else (2, 1, 3, 3), shape)
    assert run(case, *problem(case)).numel() == 0
    case = Case(op, (0, 3) if op == "delayed_direct" else (0, 1, 3, 3), (3, *shape[1:]))
    assert run(case, *problem(case)).shape[:2] == (0, 3)


BAD = [
    (DIRECT[1], {"weight": torch.zeros(4)}, ValueError, r"weight had shape \(4,\)"),
    (DIRECT[1], {"data": torch.zeros(6, 33)}, ValueError, r"data had shape \(6, 33\)"),
    (DIRECT[1], {"bias": torch.zeros(1)}, ValueError, r"bias had shape \(1,\)"),
    (DIRECT[1], {"delay": torch.zeros(33, 1)}, ValueError, r"delays of shape \(33, 1\)"),
    (DIRECT[1], {"data": torch.zeros(6, 1, 33).double()}, TypeError, "data was torch.float64"),
    (CONV[1], {"weight": torch.zeros(4, 3, 3, 2)}, ValueError, r"weight had shape \(4, 3, 3, 2\)"),
    (CONV[1], {"weight": torch.zeros(4, 2, 8, 2)}, ValueError, "fit into the image"),
    (CONV[1], {"data": torch.zeros(6, 2, 7, 6)}, ValueError, r"data had shape \(6, 2, 7, 6\)"),
    (CONV[1], {"bias": torch.zeros(2)}, ValueError, r"bias had shape \(2,\)"),
    (CONV[1], {"weight": torch.zeros(4, 2, 3, 2).long()}, TypeError, "weight was torch.int64"),
    (CONV[1], {"stride": (0, 1)}, ValueError, "stride was"),
    (CONV[1], {"padding": (0, -1)}, ValueError, "padding was"),
    (CONV[1], {"dilation": (1,)}, ValueError, "dilation was"),
]


@pytest.mark.parametrize("case, change, error, match", BAD, ids=[f"{c.op}-{next(iter(x))}-{m}" for c, x, _, m in BAD])
def test_bad_input(backend, case, change, error, match):
    names = ("data", "pointer", "weight", "bias", "delay")
    arguments = dict(zip(names, problem(case), strict=True)) | {k: v for k, v in change.items() if k in names}
    geometry = {k: v for k, v in change.items() if k not in names}
    with pytest.raises(error, match=match):
        run(Case(case.op, case.inputs, case.weight, case.slots, geometry), *arguments.values())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", [DIRECT[1], CONV[1], CONV[4]], ids=str)
def test_opcheck(native, device, case, dtype):
    data, pointer, weight, bias, _ = problem(case, dtype, device=device)
    factor = torch.rand(case.weight, device=device, dtype=torch.promote_types(dtype, torch.float32))
    slot = torch.randint(0, case.slots, case.weight, device=device, dtype=torch.uint8)
    pairs = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)} | case.geometry
    numbers = [number for pair in pairs.values() for number in pair] if "conv" in case.op else []
    op = getattr(torch.ops.inferno_cuda, case.op).default
    utils = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    for args in ((data, pointer, weight, bias, slot, factor), (data > 0, pointer, weight, None, slot, None)):
        torch.library.opcheck(op, (*args, False, 1.0, 0.0, *numbers), test_utils=utils)


# Few taps: a compiled graph unrolls the sum of the backward pass over them.
COMPILED = [
    Case("delayed_dense", (3, 5), (7, 5)),
    DIRECT[1],
    conv((5, 1, 9, 8), (3, 1, 2, 1), stride=(2, 1), padding=(1, 2), dilation=(2, 3)),
]


@pytest.mark.parametrize("case", COMPILED, ids=str)
def test_compile_fullgraph_with_gradients(native, device, case):
    def loss(data, pointer, weight, bias, slot):
        plan = ops.DelayPlan(slot, None, case.slots, False, 0.0)
        op = getattr(ops, case.op)
        return op(data, pointer, weight, plan, bias=bias, **case.geometry).square().sum()

    grads = []
    for function in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
        data, pointer, weight, bias, _ = problem(case, device=device)
        leaves = [data.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()]
        slot = torch.arange(weight.numel(), device=device).remainder(case.slots).view(case.weight).to(torch.uint8)
        function(data, pointer, weight, bias, slot).backward()
        grads.append([leaf.grad for leaf in leaves])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)
        assert (a != 0).any()


def test_raw_ops_check_for_themselves(native):
    raw, pointer = torch.ops.inferno_cuda, torch.tensor(0)
    slot, options = torch.zeros(4, dtype=torch.uint8), (False, 1.0, 0.0)
    with pytest.raises(RuntimeError, match="weight: must be"):
        raw.delayed_direct(torch.zeros(2, 1, 3), pointer, torch.zeros(4), None, slot, None, *options)
    image, weight, slot = torch.zeros(2, 1, 1, 3, 3), torch.zeros(1, 1, 4, 1), torch.zeros(1, 1, 4, 1).byte()
    for numbers, match in (((1, 1, 0, 0, 1, 1), "kernel: larger"), ((0, 1, 1, 0, 1, 1), "geometry: out of range")):
        with pytest.raises(RuntimeError, match=match):
            raw.delayed_conv2d(image, pointer, weight, None, slot, None, *options, *numbers)
