"""Reductions over one dimension, several, or all of them, in one signature.

Every function takes ``(data, dim=None, keepdim=False, **kwargs)``: ``dim`` is an int, a tuple of ints, or None (or the
empty tuple) for all dimensions. Keyword arguments a function does not know are ignored. Functions whose name starts
with ``nan`` leave NaN out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

Dim = tuple[int, ...] | int | None
Rule = Literal["linear", "lower", "lowest", "higher", "nearest", "midpoint"]


def sum(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """Sum."""
    return torch.sum(data, dim=dim, keepdim=keepdim)


def nansum(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """Sum without NaN; 0 if there is nothing else."""
    return torch.nansum(data, dim=dim, keepdim=keepdim)


def divsum(
    data: Tensor, dim: Dim = None, keepdim: bool = False, denom: int | float | complex = 1, **kwargs: Any
) -> Tensor:
    """Sum, divided by ``denom``."""
    return sum(data, dim, keepdim) / denom


def nandivsum(
    data: Tensor, dim: Dim = None, keepdim: bool = False, denom: int | float | complex = 1, **kwargs: Any
) -> Tensor:
    """Sum without NaN, divided by ``denom``."""
    return nansum(data, dim, keepdim) / denom


def min(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """Minimum; NaN if there is one."""
    return torch.amin(data, dim=() if dim is None else dim, keepdim=keepdim)


def max(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """Maximum; NaN if there is one."""
    return torch.amax(data, dim=() if dim is None else dim, keepdim=keepdim)


def absmin(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """The smallest magnitude, with the sign of the minimum: negative if any element is."""
    return torch.copysign(min(data.abs(), dim, keepdim), min(data, dim, keepdim))


def absmax(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """The largest magnitude, with the sign of the maximum: negative if all elements are."""
    return torch.copysign(max(data.abs(), dim, keepdim), max(data, dim, keepdim))


def mean(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """Arithmetic mean."""
    return torch.mean(data, dim=dim, keepdim=keepdim)


def nanmean(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """Arithmetic mean without NaN; NaN if there is nothing else."""
    return torch.nanmean(data, dim=dim, keepdim=keepdim)


def _last(data: Tensor, dim: Dim) -> tuple[Tensor, tuple[int, ...]]:
    """``data`` with the dimensions to reduce as one, the last; and its shape with those dimensions kept as 1."""
    dims = (dim,) if isinstance(dim, int) else tuple(dim or ())
    dims = tuple(sorted(d % data.ndim if -data.ndim <= d < data.ndim else d for d in dims)) or tuple(range(data.ndim))
    kept = tuple(1 if i in dims else size for i, size in enumerate(data.shape))
    if not dims:
        return data.reshape(1), kept
    return data.movedim(dims, tuple(range(-len(dims), 0))).flatten(-len(dims)), kept


def _quantile(
    fn: Callable[..., Tensor], data: Tensor, dim: Dim, keepdim: bool, q: float, interpolation: Rule
) -> Tensor:
    rows, kept = _last(data, dim)
    half = data.dtype in (torch.float16, torch.bfloat16)
    # "lowest" is what inferno-ai's signature calls "lower"
    rule = "lower" if interpolation == "lowest" else interpolation
    reduced = fn(rows.float() if half else rows, q, dim=-1, interpolation=rule).to(data.dtype)
    return reduced.reshape(kept) if keepdim else reduced


def quantile(
    data: Tensor, dim: Dim = None, keepdim: bool = False, q: float = 0.5, interpolation: Rule = "linear", **kwargs: Any
) -> Tensor:
    """The ``q``-quantile, ``q`` in [0, 1]; NaN if there is one.

    Args:
        interpolation: between the two nearest elements: linear, lower, higher, nearest or midpoint.
    """
    return _quantile(torch.quantile, data, dim, keepdim, q, interpolation)


def nanquantile(
    data: Tensor, dim: Dim = None, keepdim: bool = False, q: float = 0.5, interpolation: Rule = "linear", **kwargs: Any
) -> Tensor:
    """:func:`quantile` without NaN; NaN if there is nothing else."""
    return _quantile(torch.nanquantile, data, dim, keepdim, q, interpolation)


def median(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """Median: the mean of the two elements in the middle if their number is even. NaN if there is one."""
    return quantile(data, dim, keepdim)


def nanmedian(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """:func:`median` without NaN; NaN if there is nothing else."""
    return nanquantile(data, dim, keepdim)


def geomean(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """Geometric mean of the elements that are not zero; 0 if all are zero, NaN if one is negative or NaN."""
    counted = data != 0
    count = sum(counted, dim, keepdim)
    logs = torch.where(counted, data, 1).log()
    return torch.where(count > 0, torch.exp(sum(logs, dim, keepdim) / count), 0)


def nangeomean(data: Tensor, dim: Dim = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """:func:`geomean` without NaN; NaN if there is nothing else."""
    absent = data.isnan()
    nothing_else = min(absent, dim, keepdim)
    return torch.where(nothing_else, math.nan, geomean(data.masked_fill(absent, 0), dim, keepdim))
