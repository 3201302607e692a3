"""The loop of a recurrent layer over a whole sequence, as one program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn as nn

from ...ops import Operand, Program, choose
from ...state._ring import capturing
from .._coverage import Chunk, covers, separate, watched
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


class Prepared(NamedTuple):
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


def unseen(layer: nn.Module, parts: Iterable[nn.Module], chunk: Chunk) -> bool:
    """Whether nothing looks into the steps of a layer: no hook, no compiler."""
    if torch.compiler.is_compiling() or any(map(watched, layer.modules())) or not separate(parts):
        return False
    return chunk.steps > 0 and any(isinstance(x, torch.Tensor) for x in chunk.arguments)


def has_graph(layer: nn.Module, chunk: Chunk) -> bool:
    """Whether autograd knows the state of a layer, or is to record its steps."""
    if any(tensor.requires_grad for tensor in layer.buffers()):
        return True
    if not torch.is_grad_enabled():
        return False
    given = [x for x in chunk.arguments if isinstance(x, torch.Tensor)]
    spikes = any(getattr(part, "_spike_graph", None) is not None for part in layer.modules())
    return spikes or any(t.requires_grad for t in (*given, *layer.parameters()))


def _enter(part: nn.Module, program: Program, *operands: Operand, **kwargs: Any) -> Operand | None:
    """Adds the step of a part to a program; None where it has none that stands for its calls."""
    return part._enter(program, *operands, **kwargs) if covers(part, "_enter") else None


def prepare(
    loop: Loop, program: Program, inputs: tuple[Any, ...], steps: int, returned: torch.Tensor
) -> Prepared | None:
    """Enters a loop into a program; None, with no values changed, where its parts must be called.

    Args:
        loop: the parts.
        program: one without instructions.
        inputs: those of the feed-forward connection, ``(T, B, *inshape)``.
        steps: T.
        returned: last spikes of the feedback neurons, ``(B, *shape)``, bool.
    """
    device, neurons = returned.device, (loop.feedfwd_neuron, loop.feedback_neuron)
    if choose("layer_run", device).backend != "native" or not _fit(loop, returned):
        return None
    feedfwd, feedback = (
        torch.empty((steps + extra, *neuron.batchedshape), dtype=torch.bool, device=device)
        for extra, neuron in enumerate(neurons)
    )
    feedback[0] = returned
    currents, driven = None, _enter_undelayed(loop.feedfwd, program, inputs)
    if driven is None:
        weight = loop.feedfwd.weight_
        currents = torch.empty(feedfwd.shape, dtype=weight.dtype, device=device)
        driven = program.sequence(currents.flatten(2))
    entered = _enter_loop(loop, program, driven, feedfwd.flatten(2), feedback.flatten(2))
    return Prepared(program, currents, feedfwd, feedback) if entered and program.runs() else None


def _fit(loop: Loop, returned: torch.Tensor) -> bool:
    """Whether the parts hand each other what they take, without broadcasting."""
    first, second = tuple(loop.feedfwd_neuron.shape), tuple(loop.feedback_neuron.shape)
    given = [tuple(connection.outshape) for connection in (loop.feedfwd, loop.lateral, loop.feedback)]
    whole = returned.shape == loop.feedback_neuron.batchedshape
    return whole and given == [first, second, first] and isinstance(loop.feedfwd, WeightedConnection)


def _enter_loop(
    loop: Loop, program: Program, driven: Operand, feedfwd: torch.Tensor, feedback: torch.Tensor
) -> bool:
    """Adds what is in the loop, in the order of a step; False where a part has to be called.

    Args:
        loop: the parts.
        program: what they are added to.
        driven: the outputs of the feed-forward connection, ``(B, n)``.
        feedfwd, feedback: the spikes, ``(T, B, n)`` and ``(T + 1, B, m)``.
    """
    current = _enter(loop.feedback, program, program.sequence(feedback))
    if current is None or current.shape != driven.shape or current.tensor.dtype != driven.tensor.dtype:
        return False
    current, spikes = program.sum(driven, current), program.sequence(feedfwd)
    if _enter(loop.feedfwd_neuron, program, current, spikes, **loop.feedfwd_kwargs) is None:
        return False
    current, spikes = _enter(loop.lateral, program, spikes), program.sequence(feedback, 1)
    if current is None:
        return False
    return _enter(loop.feedback_neuron, program, current, spikes, **loop.feedback_kwargs) is not None


def _enter_undelayed(connection: WeightedConnection, program: Program, inputs: tuple[Any, ...]) -> Operand | None:
    """Adds the feed-forward connection; None where it takes its sequence at once, which is faster with delays.

    Without, a product of matrices for all steps rounds its sums in another order than one for each step.
    """
    if connection.delayedby or len(inputs) != 1 or inputs[0].shape[2:] != connection.inshape:
        return None
    return _enter(connection, program, program.sequence(inputs[0].flatten(2)))


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
