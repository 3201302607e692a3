"""New neighbours for a value that falls between two recorded samples.

Every function takes ``(sample, sample_at, prev_data, next_data, step_time, **kwargs)``: the value to record, the time
that has passed since the older sample, in (0, step_time] ms, the older and the newer sample as they are, and the time
between the two, in ms; it returns what these two become. Keyword arguments a function does not know are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

Adjust = Callable[[Tensor], Tensor]


class Extrapolation(Protocol):
    """Any callable with this signature can be used to record between samples."""

    def __call__(
        self, sample: Tensor, sample_at: Tensor, prev_data: Tensor, next_data: Tensor, step_time: float, **kwargs: Any
    ) -> tuple[Tensor, Tensor]: ...


def extrap_previous(
    sample: Tensor, sample_at: Tensor, prev_data: Tensor, next_data: Tensor, step_time: float, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    """Replace the older sample."""
    return sample, next_data


def extrap_next(
    sample: Tensor, sample_at: Tensor, prev_data: Tensor, next_data: Tensor, step_time: float, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    """Replace the newer sample."""
    return prev_data, sample


def extrap_neighbors(
    sample: Tensor, sample_at: Tensor, prev_data: Tensor, next_data: Tensor, step_time: float, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    """Replace both samples."""
    return sample, sample


def extrap_nearest(
    sample: Tensor, sample_at: Tensor, prev_data: Tensor, next_data: Tensor, step_time: float, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    """Replace the nearer sample; the older one halfway between."""
    newer = sample_at / step_time > 0.5
    return torch.where(newer, prev_data, sample), torch.where(newer, sample, next_data)


def extrap_linear_forward(
    sample: Tensor,
    sample_at: Tensor,
    prev_data: Tensor,
    next_data: Tensor,
    step_time: float,
    *,
    adjust: Adjust | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Put the newer sample on the line through the older one and the value; ``adjust`` maps the older one first."""
    prev = prev_data if adjust is None else adjust(prev_data)
    slope = (sample - prev) / sample_at
    return prev, prev + slope * step_time


def extrap_linear_backward(
    sample: Tensor,
    sample_at: Tensor,
    prev_data: Tensor,
    next_data: Tensor,
    step_time: float,
    *,
    adjust: Adjust | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Put the older sample on the line through the value and the newer one; ``adjust`` maps the newer one first."""
    newer = next_data if adjust is None else adjust(next_data)
    slope = (newer - sample) / (step_time - sample_at)
    return newer - slope * step_time, newer


def extrap_expdecay(
    sample: Tensor,
    sample_at: Tensor,
    prev_data: Tensor,
    next_data: Tensor,
    step_time: float,
    *,
    time_constant: float | Tensor,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Put both samples on the exponential decay through the value, with ``time_constant`` (ms)."""
    return (
        sample * torch.exp(sample_at / time_constant),
        sample * torch.exp((sample_at - step_time) / time_constant),
    )


def extrap_expratedecay(
    sample: Tensor,
    sample_at: Tensor,
    prev_data: Tensor,
    next_data: Tensor,
    step_time: float,
    *,
    rate_constant: float | Tensor,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Put both samples on the exponential decay through the value, with ``rate_constant`` (1/ms)."""
    return (
        sample * torch.exp(sample_at * rate_constant),
        sample * torch.exp((sample_at - step_time) * rate_constant),
    )
