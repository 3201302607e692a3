"""Interface of layers: named connections and neurons, and the step that takes inputs through both."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn as nn

from ...observe.monitors.base import deregister_lost
from ...state import Module
from ...state._check import identifier, instance, size
from .._coverage import Advanced, Chunk, Wanted, covers, stands_for
from ..base import Connection, Neuron, Synapse
from ..sequence import Runnable
from ._proxy import Proxy
from ._sequence import Members, run_apart
from .cell import Cell, require

Kwargs = Mapping[str, Mapping[str, Any]]
_TARGETS = {"connection": "connections_.{0}", "neuron": "neurons_.{1}", "cell": "cells_.{0}.{1}"}


class Layer(Runnable, Module, ABC):
    """Connections and neurons by name, with the wiring between them left to subclasses.

    The modules are the submodules ``connections_.<name>``, ``neurons_.<name>`` and
    ``cells_.<connection>.<neurons>``. A state_dict names what a cell shares with the layer once more under the cell.
    """

    _all_or_nothing = False

    def __init__(self) -> None:
        Module.__init__(self)
        self.connections_ = nn.ModuleDict()
        self.neurons_ = nn.ModuleDict()
        self.cells_ = nn.ModuleDict()

    # -- members ------------------------------------------------------------------------------------------------------

    def add_connection(self, name: str, connection: Connection) -> Connection:
        """Adds a connection, and returns it.

        Raises:
            TypeError: if ``name`` is not a string, or ``connection`` is not a module with the methods of a connection.
            ValueError: if ``name`` is not an identifier.
            RuntimeError: if there is a connection of that name.
            KeyError: if ``name`` is one that torch keeps for itself, such as "keys".
        """
        require("connection", connection, "outshape", "synapse", "update", "clear")
        return _add(self.connections_, "connection", name, connection)

    def add_neuron(self, name: str, neuron: Neuron) -> Neuron:
        """Adds a group of neurons, and returns it.

        Raises:
            TypeError: if ``name`` is not a string, or ``neuron`` is not a module with the methods of neurons.
            ValueError: if ``name`` is not an identifier.
            RuntimeError: if there are neurons of that name.
            KeyError: if ``name`` is one that torch keeps for itself, such as "keys".
        """
        require("neuron", neuron, "shape", "clear")
        return _add(self.neurons_, "neuron", name, neuron)

    def add_cell(self, connection: str, neuron: str) -> Cell:
        """Makes the cell of a connection and neurons, or returns the one there is.

        Raises:
            AttributeError: if there is no such connection, or no such neurons.
            RuntimeError: if the output of the connection has another shape than the neurons.

        Warns:
            UserWarning: if connection and neurons have steps of different lengths.
        """
        self._check_pair(connection, neuron)
        if connection in self.cells_ and neuron in self.cells_[connection]:
            return self.cells_[connection][neuron]
        cell = Cell(self, self.connections_[connection], self.neurons_[neuron], (connection, neuron))
        _warn_of_steps(connection, cell.connection, neuron, cell.neuron)
        if connection not in self.cells_:
            self.cells_[connection] = nn.ModuleDict()
        self.cells_[connection][neuron] = cell
        return cell

    @property
    def batchsz(self) -> int:
        """Number of samples that all parts simulate side by side. Setting it sets that of every part.

        Raises:
            ValueError: if the new value is not a positive integer, or parts differ when it is read.
        """
        sizes = {part.batchsz for part in (*self.connections_.values(), *self.neurons_.values())}
        if len(sizes) != 1:
            raise ValueError(f"the parts of the layer have the batch sizes {sorted(sizes)}, they must have one")
        return sizes.pop()

    @batchsz.setter
    def batchsz(self, value: int) -> None:
        value = size("batchsz", value)
        for part in (*self.connections_.values(), *self.neurons_.values()):
            part.batchsz = value

    def get_connection(self, name: str) -> Connection:
        """The connection of a name.

        Raises:
            AttributeError: if there is none.
        """
        return _get(self.connections_, "connection", name)

    def get_neuron(self, name: str) -> Neuron:
        """The neurons of a name.

        Raises:
            AttributeError: if there are none.
        """
        return _get(self.neurons_, "neuron", name)

    def get_cell(self, connection: str, neuron: str) -> Cell:
        """The cell of a connection and neurons.

        Raises:
            AttributeError: if there is none.
        """
        if connection not in self.cells_ or neuron not in self.cells_[connection]:
            raise AttributeError(f"no cell with the connection-neuron pair {(connection, neuron)} exists")
        return self.cells_[connection][neuron]

    def del_connection(self, name: str) -> None:
        """Removes a connection and its cells. Monitors of them are deregistered.

        Raises:
            AttributeError: if there is none of that name.
        """
        _get(self.connections_, "connection", name)
        if name in self.cells_:
            del self.cells_[name]
        del self.connections_[name]
        deregister_lost(self)

    def del_neuron(self, name: str) -> None:
        """Removes neurons and their cells. Monitors of them are deregistered.

        Raises:
            ValueError: if there are none of that name.
        """
        if name not in self.neurons_:
            raise ValueError(f"'name' ('{name}') is not a registered neuron")
        for connection in list(self.cells_):
            self.del_cell(connection, name)
        del self.neurons_[name]
        deregister_lost(self)

    def del_cell(self, connection: str, neuron: str) -> None:
        """Removes a cell, if there is one; what it was made of stays.

        Raises:
            AttributeError: if there is no such connection, or no such neurons.
        """
        self._check_pair(connection, neuron)
        if connection in self.cells_ and neuron in self.cells_[connection]:
            del self.cells_[connection][neuron]
            if not len(self.cells_[connection]):
                del self.cells_[connection]

    def _check_pair(self, connection: str, neuron: str) -> None:
        for modules, kind, name in (
            (self.connections_, "connection", connection),
            (self.neurons_, "neuron", neuron),
        ):
            if name not in modules:
                raise AttributeError(f"'{kind}' ('{name}') is not a registered {kind}")

    def _realign_attribute(self, connection: str, neuron: str, target: str, attr: str) -> str:
        if target not in _TARGETS:
            raise ValueError(f"'target' ('{target}') must be one of: {', '.join(map(repr, _TARGETS))}")
        base = _TARGETS[target].format(connection, neuron)
        return f"{base}.{attr}" if attr else base

    @property
    def connections(self) -> Any:
        """The connections as attributes, such as ``layer.connections.name``."""
        return Proxy(self.connections_, "connection")

    @property
    def neurons(self) -> Any:
        """The neurons as attributes, such as ``layer.neurons.name``."""
        return Proxy(self.neurons_, "neuron")

    @property
    def cells(self) -> Any:
        """The cells as attributes, such as ``layer.cells.connection.neuron``."""
        return Proxy(self.cells_, "cell")

    @property
    def named_connections(self) -> Iterator[tuple[str, Connection]]:
        """Names and connections."""
        return iter(self.connections_.items())

    @property
    def named_neurons(self) -> Iterator[tuple[str, Neuron]]:
        """Names and neurons."""
        return iter(self.neurons_.items())

    @property
    def named_synapses(self) -> Iterator[tuple[str, Synapse]]:
        """Names of the connections, and their synapses."""
        return ((name, connection.synapse) for name, connection in self.connections_.items())

    @property
    def named_cells(self) -> Iterator[tuple[tuple[str, str], Cell]]:
        """Pairs of names, of connection and neurons, and their cells."""
        return (((c, n), cell) for c, cells in self.cells_.items() for n, cell in cells.items())

    # -- simulation ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def wiring(self, inputs: dict[str, torch.Tensor], **kwargs: Any) -> dict[str, torch.Tensor]:
        """Computes what the neurons get from what the connections give.

        Args:
            inputs: outputs of the connections by name, ``(B, *outshape)``, in nA.
            **kwargs: keyword arguments of the step that are for the wiring.

        Returns:
            inputs of the neurons by name, ``(B, *shape)``, in nA.
        """
        raise NotImplementedError(f"{type(self).__name__}(Layer) must implement the method 'wiring'")

    def forward(
        self,
        inputs: Mapping[str, Sequence[torch.Tensor]],
        connection_kwargs: Kwargs | None = None,
        neuron_kwargs: Kwargs | None = None,
        capture_intermediate: bool = False,
        **kwargs: Any,
    ) -> dict[str, torch.Tensor] | tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Simulates one step: the connections that have inputs, the wiring, the neurons that it names.

        Args:
            inputs: positional arguments of connections, by name.
            connection_kwargs: keyword arguments of connections, by name.
            neuron_kwargs: keyword arguments of neurons, by name.
            capture_intermediate: whether to return the outputs of the connections too.
            **kwargs: handed to :meth:`wiring`.

        Returns:
            spikes by name of the neurons; and outputs by name of the connections if ``capture_intermediate``.

        Raises:
            KeyError: if a name is not registered. Unless the wiring gave it, no state has changed then.
            TypeError: if the arguments of a connection are a tensor instead of a sequence of tensors.
        """
        connections, neurons = self._checked(inputs, connection_kwargs, neuron_kwargs)
        currents = {name: connections[name](*args, **_of(connection_kwargs, name)) for name, args in inputs.items()}
        wired = self.wiring(currents, **kwargs)
        _known("wiring", wired, neurons)
        spikes = {name: neurons[name](current, **_of(neuron_kwargs, name)) for name, current in wired.items()}
        return (spikes, currents) if capture_intermediate else spikes

    def _checked(
        self,
        inputs: Mapping[str, Sequence[torch.Tensor]],
        connection_kwargs: Kwargs | None,
        neuron_kwargs: Kwargs | None,
    ) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
        """Connections and neurons by name, of which there are those that the arguments of a step name."""
        for name, args in inputs.items():
            if isinstance(args, torch.Tensor):
                raise TypeError(f"'inputs' of '{name}' is a Tensor, it must be a sequence of tensors")
        # plain dictionaries: a ModuleDict takes several times longer to look a name up
        connections, neurons = self._modules["connections_"]._modules, self._modules["neurons_"]._modules
        _known("inputs", inputs, connections)
        _known("connection_kwargs", connection_kwargs or (), connections)
        _known("neuron_kwargs", neuron_kwargs or (), neurons)
        return connections, neurons

    def _wires_apart(self) -> bool:
        """Whether :meth:`wiring` takes all steps as it takes one: element by element, with no function of a user.

        Such a function may look at the state of the layer, or draw random numbers in the order of the steps.
        """
        return False

    def _takes(self, keyword: str) -> bool:
        own = stands_for(self, "_wires_apart", "wiring") and self._wires_apart()
        return super()._takes(keyword) or not own  # which functions of a user may take

    def _advance(self, chunk: Chunk, kwargs: Mapping[str, Any], wanted: tuple[Wanted, ...]) -> Advanced | None:
        return self._advance_apart(chunk, wanted, **kwargs) if covers(self, "_advance_apart") else None

    def _runs_apart(self) -> bool:
        return covers(self, "_advance_apart") and self._parts_run_apart(())

    def _parts_run_apart(self, wanted: tuple[Wanted, ...]) -> bool:
        own = stands_for(self, "_wires_apart", "wiring") and self._wires_apart()
        return own and run_apart(self, self._parts(), wanted)

    def _advance_apart(
        self,
        chunk: Chunk,
        wanted: tuple[Wanted, ...],
        /,
        connection_kwargs: Kwargs | None = None,
        neuron_kwargs: Kwargs | None = None,
        capture_intermediate: bool = False,
        **kwargs: Any,
    ) -> Advanced | None:
        inputs, *others = chunk.arguments
        if others or not isinstance(inputs, Mapping) or not self._parts_run_apart(wanted):
            return None
        connections, neurons = self._checked(inputs, connection_kwargs, neuron_kwargs)
        members = Members(chunk, wanted)
        currents = {n: members.through(connections[n], args, _of(connection_kwargs, n)) for n, args in inputs.items()}
        wired = self.wiring(currents, **kwargs)
        _known("wiring", wired, neurons)
        spikes = {n: members.through(neurons[n], (current,), _of(neuron_kwargs, n)) for n, current in wired.items()}
        return Advanced((spikes, currents) if capture_intermediate else spikes, members.recorded)

    def _parts(self) -> list[nn.Module]:
        return [*self._modules["connections_"]._modules.values(), *self._modules["neurons_"]._modules.values()]

    def update(self, clear: bool = True, **kwargs: Any) -> None:
        """Applies the pending updates of every connection.

        Args:
            clear: whether the updates are dropped once applied.
            **kwargs: passed to the connections.
        """
        for connection in self.connections_.values():
            connection.update(clear=clear, **kwargs)

    def clear(self, submodules: bool = True, **kwargs: Any) -> None:
        """Puts the layer back to rest.

        Args:
            submodules: whether to clear connections and neurons.
            **kwargs: passed to them.
        """
        if submodules:
            for module in (*self.connections_.values(), *self.neurons_.values()):
                module.clear(**kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As in torch; what cells share with the layer is stored once, under all of its names."""
        state = super().state_dict(*args, **kwargs)
        prefix = kwargs.get("prefix", args[1] if len(args) > 1 else "")
        for (connection, neuron), _ in self.named_cells:
            cell = f"{prefix}cells_.{connection}.{neuron}."
            for part, own in (("connection_.", f"connections_.{connection}."), ("neuron_.", f"neurons_.{neuron}.")):
                _share(state, cell + part, prefix + own)
        return state


def _share(state: dict[str, Any], repeated: str, prefix: str) -> None:
    """Lets keys under one prefix have the values of those under another."""
    for key in state:
        if key.startswith(repeated):
            state[key] = state.get(prefix + key.removeprefix(repeated), state[key])


def _add(modules: nn.ModuleDict, kind: str, name: str, module: nn.Module) -> Any:
    if identifier("name", name) in modules:
        raise RuntimeError(f"'name' ('{name}') is already a registered {kind}")
    modules[name] = instance(kind, module, nn.Module)
    return module


def _warn_of_steps(one: str, connection: nn.Module, other: str, neuron: nn.Module) -> None:
    """Says that parts of a cell do not agree on the length of a step, which each of them goes by."""
    steps = [getattr(part, "dt", None) for part in (connection, neuron)]
    if None not in steps and steps[0] != steps[1]:
        warnings.warn(
            f"a step of connection '{one}' is {steps[0]:g} ms, one of neurons '{other}' {steps[1]:g} ms: they advance "
            "together, set 'dt' of one to that of the other",
            UserWarning,
            stacklevel=3,
        )


def _get(modules: nn.ModuleDict, kind: str, name: str) -> Any:
    if name not in modules:
        raise AttributeError(f"'name' ('{name}') is not a registered {kind}")
    return modules[name]


def _known(argument: str, names: Iterable[str], modules: Mapping[str, nn.Module]) -> None:
    for name in names:
        if name not in modules:
            raise KeyError(f"'{argument}' has the name '{name}', it must be one of: {', '.join(modules)}")


def _of(kwargs: Kwargs | None, name: str) -> Mapping[str, Any]:
    return kwargs.get(name) or {} if kwargs else {}
