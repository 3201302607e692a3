"""Argument checks: cast the value, test it, return the cast value. NaN fails every ordered test."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Cast = Callable[[Any], Any]


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(message)


def positive(name: str, value: Any, cast: Cast = float) -> Any:
    """``value > 0`` or ValueError."""
    value = cast(value)
    _require(value > 0, f"'{name}' of {value} must be positive")
    return value


def nonnegative(name: str, value: Any, cast: Cast = float) -> Any:
    """``value >= 0`` or ValueError."""
    value = cast(value)
    _require(value >= 0, f"'{name}' of {value} must be nonnegative")
    return value


def step(name: str, value: Any) -> float:
    """A finite time > 0, or ValueError."""
    return finite(name, positive(name, value))


def span(name: str, value: Any) -> float:
    """A finite time >= 0, or ValueError."""
    return finite(name, nonnegative(name, value))


def nonzero(name: str, value: Any, cast: Cast = float) -> Any:
    """``value != 0`` and not NaN, or ValueError."""
    value = cast(value)
    _require(value < 0 or value > 0, f"'{name}' of {value} must be nonzero")
    return value


def finite(name: str, value: Any, cast: Cast = float) -> Any:
    """A number that is neither NaN nor infinite, or ValueError."""
    value = cast(value)
    _require(math.isfinite(value), f"'{name}' of {value} must be finite")
    return value


def less(name: str, value: Any, other: Any, other_name: str | None = None, cast: Cast = float) -> Any:
    """``value < other`` or ValueError."""
    value = cast(value)
    _require(value < other, f"'{name}' ({value}) must be less than {_named(other_name, other)}")
    return value


def at_most(name: str, value: Any, other: Any, other_name: str | None = None, cast: Cast = float) -> Any:
    """``value <= other`` or ValueError."""
    value = cast(value)
    _require(value <= other, f"'{name}' ({value}) must be less than or equal to {_named(other_name, other)}")
    return value


def greater(name: str, value: Any, other: Any, other_name: str | None = None, cast: Cast = float) -> Any:
    """``value > other`` or ValueError."""
    value = cast(value)
    _require(value > other, f"'{name}' ({value}) must be greater than {_named(other_name, other)}")
    return value


def at_least(name: str, value: Any, other: Any, other_name: str | None = None, cast: Cast = float) -> Any:
    """``value >= other`` or ValueError."""
    value = cast(value)
    _require(value >= other, f"'{name}' ({value}) must be greater than or equal to {_named(other_name, other)}")
    return value


def integer(name: str, value: Any) -> int:
    """An int, from an integral number or a numeric string. ValueError if not integral, TypeError if not a number."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ValueError(f"'{name}' of {value!r} must be an integer") from None
    try:
        integral = value % 1 == 0
    except TypeError:
        raise TypeError(f"'{name}' of type {type(value).__name__} must be an integer") from None
    _require(bool(integral), f"'{name}' of {value} must be an integer")
    return int(value)


def size(name: str, value: Any) -> int:
    """A positive int, under the rules of :func:`integer`."""
    return positive(name, integer(name, value), int)


def shape(name: str, value: Any) -> tuple[int, ...]:
    """A tuple of positive ints, from one size or a sequence of sizes."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(size(f"{name}[{i}]", v) for i, v in enumerate(value))
    return (size(name, value),)


def one_of(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """``value`` if it is among ``choices``, else ValueError."""
    _require(value in choices, f"'{name}' of {value!r} must be one of: {', '.join(repr(c) for c in choices)}")
    return value


def instance(name: str, value: Any, *types: type) -> Any:
    """``value`` if it is an instance of one of ``types``, else TypeError."""
    if not isinstance(value, types):
        wanted, given = " or ".join(t.__name__ for t in types), type(value)
        # classes of both packages have the same names
        other = " of inferno-ai: take that of inferno_cuda" if given.__module__.partition(".")[0] == "inferno" else ""
        raise TypeError(f"'{name}' must be an instance of {wanted}, but is of type {given.__name__}{other}")
    return value


def identifier(name: str, value: Any, nested: bool = False) -> str:
    """A Python identifier; several separated by dots if ``nested``. TypeError if not a str, else ValueError."""
    if not isinstance(value, str):
        raise TypeError(f"'{name}' must be a string, but is of type {type(value).__name__}")
    parts = value.split(".") if nested else [value]
    kind = "dot-separated identifier" if nested else "identifier"
    _require(all(p.isidentifier() for p in parts), f"'{name}' ({value!r}) must be a valid {kind}")
    return value


def same_shape(name: str, value: Any, wanted: Sequence[int], like: str) -> None:
    """``value.shape == wanted`` or ValueError; ``like`` says what has that shape."""
    if tuple(value.shape) != tuple(wanted):
        raise ValueError(f"shape of '{name}' {tuple(value.shape)} must be {tuple(wanted)}, like {like}")


def _named(name: str | None, value: Any) -> str:
    return str(value) if name is None else f"'{name}' ({value})"
