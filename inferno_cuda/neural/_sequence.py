"""What the parts of a model say about whole sequences of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn


class Sequence(NamedTuple):
    """What neurons give for a sequence of ``T`` steps.

    Attributes:
        spikes: ``[T, B, *shape]``.
        records: what was to be recorded, by name, after every step, ``[T, B, *shape]`` each.
    """

    spikes: torch.Tensor
    records: dict[str, torch.Tensor]


def called_plainly(module: nn.Module, forward: Callable) -> bool:
    """Whether to call a module means to run ``forward`` and nothing else: no hooks, no other method in its place."""
    hooks = (
        module._forward_pre_hooks,
        module._forward_hooks,
        module._backward_pre_hooks,
        module._backward_hooks,
    )
    if any(hooks) or nn.modules.module._has_any_global_hook():
        return False
    return type(module).forward is forward and "forward" not in module.__dict__
