"""Which classes of which libraries have an adapter."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

from torch import nn

from ._adapter import Adapter

LIBRARIES = {
    "inferno": (
        "_inferno_neurons",
        "_inferno_synapses",
        "_inferno_connections",
        "_inferno_layers",
        "_inferno_learning",
    ),
    "snntorch": ("_snntorch",),
    "spikingjelly": ("_spikingjelly",),
}
"""The modules of this package with the adapters of each library, by the name under which the library is imported."""


def _sources(library: str) -> Iterator[ModuleType]:
    for name in LIBRARIES[library]:
        yield importlib.import_module(f".{name}", __package__)


def _loaded() -> Iterator[str]:
    """Libraries that the program has imported: a model of no other can exist."""
    modules = ((library, sys.modules.get(library)) for library in LIBRARIES)
    return (library for library, module in modules if getattr(module, "__name__", None) == library)


_FOUND: dict[str, dict[type[nn.Module], Adapter]] = {}


def _of(library: str) -> dict[type[nn.Module], Adapter]:
    # kept once there are some: a program may import the part of a library that has its neurons later than the rest
    if not _FOUND.get(library):
        _FOUND[library] = {adapter.base: adapter for source in _sources(library) for adapter in source.adapters()}
    return _FOUND[library]


def _adapters() -> dict[type[nn.Module], Adapter]:
    return {base: adapter for library in _loaded() for base, adapter in _of(library).items()}


def _passive() -> tuple[type[nn.Module], ...]:
    """Classes that have nothing to do in a step, which are not worth a word in a report."""
    sources = (source for library in _loaded() for source in _sources(library))
    return tuple(cls for source in sources for cls in getattr(source, "passive", tuple)())


def find(cls: type[nn.Module]) -> Adapter | None:
    """The adapter of the nearest ancestor that has one."""
    adapters = _adapters()
    return next((adapters[base] for base in cls.__mro__ if base in adapters), None)


def library_of(cls: type[nn.Module]) -> str | None:
    """The known library that a class, or an ancestor of it, comes from; None for any other, and for passive ones."""
    if cls.forward is nn.Module.forward or issubclass(cls, _passive()):
        return None
    packages = (base.__module__.partition(".")[0] for base in cls.__mro__)
    return next((package for package in packages if package in LIBRARIES), None)


def definer(cls: type, name: str) -> type | None:
    """The class from which ``cls`` has an attribute."""
    return next((base for base in cls.__mro__ if name in vars(base)), None)


def _replaced(overrides: type) -> set[str]:
    """The names of the library that a mixin replaces: private ones and special methods are its own."""
    classes = (base for base in overrides.__mro__ if base is not object)
    return {name for base in classes for name in vars(base) if not name.startswith("_")}


def problem(module: nn.Module, cls: type[nn.Module], adapter: Adapter) -> str | None:
    """Why a module of this class, which an adapter is for, stays as it is; None if it can be accelerated."""
    names = sorted(_replaced(adapter.overrides) | set(adapter.relies))
    own = [name for name in names if definer(cls, name) is not definer(adapter.base, name)]
    if own:
        return f"{cls.__name__} overrides {', '.join(own)} of {adapter.base.__name__}"
    own = [name for name in names if name in vars(module)]
    if own:
        return f"{', '.join(own)} is set on the module itself"
    if hasattr(module, "parametrizations"):
        return "it has parametrizations"
    return adapter.refuse(module)
