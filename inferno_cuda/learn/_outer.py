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
    if weight is None or weight.numel() < FEWEST_DEFERRED or not pairs:
        return None
    if not native_on_cpu() or torch.compiler.is_compiling():
        return None
    plain = kind.postsyn_receptive is MatrixConnection.postsyn_receptive
    if not plain or kind.presyn_receptive is not MatrixConnection.presyn_receptive or connection.delayedby is not None:
        return None
    if reduction not in MEANS and reduction not in SUMS:
        return None
    data, pointers = [], []
    for pair in pairs:
        for name in pair[:2]:
            reducer = monitors[name]._modules["reducer_"]
            ring = reducer._buffers["_data__data"]
            if type(reducer) not in READ_AS_RECORDED or reducer._extras["_initial"] or not ring.is_cpu:
                return None
            if ring.requires_grad or ring.dtype != weight.dtype:
                return None
            data.append(ring)
            pointers.append(reducer._extras["_data__pointer"])
    batch = data[0].shape[1]
    found = outer_sides(data, pointers) if batch else None
    return None if found is None else _sides(pairs, *found, weight, reduction)


def _sides(
    pairs: Sequence[Pair], sides: list[torch.Tensor], counts: list[int], weight: torch.Tensor, reduction: Reduction
) -> Sides | None:
    """The sides of an update from those of outer products; None where the terms are made sooner."""
    batch, terms, events = sides[0].shape[0], [], 0.0
    scale = 1.0 / batch if reduction in MEANS else 1.0
    for k, pair in enumerate(pairs):
        post, pre = sides[2 * k : 2 * k + 2]
        if post.shape != (batch, weight.shape[0]) or pre.shape != (batch, weight.shape[1]):
            return None
        is_post = pair.spikes == pair.post
        events += counts[2 * k + (not is_post)] / (post if is_post else pre).shape[1]  # of a row or column
        terms.append((Deferred._of((OuterProduct(post, pre, scale),), weight.dtype), pair.rate))
    return None if events > MOST_EVENTS else routed(terms)
