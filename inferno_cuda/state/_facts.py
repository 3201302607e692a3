"""What something that was made ready for the next step depends on, checked before it is used."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import torch
from torch.nn.modules import module as torch_module

from ..ops.native import status

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# of every module, and of this very one
GLOBAL_HOOKS = [(vars(torch_module), f"_global{name}") for name in HOOKS]


def hold_in_python(same: tuple, unset: tuple, state: tuple[torch.Tensor, ...]) -> bool:
    """Whether keys lead to their values, others to nothing, and no tensor needs a gradient.

    Args:
        same: dictionary, key and value, one after the other.
        unset: dictionary and key, one after the other.
        state: the tensors.
    """
    return (
        all(own.get(key) is value for own, key, value in zip(same[::3], same[1::3], same[2::3], strict=True))
        and not any(own.get(key) for own, key in zip(unset[::2], unset[1::2], strict=True))
        and not any(tensor.requires_grad for tensor in state)
    )


_hold = status.hold or hold_in_python


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
        self._same, self._unset = tuple(chain.from_iterable(same)), tuple(chain.from_iterable(unset))
        self._state, self._learned = tuple(state), tuple(learned)

    def hold(self) -> bool:
        """Whether all of it is as it was."""
        if not _hold(self._same, self._unset, self._state):
            return False
        learned = self._learned
        return not (learned and torch.is_grad_enabled() and any(tensor.requires_grad for tensor in learned))
