"""Pending updates of the parameters of a module: collecting and applying."""

from __future__ import annotations

import copy
import weakref
from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn as nn

from .. import ops
from ..ops.common import has_memory
from ..state import Module
from ..state._check import instance, same_shape
from ._accumulator import Accumulator, Reduction, saved_updates
from ._deferred import Deferred


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
        self.updates_[param]._append(pos, neg)

    def drop(self: Updater) -> None:
        self.updates_[param].clear()

    return property(read, write, drop, f"Accumulator of '{param}'. Takes ``pos`` or a pair ``(pos, neg)``.")


def hand_over(updater: nn.Module, param: str, pos: torch.Tensor | Deferred | None, neg: Any) -> None:
    """``updater.param = pos, neg``, without the way of an assignment to a module where it is our own."""
    if getattr(updater, "_base", None) is Updater:
        updater._modules["updates_"]._modules[param]._append(pos, neg)
    else:
        setattr(updater, param, (pos, neg))


def assign(owner: nn.Module, name: str, value: torch.Tensor) -> None:
    """Writes an attribute of a module; a parameter, which torch lets nobody assign tensors to, in place."""
    param = getattr(owner, "_parameters", {}).get(name)
    if param is None:
        setattr(owner, name, value)
    else:
        with torch.no_grad():
            param.copy_(value)


def _check_new(name: str, value: torch.Tensor, present: torch.Tensor) -> None:
    same_shape(name, value, present.shape, f"the present {name}")
    if value.dtype != present.dtype:
        raise TypeError(f"an update made '{name}' {value.dtype}, it must stay {present.dtype}")
    if value.device != present.device:
        raise ValueError(f"an update put '{name}' on the device {value.device}, it must stay on {present.device}")


def _broadcasts(update: torch.Tensor, param: torch.Tensor) -> bool:
    beside = zip(reversed(update.shape), reversed(param.shape), strict=False)
    return update.ndim <= param.ndim and all(size in (1, wanted) for size, wanted in beside)


class Updater(Module):
    """Collects updates for parameters of a module and applies them.

    Every parameter is a property of the updater: reading gives its :class:`Accumulator`; assigning a tensor adds a
    positive update; assigning a pair ``(pos, neg)`` adds both; deleting drops what is pending.

    A deep copy or a file that has both the updater and an :class:`Updatable` keeps them together. A deep copy without
    the module updates the same module; with a module that is no Updatable this needs the module to be copied first.

    Args:
        module: module whose parameters are updated; only a weak reference to it is kept.
        *params: names of its attributes to update.
        reduction: how several pending updates become one, by default their sum.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        RuntimeError: if the module lacks one of the attributes.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import DeltaCurrent, LinearDense
        >>> synapse = DeltaCurrent.partialconstructor(1.0)
        >>> connection = LinearDense(2, 1, 1.0, synapse=synapse, weight_init=torch.zeros_like)
        >>> connection.updater = connection.defaultupdater()
        >>> connection.updater.weight = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.0, 0.25]])  # up, down
        >>> connection.update()
        >>> connection.weight
        Parameter containing:
        tensor([[0.5000, 0.2500]])
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

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        *_, error_msgs = args
        for name in self.names if self.parent is not None else ():
            param = self._read(name)
            # torch hands down a dictionary of its own, from which the accumulators are loaded next
            for key in sum(saved_updates(state_dict, f"{prefix}updates_.{name}."), []):
                if not _broadcasts(state_dict[key], param):
                    shape = tuple(state_dict[key].shape)
                    error_msgs.append(f"'{key}' has the shape {shape}, '{name}' has {tuple(param.shape)}")
                    del state_dict[key]
                else:
                    state_dict[key] = state_dict[key].to(param.device)
        super()._load_from_state_dict(state_dict, prefix, *args)

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
        for accumulator in self._modules["updates_"]._modules.values():
            accumulator.clear(**kwargs)

    def forward(self, *params: str, **kwargs) -> None:
        """Applies the pending updates of the named parameters, or of all. They stay pending.

        All new values are computed and checked before the first is written; a parameter is written in place. A
        connection takes them as they are: a delay that an update made negative is not an error here, so that a hook on
        the updater can still clamp it.

        Raises:
            RuntimeError: if the module is gone.
            KeyError: if a name is not one of :attr:`names`.
            ValueError: if an update changes the shape or the device of a parameter.
            TypeError: if it changes the dtype.
        """
        parent = self._parent()
        if parent is None:
            raise RuntimeError("the module of this updater does not exist any more")
        accumulators = self._modules["updates_"]._modules
        fused, called = {}, []
        for name in params or accumulators:
            accumulator = accumulators[name]
            if accumulator._is_idle():
                continue
            held = self._written_in_place(name)
            arguments = None if held is None else accumulator._fused(held)
            if arguments is not None:
                fused[name] = held, arguments
            else:
                called.append(name)
        if called or torch.is_grad_enabled():  # a context takes as long as a small update
            with torch.no_grad():
                self._write(parent, called, kwargs, fused)
        else:
            self._write(parent, called, kwargs, fused)

    def _write(self, parent: Updatable, called: list[str], kwargs: dict[str, Any], fused: dict[str, tuple]) -> None:
        """Writes parameters: those that accumulators are called for, and then those that take updates in place."""
        values = self._called(called, kwargs) if called else {}
        for name, value in values.items():
            write = getattr(parent, "_update_parameter", None)
            assign(parent, name, value) if write is None else write(name, value)
        for name, (held, arguments) in fused.items():
            ops.apply_updates_(held, **arguments)
            if (settle := getattr(parent, "_settle", None)) is not None:
                settle(name)

    def _called(self, names: list[str], kwargs: dict[str, Any]) -> dict[str, torch.Tensor]:
        """What calls of accumulators make of parameters, checked; nothing of those that stay."""
        values = {}
        for name in names:
            present = self._read(name)
            value = self.updates_[name](present, **kwargs)
            if value is not present:
                _check_new(name, value, present)
                values[name] = value
        return values

    def _written_in_place(self, name: str) -> torch.Tensor | None:
        """The tensor of an attribute, where setting it does no more than write and settle it; otherwise None."""
        if torch.compiler.is_compiling():
            return None
        parent = self._parent()
        find = getattr(parent, "_settled_in_place", None) or getattr(parent, "_written_in_place", None)
        held = find(name) if find is not None else None
        return held if held is not None and held.is_contiguous() and has_memory(held) else None

    def _read(self, name: str) -> torch.Tensor:
        parent = self.parent
        return parent._parameter(name) if hasattr(parent, "_parameter") else getattr(parent, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Updater:
        new = _rebuild_updater(self._base, type(self).__name__, self.names)
        memo[id(self)] = new
        parent = self.parent
        # a copy that is part of a copy of the module belongs to that; a copy on its own updates the same module
        new.__setstate__({**self._copied_state(memo), "_parent": memo.get(id(parent), parent)})
        if parent is not None and id(parent) not in memo:
            memo.setdefault(_waiting_for(parent), []).append(new)
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


def _waiting_for(module: Updatable | None) -> tuple[type, int]:
    """Where a deep copy notes the copies of updaters which it met before the module that they update."""
    return Updater, id(module)


class Updatable(ABC):
    """A module with an optional :class:`Updater`, kept as the submodule ``updater_``."""

    def __init__(self) -> None:
        self.updater_ = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Updatable:
        make, args, state = self.__reduce_ex__(4)[:3]
        new = memo[id(self)] = make(*copy.deepcopy(args, memo))
        new.__setstate__(copy.deepcopy(state, memo))
        for updater in memo.pop(_waiting_for(self), ()):
            updater.__dict__["_parent"] = weakref.ref(new)
        return new

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
        updater = self.updater
        if updater is not None:
            updater(**kwargs)
            if clear:
                updater.clear(**kwargs)

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
