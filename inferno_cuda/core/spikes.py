"""Measures of spike trains."""

from __future__ import annotations

import torch
from torch import Tensor


def isi(spikes: Tensor, step_time: float, time_first: bool = True) -> Tensor:
    """Intervals between the spikes of every element.

    Args:
        spikes: ``(T, *shape)``, or ``(*shape, T)`` if not ``time_first``; nonzero is a spike.
        step_time: length of a step, in ms.
        time_first: whether time is the first dimension or the last.

    Returns:
        Intervals in ms, in the default dtype: ``(n, *shape)`` or ``(*shape, n)``, in order of time and then NaN, where
        ``n`` is the largest number of intervals of an element.

    Raises:
        ValueError: if ``spikes`` has no dimension.
    """
    if spikes.ndim == 0:
        raise ValueError("'spikes' was a scalar; it must have a dimension for time")
    trains = (spikes.movedim(0, -1) if time_first else spikes) != 0
    shape, steps = trains.shape[:-1], trains.shape[-1]
    rows = trains.reshape(shape.numel(), steps)
    row, step = rows.nonzero(as_tuple=True)
    counts = rows.sum(1)
    most = int(counts.max()) if counts.numel() else 0
    result = torch.full((len(rows), max(most - 1, 0)), torch.nan, device=spikes.device)
    same = row[1:] == row[:-1]
    # the k-th spike of an element ends its interval k - 1
    order = torch.arange(len(row), device=spikes.device) - (counts.cumsum(0) - counts)[row]
    result[row[1:][same], order[1:][same] - 1] = step.diff()[same].to(result.dtype) * step_time
    result = result.view(*shape, result.shape[1])
    return result.movedim(-1, 0) if time_first else result


def victor_purpura_pair_dist(t0: Tensor, t1: Tensor, cost: float | Tensor) -> Tensor:
    """The Victor-Purpura distance of two spike trains: the least cost of turning one into the other.

    Adding or removing a spike costs 1, moving one by ``t`` costs ``cost * t``. Computed in float64, a row of the table
    of Victor and Purpura (1996), doi:10.1152/jn.1996.76.2.1310, at a time: it
    loops over the spikes of the shorter train, and does the longer one and all costs at once.

    Args:
        t0: spike times of one train, ``(m,)``, in any order.
        t1: spike times of the other, ``(n,)``, in the same unit.
        cost: of moving a spike by one unit of time, a number or any number of them, >= 0; may be infinite.

    Returns:
        One distance for each cost, in the shape and dtype of ``cost``; ``(1,)`` for a single number.

    Raises:
        ValueError: if spike times are not 1-dimensional, or a cost is negative or NaN.
    """
    for name, times in (("t0", t0), ("t1", t1)):
        if times.ndim != 1:
            raise ValueError(f"'{name}' had shape {tuple(times.shape)}; it must have one dimension")
    costs = cost if isinstance(cost, Tensor) else torch.tensor(float(cost), device=t0.device)
    if not bool((costs >= 0).all()):
        raise ValueError(f"'cost' of {cost} must be nonnegative")
    few, many = sorted((t0.double().sort()[0], t1.double().sort()[0]), key=len)
    per_time = costs.double().reshape(-1, 1)
    number = torch.arange(len(many) + 1, dtype=torch.float64, device=many.device)
    row = number.expand(len(per_time), -1)
    for time in few:
        apart = (many - time).abs()
        # an infinite cost does not forbid a move by nothing
        move = torch.where(apart == 0, 0, per_time * apart)
        best = torch.cat([row[:, :1] + 1, torch.minimum(row[:, 1:] + 1, row[:, :-1] + move)], 1)
        # adding the rest of the other train to the best start: the least of best[k] + (j - k) over k <= j
        row = (best - number).cummin(1).values + number
    dtype = costs.dtype if costs.is_floating_point() else torch.get_default_dtype()
    return row[:, -1].to(dtype).reshape(costs.shape or (1,))
