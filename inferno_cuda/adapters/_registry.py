"""Which classes of which libraries have an adapter."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

from torch import nn

from ._adapter import Adapter
from ._library import loaded, version_problem
from ._swap import accelerated_class

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
    """Libraries that the program has imported, and that have the modules which the adapters are for."""
    return (library for library in LIBRARIES if loaded(library) and _of(library))


_FOUND: dict[str, dict[type[nn.Module], Adapter]] = {}


def _of(library: str) -> dict[type[nn.Module], Adapter]:
    # kept once there are some: a program may import the part of a library that has its neurons later than the rest
    if not _FOUND.get(library):
        try:
            _FOUND[library] = {adapter.base: adapter for source in _sources(library) for adapter in source.adapters()}
        except (ImportError, AttributeError):
            # another package of this name, or a version without these classes
            return {}
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
    return next((package for package in packages if package in LIBRARIES and loaded(package)), None)


def definer(cls: type, name: str) -> type | None:
    """The class from which ``cls`` has an attribute."""
    return next((base for base in cls.__mro__ if name in vars(base)), None)


def _replaced(overrides: type) -> set[str]:
    """The names of the library that a mixin replaces: private ones and special methods are its own."""
    classes = (base for base in overrides.__mro__ if base is not object)
    return {name for base in classes for name in vars(base) if not name.startswith("_")}


def class_problem(cls: type[nn.Module], adapter: Adapter) -> str | None:
    """Why no module of a class, which an adapter is for, can be accelerated; None if they can."""
    wrong = version_problem(adapter.library)
    if wrong is not None:
        return wrong
    own = [name for name in _names(adapter) if definer(cls, name) is not definer(adapter.base, name)]
    return f"{cls.__name__} overrides {', '.join(own)} of {adapter.base.__name__}" if own else None


def subclass_problem(cls: type[nn.Module], adapter: Adapter) -> str | None:
    """Why there is no accelerated class; there is one afterwards if this is None."""
    try:
        accelerated_class(cls, adapter.overrides)
    except Exception as error:  # whatever a class or its metaclass raises is the reason
        return f"{cls.__name__} cannot be subclassed: {error}"
    return None


def problem(module: nn.Module, cls: type[nn.Module], adapter: Adapter) -> str | None:
    """Why a module of this class, which an adapter is for, stays as it is; None if it can be accelerated."""
    reason = class_problem(cls, adapter)
    if reason is not None:
        return reason
    own = [name for name in _names(adapter) if name in vars(module)]
    if own:
        return f"{', '.join(own)} is set on the module itself"
    missing = [path for path in adapter.private if not _has(module, path)]
    if missing:
        return f"it has no {', '.join(missing)}, as the version of {adapter.library} has that the adapter is for"
    if hasattr(module, "parametrizations"):
        return "it has parametrizations"
    return adapter.refuse(module) or subclass_problem(cls, adapter)


def _names(adapter: Adapter) -> list[str]:
    return sorted(_replaced(adapter.overrides) | set(adapter.relies))


def _has(x: object, path: str) -> bool:
    for name in path.split("."):
        if not hasattr(x, name):
            return False
        x = getattr(x, name)
    return True
