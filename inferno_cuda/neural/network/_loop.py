"""The loop of a recurrent layer over a whole sequence, as one program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from ...ops import Operand, Program, choose
from ...state._ring import capturing
from .._coverage import covers
from ..base import Connection, Neuron
from ..connections._base import WeightedConnection


class Loop(NamedTuple):
    """The parts of a recurrent layer, and the keyword arguments of its neurons."""

    feedfwd: Connection
    lateral: Connection
    feedback: Connection
    feedfwd_neuron: Neuron
    feedback_neuron: Neuron
    feedfwd_kwargs: Mapping[str, Any]
    feedback_kwargs: Mapping[str, Any]


class Ran(NamedTuple):
    """What a program of a loop writes, before and while it is run.

    Attributes:
        program: all of the loop; a run of it changes the state.
        currents: outputs of the feed-forward connection, ``(T, B, *outshape)``, to be filled in before; None if the
            program computes them.
        feedfwd: spikes of the feed-forward neurons, ``(T, B, *shape)``, bool.
        feedback: spikes of the feedback neurons, ``(T + 1, B, *shape)``, bool: first those of the step before.
    """

    program: Program
    currents: torch.Tensor | None
    feedfwd: torch.Tensor
    feedback: torch.Tensor


def _enter(part: torch.nn.Module, program: Program, *operands: Operand, **kwargs: Any) -> Operand | None:
    """Adds the step of a part to a program; None where it has none that stands for its calls."""
    return part._enter(program, *operands, **kwargs) if covers(part, "_enter") else None


def _each(sequence: torch.Tensor, first: int = 0) -> Operand:
    return Program.sequence(sequence.flatten(2), first)


def prepare(loop: Loop, inputs: tuple[Any, ...], steps: int, returned: torch.Tensor) -> Ran | None:
    """The program of a loop; None, with no values changed, where its parts must be called.

    Args:
        loop: the parts.
        inputs: those of the feed-forward connection, ``(T, B, *inshape)``.
        steps: T.
        returned: last spikes of the feedback neurons, ``(B, *shape)``, bool.
    """
    neurons = (loop.feedfwd_neuron, loop.feedback_neuron)
    shapes = [(connection.outshape, neuron.shape) for connection, neuron in zip(loop[:3], _driven(loop), strict=True)]
    if any(tuple(out) != tuple(shape) for out, shape in shapes):
        return None
    if choose("layer_run", returned.device).backend != "native" or not isinstance(loop.feedfwd, WeightedConnection):
        return None
    program = Program()
    feedfwd, feedback = (
        torch.empty((steps + extra, *neuron.batchedshape), dtype=torch.bool, device=returned.device)
        for extra, neuron in enumerate(neurons)
    )
    if feedback.shape[1:] != returned.shape:
        return None
    feedback[0] = returned

    currents, driven = None, _enter_undelayed(loop.feedfwd, program, inputs)
    if driven is None:
        weight = loop.feedfwd.weight_
        currents = torch.empty((steps, *feedfwd.shape[1:]), dtype=weight.dtype, device=weight.device)
        driven = _each(currents)
    current = _enter(loop.feedback, program, _each(feedback))
    if current is None or current.shape != driven.shape or current.tensor.dtype != driven.tensor.dtype:
        return None
    wired = program.sum(driven, current)
    if _enter(neurons[0], program, wired, _each(feedfwd), **loop.feedfwd_kwargs) is None:
        return None
    current = _enter(loop.lateral, program, _each(feedfwd))
    if current is None or _enter(neurons[1], program, current, _each(feedback, 1), **loop.feedback_kwargs) is None:
        return None
    return Ran(program, currents, feedfwd, feedback) if program.runs() else None


def _driven(loop: Loop) -> tuple[Neuron, Neuron, Neuron]:
    return loop.feedfwd_neuron, loop.feedback_neuron, loop.feedfwd_neuron


def _enter_undelayed(connection: WeightedConnection, program: Program, inputs: tuple[Any, ...]) -> Operand | None:
    """Adds the feed-forward connection; None where it takes its sequence at once, which is faster with delays.

    Without, a product of matrices for all steps rounds its sums in another order than one for each step.
    """
    if connection.delayedby or len(inputs) != 1 or inputs[0].ndim < 3 or inputs[0].shape[2:] != connection.inshape:
        return None
    return _enter(connection, program, _each(inputs[0]))


def as_spikes(spikes: torch.Tensor) -> torch.Tensor | None:
    """Spikes, which are floating point for neurons with a surrogate, as bool; None where they are other numbers."""
    if spikes.dtype == torch.bool:
        return spikes
    if capturing(spikes):
        return None
    fired = spikes != 0
    return fired if torch.equal(fired.to(spikes.dtype), spikes) else None


def like_spikes(spikes: torch.Tensor, neuron: Neuron) -> torch.Tensor:
    """Bool spikes in the dtype in which the neurons give them."""
    return spikes if neuron.surrogate is None else spikes.to(neuron._buffers["_voltage__data"].dtype)
