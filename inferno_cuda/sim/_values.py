"""Numbers, arrays and distributions that users give, one value for each neuron or synapse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .. import ops
from .distributions import Distribution

#: Streams of random numbers of parameters and initial values; projections have those below, stimuli those from 2**31
#: on.
PARAMETER_STREAMS = 1 << 30


def tensor(name: str, value: Any) -> torch.Tensor:
    """Numbers as float64 on the CPU.

    Raises:
        TypeError: if they are no numbers.
        ValueError: if one is NaN or infinite where that has no meaning.
    """
    try:
        if value is None:
            raise TypeError
        given = value if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value, dtype=np.float64))
    except (TypeError, ValueError):
        raise TypeError(
            f"'{name}' is a {type(value).__name__}, it must be a number, an array, a tensor or a distribution"
        ) from None
    return given.detach().to("cpu", torch.float64)


def scalar(check: Callable[[str, float], float], name: str, value: Any) -> float:
    """One number, and no array, that a check takes.

    Raises:
        TypeError: if it is none.
        ValueError: as the check says.
    """
    try:
        if isinstance(value, str | bool) or getattr(value, "ndim", 0) > 0:
            raise TypeError
        found = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"'{name}' is a {type(value).__name__}, it must be one number, the same for all") from None
    return check(name, found)


def number(name: str, value: Any) -> float | torch.Tensor:
    """A float, or a tensor of several values."""
    found = tensor(name, value)
    if bool(found.isnan().any()):
        raise ValueError(f"'{name}' has NaN among its values")
    return found.item() if found.ndim == 0 else found


def part(name: str, value: Any, offset: int, size: int, total: int) -> Any:
    """What of a value for ``total`` neurons belongs to ``size`` of them, from ``offset`` on."""
    if isinstance(value, Distribution):
        return value
    value = number(name, value)
    if isinstance(value, float):
        return value
    if value.shape[-1] != total:
        raise ValueError(
            f"'{name}' has the shape {tuple(value.shape)}, it must have one value for each of {total} neurons"
        )
    return value[..., offset : offset + size]


def drawn(
    name: str, value: Any, seed: int, stream: int, chosen: range, size: int, trials: int = 0
) -> float | torch.Tensor:
    """A value for some neurons of a population of ``size``: a number, ``[n]``, or with trials ``[trials, n]``."""
    if isinstance(value, Distribution):
        index = torch.arange(chosen.start, chosen.stop)
        if trials:
            index = index + size * torch.arange(trials)[:, None]
        value = draw(value, seed, stream, index.flatten()).view(index.shape)
    if isinstance(value, torch.Tensor):
        if value.shape not in ((len(chosen),), (trials, len(chosen))):
            wanted = f"({len(chosen)},)" + (f" or ({trials}, {len(chosen)})" if trials else "")
            raise ValueError(f"'{name}' has the shape {tuple(value.shape)}, it must be {wanted}")
        value = value.clone()
    return value


def draw(distribution: Distribution, seed: int, stream: int, index: torch.Tensor) -> torch.Tensor:
    """float64, one number for each index."""
    return ops.draw(distribution.kind, seed=seed, stream=stream, index=index, **distribution._parameters())


def filled(value: float | torch.Tensor, size: int) -> torch.Tensor:
    """One value for each of ``size`` neurons, a tensor of its own."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    return torch.full((size,), value, dtype=torch.float64)


def replaced(
    old: float | torch.Tensor, begin: int, end: int, new: float | torch.Tensor, size: int
) -> float | torch.Tensor:
    """The old values of a population of ``size``, for neurons ``begin`` to ``end - 1`` the new ones."""
    if begin == 0 and end == size:
        return new
    result = filled(old, size)
    result[begin:end] = new
    return result


def largest(distribution: Distribution) -> float:
    """A bound of the absolute value of what is drawn; infinite where none is close."""
    given = distribution._parameters()
    if distribution.kind == "constant":
        return abs(given["value"])
    if distribution.kind == "uniform":
        return max(abs(given["low"]), abs(given["high"]))
    if distribution.kind == "normal":
        # from 53 random bits nothing comes that is farther out
        ends = [given["mean"] - 9 * given["std"], given["mean"] + 9 * given["std"]]
        ends[0] = max(ends[0], given.get("low", -math.inf))
        ends[1] = min(ends[1], given.get("high", math.inf))
        return max(abs(end) for end in ends)
    return math.inf


def mean_magnitude(distribution: Distribution) -> float:
    """Mean of the absolute value of what is drawn, in closed form; only where :func:`largest` is finite."""
    given = distribution._parameters()
    if distribution.kind == "constant":
        return abs(given["value"])
    if distribution.kind == "uniform":
        low, high = given["low"], given["high"]
        if low * high >= 0:
            return abs(low + high) / 2
        return (low * low + high * high) / (2 * (high - low))
    mean, std = given["mean"], given["std"]
    low, high = given.get("low", -math.inf), given.get("high", math.inf)
    if std == 0:
        return abs(min(max(mean, low), high))
    above, positive = _truncated(mean, std, max(low, 0.0), max(high, 0.0))
    below, negative = _truncated(mean, std, min(low, 0.0), min(high, 0.0))
    within = positive - negative
    if given.get("bounded") != "clip":
        return within / (above + below)
    for bound, share in ((low, _tail((mean - low) / std)), (high, _tail((high - mean) / std))):
        within += abs(bound) * share if share else 0.0
    return max(within, 0.0)


def _truncated(mean: float, std: float, low: float, high: float) -> tuple[float, float]:
    """Of a normal number: how likely it is between two bounds, and its mean there times that."""
    if not low < high:
        return 0.0, 0.0
    a, b = (low - mean) / std, (high - mean) / std
    # the smaller tails, which have more digits
    share = _tail(a) - _tail(b) if a > 0 else _tail(-b) - _tail(-a)
    densities = (math.exp(-end * end / 2) / math.sqrt(2 * math.pi) for end in (a, b))
    return share, mean * share + std * (next(densities) - next(densities))


def _tail(z: float) -> float:
    """How likely a standard normal number is above ``z``."""
    return math.erfc(z / math.sqrt(2)) / 2
