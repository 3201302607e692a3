"""Which neurons are recorded."""

from __future__ import annotations

import math
from typing import Any

import torch

Selection = slice | torch.Tensor


def selection(name: str, neurons: Any, shape: tuple[int, ...], device: torch.device) -> Selection | None:
    """An index into the neurons of ``shape``, taken as one dimension; None for all of them, in their shape.

    Raises:
        TypeError: if ``neurons`` is no slice, and no tensor or sequence of bools or integers.
        ValueError: if a mask has another shape, or indices are not in one dimension or out of range.
    """
    if neurons is None or isinstance(neurons, slice):
        return neurons
    try:
        index = torch.as_tensor(neurons)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"'neurons' of {name} is {neurons!r}, it must be a slice, a mask or indices") from None
    if not index.numel() and not isinstance(neurons, torch.Tensor):
        index = index.long()  # an empty list has no dtype of its own
    if index.dtype == torch.bool:
        if index.shape != shape:
            raise ValueError(f"'neurons' of {name} is a mask of shape {tuple(index.shape)}, it must be {tuple(shape)}")
        return index.flatten().nonzero().squeeze(1).to(device)
    if index.is_floating_point() or index.is_complex():
        raise TypeError(f"'neurons' of {name} was {index.dtype}; indices must be integers, and a mask torch.bool")
    if index.ndim != 1:
        raise ValueError(f"'neurons' of {name} has the shape {tuple(index.shape)}, indices must be in one dimension")
    count = math.prod(shape)
    if bool(((index < -count) | (index >= count)).any()):
        raise ValueError(f"'neurons' of {name} has indices out of range, there are {count} neurons")
    return (index.long() % max(count, 1)).to(device)


def select(value: torch.Tensor, which: Selection | None, dims: int) -> torch.Tensor:
    """The selected neurons of ``[..., *shape]``, whose shape has ``dims`` dimensions."""
    if which is None:
        return value
    flat = value.unsqueeze(-1) if dims == 0 else value.flatten(value.ndim - dims)
    return flat[..., which] if isinstance(which, slice) else flat.index_select(-1, which)
