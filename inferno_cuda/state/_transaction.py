"""All or nothing: what a model holds is put back if a change of it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from ._handle import Handle


@contextmanager
def unchanged_on_failure(model: nn.Module) -> Iterator[None]:
    """Puts back, bit for bit, what the modules of a model held if the block raises.

    That is every attribute, parameter, buffer and extra; tensors stay the same objects, and those that were not written
    can still be used in a backward. Copies of all tensors are kept as long as the block runs.

    Raises:
        ValueError: a parameter or buffer is uninitialized, as those of lazy modules: that could not be put back.
    """
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(tensor, UninitializedTensorMixin):
            raise ValueError(f"'{name}' of the model is uninitialized, run the model once first")
    kept = [_Kept(holder) for module in model.modules() for holder in (module, *_handles(module))]
    tensors = [(tensor, tensor.detach().clone()) for tensor in _tensors(model)]
    try:
        yield
    except BaseException:
        for held in kept:
            held.put_back()
        with torch.no_grad():
            for tensor, values in tensors:
                # autograd takes any write for a change
                if not _same(tensor, values):
                    tensor.copy_(values)
        raise


class _Kept:
    """The attributes of a module or a handle, and what its dictionaries and lists held."""

    def __init__(self, holder: nn.Module | Handle) -> None:
        self._holder = holder
        self._attributes = dict(vars(holder))
        self._contents = [(held, held.copy()) for held in self._attributes.values() if isinstance(held, dict | list)]

    def put_back(self) -> None:
        for held, contents in self._contents:
            held.clear()
            held.update(contents) if isinstance(held, dict) else held.extend(contents)
        attributes = vars(self._holder)
        attributes.clear()
        attributes.update(self._attributes)


def _handles(module: nn.Module) -> Iterator[Handle]:
    return (held for held in vars(module).values() if isinstance(held, Handle))


def _same(tensor: torch.Tensor, values: torch.Tensor) -> bool:
    """If the bits are the same; False where they cannot be compared."""
    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}.get(tensor.element_size())
    if bits is None or tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized or tensor.is_complex():
        return False
    return torch.equal(tensor.detach().view(bits), values.view(bits))


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    """Every tensor that a model holds, once."""
    found: dict[int, torch.Tensor] = {}
    for module in model.modules():
        held: list[Any] = [*module._parameters.values(), *module._buffers.values()]
        held += getattr(module, "_extras", {}).values()
        found.update((id(value), value) for value in held if isinstance(value, torch.Tensor))
    return list(found.values())
