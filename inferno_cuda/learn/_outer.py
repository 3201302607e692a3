"""Terms that are outer products of two recordings, taken from these by one call of a kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from ..neural import Connection, Deferred
from ..neural.connections.linear import MatrixConnection
from ..ops import OuterProduct, native_on_cpu
from ..ops.updates import outer_sides
from ..state import Module
from ..state._facts import Facts
from ..state.module import STAMP
from ._routing import Sides, routed
from ._terms import FEWEST_DEFERRED, MEANS, MOST_EVENTS, READ_AS_RECORDED, SUMS


class Pair(NamedTuple):
    """A product of what two monitors recorded last.

    Attributes:
        post: name of the monitor of the neurons.
        pre: name of the monitor of the connection's ``synspike``.
        spikes: the one of them that records spikes.
        rate: whose sign says which side the product goes to.
    """

    post: str
    pre: str
    spikes: str
    rate: float


class Prepared(NamedTuple):
    """The call of the kernel that takes the sides of outer products from recordings, and what it depends on.

    Attributes:
        connection: the connection that is trained.
        monitors: how many monitors the cell has.
        facts: what must not have changed.
        data, pointers: the rings of what the pairs multiply, two of each pair.
        spiking: of each pair, which of its two records spikes, and how many elements that has.
        rates: of each pair.
        scale: of the products.
        dtype: of the update.
    """

    connection: Connection
    monitors: int
    facts: Facts
    data: list[torch.Tensor]
    pointers: list[torch.Tensor]
    spiking: list[tuple[int, int]]
    rates: list[float]
    scale: float
    dtype: torch.dtype

    def holds(self, connection: Connection, monitors: Mapping[str, nn.Module]) -> bool:
        """Whether the same call is to be made for a cell."""
        return self.connection is connection and self.monitors == len(monitors) and self.facts.hold()


def prepared(
    connection: Connection, monitors: Mapping[str, nn.Module], pairs: Sequence[Pair], state: Module
) -> Prepared | None:
    """The call for the pairs of a cell; None where :func:`._terms.deferred` has to be asked for their terms."""
    kind, weight, reduction = type(connection), connection._parameters.get("weight_"), state.batchreduce
    if weight is None or weight.numel() < FEWEST_DEFERRED or not pairs:
        return None
    plain = kind.postsyn_receptive is MatrixConnection.postsyn_receptive
    if not plain or kind.presyn_receptive is not MatrixConnection.presyn_receptive or connection.delayedby is not None:
        return None
    if reduction not in MEANS and reduction not in SUMS:
        return None
    data, pointers, spiking, parts = [], [], [], [connection, state]
    same = [(connection._parameters, "weight_", weight)]
    for pair in pairs:
        for name, size in zip(pair[:2], weight.shape, strict=True):
            monitor = monitors[name]
            reducer = monitor._modules["reducer_"]
            ring, pointer = reducer._buffers["_data__data"], reducer._extras["_data__pointer"]
            if type(reducer) not in READ_AS_RECORDED or reducer._extras["_initial"] or not ring.is_cpu:
                return None
            if ring.requires_grad or ring.dtype != weight.dtype or ring.shape[2:].numel() != size:
                return None
            same += [(monitors, name, monitor), (monitor._modules, "reducer_", reducer)]
            same += [(reducer._buffers, "_data__data", ring), (reducer._extras, "_data__pointer", pointer)]
            parts.append(reducer)
            data.append(ring)
            pointers.append(pointer)
        side = int(pair.spikes != pair.post)
        spiking.append((side, weight.shape[side]))
    batch = data[0].shape[1]
    if any(ring.shape[1] != batch for ring in data) or not batch:
        return None
    same += [(part.__dict__, STAMP, part._stamp()) for part in parts]
    scale = 1.0 / batch if reduction in MEANS else 1.0
    rates = [pair.rate for pair in pairs]
    facts = Facts(same, (), data)
    return Prepared(connection, len(monitors), facts, data, pointers, spiking, rates, scale, weight.dtype)


def deferred_pairs(how: Prepared) -> Sides | None:
    """The sides of an update that :func:`._terms.deferred` makes of the terms; None where it, too, has to be asked."""
    if not native_on_cpu() or torch.compiler.is_compiling():
        return None
    found = outer_sides(how.data, how.pointers)
    if found is None:
        return None
    (sides, counts), events, terms = found, 0.0, []
    for k, (side, size) in enumerate(how.spiking):
        events += counts[2 * k + side] / size  # of a row or column
        outer = OuterProduct(sides[2 * k], sides[2 * k + 1], how.scale)
        terms.append((Deferred._of((outer,), how.dtype), how.rates[k]))
    return None if events > MOST_EVENTS else routed(terms)
