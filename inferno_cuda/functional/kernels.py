"""Weight changes as functions of spike-time differences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _decayed(diff: Tensor, learning_rate: float, time_constant: float) -> Tensor:
    return learning_rate * torch.exp(diff.abs() / -time_constant)


def exp_stdp_post_kernel(diff: Tensor, learning_rate: float, time_constant: float, **kwargs: Any) -> Tensor:
    """``learning_rate * exp(-|diff| / time_constant)`` where ``diff >= 0``, else 0: STDP at a postsynaptic spike.

    Args:
        diff: time of the postsynaptic spike minus that of the presynaptic one, in ms, any shape.
        learning_rate: change at ``diff = 0``.
        time_constant: of the decay, in ms.
        **kwargs: ignored.
    """
    return _decayed(diff, learning_rate, time_constant) * (diff >= 0)


def exp_stdp_pre_kernel(diff: Tensor, learning_rate: float, time_constant: float, **kwargs: Any) -> Tensor:
    """``learning_rate * exp(-|diff| / time_constant)`` where ``diff < 0``, else 0: STDP at a presynaptic spike.

    Args:
        diff: time of the postsynaptic spike minus that of the presynaptic one, in ms, any shape.
        learning_rate: change as ``diff`` tends to 0.
        time_constant: of the decay, in ms.
        **kwargs: ignored.
    """
    return _decayed(diff, learning_rate, time_constant) * (diff < 0)
