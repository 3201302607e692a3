"""Layers whose members are given when they are made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import torch.nn as nn

from ..base import Connection, Neuron
from .layer import Layer


class FixedLayer(Layer):
    """A layer that refuses changes of its members.

    Args:
        connections: names and connections.
        neurons: names and neurons.
        cells: pairs of names that become cells.
    """

    def __init__(
        self,
        connections: Iterable[tuple[str, Connection]],
        neurons: Iterable[tuple[str, Neuron]],
        cells: Iterable[tuple[str, str]],
    ) -> None:
        Layer.__init__(self)
        for name, connection in connections:
            Layer.add_connection(self, name, connection)
        for name, neuron in neurons:
            Layer.add_neuron(self, name, neuron)
        for pair in cells:
            Layer.add_cell(self, *pair)

    def _refuse(self, action: str) -> NoReturn:
        raise RuntimeError(f"{type(self).__name__} does not support {action}")

    def add_connection(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises RuntimeError: the connections are fixed."""
        self._refuse("adding connections")

    def add_neuron(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises RuntimeError: the neurons are fixed."""
        self._refuse("adding neurons")

    def add_cell(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises RuntimeError: the cells are fixed."""
        self._refuse("adding cells")

    def del_connection(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises RuntimeError: the connections are fixed."""
        self._refuse("removing connections")

    def del_neuron(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises RuntimeError: the neurons are fixed."""
        self._refuse("removing neurons")

    def del_cell(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises RuntimeError: the cells are fixed."""
        self._refuse("removing cells")

    def _member(self, kind: str, name: str) -> nn.Module:
        # what self.connections_[name] and self.neurons_[name] come down to, several times faster
        return self._modules[kind]._modules[name]
