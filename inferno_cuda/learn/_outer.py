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
from ._routing import Sides, routed
from ._terms import FEWEST_DEFERRED, MEANS, MOST_EVENTS, READ_AS_RECORDED, SUMS, Reduction


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


def deferred_pairs(
    connection: Connection, monitors: Mapping[str, nn.Module], pairs: Sequence[Pair], reduction: Reduction
) -> Sides | None:
    """The sides of an update that :func:`._terms.deferred` makes of the terms; None where it, too, has to be asked."""
    kind, weight = type(connection), connection._parameters.get("weight_")
    if weight is None or weight.numel() < FEWEST_DEFERRED or not pairs or not native_on_cpu():
        return None
    plain = kind.postsyn_receptive is MatrixConnection.postsyn_receptive
    if not plain or kind.presyn_receptive is not MatrixConnection.presyn_receptive or connection.delayedby is not None:
        return None
    if reduction not in MEANS and reduction not in SUMS:
        return None
    names = [name for pair in pairs for name in pair[:2]]
    rings = [_ring(monitors[name]) for name in names]
    if None in rings:
        return None
    data, pointers = zip(*rings, strict=True)
    dtype, batch = data[0].dtype, data[0].shape[1]
    found = outer_sides(data, pointers) if batch and all(ring.dtype == dtype for ring in data) else None
    if found is None or any(side.shape != (batch, weight.shape[k % 2]) for k, side in enumerate(found[0])):
        return None
    sides, counts = found
    events = sum(counts[k] * batch / sides[k].numel() for k in (names.index(pair.spikes) for pair in pairs))
    if events > MOST_EVENTS:
        return None
    scale = 1.0 / batch if reduction in MEANS else 1.0
    outers = (OuterProduct(sides[2 * k], sides[2 * k + 1], scale) for k in range(len(pairs)))
    return routed((Deferred._of((outer,), dtype), pair.rate) for outer, pair in zip(outers, pairs, strict=True))


def _ring(monitor: nn.Module) -> tuple[torch.Tensor, torch.Tensor] | None:
    """What a monitor records into and its pointer, if its present state is the newest record."""
    reducer = monitor._modules["reducer_"]
    if type(reducer) not in READ_AS_RECORDED or reducer._extras["_initial"]:
        return None
    data = reducer._buffers["_data__data"]
    return None if data.requires_grad or not data.is_cpu else (data, reducer._extras["_data__pointer"])
