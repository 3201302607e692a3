"""When a module may run a sequence at once instead of being called step by step."""

from __future__ import annotations

import torch.nn as nn
from torch.nn.modules import module as torch_module

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = tuple(f"_global{name}" for name in _HOOKS)


def watched(module: nn.Module) -> bool:
    """Whether hooks, such as those of monitors, are to see every call of the module."""
    own = vars(module)
    return any(own.get(name) for name in _HOOKS) or any(getattr(torch_module, name) for name in _GLOBAL_HOOKS)


def covers(module: nn.Module, method: str) -> bool:
    """Whether ``method``, which runs a sequence, stands for calls of the module.

    It does not where a hook watches the calls, nor where ``forward`` is that of a subclass which does not have the
    method too.
    """
    if watched(module) or "forward" in vars(module):
        return False
    classes = type(module).__mro__
    return _definer(classes, method) <= _definer(classes, "forward")


def _definer(classes: tuple[type, ...], name: str) -> int:
    return next((k for k, cls in enumerate(classes) if name in vars(cls)), len(classes))
