"""The step of a connection and of the neurons behind it as one call of a kernel, where nothing can tell."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn as nn
from torch.nn.modules import module as torch_module

from ...ops import DelayPlan
from ...ops.layer_step import NeuronNumbers, SumNumbers, prepare_layer_step
from ...state._facts import GLOBAL_HOOKS, HOOKS, Facts
from ...state._replay import check_may_step
from ...state.module import AT_ONCE, STAMP
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


def _is_ours(method: Callable[..., Any]) -> bool:
    return method.__module__.partition(".")[0] == __name__.partition(".")[0]


class _Prepared(NamedTuple):
    """The call of the kernel that a step was, for the next one.

    Attributes:
        own: attributes of connection, synapse and neurons.
        facts: what must not have changed.
        dtype: of the currents.
        constants: of the adaptations of the neurons, or None; these are compared by value.
        plan: of the delays; None without any.
        call: makes the step from its input.
    """

    own: tuple[dict[str, Any], ...]
    facts: Facts
    dtype: torch.dtype
    constants: torch.Tensor | None
    plan: DelayPlan | None
    call: Callable[[torch.Tensor], torch.Tensor | None]

    def stands_for(self, own: tuple[dict[str, Any], ...], neuron: nn.Module, x: torch.Tensor) -> bool:
        """Whether the next step is this call."""
        if not all(map(operator.is_, self.own, own)) or not self.facts.hold():
            return False
        if not (x.dtype is torch.bool or x.dtype is self.dtype) or x.requires_grad:
            return False
        if self.plan is not None:
            connection = self.own[0]
            if not connection["_plans"].still_has(self.plan, connection["_parameters"]["delay_"]):
                return False
        return self.constants is None or neuron._plain_constants() is self.constants


def _facts(
    connection: nn.Module, synapse: nn.Module, neuron: nn.Module, rings: tuple, sum: SumNumbers, neurons: NeuronNumbers
) -> Facts:
    """What a step depends on, besides the plan of its delays."""
    parts, delay = (connection, synapse, neuron), connection._parameters.get("delay_")
    same = [(part.__dict__, STAMP, part._stamp()) for part in parts]
    same += [(connection._modules, "synapse_", synapse), (connection._parameters, "weight_", sum.weight)]
    same += [(connection._parameters, "bias_", sum.bias), (connection._parameters, "delay_", delay)]
    same += [(synapse.__dict__, "_spike_graph", None)]
    state = [tensor for tensor in (*rings, *neurons[:3], delay) if tensor is not None]
    for kept in (synapse._buffers, synapse._extras, neuron._buffers):
        same += [(kept, name, value) for name, value in kept.items() if any(value is tensor for tensor in state)]
    unset = [(vars(handle), "_held") for handle in synapse._handles()]
    unset += [(neuron.__dict__, flag) for flag in neuron._step_flags]
    unset += [*GLOBAL_HOOKS, *((part.__dict__, name) for part in parts for name in (*HOOKS, "forward"))]
    return Facts(same, unset, state, [tensor for tensor in (sum.weight, sum.bias) if tensor is not None])


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
    own = connection.__dict__, synapse.__dict__, neuron.__dict__
    if torch.is_autocast_enabled("cpu"):
        return None
    kept = own[0].get(AT_ONCE)
    if kept is not None and kept.stands_for(own, neuron, x):
        check_may_step()
        return kept.call(connection._to_synapse(x))
    if _watched(*own):
        return None
    check_may_step()
    weights, neurons = connection._packed_sum(), neuron._packed_step()
    if weights is None or neurons is None:
        return None
    data = connection._to_synapse(x)
    numbers = synapse._packed_step(data)
    if numbers is None:
        return None
    call = prepare_layer_step(numbers, weights, neurons)
    spikes = call(data)
    if spikes is not None:
        facts = _facts(connection, synapse, neuron, numbers.rings, weights, neurons)
        delayed = weights.slot is not None
        plan = connection._plans.get(connection._held("delay_"), synapse.delayed_current()) if delayed else None
        made = _Prepared(own, facts, weights.weight.dtype, neurons.constants, plan, call)
        # what a class of somebody else's looks up may change with anything
        own[0][AT_ONCE] = None if delayed and not _is_ours(kinds[1].delayed_current) else made
    return spikes
