"""How the steps of neurons pass gradients on, as numbers, for whoever goes back through time by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from ._neuron_graph import _coefficient, _compute_type, _rows
from .backend import runs_native
from .native import status
from .neuron import without_negative_zeros
from .neuron_run import _options, neuron_run

if status.loaded:
    _raw = torch.ops.inferno_cuda.neuron_slopes.default

    @torch.library.register_fake("inferno_cuda::neuron_slopes")
    def _(
        inputs, voltage, refrac, adaptation, constants, coefficients, places, numbers, model, reduction, refrac_lock,
        surrogate, scale, detach_reset,
    ):  # fmt: skip
        return [torch.empty(inputs.shape, dtype=_compute_type(voltage), device=voltage.device) for _ in range(4)]


_ELEMENTS = 1 << 17  # of the steps that are taken at once, so that they stay in the cache


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
    with torch.no_grad():
        if voltage.is_cpu and runs_native(voltage, "neuron_run"):
            return _by_kernel(model, voltage, refrac, inputs, adaptation, surrogate, **options)
    return _by_single_steps(model, voltage, refrac, inputs, adaptation, surrogate=surrogate, **options)


def _by_kernel(
    model, voltage, refrac, inputs, adaptation, surrogate, *, refrac_lock=True, detach_reset=False, constants=None,
    reduction=None, **parameters,
):  # fmt: skip
    options, coefficients = _options(
        model, voltage, reduction, refrac_lock, surrogate, detach_reset, (), None, without_negative_zeros(parameters)
    )
    state = (tensor if tensor is None else tensor.contiguous() for tensor in (voltage, refrac, adaptation, constants))
    numbers = [_coefficient(p, voltage) for p in coefficients]
    return NeuronSlopes(*_raw(_rows(inputs), *state, numbers, *options.rule(), *options.surrogate, detach_reset))


def _by_single_steps(model, voltage, refrac, inputs, adaptation, *, surrogate, **options):
    """The same by the backward pass of sequences of one step, of which every step of this one is a sample."""
    compute = _compute_type(voltage)
    slopes = NeuronSlopes(*(torch.empty(inputs.shape, dtype=compute, device=inputs.device) for _ in range(4)))
    piece, first = max(1, _ELEMENTS // max(1, voltage.numel())), 0
    for currents in inputs.split(piece):
        with torch.no_grad():
            run = neuron_run(
                model, voltage, refrac, currents, adaptation=adaptation, record=("voltage", "refrac"), **options
            )
        pairs = (voltage, run.voltages), (refrac, run.refracs)
        before = [torch.cat([old.unsqueeze(0), new[:-1]]) for old, new in pairs]
        found = _of_steps(model, *before, currents, compute, adaptation, **options, surrogate=surrogate)
        for every, some in zip(slopes, found, strict=True):
            every[first : first + len(currents)] = some.view(currents.shape)
        voltage, refrac, first = run.voltage, run.refrac, first + len(currents)
    return slopes


def _of_steps(model, voltage, refrac, inputs, compute, adaptation, **options):
    """The derivatives of steps that start from these states, all ``[T, B, *shape]``: each is a sequence of one step."""
    start, waiting, currents = (x.flatten(0, 1).to(compute) for x in (voltage, refrac, inputs))
    start.requires_grad_()
    currents = currents.unsqueeze(0).requires_grad_()
    fixed = None if adaptation is None else adaptation.to(compute)
    with torch.enable_grad():
        run = neuron_run(model, start, waiting, currents, adaptation=fixed, **options)
        results = run.voltage.sum(), run.spikes.sum()
    return [slope for result in results for slope in torch.autograd.grad(result, (start, currents), retain_graph=True)]
