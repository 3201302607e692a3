"""Elementary functions of numbers and tensors, scaling, and smoothing."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Number = int | float | complex
Numeric = int | float | complex | Tensor | np.ndarray | np.number
Dim = int | tuple[int, ...] | None


def _elementary(x: Any, of_tensor: Callable, of_array: Callable, of_real: Callable, of_complex: Callable) -> Any:
    if isinstance(x, Tensor):
        return of_tensor(x)
    # before the numbers: np.float64 is a float, and is to stay a NumPy number
    if isinstance(x, np.ndarray | np.number):
        return of_array(x)
    if isinstance(x, int | float):
        return of_real(x)
    if isinstance(x, complex):
        return of_complex(x)
    raise TypeError(f"'x' must be a number, a tensor or an array, but is of type {type(x).__name__}")


def exp(x: Numeric) -> float | complex | Tensor | np.ndarray | np.number:
    """The exponential of a number, tensor or array, as the same kind of thing.

    Raises:
        TypeError: if ``x`` is something else.
        OverflowError: if ``x`` is a Python number and the result is too large.
    """
    return _elementary(x, torch.exp, np.exp, math.exp, cmath.exp)


def sqrt(x: Numeric) -> float | complex | Tensor | np.ndarray | np.number:
    """The square root of a number, tensor or array, as the same kind of thing.

    Raises:
        TypeError: if ``x`` is something else.
        ValueError: if ``x`` is a negative real Python number.
    """
    return _elementary(x, torch.sqrt, np.sqrt, math.sqrt, cmath.sqrt)


def normalize(
    data: Tensor, order: int | float, scale: float | complex = 1.0, dim: Dim = None, epsilon: float = 1e-12
) -> Tensor:
    """Scales ``data`` so that its norms are ``scale``.

    Args:
        data: any shape.
        order: of the norm.
        scale: what the norms become.
        dim: dimensions over which a norm is taken; None for all of them.
        epsilon: a norm below it counts as it, so that zeros stay zeros.

    Returns:
        The scaled data, in the dtype of ``scale * data``; half types are computed in float32 and rounded once.
    """
    half = data.dtype in (torch.float16, torch.bfloat16)
    scaled = scale * torch.nn.functional.normalize(data.float() if half else data, p=order, dim=dim, eps=epsilon)
    return scaled.to(torch.result_type(data, scale)) if half else scaled


def rescale(
    data: Tensor,
    resmin: Number | Tensor | None,
    resmax: Number | Tensor | None,
    *,
    srcmin: Number | Tensor | None = None,
    srcmax: Number | Tensor | None = None,
    dim: Dim = None,
) -> Tensor:
    """Maps the interval from ``srcmin`` to ``srcmax`` linearly to that from ``resmin`` to ``resmax``.

    Where the source is a single point, as with constant data, everything becomes ``resmin``.

    Args:
        data: any shape.
        resmin: what ``srcmin`` becomes; None for ``srcmin``.
        resmax: what ``srcmax`` becomes; None for ``srcmax``.
        srcmin: start of the source; None for the minimum of ``data`` over ``dim``.
        srcmax: end of the source; None for the maximum of ``data`` over ``dim``.
        dim: dimensions over which minimum and maximum are taken; None for all of them.
    """
    dims = () if dim is None else dim
    srcmin = torch.amin(data, dims, keepdim=True) if srcmin is None else srcmin
    srcmax = torch.amax(data, dims, keepdim=True) if srcmax is None else srcmax
    resmin = srcmin if resmin is None else resmin
    resmax = srcmax if resmax is None else resmax
    span = torch.as_tensor(srcmax - srcmin, device=data.device)
    point = span == 0
    scaled = (data - srcmin) / torch.where(point, 1, span) * (resmax - resmin)
    return torch.where(point, 0, scaled) + resmin


def exponential_smoothing(obs: Tensor, level: Tensor | None, *, alpha: Number | Tensor) -> Tensor:
    """One step of simple exponential smoothing: ``alpha * obs + (1 - alpha) * level``.

    Args:
        obs: the new observation.
        level: the previous result; None for the first observation, which is returned.
        alpha: weight of the observation, in [0, 1].
    """
    return obs if level is None else alpha * obs + (1 - alpha) * level


def holt_linear_smoothing(
    obs: Tensor, level: Tensor | None, trend: Tensor | None, *, alpha: Number | Tensor, beta: Number | Tensor
) -> tuple[Tensor, Tensor | None]:
    """One step of Holt's linear smoothing: the new level and trend.

    Args:
        obs: the new observation.
        level: the previous level; None for the first observation, which becomes the level.
        trend: the previous trend; None for the second observation, whose change becomes the trend.
        alpha: weight of the observation, in [0, 1].
        beta: weight of the change in level, in [0, 1].

    Returns:
        Level and trend; the trend is None after the first observation.
    """
    if level is None:
        return obs, None
    if trend is None:
        return obs, obs - level
    smoothed = alpha * obs + (1 - alpha) * (level + trend)
    return smoothed, beta * (smoothed - level) + (1 - beta) * trend
