"""Reducers that keep observations as they are, or when there was one of interest."""

from __future__ import annotations

from typing import Any, Literal

import torch

from ...functional import interp_previous
from ...state import _check as check
from ...types import OneToOne
from .base import FoldReducer


class EventReducer(FoldReducer):
    """Time since the last event, ms.

    Args:
        step_time: time between observations, > 0 ms.
        criterion: from an observation to a bool tensor of its shape: where it is an event.
        initial: the time before the first event: ``"inf"``, ``"zero"`` or ``"nan"``. From zero, time is counted.
        duration: length of the history, >= 0 ms.
        inclusive: whether both ends of the duration are recorded.
        inplace: whether the history is written in place even where that cuts an autograd graph.

    Raises:
        ValueError: a time is out of range, or there is no such initial time.

    Example:
        >>> import torch
        >>> from inferno_cuda.observe import EventReducer
        >>> since = EventReducer(0.5, criterion=lambda spikes: spikes)
        >>> for spikes in ([True, False], [False, False], [False, False]):
        ...     since(torch.tensor(spikes))
        >>> since.peek()
        tensor([1., inf])
    """

    def __init__(
        self,
        step_time: float,
        criterion: OneToOne[torch.Tensor],
        initial: Literal["inf", "zero", "nan"] = "inf",
        duration: float = 0.0,
        inclusive: bool = False,
        inplace: bool = False,
    ) -> None:
        name = check.one_of("initial", check.instance("initial", initial, str).lower(), ("inf", "zero", "nan"))
        fill = 0.0 if name == "zero" else float(name)
        FoldReducer.__init__(self, step_time, duration, inclusive, inplace, fill)
        self.criterion = criterion

    def fold(self, obs: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        """The times after an observation, of the shape of both; ``state`` is None before the first one."""
        events = self.criterion(obs)
        events = events if events.dtype == torch.bool else events != 0
        since = self._fill if state is None else state + self.dt
        return torch.where(events, 0.0, since).to(self.data.dtype)

    def interpolate(
        self, prev_data: torch.Tensor, next_data: torch.Tensor, sample_at: torch.Tensor, step_time: float
    ) -> torch.Tensor:
        """The time before, plus what has passed since; arguments as for :meth:`FoldReducer.interpolate`."""
        return prev_data + sample_at


class PassthroughReducer(FoldReducer):
    """The observations themselves, cast to the dtype of the record.

    Args:
        step_time: time between observations, > 0 ms.
        duration: length of the history, >= 0 ms.
        inclusive: whether both ends of the duration are recorded.
        inplace: whether the history is written in place even where that cuts an autograd graph.

    Raises:
        ValueError: a time is out of range.
    """

    def __init__(
        self, step_time: float, duration: float = 0.0, inclusive: bool = False, inplace: bool = False
    ) -> None:
        FoldReducer.__init__(self, step_time, duration, inclusive, inplace, 0)

    def fold(self, obs: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        """The observation."""
        return obs

    def forward(self, *inputs: torch.Tensor, **kwargs: Any) -> None:
        """Record an observation."""
        if self._extras["_initial"] or type(self).fold is not PassthroughReducer.fold:
            super().forward(*inputs, **kwargs)
        else:
            # the same, without reading the present state
            self._follow(inputs[0])
            self.push(inputs[0])

    def interpolate(
        self, prev_data: torch.Tensor, next_data: torch.Tensor, sample_at: torch.Tensor, step_time: float
    ) -> torch.Tensor:
        """The observation before; arguments as for :meth:`FoldReducer.interpolate`."""
        return interp_previous(prev_data, next_data, sample_at, step_time)
