"""Ways to combine the outputs of several connections into one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch

Combine = Callable[[Sequence[torch.Tensor]], torch.Tensor]


def _fold(op: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], mean: bool = False) -> Combine:
    """Applies a binary operation from the first tensor to the last, so that the rounding does not depend on anything.

    Half types are combined in float32 and rounded once.
    """

    def combine(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        dtype = functools.reduce(torch.promote_types, {tensor.dtype for tensor in tensors})
        if dtype in (torch.float16, torch.bfloat16):
            tensors = [tensor.float() for tensor in tensors]
        result = functools.reduce(op, tensors)
        return (result / len(tensors) if mean else result).to(dtype)

    return combine


COMBINE: dict[str, Combine] = {
    "sum": _fold(torch.add),
    "mean": _fold(torch.add, mean=True),
    "prod": _fold(torch.mul),
    "min": _fold(torch.minimum),
    "max": _fold(torch.maximum),
}
