"""The kernels of csrc for delayed sums, CPU and emulated, against their reference."""

import numpy as np
import pytest
import torch
from core_py import BACKENDS, FLOATING, SCALARS, array, assert_same, load, sparse_array, uniform
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import reference

core = load()


def problem(seed, dtype, data_shape, weight_shape, kind, bool_history, bias, batch_innermost):
    """Arguments of reference.delayed_*; kind says what the factor is: None, "decay" or "blend"."""
    generator = torch.Generator().manual_seed(seed)
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    slots = data_shape[0]
    data = uniform(generator, data_shape, -2, 2, dtype)
    data = data > 1 if bool_history else data
    data = data.movedim(1, -1).contiguous().movedim(-1, 1) if batch_innermost else data
    slot = torch.randint(slots + 1, weight_shape, generator=generator)
    factor = uniform(generator, weight_shape, 0, 1, compute)
    if kind == "blend":
        factor[(slot == 0) | (slot == slots) | (factor < 0.2)] = 0
    return {
        "data": data,
        "pointer": torch.randint(slots, (), generator=generator),
        "weight": uniform(generator, weight_shape, -1, 1, dtype),
        "bias": uniform(generator, weight_shape[:1], -1, 1, dtype) if bias else None,
        "slot": slot.to(torch.uint8 if slots <= 255 else torch.int32),
        "factor": factor if kind else None,
    }


def run(op, p, out, **options):
    op(
        *(array(p[name]) for name in ["data", "pointer", "weight", "slot"]),
        array(out),
        factor=None if p["factor"] is None else array(p["factor"]),
        bias=None if p["bias"] is None else array(p["bias"]),
        type=getattr(core.Scalar, SCALARS[p["weight"].dtype]),
        **options,
    )
    return out


def check(op, backend, p, kind, cut, **geometry):
    """The bits of the reference; on the CPU in two ranges of its items, the second one first."""
    options = dict(linear=kind == "blend", scale=1.75, overbound=-0.25, **geometry)
    expected = getattr(reference, op)(**p, **options)
    out = torch.empty_like(expected)
    function = getattr(getattr(core, backend), op)
    if backend == "emulated":
        run(function, p, out, **options)
    else:
        items = expected.shape[1] * (expected.shape[2] if expected.ndim == 4 else 1)
        middle = round(cut * items)
        run(function, p, out, range=(middle, items), **options)
        run(function, p, out, range=(0, middle), **options)
    assert_same(out, expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", [None, "decay", "blend"])
@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 999),
    slots=st.sampled_from([1, 2, 9, 300]),
    batch=st.integers(1, 70),
    inputs=st.integers(1, 50),
    outputs=st.integers(1, 40),
    bool_history=st.booleans(),
    bias=st.booleans(),
    batch_innermost=st.booleans(),
    cut=st.floats(0, 1),
)
def test_sums_have_the_reference_s_bits(
    backend, kind, dtype, seed, slots, batch, inputs, outputs, bool_history, bias, batch_innermost, cut
):
    p = problem(seed, dtype, (slots, batch, inputs), (outputs, inputs), kind, bool_history, bias, batch_innermost)
    check("delayed_dense", backend, p, kind, cut)


ANY = dict(
    seed=st.integers(0, 999),
    slots=st.sampled_from([1, 2, 9, 300]),
    bool_history=st.booleans(),
    bias=st.booleans(),
    batch_innermost=st.booleans(),
    cut=st.floats(0, 1),
)
PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", [None, "decay", "blend"])
@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@settings(deadline=None, max_examples=15)
@given(batch=st.integers(1, 70), inputs=st.integers(1, 50), **ANY)
def test_direct_sums_have_the_reference_s_bits(
    backend, kind, dtype, seed, slots, batch, inputs, bool_history, bias, batch_innermost, cut
):
    p = problem(seed, dtype, (slots, batch, inputs), (inputs,), kind, bool_history, bias, batch_innermost)
    check("delayed_direct", backend, p, kind, cut)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", [None, "decay", "blend"])
@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@settings(deadline=None, max_examples=15)
@given(
    batch=st.sampled_from([1, 2, 7, 16]),
    image=st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)),
    filters=st.integers(1, 5),
    kernel=PAIR,
    stride=PAIR,
    dilation=PAIR,
    spare=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    **ANY,
)
def test_convolutions_have_the_reference_s_bits(
    backend, kind, dtype, seed, slots, batch, image, filters, kernel, stride, dilation, spare, bool_history, bias,
    batch_innermost, cut,
):  # fmt: skip
    # at least as much padding as makes the kernel fit
    short = (d * (k - 1) + 1 - size for d, k, size in zip(dilation, kernel, image[1:], strict=True))
    padding = tuple(max(-(-missing // 2), extra) for missing, extra in zip(short, spare, strict=True))
    shapes = (slots, batch, *image), (filters, image[0], *kernel)
    p = problem(seed, dtype, *shapes, kind, bool_history, bias, batch_innermost)
    check("delayed_conv2d", backend, p, kind, cut, stride=stride, padding=padding, dilation=dilation)


FAR = 2**31 + 3


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("strides", [(FAR, 2, 1), (1, FAR, 3), (1, 2, FAR)], ids=["slot", "batch", "rest"])
@pytest.mark.parametrize("dtype", [np.bool_, np.float32])
def test_samples_2_31_apart(backend, strides, dtype):
    data = sparse_array([2, 2, 2], strides, dtype)
    data[:] = np.array([1, 0, 0, 1, 1, 1, 0, 1]).reshape(2, 2, 2)
    weight = np.array([[1, 2], [4, 8], [16, 32]], dtype=np.float32)
    slot = np.array([[0, 0], [1, 1], [0, 1]], dtype=np.uint8)
    out = np.empty([2, 3], dtype=np.float32)
    getattr(core, backend).delayed_dense(data, np.array(1), weight, slot, out, type=core.Scalar.f32)
    np.testing.assert_array_equal(out, [[1, 12, 48], [2, 8, 32]])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("strides", [(FAR, 4, 2, 2, 1), (2, FAR, 2, 2, 1), (2, 2, 2, FAR, 1), (2, 2, 2, 1, FAR)])
def test_pixels_2_31_apart(backend, strides):
    data = sparse_array([2, 2, 1, 2, 2], strides, np.bool_)
    data[0, 1] = True  # the newest
    weight = np.array([1, 2, 4, 8], dtype=np.float32).reshape(1, 1, 2, 2)
    slot = np.zeros([1, 1, 2, 2], dtype=np.uint8)
    out = np.empty([2, 1, 1, 1], dtype=np.float32)
    getattr(core, backend).delayed_conv2d(data, np.array(1), weight, slot, out, type=core.Scalar.f32)
    assert out.ravel().tolist() == [0, 15]


def test_synapses_beyond_2_31():
    outputs, inputs = 2**19 + 1, 2**13
    weight = sparse_array([outputs, inputs], [inputs, 1], np.float32)
    slot = sparse_array([outputs, inputs], [inputs, 1], np.uint8)
    weight[-1], slot[-1, ::2] = 2, 1
    data = np.stack([np.full([1, inputs], 3, dtype=np.float32), np.full([1, inputs], 5, dtype=np.float32)])
    out = np.zeros([1, outputs], dtype=np.float32)
    last = (outputs - 1, outputs)
    core.cpu.delayed_dense(data, np.array(0), weight, slot, out, type=core.Scalar.f32, range=last)
    assert out[0, -1] == inputs * (3 + 5)
    assert not out[0, :-1].any()
