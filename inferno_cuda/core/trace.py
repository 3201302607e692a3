"""Traces: values that jump at events and decay in between. Each function makes one step.

``observation`` and ``trace`` have the same shape; a ``trace`` of None is that before the first step, where nothing has
been observed. ``decay`` is the factor of one step, ``exp(-step_time / time_constant)``. An event is an observation that
equals ``target``, or lies within ``tolerance`` of it; in the scaled functions, one for which ``matchfn`` returns True.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .math import exp

Number = int | float | complex
Match = Callable[[Tensor], Tensor]


def _events(observation: Tensor, target: Number | bool, tolerance: int | float | None) -> Tensor:
    if tolerance is None:
        return observation == target
    # torch subtracts no bools, and unsigned integers wrap round
    number = observation if observation.is_floating_point() or observation.is_complex() else observation.double()
    return (number - (int(target) if isinstance(target, bool) else target)).abs() <= tolerance


def _matched(matchfn: Match, observation: Tensor) -> Tensor:
    mask = matchfn(observation)
    return mask if mask.dtype == torch.bool else mask != 0


def _first(observation: Tensor, amplitude: Number, events: Tensor) -> Tensor:
    return amplitude * events.to(observation.dtype)


def trace_nearest(
    observation: Tensor,
    trace: Tensor | None,
    *,
    decay: float,
    amplitude: Number,
    target: Number | bool,
    tolerance: int | float | None = None,
) -> Tensor:
    """``amplitude`` at an event, else ``decay * trace``: only the last event counts."""
    events = _events(observation, target, tolerance)
    if trace is None:
        return _first(observation, amplitude, events)
    return torch.where(events, amplitude, decay * trace)


def trace_cumulative(
    observation: Tensor,
    trace: Tensor | None,
    *,
    decay: float,
    amplitude: Number,
    target: Number | bool,
    tolerance: int | float | None = None,
) -> Tensor:
    """``decay * trace``, plus ``amplitude`` at an event: all events add up."""
    events = _events(observation, target, tolerance)
    if trace is None:
        return _first(observation, amplitude, events)
    decayed = decay * trace
    return torch.where(events, decayed + amplitude, decayed)


def trace_nearest_scaled(
    observation: Tensor, trace: Tensor | None, *, decay: float, amplitude: Number, scale: Number, matchfn: Match
) -> Tensor:
    """``scale * observation + amplitude`` at an event, else ``decay * trace``."""
    value = scale * observation + amplitude
    return torch.where(_matched(matchfn, observation), value, 0 if trace is None else decay * trace)


def trace_cumulative_scaled(
    observation: Tensor, trace: Tensor | None, *, decay: float, amplitude: Number, scale: Number, matchfn: Match
) -> Tensor:
    """``decay * trace``, plus ``scale * observation + amplitude`` at an event."""
    value = scale * observation + amplitude
    events = _matched(matchfn, observation)
    if trace is None:
        return torch.where(events, value, 0)
    decayed = decay * trace
    return torch.where(events, decayed + value, decayed)


def trace_cumulative_value(observation: Tensor, trace: Tensor | None, *, decay: float, scale: Number) -> Tensor:
    """``decay * trace + scale * observation``: every observation counts, by its value."""
    value = scale * observation
    return value if trace is None else decay * trace + value


def exp_trace_nearest(
    observation: Tensor,
    trace: Tensor | None,
    *,
    step_time: float,
    time_constant: float,
    amplitude: Number,
    target: Number | bool,
    tolerance: int | float | None = None,
) -> Tensor:
    """:func:`trace_nearest` with the decay of a step of ``step_time`` under ``time_constant``, both in ms."""
    decay = exp(-step_time / time_constant)
    return trace_nearest(observation, trace, decay=decay, amplitude=amplitude, target=target, tolerance=tolerance)


def exprate_trace_nearest(
    observation: Tensor,
    trace: Tensor | None,
    *,
    step_time: float,
    rate_constant: float,
    amplitude: Number,
    target: Number | bool,
    tolerance: int | float | None = None,
) -> Tensor:
    """:func:`trace_nearest` with the decay of a step of ``step_time`` (ms) under ``rate_constant`` (1/ms)."""
    decay = exp(-step_time * rate_constant)
    return trace_nearest(observation, trace, decay=decay, amplitude=amplitude, target=target, tolerance=tolerance)


def exp_trace_cumulative(
    observation: Tensor,
    trace: Tensor | None,
    *,
    step_time: float,
    time_constant: float,
    amplitude: Number,
    target: Number | bool,
    tolerance: int | float | None = None,
) -> Tensor:
    """:func:`trace_cumulative` with the decay of a step of ``step_time`` under ``time_constant``, both in ms."""
    decay = exp(-step_time / time_constant)
    return trace_cumulative(observation, trace, decay=decay, amplitude=amplitude, target=target, tolerance=tolerance)


def exprate_trace_cumulative(
    observation: Tensor,
    trace: Tensor | None,
    *,
    step_time: float,
    rate_constant: float,
    amplitude: Number,
    target: Number | bool,
    tolerance: int | float | None = None,
) -> Tensor:
    """:func:`trace_cumulative` with the decay of a step of ``step_time`` (ms) under ``rate_constant`` (1/ms)."""
    decay = exp(-step_time * rate_constant)
    return trace_cumulative(observation, trace, decay=decay, amplitude=amplitude, target=target, tolerance=tolerance)
