"""One of the two libraries, and what modules of it were made of and keep under private names."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import ModuleType
from typing import Any

from torch import nn

# the classes that keep the overbound value of currents, as the prefix of its private name
CURRENT_LOOKUPS = ("SpikeDerivedCurrentMixin", "CurrentMixin", "DoubleExponentialCurrent")


def own_class(module: nn.Module) -> type[nn.Module]:
    """The class of a module; if it is accelerated, the one that it has otherwise."""
    return vars(type(module)).get("_accelerates", type(module))


class Library(ABC):
    """One of the two libraries.

    Args:
        package: name of its top-level package.
        module: the base class of its modules.
        neural, extra: its submodules with classes.
        functions: its submodules with functions that users hand to its classes.
    """

    def __init__(
        self, package: str, module: type[nn.Module], neural: ModuleType, extra: ModuleType, *functions: ModuleType
    ) -> None:
        self.package, self.module = package, module
        self.neural, self.extra = neural, extra
        self._functions = (*functions, extra)

    def cls(self, name: str) -> type[nn.Module]:
        """The class of a name."""
        return getattr(self.neural, name, None) or getattr(self.extra, name)

    def exports(self, cls: type[nn.Module]) -> bool:
        """Whether there is a class of that name among those of its submodules."""
        return any(isinstance(getattr(part, cls.__name__, None), type) for part in (self.neural, self.extra))

    def owns(self, thing: Any) -> bool:
        """Whether a class or a function is defined in the library."""
        return (getattr(thing, "__module__", None) or "").partition(".")[0] == self.package

    def counterpart(self, function: Any, other: Library) -> Any:
        """The other library's function of the same name; ``function`` itself if it is not of this library."""
        if inspect.isfunction(function):
            for mine, its in zip(self._functions, other._functions, strict=True):
                if getattr(mine, function.__name__, None) is function and hasattr(its, function.__name__):
                    return getattr(its, function.__name__)
        return function

    @abstractmethod
    def batch_reduction(self, neuron: nn.Module) -> Callable:
        """How a group of neurons makes one adaptation of those of the samples."""

    @abstractmethod
    def lookup(self, synapse: nn.Module) -> dict[str, Any]:
        """Interpolation mode, tolerance and overbound values."""

    @abstractmethod
    def refrac(self, encoder: nn.Module) -> float | None:
        """The refractory period of an encoder, None for that of a step."""

    @abstractmethod
    def accumulator(self, accumulator: nn.Module) -> tuple[Callable, dict[str, tuple]]:
        """How it reduces, and its bounds as ``{"upper" | "lower" | "full": (function, limits, kwargs)}``."""

    @abstractmethod
    def transform(self, function: Callable | None) -> Callable | None:
        """A function between the parts of a layer, or None if the user gave none."""

    @abstractmethod
    def hook(self, hook: nn.Module) -> tuple[bool, dict[str, Any], dict[str, int]]:
        """If it runs before the module, its options for torch, and the ids under which it is registered, by side."""

    @abstractmethod
    def is_hook(self, function: Any) -> bool:
        """Whether what torch calls belongs to a hook of the library."""
