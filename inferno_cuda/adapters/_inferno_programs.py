"""Steps of the parts of a layer, for which everything that rarely changes was looked up once.

A program belongs to one module. Before each step it makes sure that the module is as it was, which takes less time than
looking at everything again; a step that it does not take is the module's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_, itemgetter
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from .. import ops
from ._inferno import TYPES, owned, plain
from ._inferno_connections import FusedConnection, FusedConv
from ._inferno_neurons import REDUCTIONS, AdaptiveStep, ConstantStep, adapting, advance, constants_of, numbers_of
from ._inferno_synapses import FusedDelta
from ._swap import is_accelerated

_GLOBAL_HOOKS = (
    torch_module._global_forward_hooks,
    torch_module._global_forward_pre_hooks,
    torch_module._global_backward_hooks,
    torch_module._global_backward_pre_hooks,
)


def _watched(module: nn.Module) -> bool:
    """Whether a call of a module does more than its ``forward``."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or module._compiled_call_impl is not None
    )


class _Attributes:
    """Attributes of a module that are numbers or functions, and whether they still are what they were.

    They are the module's own: what is a parameter, a buffer or a property is not seen here.
    """

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        self._read = itemgetter(*names)
        self._values = self._read(vars(module))

    @staticmethod
    def can_follow(module: nn.Module, names: Sequence[str]) -> bool:
        """Whether the values that the module works with are those in its ``vars``."""
        return all(name in vars(module) and not hasattr(type(module), name) for name in names)

    def unchanged(self, module: nn.Module) -> bool:
        try:
            values = self._read(vars(module))
        except KeyError:
            # one has become a parameter or a buffer since
            return False
        return all(map(is_, values, self._values))


class Program:
    """The step of a module for which there is none but its own."""

    def __init__(self, module: nn.Module) -> None:
        self.cls = type(module)

    def fits(self, module: nn.Module) -> bool:
        """Whether the module still is what the program was made for."""
        return self.cls is type(module)

    def run(self, module: nn.Module, x: torch.Tensor) -> torch.Tensor | None:
        """A step; None, and nothing done, if it is not one for the program."""
        return None


class _NeuronProgram(Program):
    """A step of neurons."""

    def __init__(self, neuron: nn.Module, numbers: dict[str, float]) -> None:
        super().__init__(neuron)
        self._numbers = numbers
        self._adaptive = isinstance(neuron, AdaptiveStep)
        if self._adaptive:
            given = vars(neuron)[neuron._fused_reduction]
            self._reduction = next((name for function, name in REDUCTIONS if given is function), None)
        self._attributes = _Attributes(neuron, _numbered(neuron))

    def fits(self, neuron: nn.Module) -> bool:
        return self.cls is type(neuron) and self._attributes.unchanged(neuron)

    def run(self, neuron: nn.Module, x: torch.Tensor) -> torch.Tensor | None:
        buffers = neuron._buffers
        voltage, refrac = state = buffers["_voltage__data"], buffers["_refrac__data"]
        if not type(x) is type(voltage) is type(refrac) is torch.Tensor:
            return None
        dtype, shape = voltage.dtype, voltage.shape
        if not x.dtype is refrac.dtype is dtype or dtype not in TYPES:
            return None
        if x.shape != shape or refrac.shape != shape or x.device != voltage.device or not plain(x, voltage, refrac):
            return None
        if self._adaptive:
            return self._run_adaptive(neuron, x, state)
        return advance(neuron, x, state, self._numbers)

    def _run_adaptive(
        self, neuron: nn.Module, x: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor | None:
        adapts, adaptation = neuron.training, adapting(neuron, state[0])
        if adaptation is None or (adapts and self._reduction is None):
            return None
        constants = constants_of(neuron, adaptation.dtype)
        if not adapts:
            return advance(neuron, x, state, self._numbers, adaptation, constants)
        adaptation = adaptation.clone(memory_format=torch.contiguous_format)
        spikes = advance(neuron, x, state, self._numbers, adaptation, constants, self._reduction)
        neuron._buffers[neuron._fused_adaptation] = adaptation
        return spikes


class _ConnectionProgram(Program):
    """A step of an undelayed connection and of its synapse, which records spikes alone: the newest of them."""

    def __init__(self, connection: nn.Module) -> None:
        super().__init__(connection)
        self._shape = (-1, *connection.outshape)
        self._synapse = synapse = connection.synapse_
        self._synapse_class = type(synapse)
        self._gain = synapse.spike_charge / synapse.dt
        self._attributes = _Attributes(synapse, _SYNAPSE)
        self._pointer = torch.tensor(0, device=synapse._buffers["_spike__data"].device)

    def fits(self, connection: nn.Module) -> bool:
        synapse = self._synapse
        return (
            self.cls is type(connection)
            # made while torch pretends, it has no value
            and type(self._pointer) is torch.Tensor
            and connection._modules["synapse_"] is synapse
            and self._synapse_class is type(synapse)
            and self._attributes.unchanged(synapse)
        )

    def run(self, connection: nn.Module, x: torch.Tensor) -> torch.Tensor | None:
        synapse = self._synapse
        buffers = synapse._buffers
        record, dtype = buffers["_spike__data"], buffers["_current__ref"].dtype
        real = type(x) is type(record) is type(self._pointer) is torch.Tensor
        weight, bias = connection._parameters.get("weight_"), connection._parameters.get("bias_")
        if not real or weight is None or _watched(synapse) or x.ndim < 2 or dtype not in TYPES:
            return None
        if x.dtype not in (torch.bool, dtype) or record.dtype != torch.bool or not plain(x, record):
            return None
        x = x.flatten(1)
        if record.shape != (1, *x.shape) or not x.device == record.device == self._pointer.device:
            return None
        spikes = torch.empty_like(record, memory_format=torch.contiguous_format)
        currents = ops.synapse_step_("delta", x, (spikes, self._pointer), gain=self._gain, dtype=dtype)
        buffers["_spike__data"] = spikes
        synapse._extras["_spike__pointer"] = 0
        return connection._fused_undelayed(currents, weight, bias).view(self._shape)


_SYNAPSE = (
    "spike_charge",
    "_DelayedMixin__step_time",
    "_InfernoSynapse__inplace",
    "_SpikeDerivedCurrentMixin__to_current",
)


def _numbered(neuron: nn.Module) -> list[str]:
    """Names of the attributes that decide on a step of neurons."""
    names = ["step_time", neuron._fused_tau, *neuron._fused_parameters.values()]
    return [*names, neuron._fused_reduction] if isinstance(neuron, AdaptiveStep) else names


def _of_neuron(neuron: nn.Module) -> Program:
    known = _Attributes.can_follow(neuron, _numbered(neuron)) and owned(neuron, "voltage_", "refrac_")
    numbers = numbers_of(neuron) if known else None
    return Program(neuron) if numbers is None else _NeuronProgram(neuron, numbers)


def _of_connection(connection: nn.Module) -> Program:
    synapse = connection._modules["synapse_"]
    delayed = connection._parameters.get("delay_") is not None
    known = isinstance(synapse, FusedDelta) and not isinstance(connection, FusedConv)
    known = known and _Attributes.can_follow(synapse, _SYNAPSE)
    if not known or delayed or not owned(synapse, "spike_") or vars(synapse)["_InfernoSynapse__inplace"]:
        return Program(connection)
    numbers = (synapse.spike_charge, synapse.dt)
    usual = all(type(number) in (int, float) for number in numbers)
    return _ConnectionProgram(connection) if usual else Program(connection)


def _made(module: nn.Module) -> Program:
    if isinstance(module, ConstantStep | AdaptiveStep):
        return _of_neuron(module)
    return _of_connection(module) if isinstance(module, FusedConnection) else Program(module)


def step(module: nn.Module, *inputs: Any, **kwargs: Any) -> Any:
    """A call of a connection or of neurons, hooks and all."""
    alone = is_accelerated(module) and not _watched(module) and not any(_GLOBAL_HOOKS)
    if alone and len(inputs) == 1 and not kwargs:
        program = vars(module).get("_fused_program")
        if program is None or not program.fits(module):
            program = vars(module)["_fused_program"] = _made(module)
        result = program.run(module, inputs[0])
        if result is not None:
            return result
    return module(*inputs, **kwargs)
