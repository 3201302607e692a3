"""Pending parameter updates: collecting, bounding, applying."""

from __future__ import annotations

import copy
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.nn as nn

from ..state import Module
from ..state._check import instance

Reduction = Callable[[torch.Tensor, int], torch.Tensor]
Bound = tuple[Callable, tuple[float | None, ...], dict[str, Any]]


def _bounded(bound: Bound, *tensors: torch.Tensor) -> torch.Tensor:
    function, limits, kwargs = bound
    return function(*tensors, *limits, **kwargs)


class Accumulator(Module):
    """Pending updates of one parameter, potentiation (``pos``) apart from depression (``neg``).

    Both are magnitudes: applied without bounds they change the parameter by ``pos - neg``. Pending updates are not
    parameters and take no part in the state_dict.
    """

    def __init__(self) -> None:
        Module.__init__(self)
        self._pos: list[torch.Tensor] = []
        self._neg: list[torch.Tensor] = []
        self._reduced: dict[str, torch.Tensor | None] = {}
        self._reduce: Reduction = torch.sum
        self._upper: Bound | None = None
        self._lower: Bound | None = None
        self._full: Bound | None = None

    @property
    def pos(self) -> torch.Tensor | None:
        """Reduction of the pending positive updates, or None. Setting it appends an update, deleting it drops all."""
        return self._reduction_of("_pos")

    @pos.setter
    def pos(self, value: torch.Tensor | None) -> None:
        self._append("_pos", "pos", value)

    @pos.deleter
    def pos(self) -> None:
        self._drop("_pos")

    @property
    def neg(self) -> torch.Tensor | None:
        """Reduction of the pending negative updates, or None. Setting it appends an update, deleting it drops all."""
        return self._reduction_of("_neg")

    @neg.setter
    def neg(self, value: torch.Tensor | None) -> None:
        self._append("_neg", "neg", value)

    @neg.deleter
    def neg(self) -> None:
        self._drop("_neg")

    def _append(self, pending: str, name: str, value: torch.Tensor | None) -> None:
        if value is None:
            return
        value = instance(name, value, torch.Tensor).detach()
        if not (value.is_floating_point() or value.is_complex()):
            value = value.to(torch.get_default_dtype())
        getattr(self, pending).append(value)
        self._reduced.pop(pending, None)

    def _drop(self, pending: str) -> None:
        getattr(self, pending).clear()
        self._reduced.pop(pending, None)

    def _reduction_of(self, pending: str) -> torch.Tensor | None:
        if pending not in self._reduced:
            updates = getattr(self, pending)
            self._reduced[pending] = self._reduce(torch.stack(updates, 0), 0) if updates else None
        return self._reduced[pending]

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Accumulator:
        super()._apply(fn, recurse)
        self._pos[:] = map(fn, self._pos)
        self._neg[:] = map(fn, self._neg)
        self._reduced.clear()
        return self

    def reduction(self, fn: Reduction | None = None) -> None:
        """Sets how several pending updates become one: ``fn(stacked, 0)``, by default their sum."""
        self._reduce = torch.sum if fn is None else fn
        self._reduced.clear()

    def upperbound(self, bound: Callable | None, max: float | None = None, /, **kwargs: Any) -> None:
        """Bounds positive updates: ``pos' = bound(param, pos, max, **kwargs)``. None takes the bound away.

        Replaces a bound set with :meth:`fullbound`.
        """
        self._full = None
        self._upper = None if bound is None else (bound, (max,), kwargs)

    def lowerbound(self, bound: Callable | None, min: float | None = None, /, **kwargs: Any) -> None:
        """Bounds negative updates: ``neg' = bound(param, neg, min, **kwargs)``. None takes the bound away.

        Replaces a bound set with :meth:`fullbound`.
        """
        self._full = None
        self._lower = None if bound is None else (bound, (min,), kwargs)

    def fullbound(
        self, bound: Callable | None, max: float | None = None, min: float | None = None, /, **kwargs: Any
    ) -> None:
        """Bounds both directions at once: ``delta = bound(param, pos, neg, max, min, **kwargs)``.

        None takes the bound away. Replaces bounds set with :meth:`upperbound` and :meth:`lowerbound`.
        """
        self._upper = self._lower = None
        self._full = None if bound is None else (bound, (max, min), kwargs)

    def clear(self, **kwargs) -> None:
        """Drops all pending updates."""
        del self.pos
        del self.neg

    def update(self, param: torch.Tensor, **kwargs) -> torch.Tensor | None:
        """What the pending updates add to ``param``, or None if there are none."""
        pos, neg = self.pos, self.neg
        if pos is None and neg is None:
            return None
        if self._full is not None:
            pos = torch.zeros_like(neg) if pos is None else pos
            neg = torch.zeros_like(pos) if neg is None else neg
            return _bounded(self._full, param, pos, neg)
        if pos is not None and self._upper is not None:
            pos = _bounded(self._upper, param, pos)
        if neg is not None and self._lower is not None:
            neg = _bounded(self._lower, param, neg)
        if neg is None:
            return pos
        return -neg if pos is None else pos - neg

    def forward(self, param: torch.Tensor, **kwargs) -> torch.Tensor:
        """``param`` with the pending updates added, in the dtype of ``param``; itself if there are none."""
        delta = self.update(param, **kwargs)
        return param if delta is None else (param + delta).to(param.dtype)


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
