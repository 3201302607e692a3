"""Handles: objects that an owner keeps as an attribute, to manage other attributes of its own."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from . import _check


def normal(tensor: Any) -> Any:
    """``tensor``, or a copy if it was made in inference mode, as state outlives that mode and is written after it."""
    if tensor is None or torch.compiler.is_compiling() or isinstance(tensor, nn.Parameter | UninitializedTensorMixin):
        return tensor
    if not tensor.is_inference():
        return tensor
    with torch.inference_mode(False), torch.no_grad():
        return tensor.clone()


class Handle:
    """What an owner keeps under an attribute name to manage other attributes of its own."""

    # name of the attribute with a tensor that steps write in place
    _data_name: str | None = None

    def _release(self, owner: Any) -> None:
        """Remove from ``owner`` the attributes this handle manages."""
        raise NotImplementedError

    def _check_extras(self, extras: Mapping[str, Any]) -> None:
        """Called with extras that the owner is about to load; raises where they make no sense."""

    def _loaded(self) -> None:
        """Called after the owner loaded its extras."""


def _no_owner() -> None:
    return None


class OwnedHandle(Handle):
    """A handle that knows its owner weakly, is copied and pickled with it, and never keeps it alive."""

    _attributes: Any

    def __init__(self, owner: Any, name: str) -> None:
        self._name = _check.identifier("name", name)
        self._ref = weakref.ref(owner)

    @property
    def owner(self) -> Any:
        """The object that holds the data; None when it is gone."""
        return self._ref()

    @property
    def name(self) -> str:
        """The name that the owner's attributes are derived from."""
        return self._name

    @property
    def attributes(self) -> Any:
        """Named tuple: the names of the owner's attributes that this handle manages."""
        return self._attributes

    def _living_owner(self) -> Any:
        owner = self._ref()
        if owner is None:
            raise RuntimeError(f"the owner of '{self._name}' no longer exists")
        return owner

    def _get(self, attribute: str) -> Any:
        owner = self._living_owner()
        # where a module finds it in the end, without the search through everything else
        held = owner.__dict__.get("_extras", {}).get(attribute)
        return held if held.__class__ in (float, bool) else getattr(owner, attribute)

    def _clear_names(self, owner: Any) -> None:
        """Make room on ``owner``: nothing of an earlier handle of this name may survive."""
        old = getattr(owner, "__dict__", {}).get(self._name)
        if isinstance(old, OwnedHandle) and old._ref() is owner:
            old._release(owner)
        self._release(owner)

    def _release(self, owner: Any) -> None:
        for attribute in self._attributes:
            if hasattr(owner, attribute):
                delattr(owner, attribute)

    def __deepcopy__(self, memo: dict[int, Any]) -> OwnedHandle:
        owner = copy.deepcopy(self._ref(), memo)
        if id(self) in memo:
            return memo[id(self)]
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        for key, value in self.__dict__.items():
            if key != "_ref":
                new.__dict__[key] = copy.deepcopy(value, memo)
        new._ref = _no_owner if owner is None else weakref.ref(owner)
        return new

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ref": self._ref()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        owner = state["_ref"]
        self._ref = _no_owner if owner is None else weakref.ref(owner)
