"""The step that all synapses share, as an instruction of a program."""

from __future__ import annotations

import torch

from ...ops import Operand, Program
from ...state import RecordTensor
from ..base import InfernoSynapse


def enter(
    synapse: InfernoSynapse,
    program: Program,
    model: str,
    inputs: Operand,
    currents: tuple[RecordTensor, ...] = (),
    *,
    gain: float,
    decay: tuple[float, ...] = (),
    dtype: torch.dtype | None = None,
) -> Operand | None:
    """Adds a step to a program; arguments as for :func:`._step.step`, with one input, ``(B, *shape)``.

    Returns:
        the present currents, in nA; None where this is not the common case, which the kernel takes as it is.
    """
    records = (synapse.spike_, *currents)
    if currents:
        dtype = currents[0]._data.dtype
    if isinstance(gain, torch.Tensor) or inputs.tensor.dtype not in (torch.bool, dtype):
        return None
    if any(record._data.requires_grad or record._data.shape[1:] != inputs.shape for record in records):
        return None
    spikes, *rings = (record._target() for record in records)
    return program.synapse(model, inputs, spikes, rings, gain=gain, decay=decay, dtype=dtype)
