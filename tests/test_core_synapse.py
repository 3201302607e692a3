"""Synapse steps of csrc, CPU and emulated, against their reference."""

import pytest
import torch
from core_py import BACKENDS, FLOATING, SCALARS, array, assert_same, load, uniform, with_specials
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import reference
from inferno_cuda.ops.synapse import MODELS

core = load()
CODES = {model: code for code, model in enumerate(MODELS)}
DECAY = {"exponential": (0.9,), "double_exponential": (0.9, 0.55)}


def laid_out(tensor, order):
    """The same values with memory in another order of dimensions."""
    return tensor.permute(order).contiguous().permute([order.index(d) for d in range(tensor.ndim)])


def values(generator, shape, dtype):
    if dtype == torch.bool:
        return torch.rand(shape, generator=generator) < 0.4
    drawn = with_specials(generator, uniform(generator, shape, -3, 3, dtype))
    return torch.where(torch.rand(shape, generator=generator) < 0.3, 0.0, drawn).to(dtype)


def ring(generator, slots, size, dtype, order):
    data = laid_out(values(generator, (slots, *size), dtype), order)
    return data, torch.randint(slots, (), generator=generator)


def copies(rings):
    return [(data.clone(), pointer.clone()) for data, pointer in rings]


def assert_step(backend, model, dtype, generator, rings, inputs, injected=(), **options):
    kept, decay = copies(rings), DECAY.get(model, ())
    for _ in range(2):
        expected = reference.synapse_step_(
            model, inputs, kept[0], kept[1:], gain=1.7, decay=decay, injected=injected, dtype=dtype
        )
        out = torch.empty(inputs.shape, dtype=dtype)
        arrays = [(array(data), pointer.numpy()) for data, pointer in rings]
        getattr(core, backend).synapse_step(
            CODES[model], array(inputs), arrays[0], arrays[1:], array(out), injected=[array(x) for x in injected],
            type=getattr(core.Scalar, SCALARS[dtype]), gain=1.7, decay=list(decay), **options,
        )  # fmt: skip
        assert_same(out, expected)
        for (data, pointer), (kept_data, kept_pointer) in zip(rings, kept, strict=True):
            assert_same(data, kept_data)
            assert pointer == kept_pointer


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@pytest.mark.parametrize("model", MODELS)
@settings(deadline=None, max_examples=30)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 40)),
    slots=st.integers(1, 4),
    orders=st.tuples(*[st.permutations([0, 1, 2])] * 2),
    transposed=st.booleans(),
    as_bool=st.booleans(),
    count=st.integers(0, 8),
    merge=st.booleans(),
    seed=st.integers(0, 999),
)
def test_steps_have_the_reference_s_bits(
    backend, dtype, model, size, slots, orders, transposed, as_bool, count, merge, seed
):
    generator = torch.Generator().manual_seed(seed)
    rings = [ring(generator, slots, size, torch.bool, orders[0])]
    rings += [ring(generator, slots + k, size, dtype, orders[k]) for k in range(MODELS[model])]
    inputs = values(generator, size, torch.bool if as_bool else dtype)
    injected = [values(generator, size, dtype) for _ in range(count if model == "delta_plus" else 0)]
    if transposed:
        inputs, injected = laid_out(inputs, [1, 0]), [laid_out(x, [1, 0]) for x in injected]
    assert_step(backend, model, dtype, generator, rings, inputs, injected, merge=merge)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1]], ids=["rest innermost", "batch innermost"])
@pytest.mark.parametrize("size", [(1, 1), (64, 64), (65, 130), (130, 65), (16, 8), (257, 3)], ids=str)
def test_whole_and_partial_tiles(backend, dtype, order, size):
    for model in MODELS:
        for kind in (torch.bool, dtype):
            generator = torch.Generator().manual_seed(7)
            rings = [ring(generator, 3, size, torch.bool, order)]
            rings += [ring(generator, 3, size, dtype, order) for _ in range(MODELS[model])]
            assert_step(backend, model, dtype, generator, rings, values(generator, size, kind), merge=True)


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1]], ids=["rest innermost", "batch innermost"])
@pytest.mark.parametrize("cut", [0, 1, 63, 64, 77, 100])
def test_ranges_add_up(order, cut):
    generator = torch.Generator().manual_seed(3)
    whole = [ring(generator, 3, (5, 100), kind, order) for kind in (torch.bool, torch.float32, torch.float32)]
    parts, inputs = copies(whole), values(generator, (5, 100), torch.bool)
    outs = [torch.empty(5, 100) for _ in range(2)]

    def step(rings, out, **options):
        arrays = [(array(data), pointer.numpy()) for data, pointer in rings]
        core.cpu.synapse_step(
            CODES["double_exponential"], array(inputs), arrays[0], arrays[1:], array(out),
            type=core.Scalar.f32, gain=1.7, decay=[0.9, 0.55], **options,
        )  # fmt: skip

    step(whole, outs[0])
    step(parts, outs[1], range=(0, cut), advance=False)
    step(parts, outs[1], range=(cut, 100))
    assert_same(outs[1], outs[0])
    for (data, pointer), (other, other_pointer) in zip(whole, parts, strict=True):
        assert_same(data, other)
        assert pointer == other_pointer


@pytest.mark.parametrize("reversed_order", [False, True])
def test_no_block_sees_a_pointer_move(reversed_order):
    generator = torch.Generator().manual_seed(3)
    rings = [ring(generator, 3, (4, 700), kind, [0, 2, 1]) for kind in (torch.bool, torch.float32)]
    core.emulated.set_reversed(reversed_order)
    try:
        assert_step("emulated", "exponential", torch.float32, generator, rings, values(generator, (4, 700), torch.bool))
    finally:
        core.emulated.set_reversed(False)
