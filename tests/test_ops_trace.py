"""Traces: kernel against reference bit for bit, and against the formulas."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import core, ops, reference
from inferno_cuda.testing import DTYPES, assert_identical, random_ring

KINDS = ("cumulative", "nearest", "instant")
EVENTS = {
    "spikes": {},
    "target": {"target": 1},
    "bool target": {"target": True},
    "odd target": {"target": 0.1},
    "tolerance": {"target": 0.4, "tolerance": 0.25},
    "mask": {"mask": True},
    "scaled": {"scale": 0.7},
    "scaled mask": {"scale": -1.3, "mask": True},
}
SHAPES = [(1, 1), (3, 5), (70, 33), (2, 3, 4), (5,), (), (2, 0), (0,)]
OBS = (torch.bool, "data", torch.float64, torch.int64, torch.uint8)


def observed(shape, dtype, rng):
    levels = torch.rand(shape, generator=rng)
    if dtype == torch.bool:
        return levels < 0.3
    if dtype.is_floating_point:
        chosen = torch.where(levels < 0.2, 0.1, torch.where(levels > 0.8, 1.0, levels)).to(dtype)
        return torch.where(torch.rand(shape, generator=rng) < 0.05, torch.nan, chosen).to(dtype)
    return (levels * 3).to(dtype)


def arguments(kind, events, shape, rng, device="cpu"):
    how = {"kind": kind, "decay": 0.9512, "amplitude": 1.3, **EVENTS[events]}
    if how.get("mask"):
        how["mask"] = (torch.rand(shape, generator=rng) < 0.4).to(device)
    return how


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("slots", [1, 3])
def test_kernels_have_the_reference_s_bits(native, device, kind, dtype, slots):
    for index, (shape, events) in enumerate(itertools.product(SHAPES, EVENTS)):
        seen = dtype if OBS[index % len(OBS)] == "data" else OBS[index % len(OBS)]
        rng = torch.Generator().manual_seed(index)
        data, pointer = random_ring((slots, *shape), dtype, pointer=slots - 1, generator=rng)
        data, pointer = data.to(device), pointer.to(device)
        other, at = data.clone(), pointer.clone()
        for _ in range(3):
            obs = observed(shape, seen, rng).to(device)
            how = arguments(kind, events, shape, rng, device)
            functional = ops.trace_push(data, pointer, obs, **how)
            assert ops.trace_push_(data, pointer, obs, **how) is None
            reference.trace_push_(other, at, obs, **how)
            assert_identical(data, other)
            assert_identical(functional, data)
            assert pointer == at


LAYOUTS = st.permutations([0, 1, 2, 3])


def laid_out(tensor, order):
    return tensor.permute(order).contiguous().permute([order.index(d) for d in range(tensor.ndim)])


@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 300), st.integers(1, 3)),
    order=LAYOUTS,
    obs_order=st.permutations([0, 1, 2]),
    expanded=st.booleans(),
    kind=st.sampled_from(KINDS),
    events=st.sampled_from(sorted(EVENTS)),
    seed=st.integers(0, 99),
)
def test_any_strides(native_or_skip, size, order, obs_order, expanded, kind, events, seed):
    rng = torch.Generator().manual_seed(seed)
    data, pointer = random_ring(size, torch.float32, generator=rng)
    data, other, at = laid_out(data, order), data.clone(), pointer.clone()
    how = arguments(kind, events, size[1:], rng)
    if expanded:
        obs = observed(size[2:], torch.float32, rng).expand(size[1:])
    else:
        obs = laid_out(observed(size[1:], torch.float32, rng), obs_order)
    for _ in range(2):
        ops.trace_push_(data, pointer, obs, **how)
        reference.trace_push_(other, at, obs, **how)
    assert_identical(data, other)
    assert pointer == at


@pytest.mark.parametrize("kind", KINDS)
def test_formulas(backend, device, kind):
    obs = torch.tensor([True, False, True], device=device)
    data, pointer = torch.tensor([[1.0, 2.0, 4.0]], device=device), torch.tensor(0, device=device)
    ops.trace_push_(data, pointer, obs, kind=kind, decay=0.5, amplitude=3.0)
    expected = {"cumulative": [[3.5, 1.0, 5.0]], "nearest": [[3.0, 1.0, 3.0]], "instant": [[3.0, 0.0, 3.0]]}[kind]
    assert data.tolist() == expected and pointer == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("events", ["target", "tolerance"])
def test_steps_of_core(backend, dtype, kind, events):
    rng = torch.Generator().manual_seed(2)
    data, pointer, trace = torch.zeros(2, 4, 7, dtype=dtype), torch.tensor(1), torch.zeros(4, 7, dtype=dtype)
    step = {"cumulative": core.trace_cumulative, "nearest": core.trace_nearest}[kind]
    for _ in range(10):
        obs = torch.rand(4, 7, generator=rng, dtype=dtype)
        obs = torch.where(obs < 0.4, 1.0, obs)
        ops.trace_push_(data, pointer, obs, kind=kind, decay=0.9, amplitude=-0.4, **EVENTS[events])
        trace = step(obs, trace, decay=0.9, amplitude=-0.4, **EVENTS[events])
        assert torch.equal(data[(pointer - 1) % 2], trace)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_round_once(backend, dtype):
    newest, obs = torch.tensor([[0.3333]], dtype=dtype), torch.tensor([[0.777]], dtype=dtype)
    data = newest.unsqueeze(0).clone()
    ops.trace_push_(data, torch.tensor(0), obs, kind="cumulative", decay=0.9, amplitude=0.1, scale=0.3)
    one = torch.float32
    exact = newest.to(one) * 0.9 + (obs.to(one) * 0.3 + 0.1)
    assert torch.equal(data[0], exact.to(dtype))


def test_functional_form_is_differentiable(backend):
    data = torch.rand(2, 3, 4, dtype=torch.float64, requires_grad=True)
    obs = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(3, 4) < 0.5
    for kind in KINDS:
        how = {"kind": kind, "decay": 0.9, "amplitude": 0.4, "scale": 0.7, "mask": mask}
        assert torch.autograd.gradcheck(lambda d, x, how=how: ops.trace_push(d, torch.tensor(1), x, **how), (data, obs))


def test_in_place_form_refuses_to_drop_a_gradient(backend):
    data, pointer = random_ring((3, 2, 4))
    before = data.clone()
    how = {"kind": "nearest", "decay": 0.9, "amplitude": 1.0}
    with pytest.raises(RuntimeError, match="obs requires a gradient"):
        ops.trace_push_(data, pointer, torch.rand(2, 4, requires_grad=True), **how)
    with pytest.raises(RuntimeError, match="data requires a gradient"):
        ops.trace_push_(data.requires_grad_(), pointer, torch.rand(2, 4), **how)
    assert_identical(data.detach(), before)
    with torch.no_grad():
        ops.trace_push_(data.detach(), pointer, torch.rand(2, 4, requires_grad=True), **how)


@pytest.mark.parametrize(
    "change, error, text",
    [
        ({"kind": "mean"}, ValueError, "kind was 'mean'"),
        ({"tolerance": -1.0, "target": 1}, ValueError, "tolerance was -1.0"),
        ({"obs": torch.zeros(2, 5)}, ValueError, "obs had shape"),
        ({"obs": torch.zeros(2, 4, dtype=torch.complex64)}, TypeError, "obs was torch.complex64"),
        ({"mask": torch.zeros(2, 4)}, TypeError, "mask was torch.float32"),
        ({"mask": torch.zeros(4, dtype=torch.bool)}, ValueError, "mask had shape"),
        ({"data": torch.zeros(3, 2, 4, dtype=torch.int64)}, TypeError, "data was"),
        ({"data": torch.zeros(1, 2, 4).expand(3, 2, 4)}, ValueError, "expanded"),
        ({"data": torch.zeros(0, 2, 4)}, ValueError, "at least one slot"),
        ({"pointer": torch.tensor(0, dtype=torch.int32)}, ValueError, "pointer"),
    ],
)
def test_bad_arguments_change_nothing(backend, change, error, text):
    data, pointer = random_ring((3, 2, 4))
    given = {"data": data, "pointer": pointer, "obs": torch.zeros(2, 4), "kind": "nearest", "decay": 0.9}
    before = data.clone()
    with pytest.raises(error, match=text):
        ops.trace_push_(**{**given, "amplitude": 1.0, **change})
    if text != "expanded":  # of which a copy may well be made
        with pytest.raises(error, match=text):
            ops.trace_push(**{**given, "amplitude": 1.0, **change})
    assert_identical(data, before)


def test_overlapping_memory_is_refused(backend):
    data, pointer = random_ring((3, 2, 4))
    with pytest.raises(RuntimeError, match="overlaps"):
        ops.trace_push_(data, pointer, data[1], kind="nearest", decay=0.9, amplitude=1.0)


def test_rings_that_do_not_merge_run_in_torch_or_raise(native):
    data, pointer = torch.zeros(2, 3, 5, 4).transpose(2, 3), torch.tensor(0)
    obs = torch.rand(3, 4, 5) < 0.5
    ops.trace_push_(data, pointer, obs, kind="nearest", decay=0.9, amplitude=2.0)
    assert torch.equal(data[0], obs * 2.0)
    with inferno_cuda.backend("native"), pytest.raises(RuntimeError, match="lie evenly"):
        ops.trace_push_(data, pointer, obs, kind="nearest", decay=0.9, amplitude=2.0)


def test_zeros_are_positive(backend):
    for amplitude in (0.0, -0.0):
        data = torch.zeros(1, 1)
        ops.trace_push_(data, torch.tensor(0), torch.ones(1), kind="nearest", decay=0.9, amplitude=amplitude)
        assert not data.signbit().any()


def test_a_graph_that_kept_the_ring_notices(backend):
    data, pointer = random_ring((2, 2, 3))
    weight = torch.ones(2, 2, 3, requires_grad=True)
    product = (data * weight).sum()
    ops.trace_push_(data, pointer, torch.ones(2, 3), kind="nearest", decay=0.9, amplitude=1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def test_compiles(backend):
    @torch.compile(backend="eager", fullgraph=True)
    def step(data, pointer, obs):
        ops.trace_push_(data, pointer, obs, kind="cumulative", decay=0.9, amplitude=1.0)
        return data * 2

    data, pointer = random_ring((2, 2, 3))
    other, at = data.clone(), pointer.clone()
    obs = torch.rand(2, 3) < 0.5
    doubled = step(data, pointer, obs)
    ops.trace_push_(other, at, obs, kind="cumulative", decay=0.9, amplitude=1.0)
    assert torch.equal(data, other) and torch.equal(doubled, other * 2) and pointer == at
