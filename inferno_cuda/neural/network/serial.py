"""One connection into one group of neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from .._coverage import Advanced, Chunk, Wanted
from ..base import Connection, Neuron, Synapse
from ..modeling import Updater
from ._at_once import step_at_once
from ._fixed import FixedLayer
from ._sequence import Members
from .cell import Cell


class Serial(FixedLayer):
    """One connection into one group of neurons.

    Args:
        connection: the connection.
        neuron: the neurons.
        transform: called with the output of the connection and the keyword arguments of the step; its result goes to
            the neurons. None hands the output on.
        connection_name: name of the connection in the layer.
        neuron_name: name of the neurons in the layer.

    Raises:
        TypeError: if a name is not a string, or a part is no connection or no neurons.
        ValueError: if a name is not an identifier.
        RuntimeError: if the output of the connection has another shape than the neurons.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import LIF, DeltaCurrent, LinearDense, Serial
        >>> synapse = DeltaCurrent.partialconstructor(spike_charge=20.0)
        >>> connection = LinearDense(10, 4, 1.0, synapse=synapse, weight_init=torch.ones_like)
        >>> neurons = LIF(4, 1.0, rest_v=-65.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0, time_constant=20.0)
        >>> layer = Serial(connection, neurons)
        >>> [layer(torch.ones(1, 10)).any().item() for _ in range(4)]
        [False, True, False, False]
        >>> layer.cell.connection is connection  # what a trainer gets
        True
    """

    def __init__(
        self,
        connection: Connection,
        neuron: Neuron,
        transform: Callable[..., torch.Tensor] | None = None,
        connection_name: str = "serial",
        neuron_name: str = "serial",
    ) -> None:
        FixedLayer.__init__(
            self, [(connection_name, connection)], [(neuron_name, neuron)], [(connection_name, neuron_name)]
        )
        self.__connection_name = connection_name
        self.__neuron_name = neuron_name
        self._transform = transform

    @property
    def connection(self) -> Connection:
        """The connection."""
        return self.connections_[self.__connection_name]

    @property
    def neuron(self) -> Neuron:
        """The neurons."""
        return self.neurons_[self.__neuron_name]

    @property
    def synapse(self) -> Synapse:
        """The synapse of the connection."""
        return self.connection.synapse

    @property
    def updater(self) -> Updater | None:
        """The updater of the connection, or None."""
        return self.connection.updater

    @property
    def cell(self) -> Cell:
        """The cell of the connection and the neurons."""
        return self.get_cell(self.__connection_name, self.__neuron_name)

    def wiring(self, inputs: dict[str, torch.Tensor], **kwargs: Any) -> dict[str, torch.Tensor]:
        """Hands the output of the connection, transformed, to the neurons."""
        current = inputs[self.__connection_name]
        if self._transform is not None:
            current = self._transform(current, **kwargs)
        return {self.__neuron_name: current}

    def _wires_apart(self) -> bool:
        return self._transform is None

    @property
    def _hands_on(self) -> bool:
        """Whether what the connection gives goes to the neurons as it is, and nobody looks at it."""
        return self._transform is None and type(self).wiring is Serial.wiring and "wiring" not in self.__dict__

    def _advance_apart(
        self,
        chunk: Chunk,
        wanted: tuple[Wanted, ...],
        /,
        connection_kwargs: Mapping[str, Any] | None = None,
        neuron_kwargs: Mapping[str, Any] | None = None,
        capture_intermediate: bool = False,
        **kwargs: Any,
    ) -> Advanced | None:
        if not self._parts_run_apart(wanted):
            return None
        members, name = Members(chunk, wanted), self.__connection_name
        current = members.through(self.connection, chunk.arguments, connection_kwargs)
        wired = self.wiring({name: current}, **kwargs)[self.__neuron_name]
        spikes = members.through(self.neuron, (wired,), neuron_kwargs)
        return Advanced((spikes, current) if capture_intermediate else spikes, members.recorded)

    def forward(
        self,
        *inputs: torch.Tensor,
        connection_kwargs: Mapping[str, Any] | None = None,
        neuron_kwargs: Mapping[str, Any] | None = None,
        capture_intermediate: bool = False,
        **kwargs: Any,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Simulates one step.

        Args:
            *inputs: inputs of the connection, ``(B, *inshape)``.
            connection_kwargs: keyword arguments of the connection.
            neuron_kwargs: keyword arguments of the neurons.
            capture_intermediate: whether to return the output of the connection too.
            **kwargs: handed to :meth:`wiring`, and by that to the transform.

        Returns:
            the spikes of this step, ``(B, *shape)``, bool; and the output of the connection, before the transform, if
            ``capture_intermediate``.
        """
        connection = self._member("connections_", self.__connection_name)
        if not (connection_kwargs or neuron_kwargs or capture_intermediate or kwargs) and self._hands_on:
            spikes = step_at_once(connection, self._member("neurons_", self.__neuron_name), inputs)
            if spikes is not None:
                return spikes
        current = connection(*inputs, **connection_kwargs or {})
        wired = self.wiring({self.__connection_name: current}, **kwargs)[self.__neuron_name]
        spikes = self._member("neurons_", self.__neuron_name)(wired, **neuron_kwargs or {})
        return (spikes, current) if capture_intermediate else spikes
