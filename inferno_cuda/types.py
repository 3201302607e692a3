"""Signatures of callables that take and return values of one type; ``Method`` variants get a module first."""

from __future__ import annotations

from typing import Protocol, TypeVar

K = TypeVar("K", contravariant=True)
T = TypeVar("T")

__all__ = [
    "ManyToMany",
    "ManyToManyMethod",
    "ManyToOne",
    "ManyToOneMethod",
    "OneToMany",
    "OneToManyMethod",
    "OneToOne",
    "OneToOneMethod",
]


class OneToOne(Protocol[T]):
    """One value to one value."""

    def __call__(self, inputs: T) -> T: ...


class ManyToOne(Protocol[T]):
    """Any number of values to one value."""

    def __call__(self, *inputs: T) -> T: ...


class OneToMany(Protocol[T]):
    """One value to a tuple of values."""

    def __call__(self, inputs: T) -> tuple[T, ...]: ...


class ManyToMany(Protocol[T]):
    """Any number of values to a tuple of values."""

    def __call__(self, *inputs: T) -> tuple[T, ...]: ...


class OneToOneMethod(Protocol[K, T]):
    """A module and one value to one value."""

    def __call__(self, module: K, inputs: T) -> T: ...


class ManyToOneMethod(Protocol[K, T]):
    """A module and any number of values to one value."""

    def __call__(self, module: K, *inputs: T) -> T: ...


class OneToManyMethod(Protocol[K, T]):
    """A module and one value to a tuple of values."""

    def __call__(self, module: K, inputs: T) -> tuple[T, ...]: ...


class ManyToManyMethod(Protocol[K, T]):
    """A module and any number of values to a tuple of values."""

    def __call__(self, module: K, *inputs: T) -> tuple[T, ...]: ...
