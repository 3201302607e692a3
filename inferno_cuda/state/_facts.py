"""What something that was made ready for the next step depends on, checked before it is used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.nn.modules import module as torch_module

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# of every module, and of this very one
GLOBAL_HOOKS = [(vars(torch_module), f"_global{name}") for name in HOOKS]


class Facts:
    """Attributes that must be the very objects that they were, flags that must not be set, and tensors without graphs.

    :meth:`Module._stamp` is a fact that stands for all plain attributes of a module. What steps or conversions replace
    in the registries of a module, past its attributes, is a fact of its own.

    Args:
        same: dictionary, key and value.
        unset: dictionary and key of what must be false, empty or missing.
        state: tensors that must not need a gradient.
        learned: tensors that must not need one while gradients are on.
    """

    __slots__ = ("_learned", "_same", "_state", "_unset")

    def __init__(
        self,
        same: Iterable[tuple[dict[str, Any], str, Any]],
        unset: Iterable[tuple[dict[str, Any], str]],
        state: Iterable[torch.Tensor] = (),
        learned: Iterable[torch.Tensor] = (),
    ) -> None:
        self._same, self._unset, self._state, self._learned = tuple(same), tuple(unset), tuple(state), tuple(learned)

    def hold(self) -> bool:
        """Whether all of it is as it was."""
        for own, key, value in self._same:
            if own.get(key) is not value:
                return False
        for own, key in self._unset:
            if own.get(key):
                return False
        for tensor in self._state:
            if tensor.requires_grad:
                return False
        if self._learned and torch.is_grad_enabled():
            for tensor in self._learned:
                if tensor.requires_grad:
                    return False
        return True
