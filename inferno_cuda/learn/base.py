"""Trainers: what keeps cells, their monitors and the state that a learning rule needs for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch.nn as nn

from ..neural import Cell
from ..observe import Monitor, MonitorConstructor, MonitorPool
from ..observe._weak import WeakMap
from ..observe.pooling import submodule_name
from ..state import Module
from ..state._check import identifier, instance


def _checked_cell(cell: Any) -> Cell:
    made = type(cell)
    if made.__name__ == Cell.__name__ and not isinstance(cell, Cell):
        raise TypeError(
            f"'cell' must be an instance of {Cell.__module__}.Cell, but is of type {made.__module__}.Cell: take layer "
            "and trainer from the same package"
        )
    return instance("cell", cell, Cell)


class CellTrainer(Module):
    """Base of learning rules: cells by name, with their monitors and states.

    The layers own the cells: a trainer refers to them weakly, and :meth:`~torch.nn.Module.to` leaves them alone. The
    trainer owns monitors (``monitor_pool_.monitors_.<cell>.<monitor>``) and states (``aux_states_.<cell>``), which are
    its submodules. A deep copy, or a file, that has the layer as well keeps them together; a copy of the trainer on its
    own has no cells.

    Args:
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.
    """

    def __init__(self, **kwargs: Any) -> None:
        Module.__init__(self, **kwargs)
        self.cells_ = WeakMap()
        self.aux_states_ = nn.ModuleDict()
        self.monitor_pool_ = MonitorPool()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # copies of cells know no monitors
        for name, cell in self.cells_.items():
            for monitor_name, monitor in self.named_monitors_of(name):
                cell.monitors._put(monitor_name, monitor)

    @property
    def monitors(self) -> Iterator[Monitor]:
        """The monitors, each once, even if cells share it."""
        return self.monitor_pool_.monitors

    @property
    def named_monitors(self) -> Iterator[tuple[tuple[str, str], Monitor]]:
        """Pairs of ``(cell, name)`` and the monitor; a shared one appears under each of its names."""
        return self.monitor_pool_.named_monitors

    def named_monitors_of(self, cell: str) -> Iterator[tuple[str, Monitor]]:
        """Names and monitors of one cell."""
        return self.monitor_pool_.named_monitors_of(cell)

    @property
    def cells(self) -> Iterator[tuple[Cell, nn.Module | None]]:
        """The cells that still exist, each with its state."""
        return (unit for _, unit in self.named_cells)

    @property
    def named_cells(self) -> Iterator[tuple[str, tuple[Cell, nn.Module | None]]]:
        """Names of the cells that still exist, each with the cell and its state."""
        return ((name, (cell, self._state_of(name))) for name, cell in self.cells_._living().items())

    def _state_of(self, name: str) -> nn.Module | None:
        return self.aux_states_._modules.get(name)

    def add_cell(
        self, name: str, cell: Cell, state: nn.Module | None = None, params: Sequence[str] | None = None
    ) -> tuple[Cell, nn.Module | None]:
        """Adds a cell, and returns it with its state.

        Args:
            name: name of the cell in this trainer, an identifier.
            cell: the cell; only a weak reference to it is kept.
            state: what the rule needs for the cell besides monitors.
            params: names of the parameters that the updater of the cell must have.

        Raises:
            ValueError: if the name is taken by a cell that still exists, is no identifier, or one that torch keeps for
                itself, such as "keys".
            TypeError: if ``cell`` is not a :class:`~inferno_cuda.neural.Cell`.
            RuntimeError: if the cell has no updater, or that lacks a parameter.
        """
        submodule_name("name", identifier("name", name))
        if name in self.cells_:
            raise ValueError(f"'name' ('{name}') is already the name of an added cell")
        updater = _checked_cell(cell).updater
        if updater is None:
            raise RuntimeError("'cell' is not updatable, add an updater to 'cell.connection'")
        for param in params or ():
            if not hasattr(updater, param):
                raise RuntimeError(f"'cell' does not contain required parameter '{param}'")
        self._forget(name)
        self.monitor_pool_.add_observed(name, cell)
        self.cells_._put(name, cell)
        if state is not None:
            self.aux_states_[name] = state
        return cell, state

    def _forget(self, name: str) -> None:
        """Drops what belongs to a cell, which may have died without having been removed."""
        self.monitor_pool_.del_observed(name)
        if name in self.aux_states_:
            del self.aux_states_[name]
        self.cells_._drop(name)

    def get_cell(self, name: str) -> tuple[Cell, nn.Module | None]:
        """A cell and its state.

        Raises:
            KeyError: if there is no cell of that name.
        """
        return self.cells_[name], self._state_of(name)

    def del_cell(self, name: str) -> None:
        """Removes a cell from the trainer, with its state and monitors; the layer keeps it, if it still has it.

        Raises:
            AttributeError: if there is no cell of that name.
        """
        if not self.cells_._known(name):
            self._check_cell(name)
        self._forget(name)

    def _check_cell(self, name: str, argument: str = "name") -> None:
        if name not in self.cells_:
            raise AttributeError(f"'{argument}' ('{name}') is not the name of an added cell")

    def add_monitor(
        self, cell: str, name: str, attr: str, monitor: MonitorConstructor, unique: bool = False, /, **tags: Any
    ) -> Monitor:
        """Adds a monitor to a cell, or finds one to share; in evaluation mode, it is not registered yet.

        Args:
            cell: name of the cell.
            name: name of the monitor.
            attr: dotted path of the attribute to watch, from the cell.
            monitor: makes the monitor.
            unique: whether to make a monitor that is not shared, in place of an existing one of that name.
            **tags: what else must agree for a monitor of the same name and attribute to be shared.

        Raises:
            AttributeError: if there is no cell of that name.
        """
        self._check_cell(cell, "cell")
        added = self.monitor_pool_.add_monitor(cell, name, attr, monitor, unique, **tags)
        if not self.training:
            added.deregister()
        return added

    def get_monitor(self, cell: str, name: str) -> Monitor | None:
        """The monitor of a name, or None."""
        return self.monitor_pool_.get_monitor(cell, name)

    def del_monitor(self, cell: str, name: str) -> None:
        """Removes a monitor from a cell.

        Raises:
            AttributeError: if there is no such cell, or no such monitor.
        """
        self.monitor_pool_.del_monitor(cell, name)

    def train(self, mode: bool = True) -> CellTrainer:
        """Puts the trainer, not the cells, into training or evaluation mode.

        Monitors record in training mode alone: they are registered, or deregistered, and keep what they recorded. Those
        of which the layer, or the part of it that they watch, is gone stay deregistered.
        """
        Module.train(self, mode)
        if not mode:
            for monitor in self.monitors:
                monitor.deregister()
            return self
        for name in self.cells_:
            for _, monitor in self.named_monitors_of(name):
                if not isinstance(monitor, Monitor) or monitor.watches_something:
                    monitor.register()
        return self

    def clear(self, **kwargs: Any) -> None:
        """Clears the monitors. Pending updates stay: other trainers may share them.

        Args:
            **kwargs: passed to the monitors.
        """
        for monitor in self.monitors:
            monitor.clear(**kwargs)

    def update(self, clear: bool = True, **kwargs: Any) -> None:
        """Applies all pending updates of every connection that is trained here, each once.

        Those of other trainers too, and hooks on the updaters run.

        Args:
            clear: whether the updates are dropped once applied.
            **kwargs: passed to the connections.
        """
        connections = {id(cell.connection): cell.connection for cell, _ in self.cells}
        for connection in connections.values():
            connection.update(clear=clear, **kwargs)

    def forward(self, *inputs: Any, **kwargs: Any) -> None:
        """One step of learning: collects updates in the updaters of the cells."""
        raise NotImplementedError(f"{type(self).__name__}(CellTrainer) must implement the method 'forward'")


class IndependentCellTrainer(CellTrainer, ABC):
    """Base of learning rules that train each cell for itself.

    Args:
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.
    """

    class Unit(Module):
        """A cell and what a trainer has for it, such as to move all of it to another device.

        Args:
            cell: the cell, submodule ``cell``.
            state: what the rule needs for it, submodule ``state``, or None.
            monitors: its monitors by name, submodule ``monitors``.
        """

        def __init__(self, cell: Cell, state: nn.Module | None, monitors: Mapping[str, Monitor]) -> None:
            Module.__init__(self)
            self.cell = cell
            self.state = state
            self.monitors = nn.ModuleDict(monitors)

    def __iter__(self) -> Iterator[tuple[Cell, nn.Module | None, dict[str, Monitor]]]:
        """The cells that still exist, each with its state and its monitors by name."""
        return ((cell, state, dict(self.named_monitors_of(name))) for name, (cell, state) in self.named_cells)

    def get_unit(self, name: str) -> IndependentCellTrainer.Unit:
        """A cell with its state and monitors.

        Raises:
            KeyError: if there is no cell of that name.
        """
        return self.Unit(*self.get_cell(name), dict(self.named_monitors_of(name)))

    @abstractmethod
    def register_cell(self, name: str, cell: Cell, **kwargs: Any) -> IndependentCellTrainer.Unit:
        """Adds a cell with the monitors and the state that the rule needs, and returns them.

        Args:
            name: name of the cell in this trainer, an identifier.
            cell: the cell.
            **kwargs: hyper-parameters that are to differ from those of the trainer.
        """
        raise NotImplementedError(
            f"{type(self).__name__}(IndependentCellTrainer) must implement the method 'register_cell'"
        )
