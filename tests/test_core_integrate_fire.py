"""Integrate-and-fire steps of csrc, CPU and emulated, against their reference."""

import pytest
import torch
from core_py import BACKENDS, FLOATING, SCALARS, array, assert_same, load, uniform
from hypothesis import given, settings
from hypothesis import strategies as st
from integrate_fire_cases import LATE, NUMBERS, RULES, drawn, state

from inferno_cuda import reference
from inferno_cuda.ops.integrate_fire import RESETS

core = load()
MODELS = list(reference.CHARGE_MODELS)
COEFFICIENTS = ("decay", "current_decay", "threshold", "amount", "factor")


def optional(tensor):
    return None if tensor is None else array(tensor)


def run_core(backend, rule, inputs, voltage, current, coefficients, outputs, **options):
    model, reset, delayed = rule
    getattr(core, backend).integrate_fire(
        model=MODELS.index(model), reset=RESETS.index(reset), delayed=bool(delayed), inputs=array(inputs),
        voltage_in=array(voltage), current_in=optional(current), coefficients=coefficients, tau=NUMBERS["tau"],
        rest=NUMBERS["rest"], type=getattr(core.Scalar, SCALARS[inputs.dtype]),
        **{name: optional(tensor) for name, tensor in outputs._asdict().items()}, **options,
    )  # fmt: skip


def empty_outputs(inputs, voltage, current, model, record=True):
    rows = torch.empty_like(inputs)
    return reference.Fired(
        rows,
        torch.empty_like(voltage),
        None if current is None else torch.empty_like(current),
        torch.empty_like(rows) if record else None,
        torch.empty_like(rows) if record and model in LATE else None,
    )


def as_tensors(dtype, given):
    """Numbers as tensors in the compute type, with those of `given` in place."""
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    return {name: torch.tensor(value, dtype=compute) for name, value in NUMBERS.items()} | given


def assert_steps(backend, rule, inputs, voltage, current, given=None, plans=None, record=True):
    model, reset, delayed = rule
    options = {"record_voltages": record, "record_resets": record and model in LATE}
    numbers = as_tensors(inputs.dtype, given or {})
    expected = reference.integrate_fire(
        model, inputs, voltage, current, reset=reset, delayed=bool(delayed), numbers=numbers, **options
    )
    outputs = empty_outputs(inputs, voltage, current, model, record)
    coefficients = [(plans or {}).get(name, (NUMBERS[name], None, 1)) for name in COEFFICIENTS]
    run_core(backend, rule, inputs, voltage, current, coefficients, outputs)
    for result, right in zip(outputs, expected, strict=True):
        assert (result is None) == (right is None)
        if result is not None:
            assert_same(result, right)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@pytest.mark.parametrize("rule", RULES, ids=str)
@settings(deadline=None, max_examples=8)
@given(steps=st.integers(0, 5), count=st.integers(0, 40), record=st.booleans(), seed=st.integers(0, 999))
def test_steps_have_the_reference_s_bits(backend, dtype, rule, steps, count, record, seed):
    inputs = drawn((steps, count), dtype, seed, specials=True)
    voltage, current = state(rule[0], (count,), dtype, seed + 1, specials=True)
    assert_steps(backend, rule, inputs, voltage, current, record=record)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("count", [511, 512, 513, 1030])
def test_whole_and_partial_blocks(backend, count):
    for rule in RULES:
        inputs = drawn((3, count), torch.float32, 1)
        assert_steps(backend, rule, inputs, *state(rule[0], (count,), torch.float32, 2))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", FLOATING, ids=SCALARS.get)
@pytest.mark.parametrize("inner, size", [(1, 1), (1, 7), (30, 7), (210, 3), (1, 630)])
def test_coefficients_of_groups_of_neurons(backend, dtype, inner, size):
    """Neuron i takes element i / inner % size; decays outside [0, 1] count as the nearer end."""
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    generator = torch.Generator().manual_seed(3)
    groups = {name: uniform(generator, (size,), -0.5, 1.5, compute) for name in COEFFICIENTS}
    groups["decay"][0] = torch.nan
    index = torch.arange(630) // inner % size
    plans = {name: (0.0, array(values), inner) for name, values in groups.items()}
    spread = {name: values[index] for name, values in groups.items()}
    for rule in (("leaky", "subtract", 0), ("synaptic", "zero", 1), ("perfect", "subtract", 0)):
        inputs = drawn((2, 630), dtype, 5)
        assert_steps(backend, rule, inputs, *state(rule[0], (630,), dtype, 6), given=spread, plans=plans)


@pytest.mark.parametrize("cut", [0, 1, 512, 700, 1030])
def test_ranges_add_up(cut):
    rule, count = ("synaptic", "subtract", 1), 1030
    inputs, (voltage, current) = drawn((4, count), torch.float32, 1), state("synaptic", (count,), torch.float32, 2)
    coefficients = [(NUMBERS[name], None, 1) for name in COEFFICIENTS]
    whole, parts = (empty_outputs(inputs, voltage, current, "synaptic") for _ in range(2))
    run_core("cpu", rule, inputs, voltage, current, coefficients, whole)
    for ends in ((0, cut), (cut, count)):
        run_core("cpu", rule, inputs, voltage, current, coefficients, parts, range=ends)
    for result, right in zip(parts, whole, strict=True):
        assert_same(result, right)
