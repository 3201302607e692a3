"""Bounds on parameter updates: the closer a parameter is to its limit, the smaller the update towards it.

``bound_upper_*`` and ``bound_lower_*`` return scaled updates, ``bound_*`` what is to be added to the parameter. Updates
are magnitudes (>= 0), of the shape of the parameter or broadcasting against it. Keyword arguments a function does not
know are ignored. A limit that is None is a TypeError in the half bounds and leaves that side alone in the full ones.

A parameter beyond its limit has a negative distance: multiplicative bounds then reverse the update, and a power of a
negative distance is whatever ``torch.pow`` makes of it (NaN for fractional powers).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Half = Callable[[Tensor, Tensor, float], Tensor]


def _below(param: Tensor, limit: float) -> Tensor:
    return _needed(limit) - param


def _above(param: Tensor, limit: float) -> Tensor:
    return param - _needed(limit)


def _needed(limit: float | None) -> float:
    if limit is None:
        raise TypeError("'limit' was None; it must be a number")
    return limit


def _sharp(distance: Tensor, update: Tensor) -> Tensor:
    return torch.heaviside(distance, distance.new_zeros(())) * update


def _both(
    param: Tensor, pos: Tensor, neg: Tensor, max: float | None, min: float | None, upper: Half, lower: Half
) -> Tensor:
    pos = pos if max is None else upper(param, pos, max)
    neg = neg if min is None else lower(param, neg, min)
    return pos - neg


def _range(max: float | None, min: float | None) -> float:
    """Distance of the limits; 1 if one of them is missing, since there is nothing to scale by then."""
    if max is None or min is None:
        return 1.0
    if not max > min:
        raise ValueError(f"'max' ({max}) must be greater than 'min' ({min})")
    return max - min


def bound_upper_power(param: Tensor, update: Tensor, limit: float, *, power: float, **kwargs: Any) -> Tensor:
    """``(limit - param) ** power * update``."""
    return _below(param, limit) ** power * update


def bound_lower_power(param: Tensor, update: Tensor, limit: float, *, power: float, **kwargs: Any) -> Tensor:
    """``(param - limit) ** power * update``."""
    return _above(param, limit) ** power * update


def bound_power(
    param: Tensor,
    pos: Tensor,
    neg: Tensor,
    max: float | None,
    min: float | None,
    *,
    upper_power: float,
    lower_power: float,
    **kwargs: Any,
) -> Tensor:
    """``(max - param) ** upper_power * pos - (param - min) ** lower_power * neg``."""
    return _both(
        param,
        pos,
        neg,
        max,
        min,
        lambda x, u, limit: bound_upper_power(x, u, limit, power=upper_power),
        lambda x, u, limit: bound_lower_power(x, u, limit, power=lower_power),
    )


def bound_upper_scaled_power(
    param: Tensor, update: Tensor, limit: float, *, power: float, range: float, **kwargs: Any
) -> Tensor:
    """``((limit - param) / range) ** power * update``."""
    return (_below(param, limit) / range) ** power * update


def bound_lower_scaled_power(
    param: Tensor, update: Tensor, limit: float, *, power: float, range: float, **kwargs: Any
) -> Tensor:
    """``((param - limit) / range) ** power * update``."""
    return (_above(param, limit) / range) ** power * update


def bound_scaled_power(
    param: Tensor,
    pos: Tensor,
    neg: Tensor,
    max: float | None,
    min: float | None,
    *,
    upper_power: float,
    lower_power: float,
    **kwargs: Any,
) -> Tensor:
    """:func:`bound_power` with both distances divided by ``max - min``; without one of these, not divided.

    Raises:
        ValueError: if both limits are given and ``max`` is not greater than ``min``.
    """
    span = _range(max, min)
    return _both(
        param,
        pos,
        neg,
        max,
        min,
        lambda x, u, limit: bound_upper_scaled_power(x, u, limit, power=upper_power, range=span),
        lambda x, u, limit: bound_lower_scaled_power(x, u, limit, power=lower_power, range=span),
    )


def bound_upper_multiplicative(param: Tensor, update: Tensor, limit: float, **kwargs: Any) -> Tensor:
    """``(limit - param) * update``."""
    return _below(param, limit) * update


def bound_lower_multiplicative(param: Tensor, update: Tensor, limit: float, **kwargs: Any) -> Tensor:
    """``(param - limit) * update``."""
    return _above(param, limit) * update


def bound_multiplicative(
    param: Tensor, pos: Tensor, neg: Tensor, max: float | None, min: float | None, **kwargs: Any
) -> Tensor:
    """``(max - param) * pos - (param - min) * neg``."""
    return _both(param, pos, neg, max, min, bound_upper_multiplicative, bound_lower_multiplicative)


def bound_upper_scaled_multiplicative(
    param: Tensor, update: Tensor, limit: float, range: float, **kwargs: Any
) -> Tensor:
    """``(limit - param) / range * update``."""
    return _below(param, limit) / range * update


def bound_lower_scaled_multiplicative(
    param: Tensor, update: Tensor, limit: float, range: float, **kwargs: Any
) -> Tensor:
    """``(param - limit) / range * update``."""
    return _above(param, limit) / range * update


def bound_scaled_multiplicative(
    param: Tensor, pos: Tensor, neg: Tensor, max: float | None, min: float | None, **kwargs: Any
) -> Tensor:
    """:func:`bound_multiplicative` with both distances divided by ``max - min``; without one of these, not divided.

    Raises:
        ValueError: if both limits are given and ``max`` is not greater than ``min``.
    """
    span = _range(max, min)
    return _both(
        param,
        pos,
        neg,
        max,
        min,
        lambda x, u, limit: bound_upper_scaled_multiplicative(x, u, limit, span),
        lambda x, u, limit: bound_lower_scaled_multiplicative(x, u, limit, span),
    )


def bound_upper_sharp(param: Tensor, update: Tensor, limit: float, **kwargs: Any) -> Tensor:
    """``update`` where ``param < limit``, else 0."""
    return _sharp(_below(param, limit), update)


def bound_lower_sharp(param: Tensor, update: Tensor, limit: float, **kwargs: Any) -> Tensor:
    """``update`` where ``param > limit``, else 0."""
    return _sharp(_above(param, limit), update)


def bound_sharp(param: Tensor, pos: Tensor, neg: Tensor, max: float | None, min: float | None, **kwargs: Any) -> Tensor:
    """``pos`` where ``param < max``, minus ``neg`` where ``param > min``."""
    return _both(param, pos, neg, max, min, bound_upper_sharp, bound_lower_sharp)
