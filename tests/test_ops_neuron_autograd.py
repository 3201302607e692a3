"""The neuron op: gradients, and where there are none."""

import pytest
import torch
from neuron_cases import ADAPTIVE, CELL, MEMBRANES, functional, in_place, inputs, of_model, state

from inferno_cuda import ops, reference
from inferno_cuda.testing import assert_identical


def test_writes_are_seen_by_autograd(backend):
    voltage, refrac = state((2, 3))
    weight = torch.ones(2, 3, requires_grad=True)
    loss = (weight * voltage).sum()
    ops.neuron_step_("lif", voltage, refrac, inputs((2, 3)), **CELL)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize("model", MEMBRANES)
def test_gradients_equal_autograd_of_the_reference(backend, model, lock):
    shape = (2, 30)

    def run(step):
        voltage, refrac = state(shape, torch.float64)
        voltage = leaf = voltage.requires_grad_()
        x = inputs((5, *shape), torch.float64).requires_grad_()
        options = of_model(model, shape, torch.float64)
        options |= {} if model in ADAPTIVE else {"adaptation": None, "constants": None, "reduction": None}
        leaves = [leaf, x]
        if model in ADAPTIVE:
            leaves.append(options["adaptation"].requires_grad_())
        for t in range(5):
            voltage, refrac, _, adaptation = step(model, voltage, refrac, x[t], refrac_lock=lock, **options)
            options["adaptation"] = adaptation
        weight = torch.linspace(-1, 1, 60, dtype=torch.float64).view(shape)
        total = (voltage * weight).sum()
        if adaptation is not None:
            total = total + adaptation.square().sum()
        total.backward()
        return [leaf.grad for leaf in leaves]

    for actual, expected in zip(run(ops.neuron_step), run(reference.neuron_step), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-14)
        assert (actual != 0).any()


@pytest.mark.parametrize("model", MEMBRANES)
def test_gradients_by_finite_differences(backend, model):
    shape = (2, 4)
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    voltage = (4 * drawn - 60).requires_grad_()
    refrac = torch.zeros(shape, dtype=torch.float64)
    x = inputs(shape, torch.float64).mul(0.1).requires_grad_()
    options = of_model(model, shape, torch.float64)
    leaves = [voltage, x, *([options["adaptation"].requires_grad_()] if model in ADAPTIVE else [])]

    def step(voltage, x, adaptation=None):
        changed = options if adaptation is None else options | {"adaptation": adaptation}
        new_voltage, _, spikes, new_adaptation = ops.neuron_step(model, voltage, refrac, x, **changed)
        assert not spikes.any()
        return new_voltage if new_adaptation is None else (new_voltage, new_adaptation)

    assert torch.autograd.gradcheck(step, leaves)
    assert torch.autograd.gradgradcheck(step, leaves)


def test_refractory_time_carries_no_gradient(backend):
    voltage, refrac = state((2, 3))
    out = ops.neuron_step("lif", voltage, refrac.requires_grad_(), inputs((2, 3)), **CELL)
    assert not out[1].requires_grad
    out[0].sum().backward()
    assert refrac.grad is None


def test_forward_mode_is_refused_rather_than_dropped(backend):
    voltage, refrac = state((2, 3))
    with torch.autograd.forward_ad.dual_level():
        x = torch.autograd.forward_ad.make_dual(inputs((2, 3)), torch.ones(2, 3))
        for step in (functional, in_place):
            with pytest.raises((RuntimeError, NotImplementedError)):
                step(voltage, refrac, x, **CELL)


@pytest.mark.parametrize("which", ["voltage", "refrac", "inputs"])
def test_in_place_refuses_to_drop_a_gradient(backend, which):
    tensors = dict(zip(("voltage", "refrac", "inputs"), (*state((2, 3)), inputs((2, 3))), strict=True))
    before = {name: t.clone() for name, t in tensors.items()}
    tensors[which].requires_grad_()
    with pytest.raises(RuntimeError, match=f"{which} requires a gradient"):
        ops.neuron_step_("lif", **tensors, **CELL)
    for name, t in tensors.items():
        assert_identical(t, before[name])
