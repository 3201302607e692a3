"""When the parts of a layer may each take a whole sequence, one part after the other."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn as nn

from .._coverage import Advanced, Chunk, Wanted, separate, watched
from ..sequence import advance

_PLAIN = (int, float, complex, str, bool, torch.dtype, torch.device, types.ModuleType, type)


class Members:
    """The parts of a layer that run one after the other, and what is recorded of each."""

    def __init__(self, chunk: Chunk, wanted: tuple[Wanted, ...]) -> None:
        self._steps = chunk.steps
        self._wanted = wanted
        self.recorded: dict[Wanted, torch.Tensor] = {}

    def through(self, part: nn.Module, inputs: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> torch.Tensor:
        """Runs a part through all steps."""
        made: Advanced = advance.through(
            part, Chunk(inputs, self._steps), kwargs or {}, advance.parts_of(self._wanted, part)
        )
        self.recorded.update(made.recorded)
        return made.outputs


def run_apart(layer: nn.Module, parts: Iterable[nn.Module], wanted: tuple[Wanted, ...]) -> bool:
    """Whether the parts of a layer can run one after the other: nothing watches, and each has its own sequences."""
    parts = list(parts)
    if any(map(watched, layer.modules())) or not separate(parts):
        return False
    inside = sum(len(advance.parts_of(wanted, part)) for part in parts)
    return inside == len(wanted) and all(map(advance.runs_apart, parts))


def looks_at_nothing(value: Any, layer: nn.Module) -> bool:
    """Whether a function of a user, or an argument of it, has no way to the state of a layer.

    Only what is known to have none counts: plain numbers, tensors that are no state, and functions of these.
    """
    if value is None or isinstance(value, _PLAIN):
        return True
    if isinstance(value, torch.Tensor):
        return not any(value is state for state in layer.buffers())
    if isinstance(value, tuple):
        return all(looks_at_nothing(x, layer) for x in value)
    if isinstance(value, functools.partial):
        return all(looks_at_nothing(x, layer) for x in (value.func, *value.args, *value.keywords.values()))
    if isinstance(value, types.FunctionType):
        return all(looks_at_nothing(x, layer) for x in _seen_by(value) if x is not value)
    if isinstance(value, nn.Module):
        return advance.stateless(value) is not None and not watched(value)
    if isinstance(value, types.BuiltinFunctionType):  # or a method bound to some object
        return isinstance(value.__self__, types.ModuleType | type | None)
    return isinstance(value, types.MethodDescriptorType)


def _seen_by(function: types.FunctionType) -> Iterable[Any]:
    if function.__module__.split(".")[0] == "torch":
        return
    yield from (cell.cell_contents for cell in function.__closure__ or ())
    yield from (function.__defaults__ or ())
    yield from (function.__kwdefaults__ or {}).values()
    yield from (function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__)


def _names(code: types.CodeType) -> set[str]:
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return {*code.co_names, *(name for part in inner for name in _names(part))}


def step_by_step(function: Callable[[Any], Any], chunk: Chunk) -> list[Any]:
    """What a function returns for each step of the first argument, a dictionary of tensors."""
    (values,) = chunk.arguments
    steps = zip(*(value.unbind() for value in values.values()), strict=True)
    return [function(dict(zip(values, step, strict=True))) for step in steps]
