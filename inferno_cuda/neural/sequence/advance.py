"""Sequences at once where a module can, and otherwise step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn as nn

from .._coverage import Advanced, Chunk, Wanted, separate, watched
from ._step import step_through

# Modules of torch without state whose rows do not depend on each other, applied to [T, B, ...] as they are.
_ALIKE = (nn.Identity, nn.Linear, nn.LayerNorm, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh)
# Modules that take [B, C, ...] with so many dimensions behind the channels.
_IMAGES = {
    1: (nn.Conv1d, nn.AvgPool1d, nn.MaxPool1d),
    2: (nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d),
    3: (nn.Conv3d, nn.AvgPool3d, nn.MaxPool3d),
}


def at_once(module: nn.Module, chunk: Chunk, kwargs: Mapping[str, Any], wanted: tuple[Wanted, ...]) -> Advanced | None:
    """Runs a sequence without single steps; None, with nothing changed, where there is no way."""
    advance = getattr(module, "_advance", None)
    if advance is not None:
        return advance(chunk, kwargs, wanted)
    if type(module) is nn.Sequential and not kwargs and len(chunk.arguments) == 1:
        return _stack(module, chunk, wanted)
    return None


def through(part: nn.Module, chunk: Chunk, kwargs: Mapping[str, Any], wanted: tuple[Wanted, ...]) -> Advanced:
    """Runs a part of what runs at once, in steps if it has to."""
    made = at_once(part, chunk, kwargs, wanted)
    return step_through(part, chunk, kwargs, wanted) if made is None else made


def parts_of(wanted: tuple[Wanted, ...], part: nn.Module) -> tuple[Wanted, ...]:
    """What is wanted of a part, and of what it contains."""
    inside = set(map(id, part.modules()))
    return tuple(one for one in wanted if id(one.part) in inside)


def runs_apart(module: nn.Module) -> bool:
    """Whether a member of a stack may take its whole sequence before the next one begins."""
    if type(module) is nn.Sequential:
        return not watched(module) and all(map(runs_apart, module))
    own = getattr(module, "_runs_apart", None)
    return stateless(module) is not None if own is None else own()


def _stack(module: nn.Sequential, chunk: Chunk, wanted: tuple[Wanted, ...]) -> Advanced | None:
    members = list(module)
    taken = sum(len(parts_of(wanted, member)) for member in members)
    if watched(module) or not separate(members) or not all(map(runs_apart, members)) or taken != len(wanted):
        return None
    (value,), recorded = chunk.arguments, {}
    for member in members:
        function = stateless(member)
        if function is not None and isinstance(value, torch.Tensor) and value.ndim > 1:
            value = function(value)
            continue
        made = through(member, Chunk((value,), chunk.steps), {}, parts_of(wanted, member))
        value, recorded = made.outputs, {**recorded, **made.recorded}
    return Advanced(value, recorded)


def stateless(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """How a module of torch without state is applied to all steps; None for all others."""
    kind = type(module)
    if kind in _ALIKE:
        return module
    if kind is nn.Dropout and not module.training:
        return module
    if kind is nn.Flatten and module.start_dim == 1:
        return lambda x: x.flatten(2, module.end_dim if module.end_dim < 0 else module.end_dim + 1)
    for dims, kinds in _IMAGES.items():
        if kind in kinds and not getattr(module, "return_indices", False):
            return lambda x: _by_image(module, x, dims)
    return None


def _by_image(module: nn.Module, x: torch.Tensor, dims: int) -> torch.Tensor:
    if x.ndim != dims + 3:  # images without a batch, which the module would take for one
        return torch.stack([module(step) for step in x])
    return module(x.flatten(0, 1)).unflatten(0, x.shape[:2])
