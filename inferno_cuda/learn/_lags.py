"""The time between the last spikes of both sides of synapses, and what learning rules make of it."""

from __future__ import annotations

import torch
from torch import Tensor

from ..neural import Cell, Connection
from ..observe import Monitor
from ._sent import Sent
from ._terms import Kept, arriving, is_delayed, newest, seen
from ._times import Rate, Timed, timed


def _without_border(connection: Connection, times: Tensor) -> Tensor:
    """Times of spikes, with NaN for what is beyond the border of an image, where there are none."""
    if not any(getattr(connection, "padding", ())):
        return times
    inside = connection._windows.unfold(torch.ones(connection.inshape, dtype=torch.bool, device=times.device))
    return times.masked_fill(~(inside if times.ndim == 3 else inside.unsqueeze(-1)), torch.nan)


def lag(cell: Cell, post: Monitor, pre: Monitor, delayed: bool, tolerance: float) -> Tensor:
    """Time from the last presynaptic spike to the last postsynaptic one, in ms, ``(B, *weight, L)``; NaN without both.

    Args:
        cell: the cell that the monitors are of.
        post: recorded the time since the last spike of ``neuron.spike``.
        pre: recorded that of ``connection.synspike``, or with ``delayed``, ``synapse.spike``.
        delayed: whether it is looked up at the delays, where there are any.
        tolerance: by which a delay may be off the grid of steps and still be on it, in ms.
    """
    connection = cell.connection
    since = arriving(cell, pre, delayed, tolerance, nothing=torch.nan)
    if isinstance(since, Sent):
        since = since.gathered(torch.nan)
    if delayed and connection.delayedby is not None:
        since = _without_border(connection, since)
    return connection.presyn_receptive(since) - connection.postsyn_receptive(newest(post))


def adjusted_lag(cell: Cell, post: Monitor, pre: Monitor) -> Tensor:
    """Time from the arrival of the last presynaptic spike to the last postsynaptic one, in ms, ``(B, *weight, L)``.

    NaN without both. Negative before the spike arrives.

    Args:
        cell: the cell that the monitors are of; its connection has delays.
        post: recorded the time since the last spike of ``neuron.spike``.
        pre: recorded that of ``synapse.spike``.
    """
    connection = cell.connection
    since = _without_border(connection, seen(connection, newest(pre)))
    lag = connection.presyn_receptive(since) - connection.postsyn_receptive(newest(post))
    return lag - connection._parameter("delay").unsqueeze(-1)


Exponentials = tuple[Timed, Timed] | tuple[Kept, Kept]


def adjusted_terms(cell: Cell, post: Monitor, pre: Monitor, after: Rate, before: Rate) -> Exponentials:
    """:func:`exponential_terms` of :func:`adjusted_lag`."""

    def generic() -> tuple[Kept, Kept]:
        return exponential_terms(adjusted_lag(cell, post, pre), after, before)

    return timed(cell.connection, newest(post), newest(pre), after, before, True, generic)


def window_terms(
    cell: Cell, post: Monitor, pre: Monitor, delayed: bool, tolerance: float, after: Rate, before: Rate
) -> Exponentials:
    """:func:`exponential_terms` of :func:`lag`."""

    def generic() -> tuple[Kept, Kept]:
        return exponential_terms(lag(cell, post, pre, delayed, tolerance), after, before)

    if is_delayed(cell, delayed):
        return generic()
    since = arriving(cell, pre, delayed, tolerance, nothing=torch.nan)
    return timed(cell.connection, newest(post), since, after, before, False, generic)


def exponential_terms(lag: Tensor, after: Rate, before: Rate) -> tuple[Kept, Kept]:
    """Terms that decay with the distance of two spikes: ``|rate| exp(-|lag| / time_constant)``.

    Args:
        lag: ``(B, *weight, L)``, in ms; NaN contributes nothing.
        after: rate and time constant, in ms, where the lag is not negative.
        before: rate and time constant, in ms, where it is.

    Returns:
        the terms of both.
    """

    def term(rate: float, time_constant: float, counted: Tensor) -> Kept:
        return Kept(torch.where(counted, torch.exp(lag.abs() / -time_constant) * abs(rate), 0.0).sum(-1))

    return term(*after, lag >= 0), term(*before, lag < 0)


def kernel_terms(*changes: Tensor) -> tuple[list[Kept], list[Kept]]:
    """The parts of changes, ``(B, *weight, L)``, that are positive, and those that are negative, as they are."""
    up = [Kept(change.clamp_min(0.0).nansum(-1)) for change in changes]
    return up, [Kept(change.clamp_max(0.0).nansum(-1)) for change in changes]
