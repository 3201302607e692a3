"""Pending updates of a parameter, applied to it."""

from typing import NamedTuple

import torch

from .exponential import divide
from .plasticity import compute_dtype, correlate


class Limit(NamedTuple):
    """Scales an update with a power of the distance between the parameter and a limit.

    Attributes:
        limit: the limit.
        below: whether the distance is ``limit - param``; otherwise ``param - limit``.
        power: of the distance; None: 1 where it is positive, otherwise 0.
        range: what the distance is divided by first; None: nothing.
    """

    limit: float
    below: bool
    power: float | None = 1.0
    range: float | None = None


class OuterProduct(NamedTuple):
    """An update of weights ``[O, I]``: ``scale * sum_b post[b, o] * pre[b, i]``; post ``[B, O]``, pre ``[B, I]``."""

    post: torch.Tensor
    pre: torch.Tensor
    scale: float = 1.0


def bounded(limit, param, update):
    """The update scaled by a :class:`Limit`, or as it is without one."""
    if limit is None:
        return update
    distance = limit.limit - param if limit.below else param - limit.limit
    if limit.range is not None:
        distance = divide(distance, limit.range)
    if limit.power is None:
        return torch.heaviside(distance, distance.new_zeros(())) * update
    return _power(distance, limit.power) * update


def _power(distance, power):
    """Those that kernels know by products, which round alike everywhere."""
    if power in (1.0, 2.0, 3.0):
        return (distance, distance * distance, distance * distance * distance)[int(power) - 1]
    return distance**power


def _changed(param, pos, neg, upper, lower):
    return param + (bounded(upper, param, pos) - bounded(lower, param, neg))


def apply_updates_(param, pos, neg, upper=None, lower=None):
    """``param += bounded(pos) - bounded(neg)``. pos, neg: of param's shape and dtype, or None."""
    compute = compute_dtype(param.dtype)
    pos, neg = (torch.zeros_like(param) if update is None else update for update in (pos, neg))
    param.copy_(_changed(*(t.to(compute) for t in (param, pos, neg)), upper, lower))


def _summed(param, outers, compute):
    total = torch.zeros(param.shape, dtype=compute, device=param.device)
    for post, pre, scale in outers:
        sides = post.to(compute), pre.to(compute)
        total = total + correlate(*sides, shape=tuple(param.shape), scale=scale, dtype=compute)
    return total


def apply_outers_(param, pos, neg, upper=None, lower=None):
    """:func:`apply_updates_` with sums of :class:`~inferno_cuda.ops.OuterProduct`.

    Where both sums are 0, the parameter stays.
    """
    compute = compute_dtype(param.dtype)
    pos, neg = _summed(param, pos, compute), _summed(param, neg, compute)
    before = param.to(compute)
    after = _changed(before, pos, neg, upper, lower)
    param.copy_(torch.where((pos != 0) | (neg != 0), after, before))
