"""Functions that pass values through, for places that want a callable. Keyword arguments are ignored."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def identity(inputs: T, **kwargs: Any) -> T:
    """The value itself."""
    return inputs


def varidentity(*inputs: T, **kwargs: Any) -> tuple[T, ...]:
    """All values, as a tuple."""
    return inputs


def tuplewrap(inputs: T, **kwargs: Any) -> tuple[T]:
    """The value, in a tuple of one."""
    return (inputs,)
