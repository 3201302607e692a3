"""Independent copies of models, of those too that ``copy.deepcopy`` cannot copy.

Modules of inferno-ai hold handles with weak references to their owner. ``copy.deepcopy`` leaves these pointing to the
original, or fails. Here a copy's weak references point to what was copied with it.
"""

from __future__ import annotations

import copy
import functools
import io
import pickle
import types
import weakref
from typing import Any, TypeVar

import torch
from torch import nn

# What copies share with the original: functions, with what they remember, and values that never change.
_SHARED = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    type(functools.cache(abs)),
    types.ModuleType,
    torch.dtype,
    torch.device,
    torch.layout,
    torch.memory_format,
)
_HOOKS = tuple(name for name in vars(nn.Module()) if "hooks" in name)


_T = TypeVar("_T")


def copy_of(x: _T) -> _T:
    """A copy of a model, or of what it is called with, that shares no state with the original.

    Modules of a copy have no hooks: these may reach what is not copied.

    Raises:
        TypeError, pickle.PicklingError: a part of it is an object that cannot be copied, an open file for example.
    """
    buffer, tensors = io.BytesIO(), _Tensors()
    pickler = _Pickler(buffer, tensors)
    pickler.dump(x)
    buffer.seek(0)
    return _Unpickler(buffer, pickler.kept).load()


class _Tensors:
    """Copies of tensors; those that share memory share it in the copy too, but for parameters."""

    def __init__(self) -> None:
        self._memo: dict[int, Any] = {}

    def copy(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.grad_fn is not None:
            # torch copies no graphs
            _, copied = self._memo.setdefault(id(tensor), (tensor, tensor.detach().clone()))
            return copied
        return copy.deepcopy(tensor, self._memo)


class _Pickler(pickle.Pickler):
    """Takes a model apart. What it does not take apart is kept, and put into the copy by its place in ``kept``."""

    def __init__(self, file: io.BytesIO, tensors: _Tensors) -> None:
        super().__init__(file, protocol=5)
        self.kept: list[Any] = []
        self._tensors = tensors

    def persistent_id(self, x: Any) -> int | None:
        if isinstance(x, torch.Tensor):
            x = self._tensors.copy(x)
        elif isinstance(x, torch.Generator):
            x = x.clone_state()
        elif not isinstance(x, _SHARED):
            return None
        self.kept.append(x)
        return len(self.kept) - 1

    def reducer_override(self, x: Any) -> Any:
        if isinstance(x, nn.Module):
            return _without_hooks(x.__reduce_ex__(5))
        if isinstance(x, weakref.WeakMethod):
            return _weak_method, (x(),)
        if type(x) in (weakref.ref, weakref.KeyedRef):
            return _weak, (x(),)
        if isinstance(x, weakref.finalize):
            return _finalizer, x.peek() or (None, None, (), {})
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, kept: list[Any]) -> None:
        super().__init__(file)
        self._kept = kept

    def persistent_load(self, place: int) -> Any:
        return self._kept[place]


def _without_hooks(reduced: tuple) -> tuple:
    make, arguments, *rest = reduced
    if rest and isinstance(rest[0], dict):
        rest[0] = {name: type(value)() if name in _HOOKS else value for name, value in rest[0].items()}
    return make, arguments, *rest


class _Gone:
    """What a dead weak reference refers to."""


def _weak(x: Any) -> weakref.ref:
    return weakref.ref(_Gone() if x is None else x)


def _weak_method(method: Any) -> weakref.ref:
    return weakref.ref(_Gone()) if method is None else weakref.WeakMethod(method)


def _finalizer(x: Any, function: Any, arguments: tuple, keywords: dict | None) -> weakref.finalize:
    made = weakref.finalize(_Gone() if x is None else x, function or _nothing, *arguments, **(keywords or {}))
    # it cleans up after an object of the copy, which the end of the program does as well
    made.atexit = False
    return made


def _nothing() -> None:
    pass
