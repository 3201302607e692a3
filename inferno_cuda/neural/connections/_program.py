"""The step of weighted connections, as instructions of a program."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ...ops import Operand, Program
from .._coverage import covers
from ._base import WeightedConnection
from ._plan import fuses

Undelayed = Callable[[Operand, torch.Tensor, torch.Tensor | None], Operand]


def enter(connection: WeightedConnection, program: Program, inputs: Operand, undelayed: Undelayed) -> Operand | None:
    """Adds a step to a program: that of the synapse, and the sum.

    Args:
        connection: the connection.
        program: what it is added to.
        inputs: the spikes, ``(B, I)``.
        undelayed: the instruction for the sum without delays.

    Returns:
        the currents into the next neurons, ``(B, O)``, in nA; None where the connection is to be called.
    """
    synapse, weight, bias = connection.synapse_, connection.weight, connection.bias
    if not covers(synapse, "_enter") or (bias is not None and bias.dtype != weight.dtype):
        return None
    if not connection.delayedby:
        fits = connection._present_dtype(synapse) == weight.dtype
        current = synapse._enter(program, inputs) if fits else None
        return None if current is None else undelayed(current, weight, bias)
    delay = connection._held("delay_")
    if not fuses(synapse) or (delay.requires_grad and torch.is_grad_enabled()):
        return None
    how = synapse.delayed_current()
    parts = (how,) if how.minus is None else (how, how.minus)
    if any(connection._recorded_dtype(part) != weight.dtype for part in parts):
        return None
    looked_up = connection._planned(synapse)
    if synapse._enter(program, inputs) is None:
        return None
    sums = [
        program.delayed_sum(connection._fused_op, part.record._target(), weight, plan, b, part.scale)
        for (part, plan), b in zip(looked_up, (bias, None), strict=False)
    ]
    return sums[0] if len(sums) == 1 else program.difference(*sums)
