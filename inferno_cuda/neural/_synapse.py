"""Interface of synapse groups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch

from ..state import Module
from ._coverage import Advanced, Chunk, Wanted, covers
from ._neuron import missing
from .mixins import BatchShapeMixin, DelayedMixin
from .sequence import Runnable


class SynapseConstructor(Protocol):
    """What a connection calls, with positional arguments, to build its synapse."""

    def __call__(self, shape: tuple[int, ...] | int, step_time: float, delay: float, batch_size: int) -> Synapse:
        """Builds a synapse.

        Args:
            shape: shape of the group without the batch dimension.
            step_time: length of a simulation step, in ms.
            delay: longest delay that can be looked up, in ms.
            batch_size: number of samples simulated side by side.
        """
        ...


class Synapse(Runnable, Module, ABC):
    """The synapses that turn the input of a connection into currents. Defines the interface only.

    A connection also reads ``shape``, ``batchsz`` and ``batchedshape``, which subclasses must have.
    """

    _ops: tuple[str, ...] = ()

    def __init__(self) -> None:
        Module.__init__(self)

    def extra_repr(self) -> str:
        return f"shape={self.shape}, batchsz={self.batchsz}, dt={self.dt}, delay={self.delay}"

    @classmethod
    @abstractmethod
    def partialconstructor(cls, *args, **kwargs) -> SynapseConstructor:
        """Fixes the hyperparameters and returns a constructor with the common signature."""
        raise NotImplementedError(f"{cls.__name__}(Synapse) must implement the method 'partialconstructor'")

    @property
    @abstractmethod
    def dt(self) -> float:
        """Length of a simulation step, in ms (read and write)."""
        raise missing(self, "Synapse", "the getter for property 'dt'")

    @dt.setter
    @abstractmethod
    def dt(self, value: float) -> None:
        raise missing(self, "Synapse", "the setter for property 'dt'")

    @property
    @abstractmethod
    def delay(self) -> float:
        """Longest delay that can be looked up, in ms (read and write)."""
        raise missing(self, "Synapse", "the getter for property 'delay'")

    @delay.setter
    @abstractmethod
    def delay(self, value: float) -> None:
        raise missing(self, "Synapse", "the setter for property 'delay'")

    @property
    @abstractmethod
    def current(self) -> torch.Tensor:
        """Present currents, ``(B, *shape)``, in nA (read and write)."""
        raise missing(self, "Synapse", "the getter for property 'current'")

    @current.setter
    @abstractmethod
    def current(self, value: torch.Tensor) -> None:
        raise missing(self, "Synapse", "the setter for property 'current'")

    @property
    @abstractmethod
    def spike(self) -> torch.Tensor:
        """Present input spikes, ``(B, *shape)``, bool (read and write)."""
        raise missing(self, "Synapse", "the getter for property 'spike'")

    @spike.setter
    @abstractmethod
    def spike(self, value: torch.Tensor) -> None:
        raise missing(self, "Synapse", "the setter for property 'spike'")

    @abstractmethod
    def current_at(self, selector: torch.Tensor) -> torch.Tensor:
        """Currents of the past, in nA.

        Args:
            selector: how long ago, in ms, ``(B, *shape)`` or ``(B, *shape, D)``.

        Returns:
            the currents, shaped like ``selector``.
        """
        raise missing(self, "Synapse", "the method 'current_at'")

    @abstractmethod
    def spike_at(self, selector: torch.Tensor) -> torch.Tensor:
        """Input spikes of the past.

        Args:
            selector: how long ago, in ms, ``(B, *shape)`` or ``(B, *shape, D)``.

        Returns:
            the spikes, shaped like ``selector``, bool.
        """
        raise missing(self, "Synapse", "the method 'spike_at'")

    @abstractmethod
    def clear(self, **kwargs) -> None:
        """Puts the synapses back to rest."""
        raise missing(self, "Synapse", "the method 'clear'")

    @abstractmethod
    def forward(self, *inputs: torch.Tensor, **kwargs) -> torch.Tensor:
        """Simulates one step.

        Args:
            *inputs: tensors of shape ``(B, *shape)``; the first holds the spikes.

        Returns:
            the currents after this step, ``(B, *shape)``, in nA.
        """
        raise missing(self, "Synapse", "the method 'forward'")

    def _sequence(
        self, inputs: tuple[torch.Tensor, ...], past: bool
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]] | None:
        """Runs ``(T, B, *shape)`` at once; None, with nothing changed, where only single steps will do.

        Args:
            inputs: those of :meth:`forward`, with the steps in front.
            past: whether what was recorded is returned too.

        Returns:
            the currents after each step, ``(T, B, *shape)``, in nA; and with ``past``, for each record that
            ``delayed_current()`` names, what it held before without the oldest, and then what it gets.
        """
        return None

    def _runs_apart(self) -> bool:
        return covers(self, "_sequence")

    def _advance(self, chunk: Chunk, kwargs: Mapping[str, Any], wanted: tuple[Wanted, ...]) -> Advanced | None:
        made = None if wanted or kwargs else self._sequence(chunk.arguments, False)
        return None if made is None else Advanced(made[0], {})


class InfernoSynapse(DelayedMixin, BatchShapeMixin, Synapse):
    """Base of the synapses of this package: keeps shape, batch size and the length of the histories.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step, in ms.
        delay: longest delay that can be looked up, in ms.
        batch_size: number of samples simulated side by side.
        inplace: whether histories are written in place even where that cuts an autograd graph. Without it they are
            written in place whenever no graph needs the old values.

    Raises:
        ValueError: if a size is not a positive integer, ``step_time`` is not positive, or ``delay`` is negative.
    """

    _step_flags = ("_spike_graph",)
    # where spikes are recorded as bool: the record, its version if that is known, and currents with a graph, which its
    # spikes stand for
    _spike_graph: tuple[torch.Tensor, int | None, torch.Tensor] | None = None

    def __init__(
        self, shape: Sequence[int] | int, step_time: float, delay: float, batch_size: int, inplace: bool
    ) -> None:
        Synapse.__init__(self)
        BatchShapeMixin.__init__(self, shape, batch_size)
        DelayedMixin.__init__(self, step_time, delay)
        self.__inplace = bool(inplace)
        self._drop_spike_graph()

    def _drop_spike_graph(self) -> None:
        self.__dict__["_spike_graph"] = None

    def _detach_state(self) -> None:
        self._drop_spike_graph()
        super()._detach_state()

    def _leave_graphs(self, state_dict: Mapping[str, Any], prefix: str) -> None:
        self._drop_spike_graph()
        super()._leave_graphs(state_dict, prefix)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_spike_graph": None}

    @classmethod
    def partialconstructor(cls, *args, **kwargs) -> SynapseConstructor:
        """Fixes the hyperparameters and returns a constructor with the common signature."""
        raise NotImplementedError(f"{cls.__name__}(InfernoSynapse) must implement the method 'partialconstructor'")

    @property
    def batchsz(self) -> int:
        """Batch size. A change clears the synapses."""
        return self._read_batchsz()

    @batchsz.setter
    def batchsz(self, value: int) -> None:
        before = self.batchsz
        BatchShapeMixin.batchsz.fset(self, value)
        if self.batchsz != before:
            self.clear()

    @property
    def dt(self) -> float:
        """Length of a simulation step, in ms. Setting it also clears the synapses."""
        return self._read_dt()

    @dt.setter
    def dt(self, value: float) -> None:
        DelayedMixin.dt.fset(self, value)
        self.clear()

    @property
    def delay(self) -> float:
        """Longest delay that can be looked up, in ms. Setting it also clears the synapses."""
        return self._read_delay()

    @delay.setter
    def delay(self, value: float) -> None:
        DelayedMixin.delay.fset(self, value)
        self.clear()

    @property
    def inplace(self) -> bool:
        """Whether histories are written in place even where that cuts an autograd graph."""
        return self.__inplace

    @inplace.setter
    def inplace(self, value: bool) -> None:
        self.__inplace = bool(value)

    @property
    def current(self) -> torch.Tensor:
        """Present currents, ``(B, *shape)``, in nA (read and write)."""
        raise missing(self, "InfernoSynapse", "the getter for property 'current'")

    @current.setter
    def current(self, value: torch.Tensor) -> None:
        raise missing(self, "InfernoSynapse", "the setter for property 'current'")

    @property
    def spike(self) -> torch.Tensor:
        """Present input spikes, ``(B, *shape)``, bool (read and write)."""
        raise missing(self, "InfernoSynapse", "the getter for property 'spike'")

    @spike.setter
    def spike(self, value: torch.Tensor) -> None:
        raise missing(self, "InfernoSynapse", "the setter for property 'spike'")

    def current_at(self, selector: torch.Tensor) -> torch.Tensor:
        """Currents of the past, in nA, shaped like ``selector``."""
        raise missing(self, "InfernoSynapse", "the method 'current_at'")

    def spike_at(self, selector: torch.Tensor) -> torch.Tensor:
        """Input spikes of the past, shaped like ``selector``."""
        raise missing(self, "InfernoSynapse", "the method 'spike_at'")

    def clear(self, **kwargs) -> None:
        """Puts the synapses back to rest."""
        raise missing(self, "InfernoSynapse", "the method 'clear'")

    def forward(self, *inputs: torch.Tensor, **kwargs) -> torch.Tensor:
        """Simulates one step: input spikes to currents in nA, both ``(B, *shape)``."""
        raise missing(self, "InfernoSynapse", "the method 'forward'")
