"""The step of a connection and of the neurons behind it as one call of a kernel, where nothing can tell."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn as nn
from torch.nn.modules import module as torch_module

from ...ops.layer_step import layer_step_plain
from ...state._replay import check_may_step
from .._coverage import defines

_SUM, _STEP = "_packed_sum", "_packed_step"


@functools.lru_cache(maxsize=256)
def _known(connection: type, synapse: type, neuron: type, *steps: Any) -> bool:
    """Whether classes have what stands for their steps, given too: those put into a class later are other keys."""
    has = hasattr(connection, _SUM) and hasattr(synapse, _STEP) and hasattr(neuron, _STEP)
    sums = has and all(defines(connection, _SUM, step) for step in ("forward", "_undelayed", "_delayed"))
    return sums and defines(synapse, _STEP, "forward") and defines(neuron, _STEP, "forward")


def _watched(*parts: dict[str, Any]) -> bool:
    """Whether hooks, or what was put in the place of its step, are to see the calls of a module; by its attributes."""
    for own in parts:
        if own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"] or own["_backward_pre_hooks"]:
            return True
        if "forward" in own:
            return True
    return bool(
        torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )


def step_at_once(connection: nn.Module, neuron: nn.Module, inputs: tuple[Any, ...]) -> torch.Tensor | None:
    """``neuron(connection(*inputs))``, bit for bit; None, with nothing changed, where these have to be calls.

    They do where hooks watch them, a subclass has steps of its own, a gradient is to pass, or no kernel takes them.
    """
    if torch.compiler.is_compiling() or len(inputs) != 1:
        return None
    if not isinstance(x := inputs[0], torch.Tensor) or not x.is_cpu or x.ndim < 2:
        return None
    synapse = connection._modules.get("synapse_")
    kinds = type(connection), type(synapse), type(neuron)
    if synapse is None or not _known(*kinds, kinds[0].forward, kinds[1].forward, kinds[2].forward):
        return None
    if _watched(connection.__dict__, synapse.__dict__, neuron.__dict__):
        return None
    check_may_step()
    weights, neurons = connection._packed_sum(), neuron._packed_step()
    if weights is None or neurons is None or torch.is_autocast_enabled("cpu"):
        return None
    data = connection._to_synapse(x)
    numbers = synapse._packed_step(data)
    return None if numbers is None else layer_step_plain(data, numbers, weights, neurons)
