"""When a module may run a sequence at once instead of being called step by step, and what it gives then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn as nn
from torch.nn.modules import module as torch_module


class Chunk(NamedTuple):
    """Positional arguments of a module for some steps: tensors have the steps in front."""

    arguments: tuple[Any, ...]
    steps: int


class Wanted(NamedTuple):
    """What is to be recorded after every step: an attribute of a part."""

    part: nn.Module
    attribute: str


class Advanced(NamedTuple):
    """What a sequence gave: the outputs as ``forward`` returns them, and what was recorded, with the steps in front.

    What was recorded shares no memory with inputs, outputs, and what else was recorded.
    """

    outputs: Any
    recorded: Mapping[Wanted, torch.Tensor]


class NeuronSequence(NamedTuple):
    """What neurons give for a sequence of ``T`` steps.

    Attributes:
        spikes: ``[T, B, *shape]``.
        records: what was to be recorded, by name, after every step, ``[T, B, *shape]`` each.
    """

    spikes: torch.Tensor
    records: dict[str, torch.Tensor]


def watched(module: nn.Module) -> bool:
    """Whether hooks, such as those of monitors, are to see every call of the module."""
    own = module.__dict__.get  # spelled out, since it is asked in every step
    return bool(
        own("_forward_hooks")
        or own("_forward_pre_hooks")
        or own("_backward_hooks")
        or own("_backward_pre_hooks")
        or torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )


def covers(module: nn.Module, method: str, step: str = "forward") -> bool:
    """Whether ``method``, which runs a sequence, stands for calls of the module.

    It does not where a hook watches the calls, nor where the ``step`` is that of a subclass which does not have the
    method too.
    """
    return not watched(module) and stands_for(module, method, step)


def stands_for(module: nn.Module, method: str, step: str) -> bool:
    """Whether no subclass has a ``step`` of its own without the ``method`` for sequences."""
    return step not in module.__dict__ and defines(type(module), method, step)


def defines(cls: type, method: str, step: str) -> bool:
    """Whether no subclass of those that have the ``method`` has a ``step`` of its own, without the method."""
    return _definer(cls.__mro__, method) <= _definer(cls.__mro__, step)


def _definer(classes: tuple[type, ...], name: str) -> int:
    return next((k for k, cls in enumerate(classes) if name in vars(cls)), len(classes))


def separate(parts: Iterable[nn.Module]) -> bool:
    """Whether parts can run one after the other, each through a whole sequence, as far as modules can tell.

    None of their modules is in two of them, and no hook watches any.
    """
    seen = [module for part in parts for module in part.modules()]
    return len(set(map(id, seen))) == len(seen) and not any(map(watched, seen))
