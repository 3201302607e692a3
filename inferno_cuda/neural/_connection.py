"""Interface of connections between groups of neurons."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn as nn

from ..state import Module
from ..state._check import instance
from ._coverage import Advanced, Chunk, Wanted, covers, separate
from ._neuron import missing
from ._synapse import Synapse
from .modeling import Updatable, Updater
from .sequence import Runnable


class Connection(Runnable, Updatable, Module, ABC):
    """A weighted connection: a synapse, and parameters that combine its currents. Defines the interface.

    Args:
        synapse: synapse that turns the inputs into currents; becomes the submodule ``synapse_``.

    Raises:
        TypeError: if ``synapse`` is not a :class:`Synapse`.
    """

    _ops: tuple[str, ...] = ()
    _recorded = {"current": "output"}

    def __init__(self, synapse: Synapse) -> None:
        Module.__init__(self)
        Updatable.__init__(self)
        self.synapse = synapse

    def extra_repr(self) -> str:
        return f"inshape={self.inshape}, outshape={self.outshape}, delay={self.delayedby}"

    @property
    def synapse(self) -> Synapse:
        """The synapse. Setting it replaces the submodule ``synapse_``.

        Raises:
            TypeError: if the new value is not a :class:`Synapse`.
            ValueError: if its shape differs from that of the synapse it replaces.
        """
        return self.synapse_

    @synapse.setter
    def synapse(self, value: Synapse) -> None:
        instance("synapse", value, Synapse)
        shape, old = getattr(value, "shape", None), getattr(self._modules.get("synapse_"), "shape", None)
        if shape is not None and old is not None and tuple(shape) != tuple(old):
            raise ValueError(f"'synapse' has the shape {tuple(shape)}, it must have the shape {tuple(old)}")
        self.register_module("synapse_", value)

    @property
    def batchsz(self) -> int:
        """Batch size, that of the synapse (read and write)."""
        return self.synapse.batchsz

    @batchsz.setter
    def batchsz(self, value: int) -> None:
        self.synapse.batchsz = value

    @property
    def dt(self) -> float:
        """Length of a simulation step, in ms, that of the synapse (read and write)."""
        return self.synapse.dt

    @dt.setter
    def dt(self, value: float) -> None:
        self.synapse.dt = value

    @property
    @abstractmethod
    def inshape(self) -> tuple[int, ...]:
        """Shape of the input without the batch dimension."""
        raise missing(self, "Connection", "the getter for property 'inshape'")

    @property
    @abstractmethod
    def outshape(self) -> tuple[int, ...]:
        """Shape of the output without the batch dimension."""
        raise missing(self, "Connection", "the getter for property 'outshape'")

    @property
    def batched_inshape(self) -> tuple[int, ...]:
        """Shape of the input with the batch dimension in front."""
        return (self.batchsz, *self.inshape)

    @property
    def batched_outshape(self) -> tuple[int, ...]:
        """Shape of the output with the batch dimension in front."""
        return (self.batchsz, *self.outshape)

    def insize(self) -> int:
        """Number of inputs without the batch dimension. A method, computed at every call."""
        return math.prod(self.inshape)

    def outsize(self) -> int:
        """Number of outputs without the batch dimension. A method, computed at every call."""
        return math.prod(self.outshape)

    @property
    @abstractmethod
    def weight(self) -> nn.Parameter:
        """Weights (read and write)."""
        raise missing(self, "Connection", "the getter for property 'weight'")

    @weight.setter
    @abstractmethod
    def weight(self, value: torch.Tensor | nn.Parameter) -> None:
        raise missing(self, "Connection", "the setter for property 'weight'")

    @property
    @abstractmethod
    def bias(self) -> nn.Parameter | None:
        """Biases, or None (read and write)."""
        raise missing(self, "Connection", "the getter for property 'bias'")

    @bias.setter
    @abstractmethod
    def bias(self, value: torch.Tensor | nn.Parameter) -> None:
        raise missing(self, "Connection", "the setter for property 'bias'")

    @property
    @abstractmethod
    def delay(self) -> nn.Parameter | None:
        """Delays in ms, or None (read and write)."""
        raise missing(self, "Connection", "the getter for property 'delay'")

    @delay.setter
    @abstractmethod
    def delay(self, value: torch.Tensor | nn.Parameter) -> None:
        raise missing(self, "Connection", "the setter for property 'delay'")

    @property
    @abstractmethod
    def selector(self) -> torch.Tensor | None:
        """The delays, in ms, arranged like :attr:`syncurrent` and :attr:`synspike`.

        For linear connections it is a selector for ``synapse.current_at`` and ``synapse.spike_at`` too; not where
        elements of the synapse are seen at several places, as in convolutions.
        """
        raise missing(self, "Connection", "the getter for property 'selector'")

    def _parameter(self, name: str) -> torch.Tensor | None:
        """Reads a parameter as the package itself does, without the side effects a public read may have."""
        return getattr(self, name)

    def _update_parameter(self, name: str, value: torch.Tensor) -> None:
        """Writes a parameter on behalf of an :class:`Updater`, without judging the values."""
        setattr(self, name, value)

    @property
    def biased(self) -> bool:
        """Whether the connection has biases."""
        return self._parameter("bias") is not None

    @property
    def delayedby(self) -> float | None:
        """Longest delay of the synapse, in ms, or None for a connection without delays."""
        return None if self._parameter("delay") is None else self.synapse.delay

    @property
    def syncurrent(self) -> torch.Tensor:
        """Currents that the connection uses now, in nA, looked up at :attr:`selector` if there are delays."""
        return self.synapse.current_at(self.selector) if self.delayedby else self.synapse.current

    @property
    def synspike(self) -> torch.Tensor:
        """Input spikes that the connection uses now, looked up at :attr:`selector` if there are delays."""
        return self.synapse.spike_at(self.selector) if self.delayedby else self.synapse.spike

    def clear(self, **kwargs) -> None:
        """Drops pending updates and puts the synapse back to rest. Keyword arguments go to both."""
        Updatable.clear(self, **kwargs)
        self.synapse.clear(**kwargs)

    @abstractmethod
    def like_input(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes data like :attr:`syncurrent` or :attr:`synspike` to :attr:`batched_inshape`."""
        raise missing(self, "Connection", "the method 'like_input'")

    @abstractmethod
    def like_bias(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes data like :meth:`postsyn_receptive`, without its first and last dimension, like :attr:`bias`."""
        raise missing(self, "Connection", "the method 'like_bias'")

    @abstractmethod
    def like_synaptic(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes data from :attr:`batched_inshape` to what the synapse takes."""
        raise missing(self, "Connection", "the method 'like_synaptic'")

    @abstractmethod
    def postsyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes data from :attr:`batched_outshape` to ``(B, <broadcastable with weight>, L)``."""
        raise missing(self, "Connection", "the method 'postsyn_receptive'")

    @abstractmethod
    def presyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes data like :attr:`syncurrent` or :attr:`synspike` to ``(B, <broadcastable with weight>, L)``."""
        raise missing(self, "Connection", "the method 'presyn_receptive'")

    def defaultupdater(
        self,
        *includes: str,
        exclude_weight: bool = False,
        exclude_bias: bool = False,
        exclude_delay: bool = False,
    ) -> Updater:
        """Builds (but does not attach) an updater for the parameters that the connection has.

        Args:
            *includes: names of further attributes to update.
            exclude_weight: leaves the weights out.
            exclude_bias: leaves the biases out.
            exclude_delay: leaves the delays out.
        """
        names = []
        if not exclude_weight:
            names.append("weight")
        if self.biased and not exclude_bias:
            names.append("bias")
        if self.delayedby is not None and not exclude_delay:
            names.append("delay")
        return Updater(self, *names, *includes)

    @abstractmethod
    def forward(self, *inputs: torch.Tensor, **kwargs) -> torch.Tensor:
        """Simulates one step.

        Args:
            *inputs: tensors of shape :attr:`batched_inshape`, handed to the synapse after :meth:`like_synaptic`.
            **kwargs: handed to the synapse.

        Returns:
            currents into the next neurons, :attr:`batched_outshape`, in nA.
        """
        raise missing(self, "Connection", "the method 'forward'")

    def _run_sequence(self, *inputs: torch.Tensor) -> torch.Tensor | None:
        """Runs inputs ``(T, B, *inshape)`` at once, and returns ``(T, B, *outshape)``.

        None, with nothing changed, where only single steps will do.
        """
        return None

    def _runs_apart(self) -> bool:
        return covers(self, "_run_sequence") and separate((self,))

    def _advance(self, chunk: Chunk, kwargs: Mapping[str, Any], wanted: tuple[Wanted, ...]) -> Advanced | None:
        if kwargs or any(one != Wanted(self, "current") for one in wanted):
            return None
        if not self._runs_apart():
            return None
        made = self._run_sequence(*chunk.arguments)
        return None if made is None else Advanced(made, {one: made.clone() for one in wanted})
