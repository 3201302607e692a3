"""Pending updates of the parameters of a module: collecting and applying."""

from __future__ import annotations

import copy
import weakref
from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn as nn

from ..state import Module
from ..state._check import instance
from ._accumulator import Accumulator, Reduction


def _rebuild_updater(base: type, name: str, params: tuple[str, ...]) -> Updater:
    kind = _updater_class(base, name, params)
    return kind.__new__(kind)


def _updater_class(base: type, name: str, params: tuple[str, ...]) -> type:
    """A subclass of an updater class with one property per parameter."""
    return type(name, (base,), {"_base": base, **{param: _accumulator_property(param) for param in params}})


def _accumulator_property(param: str) -> property:
    def read(self: Updater) -> Accumulator:
        return self.updates_[param]

    def write(self: Updater, value: Any) -> None:
        pos, neg = value if isinstance(value, tuple | list) else (value, None)
        accumulator = self.updates_[param]
        accumulator.pos = pos
        accumulator.neg = neg

    def drop(self: Updater) -> None:
        self.updates_[param].clear()

    return property(read, write, drop, f"Accumulator of '{param}'. Takes ``pos`` or a pair ``(pos, neg)``.")


class Updater(Module):
    """Collects updates for parameters of a module and applies them.

    Every parameter is a property of the updater: reading gives its :class:`Accumulator`; assigning a tensor adds a
    positive update; assigning a pair ``(pos, neg)`` adds both; deleting drops what is pending.

    Args:
        module: module whose parameters are updated; only a weak reference to it is kept.
        *params: names of its attributes to update.
        reduction: how several pending updates become one, by default their sum.
        **kwargs: passed to the constructor of :class:`Module`.

    Raises:
        RuntimeError: if the module lacks one of the attributes.
    """

    def __init__(self, module: Updatable, *params: str, reduction: Reduction | None = None, **kwargs: Any) -> None:
        absent = [param for param in params if not hasattr(module, param)]
        if absent:
            raise RuntimeError(f"'module' of type {type(module).__name__} has no attribute(s): {', '.join(absent)}")
        self.__class__ = _updater_class(type(self), f"{type(module).__name__}Updater", params)
        Module.__init__(self, **kwargs)
        self._parent = weakref.ref(module)
        self.updates_ = nn.ModuleDict({param: Accumulator() for param in params})
        if reduction is not None:
            for accumulator in self.updates_.values():
                accumulator.reduction(reduction)

    @property
    def parent(self) -> Updatable | None:
        """The module that is updated, or None once it is gone."""
        return self._parent()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the constructor."""
        return tuple(self.updates_)

    def clear(self, **kwargs) -> None:
        """Drops all pending updates. Keyword arguments go to :meth:`Accumulator.clear`."""
        for accumulator in self.updates_.values():
            accumulator.clear(**kwargs)

    def forward(self, *params: str, **kwargs) -> None:
        """Applies the pending updates of the named parameters, or of all. They stay pending.

        All new values are computed before the first is assigned. A connection takes them as they are: a delay that
        an update made negative is not an error here, so that a hook on the updater can still clamp it.

        Raises:
            RuntimeError: if the module is gone.
            KeyError: if a name is not one of :attr:`names`.
        """
        parent = self.parent
        if parent is None:
            raise RuntimeError("the module of this updater does not exist any more")
        read = getattr(parent, "_parameter", lambda name: getattr(parent, name))
        write = getattr(parent, "_update_parameter", lambda name, value: setattr(parent, name, value))
        with torch.no_grad():
            values = {}
            for name in params or self.names:
                accumulator, present = self.updates_[name], read(name)
                value = accumulator(present, **kwargs)
                if value is not present:
                    values[name] = value
            for name, value in values.items():
                write(name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Updater:
        new = _rebuild_updater(self._base, type(self).__name__, self.names)
        memo[id(self)] = new
        parent = self.parent
        # a copy that is part of a copy of the module belongs to that; a copy on its own updates the same module
        new.__setstate__({**self._copied_state(memo), "_parent": memo.get(id(parent), parent)})
        return new

    def _copied_state(self, memo: dict[int, Any]) -> dict[str, Any]:
        return {k: copy.deepcopy(v, memo) for k, v in self.__dict__.items() if k != "_parent"}

    def __reduce_ex__(self, protocol: int) -> tuple:
        state = {**self.__dict__, "_parent": self.parent}
        return _rebuild_updater, (self._base, type(self).__name__, self.names), state

    def __setstate__(self, state: dict[str, Any]) -> None:
        parent = state.pop("_parent")
        super().__setstate__(state)
        self.__dict__["_parent"] = (lambda: None) if parent is None else weakref.ref(parent)


class Updatable(ABC):
    """A module with an optional :class:`Updater`, kept as the submodule ``updater_``."""

    def __init__(self) -> None:
        self.updater_ = None

    @property
    def updatable(self) -> bool:
        """Whether an updater is attached."""
        return self.updater_ is not None

    @property
    def updater(self) -> Updater | None:
        """The attached updater. Can be set, set to None, and deleted.

        Raises:
            TypeError: if the new value is neither a module nor None.
        """
        return self.updater_

    @updater.setter
    def updater(self, value: Updater | None) -> None:
        self.updater_ = None if value is None else instance("updater", value, nn.Module)

    @updater.deleter
    def updater(self) -> None:
        self.updater_ = None

    @abstractmethod
    def defaultupdater(self, *includes: str, **kwargs) -> Updater:
        """Builds (but does not attach) an updater for the usual parameters of this module."""
        raise NotImplementedError(f"{type(self).__name__}(Updatable) must implement the method 'defaultupdater'")

    def clear(self, **kwargs) -> None:
        """Drops pending updates. Keyword arguments go to the updater."""
        if self.updatable:
            self.updater.clear(**kwargs)

    def update(self, clear: bool = True, **kwargs) -> None:
        """Applies all pending updates. Does nothing without an updater.

        Args:
            clear: whether the updates are dropped once applied.
            **kwargs: passed to the updater, for both.
        """
        if self.updatable:
            self.updater(**kwargs)
            if clear:
                self.updater.clear(**kwargs)

    def updatesome(self, *params: str, clear: bool = True, **kwargs) -> None:
        """Applies the pending updates of some parameters, one call of the updater each. Nothing without an updater.

        Args:
            *params: names of the parameters.
            clear: whether the updates are dropped once applied.
            **kwargs: passed to the updater and to :meth:`Accumulator.clear`.
        """
        if self.updatable:
            for param in params:
                self.updater(param, **kwargs)
                if clear:
                    self.updater.updates_[param].clear(**kwargs)
