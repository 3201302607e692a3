"""Sequences of synapse steps of csrc and their adjoint, CPU and emulated, against their reference."""

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


def values(generator, shape, dtype):
    if dtype == torch.bool:
        return torch.rand(shape, generator=generator) < 0.4
    return with_specials(generator, uniform(generator, shape, -3, 3, dtype))


def cases(test):
    test = given(
        steps=st.integers(0, 7),
        count=st.one_of(st.integers(1, 40), st.sampled_from([511, 512, 513, 1100])),
        seed=st.integers(0, 999),
    )(settings(deadline=None, max_examples=15)(test))
    for name, choices in (("backend", BACKENDS), ("dtype", FLOATING), ("model", list(MODELS))):
        test = pytest.mark.parametrize(name, choices, ids=str)(test)
    return test


@cases
def test_sequences_have_the_reference_s_bits(backend, dtype, model, steps, count, seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = values(generator, (steps, count), torch.bool if seed % 2 else dtype)
    newest = [values(generator, (count,), dtype) for _ in range(MODELS[model])]
    injected = [values(generator, (steps, count), dtype) for _ in range(seed % 9 if model == "delta_plus" else 0)]
    decay = DECAY.get(model, ())
    current, recorded = reference.synapse_run(
        model, inputs, newest, gain=1.7, decay=decay, injected=injected, dtype=dtype
    )
    wanted = (current, *recorded) if len(recorded) > 1 else (current,)
    outputs = [torch.empty(steps, count, dtype=dtype) for _ in wanted]
    getattr(core, backend).synapse_run(
        CODES[model], array(inputs), [array(x) for x in newest], [array(x) for x in outputs],
        injected=[array(x) for x in injected], type=getattr(core.Scalar, SCALARS[dtype]), gain=1.7, decay=list(decay),
    )  # fmt: skip
    for got, expected in zip(outputs, wanted, strict=True):
        assert_same(got + 0, expected + 0)


@cases
def test_adjoints_have_the_reference_s_bits(backend, dtype, model, steps, count, seed):
    generator = torch.Generator().manual_seed(seed)
    recorded = MODELS[model]
    there = [True, False, False] if recorded < 2 else [seed % 3 != 0, seed % 2 == 0, seed % 3 == 0]
    grads = [uniform(generator, (steps, count), -3, 3, dtype) if is_there else None for is_there in there]
    decay = DECAY.get(model, ())
    _, *wanted, newest = reference.synapse_run_backward(
        model, grads[: recorded + 1], gain=1.7, decay=decay,
        shape=(steps, count), dtype=dtype, device="cpu",
    )  # fmt: skip
    outputs = [torch.empty(steps, count, dtype=dtype), *(torch.empty(count, dtype=dtype) for _ in range(recorded))]
    getattr(core, backend).synapse_run_backward(
        CODES[model], [None if x is None else array(x) for x in grads], array(outputs[0]),
        [array(x) for x in outputs[1:]], type=getattr(core.Scalar, SCALARS[dtype]), gain=1.7, decay=list(decay),
    )  # fmt: skip
    for got, expected in zip(outputs, (*wanted, *newest), strict=True):
        assert_same(got + 0, expected + 0)


def test_ranges_add_up():
    generator = torch.Generator().manual_seed(3)
    inputs, newest = values(generator, (5, 1100), torch.float32), values(generator, (1100,), torch.float32)
    whole, parts = (torch.empty(5, 1100) for _ in range(2))
    options = {"injected": [], "type": core.Scalar.f32, "gain": 1.7, "decay": [0.9]}

    def run(out, **more):
        core.cpu.synapse_run(CODES["exponential"], array(inputs), [array(newest)], [array(out)], **options, **more)

    run(whole)
    for begin, end in ((0, 7), (7, 700), (700, 1100)):
        run(parts, range=(begin, end))
    assert_same(parts, whole)
