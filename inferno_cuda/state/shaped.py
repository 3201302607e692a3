"""ShapedTensor: a handle to a tensor of its owner, whose dimensions can be held to given sizes."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from . import _check
from ._handle import OwnedHandle, normal
from .module import Module


def ignored(tensor: torch.Tensor | None) -> bool:
    """If no constraint applies: None, uninitialized, or without elements in at most one dimension."""
    return tensor is None or isinstance(tensor, UninitializedTensorMixin) or (tensor.ndim <= 1 and tensor.numel() == 0)


def _own(value: torch.Tensor | nn.Parameter | None) -> torch.Tensor | nn.Parameter | None:
    """A copy of what a user assigns, since state is written in place; a parameter is what the user wants written."""
    if value is None or isinstance(value, nn.Parameter | UninitializedTensorMixin):
        return value
    return value.clone()


def dimensionality(constraints: Mapping[int, int], strict: bool) -> int:
    """The least number of dimensions a tensor under ``constraints`` must have."""
    if not constraints:
        return 0
    first, last = min(constraints), max(constraints)
    if strict:
        return max(last + 1, 0) - min(first, 0)
    return max(last + 1, -first)


def compatible(tensor: torch.Tensor, constraints: Mapping[int, int], strict: bool) -> bool:
    """If ``tensor`` meets every constraint."""
    return tensor.ndim >= dimensionality(constraints, strict) and all(
        tensor.shape[dim] == size for dim, size in constraints.items()
    )


#: The names of the attributes that a :class:`~inferno_cuda.ShapedTensor` keeps on its owner.
ShapedTensorAttributes = namedtuple("ShapedTensorAttributes", ["data", "constraints"])


class ShapedTensor(OwnedHandle):
    """A tensor kept by ``owner`` as ``_{name}_data``, with dimensions constrained to sizes.

    Args:
        owner: object that holds the tensor: a buffer (or parameter) if it is a ``nn.Module``.
        name: identifier from which the attribute names are derived.
        value: initial tensor, parameter, or None.
        constraints: sizes by dimension; negative dimensions count from the end.
        persist_data: if the data is in the owner's state_dict.
        persist_constraints: if the constraints are in the state_dict; needs an inferno ``Module``.
        strict: if positive and negative dimensions must be different ones.
        live: if every assignment to ``value`` is tested.

    Raises:
        TypeError, ValueError: ``name`` is not an identifier.
        RuntimeError: ``value`` does not meet ``constraints``.
    """

    LinkedAttributes = ShapedTensorAttributes

    def __init__(
        self,
        owner: Any,
        name: str,
        value: torch.Tensor | nn.Parameter | None,
        constraints: Mapping[int, int] | None = None,
        persist_data: bool = True,
        persist_constraints: bool = False,
        strict: bool = True,
        live: bool = False,
    ) -> None:
        super().__init__(owner, name)
        self._attributes = self.LinkedAttributes(f"_{name}_data", f"_{name}_constraints")
        self._adopt(owner, value, value, dict(constraints or {}), persist_data, persist_constraints, strict, live)

    @classmethod
    def create(cls, owner: Any, name: str, *args: Any, **kwargs: Any) -> None:
        """Construct with the same arguments and set as attribute ``name`` of ``owner``."""
        setattr(owner, name, cls(owner, name, *args, **kwargs))

    def _adopt(
        self,
        owner: Any,
        value: Any,
        storage: Any,
        constraints: dict[int, int],
        persist_data: bool,
        persist_constraints: bool,
        strict: bool,
        live: bool,
    ) -> None:
        # storage: what is kept; it becomes the data of value where that is a parameter
        self._strict, self._live = bool(strict), bool(live)
        self._data_name = self._attributes.data
        constraints = {
            _check.integer("constraints", d): _check.nonnegative("constraints", _check.integer("constraints", s), int)
            for d, s in constraints.items()
        }
        if not ignored(storage) and not compatible(storage, constraints, self._strict):
            raise RuntimeError(
                f"'value', stored in shape {tuple(storage.shape)}, must meet the constraints (dim: size) {constraints}"
            )
        self._clear_names(owner)
        storage = normal(storage)
        if isinstance(value, nn.Parameter):
            if storage is not value:
                value.data = storage
            setattr(owner, self._data_name, value)
        elif isinstance(owner, nn.Module):
            owner.register_buffer(self._data_name, storage, persistent=persist_data)
        else:
            setattr(owner, self._data_name, storage)
        self._keep(owner, self._attributes.constraints, constraints, persist_constraints)

    @staticmethod
    def _keep(owner: Any, attribute: str, value: Any, persist: bool) -> None:
        if persist and isinstance(owner, Module):
            owner.register_extra(attribute, value)
        else:
            setattr(owner, attribute, value)

    @property
    def _data(self) -> torch.Tensor | nn.Parameter | None:
        owner = self._ref()
        try:
            return owner._buffers[self._data_name]
        except (AttributeError, KeyError):
            pass
        return self._get(self._data_name)

    def _assign(self, value: torch.Tensor | None) -> None:
        current, value = self._data, normal(value)
        if isinstance(current, nn.Parameter) and not isinstance(value, nn.Parameter):
            if isinstance(current, UninitializedTensorMixin):
                current.materialize(value.shape, device=value.device, dtype=value.dtype)
            current.data = value
            return
        owner = self._living_owner()
        if type(value) is torch.Tensor and self._data_name in getattr(owner, "_buffers", ()):
            # what nn.Module.__setattr__ comes down to, several times faster
            owner._buffers[self._data_name] = value
        else:
            setattr(owner, self._data_name, value)

    @property
    def _constraints(self) -> dict[int, int]:
        return self._get(self._attributes.constraints)

    @_constraints.setter
    def _constraints(self, value: dict[int, int]) -> None:
        setattr(self._living_owner(), self._attributes.constraints, value)

    @property
    def value(self) -> torch.Tensor | nn.Parameter | None:
        """The tensor itself, which its owner may write in place.

        Assigning a tensor stores a copy, as the ``.data`` of the present value if that is a parameter. A parameter is
        stored as it is.

        Raises:
            RuntimeError: None is assigned and the current value is a parameter.
            ValueError: ``live``, and the new value does not meet the constraints.
        """
        return self._data

    @value.setter
    def value(self, value: torch.Tensor | nn.Parameter | None) -> None:
        self._test_new(value)
        self._assign(_own(value))

    def _test_new(self, value: torch.Tensor | None) -> None:
        if value is None and isinstance(self._data, nn.Parameter):
            raise RuntimeError(f"'value' of '{self._name}' is a parameter, it must not be set to None")
        if self._live and not ignored(value) and not self.compatible(value):
            raise ValueError(f"'value' of shape {tuple(value.shape)} must meet the constraints {self._constraints}")

    @property
    def constraints(self) -> dict[int, int]:
        """A copy of the constraints, which map dimensions to sizes."""
        return dict(self._constraints)

    @property
    def ignored(self) -> bool:
        """If the data is None, uninitialized or empty, so that no constraint applies."""
        return ignored(self._data)

    @property
    def live(self) -> bool:
        """If assignments to ``value`` are tested."""
        return self._live

    @live.setter
    def live(self, value: bool) -> None:
        self._live = bool(value)

    @property
    def strict(self) -> bool:
        """If positive and negative dimensions must be different ones."""
        return self._strict

    @strict.setter
    def strict(self, value: bool) -> None:
        self._strict = bool(value)

    @property
    def valid(self) -> bool:
        """If the owner exists and the data is ignored or meets the constraints."""
        return self._ref() is not None and (self.ignored or self.compatible(self._data))

    @property
    def dimensionality(self) -> int:
        """The least number of dimensions that the data must have."""
        return dimensionality(self._constraints, self._strict)

    def compatible(self, tensor: torch.Tensor) -> bool:
        """If ``tensor`` meets the constraints."""
        return compatible(tensor, self._constraints, self._strict)

    @staticmethod
    def resize(
        value: torch.Tensor | nn.Parameter, dim: int, size: int, preserve_tail: bool = True, fill: Any = 0
    ) -> torch.Tensor | nn.Parameter:
        """Crop or pad along ``dim`` to ``size``, at the front if ``preserve_tail``, otherwise at the end."""
        if isinstance(value, nn.Parameter):
            value.data = ShapedTensor.resize(value.data, dim, size, preserve_tail, fill)
            return value
        have = value.shape[dim]
        if size == have:
            return value
        if size < have:
            return value.narrow(dim, have - size if preserve_tail else 0, size).clone()
        shape = list(value.shape)
        shape[dim] = size - have
        pad = torch.full(shape, fill, dtype=value.dtype, device=value.device)
        return torch.cat((pad, value) if preserve_tail else (value, pad), dim)

    def reconstrain(self, dim: int, size: int | None) -> torch.Tensor | nn.Parameter | None:
        """Add, change or (with None) remove the constraint of ``dim``; returns the value.

        A changed constraint resizes the data: it keeps the last entries and grows by zeros at the front. A new one
        must hold already.

        Raises:
            ValueError: there is nothing to remove, or the data does not meet the new constraint.
            RuntimeError: the data does not meet the others, or cannot meet the changed one.
        """
        dim, data, constraints = _check.integer("dim", dim), self._data, dict(self._constraints)
        if size is None:
            if dim not in constraints:
                raise ValueError(f"'dim' ({dim}) must be a constrained dimension, one of {sorted(constraints)}")
            del constraints[dim]
            self._constraints = constraints
            if not ignored(data) and not compatible(data, constraints, self._strict):
                raise RuntimeError("constrained tensor has been invalidated")
            return data

        size = _check.nonnegative("size", _check.integer("size", size), int)
        known = dim in constraints
        constraints[dim] = size
        if not ignored(data) and not known:
            if not self.compatible(data):
                raise RuntimeError("constrained tensor has been invalidated")
            if not compatible(data, constraints, self._strict):
                raise ValueError(f"constrained tensor would be invalidated by constraint of size {size} on dim {dim}")
        elif not ignored(data):
            self._test_changed(data, constraints)
            if not compatible(data, constraints, self._strict):
                self._assign(self.resize(data, dim, size))
        self._constraints = constraints
        return self._data

    def _test_changed(self, data: torch.Tensor, constraints: dict[int, int]) -> None:
        sizes: dict[int, int] = {}
        enough = data.ndim >= dimensionality(constraints, self._strict)
        if not enough or any(sizes.setdefault(d % data.ndim, s) != s for d, s in constraints.items()):
            raise RuntimeError(
                f"constrained tensor of shape {tuple(data.shape)} cannot meet the constraints (dim: size) {constraints}"
            )
