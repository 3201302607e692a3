"""Many steps of neurons in the reference: values are those of single steps, gradients those of the definition."""

import math

import pytest
import torch
from neuron_cases import ADAPTIVE, MEMBRANES, inputs, of_model, state

from inferno_cuda import reference, surrogate
from inferno_cuda.surrogate import ATan, Gaussian, Sigmoid, Triangular
from inferno_cuda.testing import DTYPES, assert_identical

SHAPE = (2, 3)


def learned(model, dtype=torch.float64):
    """Options of a model with its parameters as tensors: some for each neuron, some for all; and these by name."""
    options = of_model(model, SHAPE, dtype)
    per_neuron = torch.tensor([1.0, 1.02, 0.99], dtype=dtype)
    found = {name: options[name] * per_neuron for name in MEMBRANES[model]}
    found |= {name: torch.tensor(options[name], dtype=dtype) for name in ("rest_v", "resistance")}
    found["thresh_v"] = options["thresh_v"] * per_neuron
    found |= {name: options[name] for name in ("adaptation", "constants") if name in options}
    return options, {name: tensor.requires_grad_() for name, tensor in found.items()}


@pytest.mark.parametrize("shape", [ATan(0.3), Gaussian(0.2)], ids=lambda s: s.name)
@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize("model", MEMBRANES)
def test_gradcheck_in_smooth_mode(model, lock, shape):
    options, leaves = learned(model)
    voltage, refrac = state(SHAPE, torch.float64)
    x = inputs((3, *SHAPE), torch.float64)
    leaves = {"voltage": voltage.requires_grad_(), "inputs": x.requires_grad_(), **leaves}

    def run(*tensors):
        given = options | dict(zip(leaves, tensors, strict=True))
        out = reference.neuron_run(
            model, given.pop("voltage"), refrac, given.pop("inputs"), refrac_lock=lock, surrogate=shape, smooth=True,
            record=("voltage",), **given,
        )  # fmt: skip
        return [t for t in (out.spikes, out.voltage, out.voltages, out.adaptation) if t is not None]

    assert torch.autograd.gradcheck(run, tuple(leaves.values()), fast_mode=True)


LIF = {"dt": 1.0, "refrac_t": 2.0, "rest_v": 0.0, "resistance": 1.0, "decay": 0.5}


def worked_lif(detach_reset):
    """Four steps of one neuron: below the threshold, a spike, refractory, below again."""
    x = torch.tensor([1.6, 2.0, 5.0, 1.0], dtype=torch.float64).view(4, 1, 1).requires_grad_()
    start = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    thresh_v = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    reset_v = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    out = reference.neuron_run(
        "lif", start, torch.zeros(1, 1, dtype=torch.float64), x, surrogate=Triangular(1.0), detach_reset=detach_reset,
        record=("voltage",), thresh_v=thresh_v, reset_v=reset_v, **LIF,
    )  # fmt: skip
    assert out.spikes.flatten().tolist() == [0, 1, 0, 0]
    assert out.voltages.flatten().tolist() == [0.8, 0.0, 0.0, 0.5]
    weight = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64).view(4, 1, 1)
    loss = (weight * out.spikes).sum() + 3 * out.voltage.sum()
    found = torch.autograd.grad(loss, (x, start, thresh_v, reset_v))
    return found[0].flatten().tolist(), [tensor.item() for tensor in found[1:]]


def test_worked_gradient():
    """Voltages before the reset 0.8, 1.4, 0, 0.5; Triangular gives 0.8, 0.6, none and 0.5 for the four spikes.

    Step 4: dL/ds = 8 + 3 (0 - 0.5) = 6.5, dL/dV = 3 + 6.5 * 0.5 = 6.25, half of it to the input and to step 3, which
    hands it on. Step 2: dL/ds = 2 + 3.125 (0 - 1.4) = -2.375, dL/dV = -2.375 * 0.6 = -1.425, dL/d(reset_v) = 3.125.
    Step 1: dL/ds = 1 - 0.7125 (0 - 0.8) = 1.57, dL/dV = -0.7125 + 1.57 * 0.8 = 0.5435.
    """
    to_inputs, others = worked_lif(detach_reset=False)
    assert to_inputs == pytest.approx([0.27175, -0.7125, 0.0, 3.125])
    not_spiking = 3.125 * 1 + 3 * 0  # what the reset potential gets: step 2 fired, step 4 did not
    assert others == pytest.approx([0.27175, -(1.57 * 0.8 - 2.375 * 0.6 + 6.5 * 0.5), not_spiking])


def test_worked_gradient_with_the_reset_detached():
    """dL/ds are 1, 2 and 8 then, and dL/dV 1.4, 1.2 and 7."""
    to_inputs, others = worked_lif(detach_reset=True)
    assert to_inputs == pytest.approx([0.7, 0.6, 0.0, 3.5])
    assert others == pytest.approx([0.7, -(0.8 + 1.2 + 4.0), 3.5])


def test_worked_gradient_of_an_adaptation():
    """Two steps of ALIF, a jump of 0.25 and a decay of 0.5: a spike at the threshold, then 0.25 mV below the new one.

    L = s2 + a2. Step 2: dL/ds = 1 + 0.25, dL/dV = 1.25 * 0.75 = 0.9375, dL/da1 = -0.9375 + 0.5 = -0.4375. Step 1:
    dL/ds = 0.46875 (0 - 1) - 0.4375 * 0.25 = -0.578125, which is dL/dV too, and dL/da0 = 0.578125 - 0.5 * 0.4375.
    """
    x = torch.full((2, 1, 1), 2.0, dtype=torch.float64, requires_grad=True)
    start = torch.zeros(1, 1, dtype=torch.float64)
    adaptation = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    constants = torch.tensor([[0.5], [0.25]], dtype=torch.float64, requires_grad=True)
    out = reference.neuron_run(
        "alif", start, start, x, surrogate=Triangular(), adaptation=adaptation, constants=constants, reduction="mean",
        thresh_v=1.0, reset_v=0.0, **(LIF | {"refrac_t": 0.0}),
    )  # fmt: skip
    assert out.spikes.flatten().tolist() == [1, 0] and out.adaptation.item() == 0.125
    found = torch.autograd.grad(out.spikes[1].sum() + out.adaptation.sum(), (x, adaptation, constants))
    assert found[0].flatten().tolist() == pytest.approx([-0.2890625, 0.46875])
    assert found[1].item() == pytest.approx(0.578125 - 0.21875)
    # the decay acted on 0 and 0.25, the jump on the first spike alone
    assert found[2].flatten().tolist() == pytest.approx([0.25, -0.4375])


@pytest.mark.parametrize("shape, lock", [(None, True), (ATan(), True), (ATan(), False)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("model", MEMBRANES)
def test_values_are_those_of_single_steps(model, dtype, lock, shape):
    options = of_model(model, SHAPE, dtype)
    voltage, refrac = state(SHAPE, dtype)
    x = inputs((20, *SHAPE), dtype) * 3
    out = reference.neuron_run(
        model, voltage, refrac, x, refrac_lock=lock, surrogate=shape, record=("voltage", "refrac"), **options
    )
    options = {"adaptation": None, "constants": None, "reduction": None} | options
    fired = 0
    for t in range(20):
        stepped = reference.neuron_step(model, voltage, refrac, x[t], refrac_lock=lock, **options)
        voltage, refrac, spikes, moved = stepped
        options["adaptation"] = moved
        assert_identical(out.spikes[t], spikes if shape is None else spikes.to(dtype), "spikes")
        assert_identical(out.voltages[t], voltage, "voltages")
        assert_identical(out.refracs[t], refrac, "refracs")
        fired += int(spikes.sum())
    assert fired > 5
    assert_identical(out.voltage, voltage)
    assert_identical(out.refrac, refrac)
    assert (out.adaptation is None) == (model not in ADAPTIVE)
    if model in ADAPTIVE:
        assert_identical(out.adaptation, moved)


@pytest.mark.parametrize("model", MEMBRANES)
@pytest.mark.parametrize("cls", [getattr(surrogate, n) for n in surrogate.__all__ if n != "Surrogate"])
def test_no_gradient_is_silently_zero(cls, model):
    options, leaves = learned(model)
    options |= leaves
    voltage, refrac = state(SHAPE, torch.float64)
    x = (inputs((12, *SHAPE), torch.float64) * 2).requires_grad_()
    out = reference.neuron_run(model, voltage.requires_grad_(), refrac, x, surrogate=cls(0.05), **options)
    assert 0 < out.spikes.sum() < out.spikes.numel()
    for name, gradient in zip(
        ("voltage", "inputs", *leaves),
        torch.autograd.grad(out.spikes.sum(), (voltage, x, *leaves.values())),
        strict=True,
    ):
        assert gradient.isfinite().all() and gradient.any(), name


def test_refractory_neurons_pass_no_gradient_but_along_their_voltage():
    voltage = torch.full(SHAPE, -40.0, dtype=torch.float64, requires_grad=True)  # above the threshold
    x = torch.ones(2, *SHAPE, dtype=torch.float64, requires_grad=True)
    refrac = torch.full(SHAPE, 9.0, dtype=torch.float64)
    options = of_model("lif", SHAPE, torch.float64)
    out = reference.neuron_run("lif", voltage, refrac, x, surrogate=ATan(), **options)
    assert not out.spikes.any()
    found = torch.autograd.grad(out.spikes.sum() + out.voltage.sum(), (voltage, x))
    assert torch.equal(found[0], torch.ones_like(voltage)) and not found[1].any()
    free = reference.neuron_run("lif", voltage, refrac, x, surrogate=ATan(), refrac_lock=False, **options)
    (found,) = torch.autograd.grad(free.voltage.sum(), voltage)
    torch.testing.assert_close(found, torch.full_like(voltage, 0.95**2))


def test_any_function_lends_its_gradient():
    """Its values are of no account, be they no spikes at all."""
    options = of_model("lif", SHAPE, torch.float64)
    found = []
    for shape in (Sigmoid(0.5), lambda v: torch.sigmoid(0.5 * v), lambda v: 7 - torch.sigmoid(-0.5 * v)):
        voltage, refrac = state(SHAPE, torch.float64)
        x = inputs((9, *SHAPE), torch.float64).requires_grad_()
        out = reference.neuron_run("lif", voltage, refrac, x, surrogate=shape, **options)
        assert set(out.spikes.unique().tolist()) == {0.0, 1.0}
        found.append(torch.autograd.grad(out.spikes.sum() + out.voltage.sum(), x)[0])
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])


def test_without_a_surrogate_spikes_have_no_gradient():
    voltage, refrac = state(SHAPE)
    x = inputs((3, *SHAPE)).requires_grad_()
    out = reference.neuron_run("lif", voltage, refrac, x, **of_model("lif", SHAPE))
    assert out.spikes.dtype == torch.bool and not out.spikes.requires_grad and out.voltage.requires_grad


@pytest.mark.parametrize("shape", [None, ATan()], ids=["bool", "atan"])
def test_no_steps(shape):
    voltage, refrac = state(SHAPE)
    options = of_model("alif", SHAPE)
    out = reference.neuron_run(
        "alif", voltage, refrac, torch.empty(0, *SHAPE), surrogate=shape, record=("voltage",), **options
    )
    assert out.spikes.shape == out.voltages.shape == (0, *SHAPE)
    assert out.spikes.dtype == (torch.bool if shape is None else torch.float32)
    assert out.voltage is voltage and out.adaptation is options["adaptation"] and out.refracs is None


def test_voltages_out_of_range_are_reset_exactly():
    """What is chosen is chosen, not summed: a difference from infinity would be none."""
    voltage = torch.tensor([[math.inf, -math.inf, -60.0]])
    options = of_model("lif", SHAPE) | {"reset_v": -65.0}
    out = reference.neuron_run("lif", voltage, torch.zeros(1, 3), torch.zeros(1, 1, 3), surrogate=ATan(), **options)
    assert out.voltage.tolist() == [[-65.0, -math.inf, -60.0]] and out.spikes.tolist() == [[[1.0, 0.0, 0.0]]]


def test_a_parameter_for_each_neuron_computes_in_the_type_of_the_state():
    options = of_model("lif", SHAPE)
    voltage, refrac = state(SHAPE)
    x = inputs((9, *SHAPE)) * 2
    plain = reference.neuron_run("lif", voltage, refrac, x, **options)
    tensors = options | {"thresh_v": torch.full((3,), -45.0, dtype=torch.float64), "decay": torch.tensor(0.95)}
    assert_identical(reference.neuron_run("lif", voltage, refrac, x, **tensors).voltage, plain.voltage)


def test_under_vmap_and_grad():
    options = of_model("lif", SHAPE, torch.float64)
    voltage, refrac = state(SHAPE, torch.float64)
    x = inputs((5, *SHAPE), torch.float64)

    def loss(x, weight):
        return reference.neuron_run("lif", voltage, refrac, x * weight, surrogate=ATan(), **options).spikes.sum()

    weights = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    found = torch.func.vmap(torch.func.grad(loss, argnums=1), in_dims=(None, 0))(x, weights)
    expected = [torch.func.grad(loss, argnums=1)(x, w) for w in weights]
    torch.testing.assert_close(found, torch.stack(expected))
    assert found.all()
