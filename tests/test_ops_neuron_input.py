"""The neuron op: what it refuses, before anything has changed."""

import pytest
import torch
from neuron_cases import CELL, MEMBRANES, functional, in_place, inputs, of_model, state

from inferno_cuda import ops
from inferno_cuda.testing import assert_identical


def test_overlapping_memory_is_refused(native):
    memory = torch.full((11,), -60.0)
    with pytest.raises(RuntimeError, match="overlap"):
        ops.neuron_step_("lif", memory[1:], torch.zeros(10), memory[:-1], **CELL)
    voltage = torch.full((3,), -60.0)
    with pytest.raises(ValueError, match="refrac was expanded"):
        ops.neuron_step_("lif", voltage, torch.zeros(1).expand(3), torch.full((3,), 1e6), **CELL)
    assert_identical(voltage, torch.full((3,), -60.0))


@pytest.mark.parametrize(
    "change, error, match",
    [
        ({"refrac": torch.zeros(2, 4)}, ValueError, r"refrac had shape \(2, 4\)"),
        ({"inputs": torch.zeros(3, 2, 3)}, ValueError, r"inputs had shape \(3, 2, 3\)"),
        ({"inputs": torch.zeros(2, 3, dtype=torch.float64)}, TypeError, "inputs was torch.float64"),
        ({"refrac": torch.zeros(2, 3, dtype=torch.int64)}, TypeError, "refrac was torch.int64"),
        ({"inputs": torch.zeros(2, 3, device="meta")}, ValueError, "inputs was on meta"),
    ],
)
@pytest.mark.parametrize("step", [functional, in_place], ids=["functional", "in place"])
def test_bad_input_raises_and_leaves_the_state(backend, step, change, error, match):
    tensors = dict(zip(("voltage", "refrac", "inputs"), (*state((2, 3)), inputs((2, 3))), strict=True)) | change
    before = {name: t.clone() for name, t in tensors.items()}
    with pytest.raises(error, match=match):
        step(**tensors, **CELL)
    for name in ("voltage", "refrac"):
        assert_identical(tensors[name], before[name])


def test_integer_state_is_refused(backend):
    with pytest.raises(TypeError, match="voltage was torch.int64"):
        functional(*[torch.zeros(2, dtype=torch.int64)] * 3, **CELL)


@pytest.mark.parametrize(
    "model, change, error, match",
    [
        ("leaky", {}, ValueError, "model was 'leaky'; it must be one of 'lif'"),
        ("lif", {"crit_v": 1.0}, TypeError, r"lif: parameters missing: none, unknown: \['crit_v'\]"),
        ("lif", {"reduction": "mean"}, ValueError, "lif does not adapt"),
        ("alif", {"adaptation": None}, ValueError, "alif adapts; adaptation and constants must be tensors"),
        ("alif", {"adaptation": torch.zeros(2, 3, 2)}, ValueError, r"shape \(2, 3, 2\); it must be \(3, 'K'\)"),
        ("alif", {"adaptation": torch.zeros(3, 1)}, ValueError, r"constants had shape \(2, 2\); it must be \(2, 1\)"),
        ("alif", {"adaptation": torch.zeros(3, 2).double()}, TypeError, "adaptation was torch.float64"),
        ("alif", {"constants": torch.zeros(2, 2).double()}, ValueError, "constants was torch.float64"),
        ("adex", {"reduction": "max"}, ValueError, "reduction was 'max'; it must be one of None, 'mean', 'sum'"),
    ],
)
@pytest.mark.parametrize("step", [ops.neuron_step, ops.neuron_step_], ids=["functional", "in place"])
def test_bad_models_and_adaptations(backend, step, model, change, error, match):
    voltage, refrac = state((2, 3))
    before = voltage.clone(), refrac.clone()
    options = of_model(model if model in MEMBRANES else "lif", (2, 3)) | change
    with pytest.raises(error, match=match):
        step(model, voltage, refrac, inputs((2, 3)), **options)
    assert_identical(voltage, before[0])
    assert_identical(refrac, before[1])


def test_missing_parameters_are_named(backend):
    options = of_model("qif", (2, 3))
    del options["crit_v"], options["dt"]
    for step in (ops.neuron_step, ops.neuron_step_):
        with pytest.raises(TypeError, match=r"qif: parameters missing: \['crit_v', 'dt'\], unknown: none"):
            step("qif", *state((2, 3)), inputs((2, 3)), **options)


@pytest.mark.parametrize("step", [ops.neuron_step, ops.neuron_step_], ids=["functional", "in place"])
def test_no_samples(backend, step):
    options = of_model("alif", (0, 3))
    with pytest.raises(ValueError, match=r"voltage had shape \(0, 3\); a reduction needs at least one sample"):
        step("alif", *state((0, 3)), inputs((0, 3)), **options)
    options["reduction"] = None
    result = step("alif", *state((0, 3)), inputs((0, 3)), **options)
    assert (result if step is ops.neuron_step_ else result[2]).shape == (0, 3)


def test_adaptations_that_overlap_the_state_are_refused(native):
    memory = torch.full((6,), -60.0)
    options = of_model("alif", (1, 3), reduction=None) | {"adaptation": memory[:3].view(3, 1)}
    options["constants"] = torch.ones(2, 1)
    with pytest.raises(RuntimeError, match="voltage, adaptation: overlap"):
        ops.neuron_step_("alif", memory[2:5].view(1, 3), torch.zeros(1, 3), torch.zeros(1, 3), **options)
