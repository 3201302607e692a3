"""Observables, and the sharing of their monitors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import torch.nn as nn

from ..state import Module
from ..state._check import identifier, instance
from ._weak import Weak, WeakMap

Pool = Iterable[tuple["Observable", Mapping[str, nn.Module]]]


_RESERVED = frozenset(dir(nn.ModuleDict()))


def submodule_name(name: str, value: str) -> str:
    """``value`` if a :class:`torch.nn.ModuleDict` takes it for a key, else ValueError; ``name`` is the argument's."""
    if value in _RESERVED:
        raise ValueError(f"'{name}' ('{value}') is an attribute of torch.nn.ModuleDict, it must be another name")
    return value


class MonitorConstructor(Protocol):
    """Makes a monitor of an attribute.

    A monitor is a module that hooks the forward calls of another. Its attribute ``_observed`` is a weak reference to
    that other module; without one, it is never shared.
    """

    def __call__(self, attr: str, module: Module) -> nn.Module:
        """Makes a monitor.

        Args:
            attr: dotted path of the attribute to watch, from ``module``.
            module: module whose forward calls are hooked.
        """
        ...


class Observable:
    """A part of a module, with names of its own for what can be watched there.

    Monitors hook the module, since that is what is called; the names of the part are translated for that. To be
    mixed into a class that implements :meth:`local_remap`. Monitors are not kept alive, and copies start without any.

    Args:
        basis: the module; only a weak reference to it is kept.
        realign: name of the method of ``basis`` that translates, called as
            ``(*realign_args, *args, **realign_kwargs, **kwargs)`` with ``args, kwargs = local_remap(attr)``.
        realign_args: leading arguments of that call.
        realign_kwargs: keyword arguments of that call.
    """

    def __init__(
        self,
        basis: Module,
        realign: str,
        realign_args: tuple[Any, ...] | None,
        realign_kwargs: dict[str, Any] | None,
    ) -> None:
        self.__basis = Weak(instance("basis", basis, nn.Module))
        self.__realign = identifier("realign", realign)
        self.__realign_args = tuple(realign_args or ())
        self.__realign_kwargs = dict(realign_kwargs or {})
        self.__monitors = _Monitors()

    def local_remap(self, attr: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Translates a dotted path of this part into arguments for the method that ``realign`` names."""
        raise NotImplementedError(f"{type(self).__name__}(Observable) must implement the method 'local_remap'")

    @property
    def monitors(self) -> Mapping[str, nn.Module]:
        """The monitors of this part by name, read-only; they are attributes of the result too."""
        return self.__monitors

    def _living_basis(self) -> Module:
        basis = self.__basis()
        if basis is None:
            raise RuntimeError(f"the module that this {type(self).__name__} is a part of does not exist any more")
        return basis

    def realign_attribute(self, attr: str) -> str:
        """Translates a dotted path from this part into one from the module that it is a part of.

        Raises:
            TypeError: if ``attr`` is not a string.
            ValueError: if it is not made of identifiers.
            RuntimeError: if there is no such attribute, or the module is gone.
        """
        args, kwargs = self.local_remap(identifier("attr", attr, nested=True))
        realign = getattr(self._living_basis(), self.__realign)
        return realign(*self.__realign_args, *args, **self.__realign_kwargs, **kwargs)

    def add_monitor(
        self, name: str, attr: str, constructor: MonitorConstructor, pool: Pool | None, /, **tags: Any
    ) -> nn.Module:
        """Makes a monitor of an attribute, or finds one to share.

        Shared is a monitor of the same name and tags, of the same attribute of the same module. A monitor made without
        a pool has no tags and is never shared.

        Args:
            name: name of the monitor.
            attr: dotted path of the attribute, from this part.
            constructor: makes the monitor.
            pool: observables and their monitors by name, among which to look; None for a monitor of its own.
            **tags: what else must agree for a monitor to be shared.

        Returns:
            the monitor, of which only a weak reference is kept.
        """
        path, basis = self.realign_attribute(attr), self._living_basis()
        if pool is None:
            monitor = constructor(path, basis)
        else:
            tags = {**tags, "_attr": path}
            monitor = _find(name, tags, basis, pool)
            if monitor is None:
                monitor = constructor(path, basis)
                monitor._tags = tags
        self.__monitors._put(name, monitor)
        return monitor


class _Monitors(WeakMap):
    """Monitors by name. A copy is empty: what watches the original does not watch the copy."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Monitors:
        return memo.setdefault(id(self), type(self)())

    def __getstate__(self) -> dict[str, Any]:
        return {"_entries": {}}


def _find(name: str, tags: dict[str, Any], basis: Module, pool: Pool) -> nn.Module | None:
    for _, monitors in pool:
        monitor = monitors.get(name)
        observed = getattr(monitor, "_observed", None)
        # layers of the same structure have the same paths, so the layer itself has to be the same
        if observed is not None and observed() is basis and getattr(monitor, "_tags", None) == tags:
            return monitor
    return None


class MonitorPool(Module):
    """Keeps the monitors of several observables, and shares those that would record the same.

    The monitors are the submodules ``monitors_.<observed>.<name>``; observables are only weakly referenced.
    """

    def __init__(self) -> None:
        Module.__init__(self)
        self.observed_ = WeakMap()
        self.monitors_ = nn.ModuleDict()

    @property
    def pool(self) -> Iterator[tuple[Observable, dict[str, nn.Module]]]:
        """The observables that still exist, each with its monitors by name."""
        return ((value, dict(self.named_monitors_of(name))) for name, value in self.observed_.items())

    @property
    def monitors(self) -> Iterator[nn.Module]:
        """The monitors, each once."""
        return iter({id(monitor): monitor for _, monitor in self.named_monitors}.values())

    @property
    def named_monitors(self) -> Iterator[tuple[tuple[str, str], nn.Module]]:
        """Pairs of ``(observed, name)`` and the monitor; a shared one appears under each of its names."""
        for observed in self.monitors_:
            for name, monitor in self.named_monitors_of(observed):
                yield (observed, name), monitor

    def named_monitors_of(self, observed: str) -> Iterator[tuple[str, nn.Module]]:
        """Names and monitors of one observable; nothing if there is none of that name."""
        return iter(self.monitors_[observed].items() if observed in self.monitors_ else ())

    def add_observed(self, name: str, value: Observable) -> Observable:
        """Adds an observable, and returns it.

        Raises:
            RuntimeError: if the name is taken by an observable that still exists.
            TypeError: if ``value`` is not an :class:`Observable`.
            ValueError: if the name is one that torch keeps for itself, such as "keys".
        """
        submodule_name("name", name)
        instance("value", value, Observable)
        if name in self.observed_:
            raise RuntimeError(f"'name' ('{name}') is already a registered observable")
        self.del_observed(name)
        self.observed_._put(name, value)
        return value

    def get_observed(self, name: str) -> Observable:
        """The observable of a name.

        Raises:
            KeyError: if there is none.
        """
        if name not in self.observed_:
            raise KeyError(f"'name' ('{name}') is not a registered observable")
        return self.observed_[name]

    def del_observed(self, name: str) -> None:
        """Removes an observable and its monitors, if there is one of that name."""
        self.observed_._drop(name)
        if name in self.monitors_:
            del self.monitors_[name]

    def add_monitor(
        self, observed: str, name: str, attr: str, constructor: MonitorConstructor, unique: bool = False, /, **tags: Any
    ) -> nn.Module:
        """Adds a monitor to an observable; see :meth:`Observable.add_monitor`.

        Args:
            observed: name of the observable.
            name: name of the monitor. Unless ``unique``, an existing one of that name is returned as it is.
            attr: dotted path of the attribute, from the observable.
            constructor: makes the monitor.
            unique: whether to make a monitor that is not shared, in place of an existing one of that name.
            **tags: what else must agree for a monitor to be shared.

        Raises:
            AttributeError: if there is no observable of that name.
            ValueError: if ``name`` is one that torch keeps for itself, such as "keys".
        """
        submodule_name("name", name)
        if observed not in self.observed_:
            raise AttributeError(f"'observed' ('{observed}') is not the name of an added observable")
        monitor = self.get_monitor(observed, name)
        if monitor is not None and not unique:
            return monitor
        monitor = self.observed_[observed].add_monitor(name, attr, constructor, None if unique else self.pool, **tags)
        if observed not in self.monitors_:
            self.monitors_[observed] = nn.ModuleDict()
        self.monitors_[observed][name] = monitor
        return monitor

    def get_monitor(self, observed: str, monitor: str) -> nn.Module | None:
        """The monitor of a name, or None."""
        return dict(self.named_monitors_of(observed)).get(monitor)

    def del_monitor(self, observed: str, monitor: str) -> None:
        """Removes a monitor from an observable.

        Raises:
            AttributeError: if there is no such monitor.
        """
        if observed not in self.monitors_:
            raise AttributeError(f"'observed' ('{observed}') is not the name of an observable with monitors")
        if monitor not in self.monitors_[observed]:
            raise AttributeError(f"'monitor' ('{monitor}') is not the name of a monitor added on '{observed}'")
        del self.monitors_[observed][monitor]
        if not len(self.monitors_[observed]):
            del self.monitors_[observed]
