"""Reducers that keep averages."""

from __future__ import annotations

from typing import Any

import torch

from ...core import exponential_smoothing
from ...functional import interp_linear
from ...state import _check as check
from .base import FoldReducer


class _AverageReducer(FoldReducer):
    def interpolate(
        self, prev_data: torch.Tensor, next_data: torch.Tensor, sample_at: torch.Tensor, step_time: float
    ) -> torch.Tensor:
        """On the line between the two; arguments as for :meth:`FoldReducer.interpolate`."""
        return interp_linear(prev_data, next_data, sample_at, step_time)


class EMAReducer(_AverageReducer):
    r"""The exponential moving average :math:`x \leftarrow \alpha h + (1 - \alpha) x`; at first the observation h.

    Args:
        step_time: time between observations, > 0 ms.
        alpha: weight of an observation, in [0, 1].
        duration: length of the history, >= 0 ms.
        inclusive: whether both ends of the duration are recorded.
        inplace: whether the history is written in place even where that cuts an autograd graph.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(
        self, step_time: float, alpha: float, duration: float = 0.0, inclusive: bool = False, inplace: bool = False
    ) -> None:
        FoldReducer.__init__(self, step_time, duration, inclusive, inplace, 0)
        self.alpha = check.at_most("alpha", check.nonnegative("alpha", alpha), 1)

    def fold(self, obs: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        """The average after an observation, of the shape of both; ``state`` is None before the first one."""
        return exponential_smoothing(obs, state, alpha=self.alpha)


class CAReducer(_AverageReducer):
    """The mean of all observations so far.

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
        self.register_extra("_count", 0)

    def clear(self, keepshape: bool = False, **kwargs: Any) -> None:
        """Forget all observations.

        Args:
            keepshape: keep the storage, filled, instead of dropping it.
        """
        FoldReducer.clear(self, keepshape, **kwargs)
        self._count = 0

    def fold(self, obs: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        """The mean after an observation, of the shape of both, which is counted; ``state`` is None before the first."""
        count = self._count + 1
        mean = obs.to(self.data.dtype) if state is None else state + (obs.to(state.dtype) - state) / count
        self._count = count
        return mean

    def forward(self, *inputs: torch.Tensor, **kwargs: Any) -> None:
        """Take an observation into the mean, and record it; one that cannot be recorded is not counted."""
        count = self._count
        try:
            FoldReducer.forward(self, *inputs, **kwargs)
        except Exception:
            self._count = count
            raise
