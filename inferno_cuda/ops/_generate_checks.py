"""Checks of arguments that connection rules and random numbers share."""

from __future__ import annotations

import math
import numbers


def whole(name: str, value: object, low: int, high: int, must: str) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} was {value!r}; it must be an integer")
    if not low <= value < high:
        raise ValueError(f"{name} was {value}; it must be {must}")
    return int(value)


def real(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} was {value!r}; it must be a number")
    if not math.isfinite(value):
        raise ValueError(f"{name} was {value}; it must be finite")
    return float(value)


def seeded(seed: int, stream: int) -> tuple[int, int]:
    seed = whole("seed", seed, 0, 2**64, "at least 0 and below 2^64")
    return seed, whole("stream", stream, 0, 2**32, "at least 0 and below 2^32")


def known(name: str, value: object, wanted) -> None:
    """The value is one of those that are wanted."""
    if value not in wanted:
        raise ValueError(f"{name} was {value!r}; it must be one of {', '.join(map(repr, wanted))}")


def names(what: str, given, wanted) -> None:
    """The parameters of a rule or distribution are those that are wanted, and all of them."""
    if set(given) != set(wanted):
        needs = ", ".join(wanted) or "none"
        raise TypeError(f"parameters of {what} were {', '.join(given) or 'none'}; they must be {needs}")


def signed(seed: int) -> int:
    """The 64 bits of a seed as torch's integers have them."""
    return seed - 2**64 if seed >= 2**63 else seed
