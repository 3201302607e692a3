"""Tensors in tuples, lists and dictionaries: what modules take and return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

Build = Callable[[list[Any]], Any]


def flatten(value: Any) -> tuple[list[Any], Build]:
    """What is no tuple, list or mapping, from left to right; and a function that puts such a list back in its place."""
    if isinstance(value, Mapping):
        leaves, build = _flatten_all(list(value.values()))
        return leaves, lambda new: dict(zip(value, build(new), strict=True))
    if isinstance(value, tuple | list):
        leaves, build = _flatten_all(list(value))
        kind = type(value)
        named = hasattr(kind, "_fields")
        return leaves, lambda new: kind(*build(new)) if named else kind(build(new))
    return [value], lambda new: new[0]


def _flatten_all(values: list[Any]) -> tuple[list[Any], Callable[[list[Any]], list[Any]]]:
    parts = [flatten(value) for value in values]
    leaves = [leaf for part, _ in parts for leaf in part]

    def build(new: list[Any]) -> list[Any]:
        built, start = [], 0
        for part, rebuild in parts:
            built.append(rebuild(new[start : start + len(part)]))
            start += len(part)
        return built

    return leaves, build


def at(value: Any, steps: int | slice) -> Any:
    """The same with every tensor at some of its steps."""
    if isinstance(value, torch.Tensor):
        return value[steps]
    leaves, build = flatten(value)
    return build([x[steps] if isinstance(x, torch.Tensor) else x for x in leaves])
