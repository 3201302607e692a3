"""What users' functions are called with and return, and what is given in a call of a rule."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def _described(value: Any) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"of type {type(value).__name__}"


def result_of(name: str, result: Any, shape: Sequence[int]) -> Tensor:
    """``result`` if it is a tensor of a shape; else TypeError or ValueError, ``name`` is what returned it."""
    if isinstance(result, Tensor) and result.shape == torch.Size(shape):
        return result
    error = ValueError if isinstance(result, Tensor) else TypeError
    raise error(f"what '{name}' returned is {_described(result)}, it must be a tensor of shape {tuple(shape)}")


def accepts(name: str, function: Callable, positional: Sequence[Any], keywords: Mapping[str, Any]) -> None:
    """Whether a function can be called so, or TypeError; what has no signature is taken to be."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions that are built in have none
        return
    try:
        signature.bind(*positional, **keywords)
    except TypeError as error:
        raise TypeError(
            f"'{name}' cannot be called with a time and '{name}_kwargs' ({list(keywords)}): {error}"
        ) from None


def names_of(cells: str | Iterable[str]) -> tuple[str, ...]:
    """Names of cells, of which one may be given alone."""
    if isinstance(cells, str):
        return (cells,)
    if not isinstance(cells, Iterable):
        raise TypeError(f"'cells' of type {type(cells).__name__} must be names of cells, or None")
    return tuple(cells)


def broadcasts(name: str, value: Any, shape: Sequence[int]) -> None:
    """Whether a tensor can be expanded to a shape, or ValueError; what is no tensor can."""
    if not isinstance(value, Tensor):
        return
    ends = list(shape)[-value.ndim :] if value.ndim else []
    if value.ndim > len(shape) or any(n not in (1, end) for n, end in zip(value.shape, ends, strict=True)):
        raise ValueError(f"'{name}' has the shape {tuple(value.shape)}, it must broadcast to {tuple(shape)}")
