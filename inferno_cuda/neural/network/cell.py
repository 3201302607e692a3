"""Cells: what a trainer sees of one connection and the neurons behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ...observe import Observable
from ...state import Module
from ..base import Connection, Neuron, Synapse
from ..modeling import Updater

if TYPE_CHECKING:
    from .layer import Layer

# First component of a path on a cell -> the part of the layer that has it, and the path there.
_ALIASES = {
    "connection": ("connection", ""),
    "connection_": ("connection", ""),
    "neuron": ("neuron", ""),
    "neuron_": ("neuron", ""),
    "synapse": ("connection", "synapse"),
    "updater": ("connection", "updater"),
    "precurrent": ("connection", "syncurrent"),
    "prespike": ("connection", "synspike"),
    "postvoltage": ("neuron", "voltage"),
    "postspike": ("neuron", "spike"),
}


class Cell(Module, Observable):
    """A connection and the neurons that it feeds, as a pair that can be watched and trained.

    Layers make cells; a cell computes nothing and cannot be called. Both parts are shared with the layer.

    Args:
        layer: the layer that both are in; only a weak reference to it is kept.
        connection: the connection.
        neuron: the neurons.
        names: names of the connection and of the neurons in the layer.

    Raises:
        TypeError: if a part lacks the attributes that a cell reads.
        RuntimeError: if the output of the connection has another shape than the neurons.
    """

    def __init__(self, layer: Layer, connection: Connection, neuron: Neuron, names: tuple[str, str]) -> None:
        require("connection", connection, "outshape", "synapse")
        require("neuron", neuron, "shape")
        if tuple(connection.outshape) != tuple(neuron.shape):
            raise RuntimeError(
                f"connection output shape {connection.outshape} is incompatible with neuron shape {neuron.shape}"
            )
        Module.__init__(self)
        Observable.__init__(self, layer, "_realign_attribute", tuple(names), None)
        self.connection_ = connection
        self.neuron_ = neuron

    def local_remap(self, attr: str) -> tuple[tuple[str, str], dict[str, Any]]:
        """Translates a dotted path on the cell into a part of the layer and a path there.

        Raises:
            RuntimeError: if the cell has no such attribute.
        """
        first, _, rest = attr.partition(".")
        if first in _ALIASES:
            part, path = _ALIASES[first]
            return (part, ".".join(filter(None, (path, rest)))), {}
        if not hasattr(self, first):
            raise RuntimeError(f"cell does not have an attribute '{first}'")
        return ("cell", attr), {}

    @property
    def connection(self) -> Connection:
        """The connection."""
        return self.connection_

    @property
    def neuron(self) -> Neuron:
        """The neurons."""
        return self.neuron_

    @property
    def synapse(self) -> Synapse:
        """The synapse of the connection."""
        return self.connection_.synapse

    @property
    def updater(self) -> Updater | None:
        """The updater of the connection, or None."""
        return self.connection_.updater

    @property
    def precurrent(self) -> torch.Tensor:
        """Currents that the connection uses now, in nA, which is its ``syncurrent``."""
        return self.connection_.syncurrent

    @property
    def prespike(self) -> torch.Tensor:
        """Input spikes that the connection uses now, which is its ``synspike``."""
        return self.connection_.synspike

    @property
    def postvoltage(self) -> torch.Tensor:
        """Membrane voltages of the neurons, ``(B, *shape)``, in mV."""
        return self.neuron_.voltage

    @property
    def postspike(self) -> torch.Tensor:
        """Which neurons fired in the last step, ``(B, *shape)``, bool."""
        return self.neuron_.spike

    def forward(self) -> None:
        """Not to be called: a cell is stepped as a part of its layer.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"'forward' method of {type(self).__name__}(Cell) cannot be called")


def require(name: str, part: object, *attributes: str) -> None:
    """Checks that a part of a layer has what layers use, be it wrapped or not.

    Raises:
        TypeError: if it has not.
    """
    absent = [attribute for attribute in attributes if not hasattr(part, attribute)]
    if absent:
        raise TypeError(f"'{name}' is of type {type(part).__name__}, which has no attribute(s): {', '.join(absent)}")
