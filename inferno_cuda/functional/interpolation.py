"""Values between two recorded samples.

Every function takes ``(prev_data, next_data, sample_at, step_time, **kwargs)``: the older and the newer sample, the
time that has passed since the older one, in (0, step_time] ms, and the time between the two, in ms. The tensors
broadcast against each other. Keyword arguments a function does not know are ignored.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Interpolation(Protocol):
    """Any callable with this signature can be used to look between samples."""

    def __call__(
        self, prev_data: Tensor, next_data: Tensor, sample_at: Tensor, step_time: float, **kwargs: Any
    ) -> Tensor: ...


def interp_previous(prev_data: Tensor, next_data: Tensor, sample_at: Tensor, step_time: float, **kwargs: Any) -> Tensor:
    """The older sample."""
    return prev_data


def interp_next(prev_data: Tensor, next_data: Tensor, sample_at: Tensor, step_time: float, **kwargs: Any) -> Tensor:
    """The newer sample."""
    return next_data


def interp_nearest(prev_data: Tensor, next_data: Tensor, sample_at: Tensor, step_time: float, **kwargs: Any) -> Tensor:
    """The nearer sample; the older one halfway between."""
    return torch.where(sample_at / step_time > 0.5, next_data, prev_data)


def interp_linear(prev_data: Tensor, next_data: Tensor, sample_at: Tensor, step_time: float, **kwargs: Any) -> Tensor:
    """The straight line between the samples."""
    return prev_data + (next_data - prev_data) / step_time * sample_at


def interp_expdecay(
    prev_data: Tensor,
    next_data: Tensor,
    sample_at: Tensor,
    step_time: float,
    *,
    time_constant: float | Tensor,
    **kwargs: Any,
) -> Tensor:
    """The older sample, decayed with ``time_constant`` (ms)."""
    return prev_data * torch.exp(-sample_at / time_constant)


def interp_expratedecay(
    prev_data: Tensor,
    next_data: Tensor,
    sample_at: Tensor,
    step_time: float,
    *,
    rate_constant: float | Tensor,
    **kwargs: Any,
) -> Tensor:
    """The older sample, decayed with ``rate_constant`` (1/ms)."""
    return prev_data * torch.exp(-sample_at * rate_constant)
