"""What the callables that other parts of the package accept must look like."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from .extrapolation import Extrapolation
from .interpolation import Interpolation

__all__ = [
    "DimensionReduction",
    "Extrapolation",
    "FullBounding",
    "HalfBounding",
    "Interpolation",
    "SpikeTimeHalfKernel",
]


class HalfBounding(Protocol):
    """Scales updates in one direction, by the distance of the parameter from a limit. Returns the scaled updates."""

    def __call__(self, param: Tensor, update: Tensor, limit: float, **kwargs: Any) -> Tensor: ...


class FullBounding(Protocol):
    """Scales updates in both directions. Returns what is to be added to the parameter."""

    def __call__(
        self, param: Tensor, pos: Tensor, neg: Tensor, max: float | None, min: float | None, **kwargs: Any
    ) -> Tensor: ...


class DimensionReduction(Protocol):
    """Reduces one dimension, several, or all of them (None)."""

    def __call__(
        self, data: Tensor, dim: tuple[int, ...] | int | None = None, keepdim: bool = False, **kwargs: Any
    ) -> Tensor: ...


class SpikeTimeHalfKernel(Protocol):
    """Weight change for time differences (ms) of postsynaptic minus presynaptic spikes."""

    def __call__(self, diff: Tensor, **kwargs: Any) -> Tensor: ...
