"""Interface of neuron groups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..state import Module
from ._coverage import Advanced, Chunk, NeuronSequence, Wanted, covers, stands_for
from .mixins import BatchShapeMixin
from .sequence import Runnable


def missing(instance: object, base: str, member: str) -> NotImplementedError:
    """The error of a member that a subclass has to provide."""
    return NotImplementedError(f"{type(instance).__name__}({base}) must implement {member}")


class Neuron(Runnable, Module, ABC):
    """A group of neurons with one kind of dynamics. Defines the interface only."""

    _ops: tuple[str, ...] = ()
    _recorded = {"spike": "output", "current": "input"}

    def __init__(self) -> None:
        Module.__init__(self)

    def extra_repr(self) -> str:
        return f"shape={self.shape}, batchsz={self.batchsz}, dt={self.dt}"

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the group without the batch dimension."""
        raise missing(self, "Neuron", "the getter for property 'shape'")

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of neurons in the group."""
        raise missing(self, "Neuron", "the getter for property 'count'")

    @property
    @abstractmethod
    def batchsz(self) -> int:
        """Batch size (read and write)."""
        raise missing(self, "Neuron", "the getter for property 'batchsz'")

    @batchsz.setter
    @abstractmethod
    def batchsz(self, value: int) -> None:
        raise missing(self, "Neuron", "the setter for property 'batchsz'")

    @property
    @abstractmethod
    def batchedshape(self) -> tuple[int, ...]:
        """Shape of the group with the batch dimension in front."""
        raise missing(self, "Neuron", "the getter for property 'batchedshape'")

    @property
    @abstractmethod
    def dt(self) -> float:
        """Length of a simulation step, in ms (read and write)."""
        raise missing(self, "Neuron", "the getter for property 'dt'")

    @dt.setter
    @abstractmethod
    def dt(self, value: float) -> None:
        raise missing(self, "Neuron", "the setter for property 'dt'")

    @property
    @abstractmethod
    def voltage(self) -> torch.Tensor:
        """Membrane voltages, ``(B, *shape)``, in mV (read and write)."""
        raise missing(self, "Neuron", "the getter for property 'voltage'")

    @voltage.setter
    @abstractmethod
    def voltage(self, value: torch.Tensor) -> None:
        raise missing(self, "Neuron", "the setter for property 'voltage'")

    @property
    @abstractmethod
    def refrac(self) -> torch.Tensor:
        """What is left of the refractory periods, ``(B, *shape)``, in ms (read and write)."""
        raise missing(self, "Neuron", "the getter for property 'refrac'")

    @refrac.setter
    @abstractmethod
    def refrac(self, value: torch.Tensor) -> None:
        raise missing(self, "Neuron", "the setter for property 'refrac'")

    @property
    @abstractmethod
    def spike(self) -> torch.Tensor:
        """Which neurons fired in the last step, ``(B, *shape)``, bool."""
        raise missing(self, "Neuron", "the getter for property 'spike'")

    @abstractmethod
    def clear(self, **kwargs) -> None:
        """Puts the neurons back to rest."""
        raise missing(self, "Neuron", "the method 'clear'")

    @abstractmethod
    def forward(self, inputs: torch.Tensor, **kwargs) -> torch.Tensor:
        """Simulates one step.

        Args:
            inputs: input currents, ``(B, *shape)``, in nA.

        Returns:
            the spikes of this step, ``(B, *shape)``, bool.
        """
        raise missing(self, "Neuron", "the method 'forward'")

    def _run_sequence(self, inputs: torch.Tensor, record: tuple[str, ...] = (), **kwargs) -> NeuronSequence | None:
        """What as many calls as ``inputs``, ``(T, B, *shape)``, has steps would give; None if these have to be made.

        Args:
            inputs: input currents, in nA.
            record: names of properties to be read after every step.
            **kwargs: those of the calls.
        """
        return None

    def _runs_apart(self) -> bool:
        return covers(self, "_run_sequence")

    def _advance(self, chunk: Chunk, kwargs: Mapping[str, Any], wanted: tuple[Wanted, ...]) -> Advanced | None:
        names, (inputs, *others) = {one.attribute for one in wanted}, chunk.arguments
        known = {"voltage", "refrac", *self._recorded}
        if not names <= known or any(one.part is not self for one in wanted) or others:
            return None
        if not isinstance(inputs, torch.Tensor) or not covers(self, "_run_sequence"):
            return None
        if "current" in names and inputs.shape[1:] != self.batchedshape:
            return None
        states = tuple(name for name in ("voltage", "refrac") if name in names)
        if not all(stands_for(self, "_run_sequence", name) for name in states):
            return None  # a property of a subclass
        made = self._run_sequence(inputs, states, **kwargs)
        if made is None:
            return None
        values = dict(made.records)
        if "current" in names:
            values["current"] = inputs.clone()
        if "spike" in names:
            values["spike"] = made.spikes != 0
        return Advanced(made.spikes, {one: values[one.attribute] for one in wanted})


class InfernoNeuron(BatchShapeMixin, Neuron):
    """Base of the neurons of this package: keeps shape and batch size, resizes the state with the batch.

    ``clear()`` must work without arguments, and then keeps what is meant to persist (adaptations).

    Args:
        shape: shape of the group without the batch dimension.
        batch_size: number of samples simulated side by side.

    Raises:
        ValueError: if a size is not a positive integer.
    """

    def __init__(self, shape: Sequence[int] | int, batch_size: int) -> None:
        Neuron.__init__(self)
        BatchShapeMixin.__init__(self, shape, batch_size)

    @property
    def batchsz(self) -> int:
        """Batch size. Setting it also clears the group."""
        return self._read_batchsz()

    @batchsz.setter
    def batchsz(self, value: int) -> None:
        BatchShapeMixin.batchsz.fset(self, value)
        self.clear()

    @property
    def dt(self) -> float:
        """Length of a simulation step, in ms (read and write)."""
        raise missing(self, "InfernoNeuron", "the getter for property 'dt'")

    @dt.setter
    def dt(self, value: float) -> None:
        raise missing(self, "InfernoNeuron", "the setter for property 'dt'")

    @property
    def voltage(self) -> torch.Tensor:
        """Membrane voltages, ``(B, *shape)``, in mV (read and write)."""
        raise missing(self, "InfernoNeuron", "the getter for property 'voltage'")

    @voltage.setter
    def voltage(self, value: torch.Tensor) -> None:
        raise missing(self, "InfernoNeuron", "the setter for property 'voltage'")

    @property
    def refrac(self) -> torch.Tensor:
        """What is left of the refractory periods, ``(B, *shape)``, in ms (read and write)."""
        raise missing(self, "InfernoNeuron", "the getter for property 'refrac'")

    @refrac.setter
    def refrac(self, value: torch.Tensor) -> None:
        raise missing(self, "InfernoNeuron", "the setter for property 'refrac'")

    @property
    def spike(self) -> torch.Tensor:
        """Which neurons fired in the last step, ``(B, *shape)``, bool."""
        raise missing(self, "InfernoNeuron", "the getter for property 'spike'")

    def clear(self, **kwargs) -> None:
        """Puts the neurons back to rest."""
        raise missing(self, "InfernoNeuron", "the method 'clear'")

    def forward(self, inputs: torch.Tensor, **kwargs) -> torch.Tensor:
        """Simulates one step: input currents in nA to spikes, both ``(B, *shape)``."""
        raise missing(self, "InfernoNeuron", "the method 'forward'")
