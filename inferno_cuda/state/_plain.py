"""Plain values as JSON and back: the type of a value is kept, and nothing but plain values can come out."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.parameter import UninitializedTensorMixin

# deeper than any state is nested, and far from the limits of Python's stack
DEEPEST = 50


def dense(tensor: torch.Tensor) -> bool:
    """If a tensor has values, and files can hold those."""
    if isinstance(tensor, UninitializedTensorMixin) or tensor.is_meta:
        return False
    return tensor.layout == torch.strided and not tensor.is_quantized


class PlainError(Exception):
    """What is wrong with a value, and where it is."""


def encode(value: Any, where: str, tensors: dict[str, torch.Tensor], depth: int = 0) -> Any:
    """What JSON can hold of ``value``; tensors go into ``tensors`` under a name.

    Taken are None, bool, int, float, str, tensors, and lists, tuples and dictionaries (with str or int as keys) of such
    values.

    Raises:
        PlainError: if there is a value of another type, at ``where`` or below.
    """
    if depth > DEEPEST:
        raise PlainError(f"'{where}' is nested more than {DEEPEST} deep")
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, torch.Tensor):
        if not dense(value):
            raise PlainError(f"'{where}' is no dense tensor with values")
        name = f"@{len(tensors)}"
        tensors[name] = value
        return {"tensor": name}
    if kind in (list, tuple):
        items = [encode(item, f"{where}[{i}]", tensors, depth + 1) for i, item in enumerate(value)]
        return items if kind is list else {"tuple": items}
    if kind in (dict, OrderedDict):
        return {"dict": [[_key(k, where), encode(v, f"{where}[{k!r}]", tensors, depth + 1)] for k, v in value.items()]}
    raise PlainError(f"'{where}' is a {kind.__name__}, it must be a number, a string, None, a tensor or made of such")


def decode(value: Any, where: str, tensors: Mapping[str, torch.Tensor], depth: int = 0) -> Any:
    """The value that was encoded. ``tensors`` holds the tensors by name.

    Raises:
        PlainError: if ``value`` is not what :func:`encode` makes.
    """
    if depth > DEEPEST:
        raise PlainError(f"'{where}' is nested more than {DEEPEST} deep")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [decode(item, f"{where}[{i}]", tensors, depth + 1) for i, item in enumerate(value)]
    kind, held = next(iter(value.items())) if len(value) == 1 else (None, None)
    if kind == "float" and held in ("inf", "-inf", "nan"):
        return float(held)
    if kind == "tensor" and type(held) is str and held in tensors:
        return tensors[held]
    if kind == "tuple" and type(held) is list:
        return tuple(decode(held, where, tensors, depth))
    if kind == "dict" and type(held) is list:
        return _dictionary(held, where, tensors, depth)
    raise PlainError(f"'{where}' is no plain value")


def _dictionary(pairs: list[Any], where: str, tensors: Mapping[str, torch.Tensor], depth: int) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for pair in pairs:
        if type(pair) is not list or len(pair) != 2 or _key(pair[0], where) in found:
            raise PlainError(f"'{where}' is no dictionary")
        found[pair[0]] = decode(pair[1], f"{where}[{pair[0]!r}]", tensors, depth + 1)
    return found


def _key(key: Any, where: str) -> str | int:
    if type(key) not in (str, int):
        raise PlainError(f"'{where}' has a key of type {type(key).__name__}, it must be a string or an integer")
    return key
