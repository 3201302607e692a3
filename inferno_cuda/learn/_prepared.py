"""The terms of pairs of recordings, taken from these as in the step before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from ._arrivals import Arriving, ArrivingSpikes
from ._routing import Sides, routed
from ._sent import history_of, sum_of
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

    def sides(self) -> Sides | None:
        """The sides of an update that :func:`._terms.deferred` makes of the terms; None where it has to be asked."""
        if not native_on_cpu() or torch.compiler.is_compiling():
            return None
        found = outer_sides(self.data, self.pointers)
        if found is None:
            return None
        (sides, counts), events, terms = found, 0.0, []
        for k, (side, size) in enumerate(self.spiking):
            events += counts[2 * k + side] / size  # of a row or column
            outer = OuterProduct(sides[2 * k], sides[2 * k + 1], self.scale)
            terms.append((Deferred._of((outer,), self.dtype), self.rates[k]))
        return None if events > MOST_EVENTS else routed(terms)


class PreparedSent(NamedTuple):
    """The sums of products with what arrives after delays, and what they depend on.

    Attributes:
        connection: the connection that is trained.
        monitors: how many monitors the cell has.
        facts: what must not have changed.
        posts: the rings of what is taken of the neurons, each with its one slot.
        sums: of each term, what computes it.
        rates: of each term.
        spikes: what records spikes as they are sent, and reads them from the history of the synapse.
    """

    connection: Connection
    monitors: int
    facts: Facts
    posts: list[tuple[torch.Tensor, torch.Tensor]]
    sums: list[Callable[[], torch.Tensor | None]]
    rates: list[float]
    spikes: list[ArrivingSpikes]

    def holds(self, connection: Connection, monitors: Mapping[str, nn.Module]) -> bool:
        """Whether the same sums are to be taken for a cell."""
        if self.connection is not connection or self.monitors != len(monitors) or not self.facts.hold():
            return False
        if any(ring.data_ptr() != slot.data_ptr() for ring, slot in self.posts):
            return False
        record = connection._modules["synapse_"].spike_
        return all(reducer._seen.is_at(record, 0) for reducer in self.spikes)

    def sides(self) -> Sides | None:
        """The sides of the update; None where no kernel sums."""
        terms = []
        for summed, rate in zip(self.sums, self.rates, strict=True):
            found = summed()
            if found is None:
                return None
            terms.append((found, rate))
        return routed(terms)


def prepared_sent(
    connection: Connection, monitors: Mapping[str, nn.Module], pairs: Sequence[Pair], state: Module
) -> PreparedSent | None:
    """The sums for the pairs of a cell with delays; None where these are not all recorded as they are sent."""
    reduction, synapse = state.batchreduce, connection._modules.get("synapse_")
    if not pairs or (reduction not in MEANS and reduction not in SUMS) or torch.compiler.is_compiling():
        return None
    how = history_of(connection)
    if how is None:
        return None
    delay, record = connection._parameters["delay_"], how.record
    same = [(connection._modules, "synapse_", synapse), (connection._parameters, "delay_", delay)]
    same += [(synapse._buffers, record.attributes.data, record._data)]
    posts, sums, spikes, parts, rings = [], [], [], [connection, synapse, state], []
    for pair in pairs:
        after, before = monitors[pair.post]._modules["reducer_"], monitors[pair.pre]._modules["reducer_"]
        if type(after) not in READ_AS_RECORDED or not isinstance(before, Arriving) or after._initial:
            return None
        ring, sent = after.data_._data, before.sent()
        if sent is None or len(ring) != 1 or ring.requires_grad or not ring.is_cpu or sent.ring.requires_grad:
            return None
        posts.append((ring, ring[0]))
        scale = 1.0 / ring.shape[1] if reduction in MEANS and ring.shape[1] else 1.0
        sums.append(sum_of(ring[0], sent, scale))
        rings += [ring, sent.ring]
        parts += [after, before]
        same += [(before.__dict__, "_of_sent", True), (before.__dict__, "_plan", before._plan)]
        same += [(before._extras, before.data_.attributes.pointer, before.data_._pointer_tensor)]
        for name, reducer in ((pair.post, after), (pair.pre, before)):
            same += [(monitors, name, monitors[name]), (monitors[name]._modules, "reducer_", reducer)]
            same += [(reducer._buffers, reducer.data_.attributes.data, reducer.data_._data)]
        if isinstance(before, ArrivingSpikes):
            if not before._seen.is_at(record, 0):
                return None
            spikes.append(before)
    same += [(part.__dict__, STAMP, part._stamp()) for part in parts]
    facts = Facts(same, [(synapse.__dict__, "spike_at")], rings)
    return PreparedSent(connection, len(monitors), facts, posts, sums, [pair.rate for pair in pairs], spikes)


def prepared(
    connection: Connection, monitors: Mapping[str, nn.Module], pairs: Sequence[Pair], state: Module
) -> Prepared | PreparedSent | None:
    """The call for the pairs of a cell; None where :func:`._routing.two_factor` has to be asked for their terms."""
    if connection.delayedby:
        return prepared_sent(connection, monitors, pairs, state)
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
