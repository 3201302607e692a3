"""The loop of a recurrent layer over a whole sequence, as one program in each direction of autograd.

The spikes that come back are known once the loop has run. With them it is open, and its parts have the whole sequence
before them, one after the other: their own sequences are the graph. What that leaves out is that spikes which come back
depend on the step before; :class:`_Closed` adds it to the gradients, going back around the loop.

The parts run twice like that. From the first time come the spikes; from the second, with the spikes of the first as
they are outside of the layer, the state, so that gradients of the state pass through the loop as those of spikes do.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn as nn

from ...ops.common import forbid_second_derivatives
from ...state._replay import State
from ...state._ring import capturing
from .._coverage import Chunk
from ..base import Neuron
from ..connections._base import WeightedConnection
from ..sequence import advance
from ._loop import Loop, Prepared, as_spikes, prepare
from ._loop_adjoint import RecordedProgram, Way, around


class _Closed(torch.autograd.Function):
    """Spikes of both groups as they are; their gradients go around the loop before they reach the graphs of these."""

    @staticmethod
    def forward(ctx, first, second, way, *kept):
        ctx.set_materialize_grads(False)
        ctx.way, ctx.shape = way, second.shape
        ctx.save_for_backward(*kept)
        return first.clone(), second.clone()  # which may be written to

    @staticmethod
    def backward(ctx, of_first, of_second):
        forbid_second_derivatives("the loop of a recurrent layer")
        kept = ctx.saved_tensors
        if of_first is None and of_second is None:
            return (None,) * (3 + len(kept))
        way = ctx.way.whole(kept)
        given = [None if gradient is None else gradient.flatten(2) for gradient in (of_first, of_second)]
        with torch.autocast(kept[0].device.type, enabled=False):
            total = around(way, *given)
        return of_first, total.to(way.cells[1].currents.dtype).view(ctx.shape), *[None] * (1 + len(kept))


class _Given(torch.autograd.Function):
    """The first tensor, with the gradient of the sum of the others."""

    @staticmethod
    def forward(ctx, value, *terms):
        ctx.terms = len(terms)
        return value.view_as(terms[0])

    @staticmethod
    def backward(ctx, gradient):
        return None, *[gradient] * ctx.terms


class _Opened(NamedTuple):
    """The loop with the currents and the spikes that it turned out to have.

    Attributes:
        loop: the parts.
        driven: the graph of the outputs of the feed-forward connection, ``(T, B, *shape)``.
        currents: inputs of both groups of neurons, ``(T, B, n)``.
    """

    loop: Loop
    driven: torch.Tensor
    currents: tuple[torch.Tensor, torch.Tensor]

    def first(self, returned: torch.Tensor) -> torch.Tensor:
        """Runs what comes before the spikes of the feed-forward neurons, which it gives."""
        current = _Given.apply(self.currents[0], self.driven, _known(self.loop.feedback, returned))
        return _through(self.loop.feedfwd_neuron, current, **self.loop.feedfwd_kwargs)

    def second(self, first: torch.Tensor) -> torch.Tensor:
        """Runs the rest, which gives the spikes of the feedback neurons."""
        current = _Given.apply(self.currents[1], _known(self.loop.lateral, first))
        return _through(self.loop.feedback_neuron, current, **self.loop.feedback_kwargs)


def _through(part: nn.Module, *inputs: torch.Tensor, **kwargs: object) -> torch.Tensor:
    return advance.through(part, Chunk(inputs, len(inputs[0])), kwargs, ()).outputs


def _known(connection: WeightedConnection, *inputs: torch.Tensor) -> torch.Tensor:
    """What has the graph of the outputs of a connection, whatever its values."""
    made = connection._run_known(*inputs)
    return _through(connection, *inputs) if made is None else made


def _differentiable(neuron: Neuron) -> bool:
    """Whether there are kernels for the spikes of neurons and for their gradients."""
    return neuron.surrogate is not None and not neuron._why_torch()


def _may_run(loop: Loop, last: torch.Tensor) -> bool:
    """Whether gradients go around the loop, and all of them."""
    cut = any(connection.synapse.inplace for connection in (loop.lateral, loop.feedback))
    neurons = loop.feedfwd_neuron, loop.feedback_neuron
    return torch.is_grad_enabled() and not cut and not capturing(last) and all(map(_differentiable, neurons))


def _prepared(loop: Loop, program: RecordedProgram, chunk: Chunk, last: torch.Tensor) -> Prepared | None:
    with torch.no_grad():
        returned = as_spikes(last)
        prepared = None if returned is None else prepare(loop, program, chunk.arguments, chunk.steps, returned)
    # adaptations that move tie the samples, and a step to the next one, together
    moving = any(cells.options.get("reduction") is not None for cells in program.cells)
    return None if moving else prepared


def run_recorded(layer: nn.Module, loop: Loop, chunk: Chunk, last: torch.Tensor) -> tuple[torch.Tensor, ...] | None:
    """Runs a loop through a sequence, with a graph of autograd.

    Args:
        layer: the layer.
        loop: its parts.
        chunk: the inputs of the feed-forward connection.
        last: the last spikes of the feedback neurons, ``(B, *shape)``.

    Returns:
        the spikes of both groups of neurons, ``(T, B, *shape)``; None, with no values changed, where the layer must be
        stepped.
    """
    if not _may_run(loop, last):
        return None
    start, program, neurons = State(layer), RecordedProgram(chunk.steps), (loop.feedfwd_neuron, loop.feedback_neuron)
    with start.again(graph=False):
        prepared = _prepared(loop, program, chunk, last)
    if prepared is None:
        return None
    if prepared.currents is None:
        driven = _known(loop.feedfwd, *chunk.arguments)
    else:
        driven = advance.through(loop.feedfwd, chunk, {}, ()).outputs
        prepared.currents.copy_(driven.detach())
    program.run(chunk.steps)

    cells = [
        one._replace(options=one.options | {"surrogate": neuron.surrogate, "detach_reset": neuron.detach_reset})
        for one, neuron in zip(program.cells, neurons, strict=True)
    ]
    way, kept = Way(tuple(program.paths[-2:]), tuple(cells)).apart()
    opened = _Opened(loop, driven, tuple(one.currents for one in cells))
    with start.again():
        first = opened.first(_returned(last, prepared.feedback[1:-1]))
        first, second = _Closed.apply(first, opened.second(first), way, *kept)
    opened.first(_returned(last, second[:-1]))
    opened.second(first)
    return first, second


def _returned(last: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """The spikes that come back in each step: the last ones before, and all others but those of the last step."""
    dtype = others.dtype if last.dtype == torch.bool else last.dtype
    return torch.cat([last.unsqueeze(0).to(dtype), others.to(dtype)])
