"""New tensors that take what is not given from another tensor: shape, dtype, layout, device and requires_grad.

``requires_grad`` is only taken over by tensors of a floating or complex dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Scalar = bool | int | float | complex
Shape = Sequence[int] | torch.Size | int


def _like(
    tensor: Tensor,
    dtype: torch.dtype | None,
    layout: torch.layout | None,
    device: torch.device | None,
    requires_grad: bool | None,
) -> dict[str, Any]:
    dtype = tensor.dtype if dtype is None else dtype
    if requires_grad is None:
        requires_grad = tensor.requires_grad and (dtype.is_floating_point or dtype.is_complex)
    return {
        "dtype": dtype,
        "layout": tensor.layout if layout is None else layout,
        "device": tensor.device if device is None else device,
        "requires_grad": requires_grad,
    }


def _size(tensor: Tensor, shape: Shape | None) -> torch.Size | Sequence[int]:
    if shape is None:
        return tensor.shape
    return (shape,) if isinstance(shape, int) else shape


def zeros(
    tensor: Tensor,
    *,
    shape: Shape | None = None,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """Zeros, like ``tensor`` where not said otherwise."""
    return torch.zeros(_size(tensor, shape), **_like(tensor, dtype, layout, device, requires_grad))


def ones(
    tensor: Tensor,
    *,
    shape: Shape | None = None,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """Ones, like ``tensor`` where not said otherwise."""
    return torch.ones(_size(tensor, shape), **_like(tensor, dtype, layout, device, requires_grad))


def empty(
    tensor: Tensor,
    *,
    shape: Shape | None = None,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """Uninitialised memory, like ``tensor`` where not said otherwise."""
    return torch.empty(_size(tensor, shape), **_like(tensor, dtype, layout, device, requires_grad))


def full(
    tensor: Tensor,
    value: Scalar,
    *,
    shape: Shape | None = None,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """``value`` everywhere, converted to the dtype, like ``tensor`` where not said otherwise."""
    return torch.full(_size(tensor, shape), value, **_like(tensor, dtype, layout, device, requires_grad))


def fullc(
    tensor: Tensor,
    value: Scalar,
    *,
    shape: Shape | None = None,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """:func:`full`, but in the default dtype if that of ``tensor`` is bool or integral and no other is given."""
    if dtype is None and not (tensor.is_floating_point() or tensor.is_complex()):
        dtype = torch.get_default_dtype()
    return full(tensor, value, shape=shape, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


def uniform(
    tensor: Tensor,
    *,
    shape: Shape | None = None,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    requires_grad: bool | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Random numbers, uniform in [0, 1), like ``tensor`` where not said otherwise."""
    like = _like(tensor, dtype, layout, device, requires_grad)
    return torch.rand(_size(tensor, shape), generator=generator, **like)


def normal(
    tensor: Tensor,
    *,
    shape: Shape | None = None,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    requires_grad: bool | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Random numbers of the standard normal distribution, like ``tensor`` where not said otherwise."""
    like = _like(tensor, dtype, layout, device, requires_grad)
    return torch.randn(_size(tensor, shape), generator=generator, **like)


def scalar(
    value: Scalar,
    tensor: Tensor,
    *,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """``value`` as a tensor of shape ``()``, like ``tensor`` where not said otherwise."""
    return full(tensor, value, shape=(), dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


def astensors(*values: Any, conversion: Callable[[Any], Tensor] | None = None) -> tuple[Tensor, ...] | Tensor:
    """The values as tensors: those that are tensors as they are, numbers as scalars like the first tensor.

    Args:
        *values: tensors and numbers; without a tensor among them, whatever ``conversion`` takes.
        conversion: makes tensors of the values when none of them is one; None for :func:`torch.tensor`.

    Returns:
        The tensor for one value, else a tuple.
    """
    like = next((value for value in values if isinstance(value, Tensor)), None)
    if like is None:
        tensors = tuple(map(conversion or torch.tensor, values))
    else:
        tensors = tuple(value if isinstance(value, Tensor) else scalar(value, like) for value in values)
    return tensors[0] if len(tensors) == 1 else tensors
