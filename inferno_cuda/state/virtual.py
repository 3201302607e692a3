"""VirtualTensor: a tensor that is computed when it is read, in a dtype and on a device that follow its owner."""

from __future__ import annotations

import inspect
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ._handle import OwnedHandle

#: The names of the attributes that a :class:`~inferno_cuda.VirtualTensor` keeps on its owner.
VirtualTensorAttributes = namedtuple("VirtualTensorAttributes", ["ref"])


class VirtualTensor(OwnedHandle):
    """A computed tensor whose dtype and device are those of an empty buffer ``_{name}_ref`` of the owner.

    Args:
        owner: object that holds the buffer.
        name: identifier from which the attribute name is derived.
        materializer: name of a method of ``owner``, called as ``(dtype, device)``; or a callable, called as
            ``(owner, dtype, device)``.
        dtype, device: of the result, until the owner is cast or moved.
        persist: if the empty buffer is in the owner's state_dict.

    Raises:
        TypeError, ValueError: ``name`` is not an identifier.
        AttributeError: ``owner`` has no attribute ``materializer``.
        TypeError: that attribute is not a method, or ``materializer`` is neither a string nor callable.
    """

    LinkedAttributes = VirtualTensorAttributes

    def __init__(
        self,
        owner: Any,
        name: str,
        materializer: str | Callable[[Any, torch.dtype, torch.device], torch.Tensor],
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        persist: bool = False,
    ) -> None:
        super().__init__(owner, name)
        self._attributes = self.LinkedAttributes(f"_{name}_ref")
        if isinstance(materializer, str):
            if not hasattr(owner, materializer):
                raise AttributeError(f"'materializer' ({materializer!r}) must be an attribute of 'owner'")
            if not inspect.ismethod(getattr(owner, materializer)):
                raise TypeError(f"'materializer' ({materializer!r}) must name a method of 'owner'")
        elif not callable(materializer):
            raise TypeError(f"'materializer' must be a string or callable, but is a {type(materializer).__name__}")
        self._materializer = materializer
        self._clear_names(owner)
        ref = torch.empty(0, dtype=dtype, device=device)
        if isinstance(owner, nn.Module):
            owner.register_buffer(self._attributes.ref, ref, persistent=persist)
        else:
            setattr(owner, self._attributes.ref, ref)

    @classmethod
    def create(cls, owner: Any, name: str, *args: Any, **kwargs: Any) -> None:
        """Construct with the same arguments and set as attribute ``name`` of ``owner``."""
        setattr(owner, name, cls(owner, name, *args, **kwargs))

    @property
    def _reference(self) -> torch.Tensor:
        return self._get(self._attributes.ref)

    @property
    def value(self) -> torch.Tensor:
        """The tensor, computed now."""
        owner, ref = self._living_owner(), self._reference
        if isinstance(self._materializer, str):
            made = getattr(owner, self._materializer)(ref.dtype, ref.device)
        else:
            made = self._materializer(owner, ref.dtype, ref.device)
        return made.to(dtype=ref.dtype, device=ref.device)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the result."""
        return self._reference.dtype

    @dtype.setter
    def dtype(self, value: torch.dtype) -> None:
        self.to(dtype=value)

    @property
    def device(self) -> torch.device:
        """Device of the result."""
        return self._reference.device

    @device.setter
    def device(self, value: torch.device | str) -> None:
        self.to(device=value)

    def to(self, *args: Any, **kwargs: Any) -> None:
        """Change dtype or device of the result, with the arguments of ``torch.Tensor.to``."""
        setattr(self._living_owner(), self._attributes.ref, self._reference.to(*args, **kwargs))
