"""The step of a connection and of the neurons behind it as one call of a kernel, where nothing can tell."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn as nn

from ...ops.layer_step import layer_step_plain
from ...state._replay import check_may_step
from .._coverage import stands_for, watched


def _unseen(part: nn.Module, method: str) -> bool:
    return hasattr(type(part), method) and not watched(part) and stands_for(part, method, "forward")


def step_at_once(connection: nn.Module, neuron: nn.Module, inputs: tuple[Any, ...]) -> torch.Tensor | None:
    """``neuron(connection(*inputs))``, bit for bit; None, with nothing changed, where these have to be calls.

    They do where hooks watch them, a subclass has steps of its own, a gradient is to pass, or no kernel takes them.
    """
    if len(inputs) != 1 or not isinstance(x := inputs[0], torch.Tensor) or not x.is_cpu:
        return None
    if not (_unseen(connection, "_packed_sum") and stands_for(connection, "_packed_sum", "_undelayed")):
        return None
    synapse = connection._modules["synapse_"]
    if not (_unseen(synapse, "_packed_step") and _unseen(neuron, "_packed_step")):
        return None
    check_may_step()
    weights, neurons = connection._packed_sum(), neuron._packed_step()
    if weights is None or neurons is None or x.ndim < 2 or torch.is_autocast_enabled("cpu"):
        return None
    data = connection._to_synapse(x)
    numbers = synapse._packed_step(data)
    return None if numbers is None else layer_step_plain(data, numbers, *weights, neurons)
