"""The step of neurons, as an instruction of a program."""

from __future__ import annotations

from typing import Any

import torch

from ...ops import Operand, Program
from ..base import InfernoNeuron


def enter(
    neuron: InfernoNeuron,
    program: Program,
    inputs: Operand,
    spikes: Operand,
    refrac_lock: bool,
    **adaptation: Any,
) -> Operand | None:
    """Adds a step of neurons of this package to a program.

    Args:
        neuron: the neurons.
        program: what it is added to.
        inputs: input currents, ``(B, n)``, in nA.
        spikes: where the spikes are written to, ``(B, n)``, bool.
        refrac_lock: as for a step.
        **adaptation: the arguments of the op for neurons that adapt.

    Returns:
        ``spikes``; None where the neurons are to be called.
    """
    parameters = neuron._parameters_of_step()
    if any(isinstance(value, torch.Tensor) for value in parameters.values()) or type(refrac_lock) is not bool:
        return None
    voltage, refrac = neuron._buffers["_voltage__data"], neuron._buffers["_refrac__data"]
    flat, held = (len(voltage), voltage[0].numel()), (voltage, refrac, *adaptation.values())
    tensors = [tensor for tensor in held if isinstance(tensor, torch.Tensor)]
    if any(tensor.requires_grad or not tensor.is_contiguous() for tensor in tensors):
        return None
    if inputs.shape != flat or inputs.tensor.dtype != voltage.dtype:
        return None
    if neuron._must_rebind(voltage, False, neuron._state_read):
        neuron._rebind(voltage.clone(), refrac.clone())
        voltage, refrac = neuron._buffers["_voltage__data"], neuron._buffers["_refrac__data"]
    return program.neuron(
        neuron._model,
        voltage.view(flat),
        refrac.view(flat),
        inputs,
        spikes,
        refrac_lock=refrac_lock,
        **adaptation,
        **parameters,
    )
