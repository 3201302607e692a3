"""How the steps of a sequence of neurons pass gradients on, as numbers, for whoever goes back through time by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from .neuron_run import neuron_run


class NeuronSlopes(NamedTuple):
    """The derivatives of a step, in every step, ``[T, B, *shape]`` each.

    Attributes:
        voltage_of_voltage: of the voltage after the step with respect to that before.
        voltage_of_input: of the voltage after the step with respect to the current.
        spike_of_voltage: of the spike with respect to the voltage before the step.
        spike_of_input: of the spike with respect to the current.
    """

    voltage_of_voltage: torch.Tensor
    voltage_of_input: torch.Tensor
    spike_of_voltage: torch.Tensor
    spike_of_input: torch.Tensor


def neuron_slopes(
    model: str,
    voltage: torch.Tensor,
    refrac: torch.Tensor,
    inputs: torch.Tensor,
    *,
    adaptation: torch.Tensor | None = None,
    surrogate: Callable[[torch.Tensor], torch.Tensor],
    **options,
) -> NeuronSlopes:
    """The derivatives of each step of :func:`neuron_run`, of which no step depends on another then.

    Neurons do not depend on each other, so that there is one number for each neuron and step, and the gradient of a
    voltage or a current before a step is a sum of two products. Adaptations must stand still.

    Args:
        model, voltage, refrac, inputs, adaptation, surrogate: as for :func:`neuron_run`.
        **options: further arguments of it, but for ``reduction`` and ``record``.

    Returns:
        The derivatives, in float32, or float64 if `voltage` is.
    """
    compute = torch.float64 if voltage.dtype == torch.float64 else torch.float32
    with torch.no_grad():
        run = neuron_run(
            model, voltage, refrac, inputs, adaptation=adaptation, record=("voltage", "refrac"), **options
        )
        # every step is a sample of a sequence of one step
        before = [
            torch.cat([first.unsqueeze(0), after[:-1]]).flatten(0, 1).to(compute)
            for first, after in ((voltage, run.voltages), (refrac, run.refracs))
        ]
        currents = inputs.flatten(0, 1).to(compute).unsqueeze(0)
    with torch.enable_grad():
        start, waiting = before[0].requires_grad_(), before[1]
        currents.requires_grad_()
        fixed = None if adaptation is None else adaptation.to(compute)
        one = neuron_run(model, start, waiting, currents, adaptation=fixed, surrogate=surrogate, **options)
        found = [
            torch.autograd.grad(result.sum(), (start, currents), retain_graph=True)
            for result in (one.voltage, one.spikes)
        ]
    return NeuronSlopes(*(slope.view(inputs.shape) for pair in found for slope in pair))
