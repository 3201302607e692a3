"""What the learning rules of this package share: hyper-parameters, registration of cells, a step of learning."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from ..neural import Cell
from ..neural._updater import hand_over
from ..observe import Monitor
from ..state import Module
from ..state.module import AT_ONCE
from ._called import names_of
from ._explain import LearningReport, explained
from ._monitors import Readings, Watch
from ._prepared import Pair, prepared
from ._routing import Sides, three_factor, two_factor
from ._settings import SETTINGS, attribute_of, number, store
from ._terms import Term
from .base import IndependentCellTrainer

Monitors = dict[str, Monitor]


class Rule(IndependentCellTrainer):
    """A learning rule whose hyper-parameters can differ from cell to cell.

    A subclass names the parameter that it trains and the reduction over the samples that it takes by default, hands its
    hyper-parameters to :meth:`_configure`, and says what it records of a cell (:meth:`_watches`).
    """

    _trains = "weight"
    _default_reduction = staticmethod(torch.mean)

    def _configure(self, kwargs: dict[str, Any], /, **values: Any) -> None:
        """Checks hyper-parameters, and keeps them as attributes; to be called by the constructor."""
        values = self._checked(values)
        IndependentCellTrainer.__init__(self, **kwargs)
        self._configured = tuple(values)
        for name, value in values.items():
            setattr(self, attribute_of(name), value)

    def _checked(self, values: dict[str, Any]) -> dict[str, Any]:
        checked = {name: SETTINGS[name].check(name, value) for name, value in values.items()}
        if checked.get("batch_reduction", self) is None:
            checked["batch_reduction"] = self._default_reduction
        return checked

    def _build_cell_state(self, **overrides: Any) -> Module:
        """The state of a cell: the hyper-parameters of the trainer, but for those that are given."""
        unknown = [name for name in overrides if name not in self._configured]
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has no hyper-parameter '{unknown[0]}', it has: {', '.join(self._configured)}"
            )
        state = Module()
        values = {name: getattr(self, attribute_of(name)) for name in self._configured}
        for name, value in self._checked(values | overrides).items():
            self._store(state, name, value)
        return state

    def _store(self, state: Module, name: str, value: Any) -> None:
        store(state, name, value)

    def _required(self, state: Module) -> Sequence[str]:
        """Names of the parameters that the updater of a cell must have."""
        return (self._trains,)

    @abstractmethod
    def _watches(self, cell: Cell, state: Module) -> Iterable[Watch]:
        """What is recorded of a cell, in the order of the state_dict."""

    def register_cell(self, name: str, cell: Cell, /, **kwargs: Any) -> IndependentCellTrainer.Unit:
        """Adds a cell, with monitors and a state that are made for it.

        Args:
            name: name of the cell in this trainer, an identifier.
            cell: the cell.
            **kwargs: hyper-parameters, arguments of the constructor, that are to differ from those of the trainer.

        Returns:
            the cell, its state and its monitors.

        Raises:
            ValueError: if the name is taken, or a hyper-parameter is out of its range.
            TypeError: if ``cell`` is no cell, or there is no such hyper-parameter.
            RuntimeError: if the cell has no updater, or that lacks the parameter that is trained.
        """
        state = self._build_cell_state(**kwargs)
        self.add_cell(name, cell, state, self._required(state))
        try:
            self._add_monitors(name, cell, state)
        except Exception:
            self._forget(name)
            raise
        return self.get_unit(name)

    def _add_monitors(self, name: str, cell: Cell, state: Module) -> None:
        readings = Readings()
        for watch in self._watches(cell, state):
            self.add_monitor(name, watch.name, watch.attr, watch.constructor(readings), False, **watch.tags)

    def explain(self) -> LearningReport:
        """How each cell learns, at present, and why not faster. Print it, or iterate."""
        return explained(self)

    def _why_torch(self, state: Module) -> str:
        """Why no kernels make the terms of a cell with these hyper-parameters; empty if they do."""
        return ""

    def _learning(self, cells: Sequence[str] | None = None) -> Iterator[tuple[Cell, Module, Monitors]]:
        """The cells that learn now, among the named ones or among all."""
        cells = None if cells is None else names_of(cells)
        for name in cells or ():
            self._check_cell(name, "cells")
        monitors = self.monitor_pool_.monitors_._modules  # not through a ModuleDict, which takes several times longer
        for name, (cell, state) in self.named_cells:
            if not (cells is None or name in cells) or not self.training or not cell.training:
                continue
            if cell.updater is not None:
                yield cell, state, monitors[name]._modules if name in monitors else {}

    def _trained(self, state: Module) -> str:
        """Name of the parameter that is trained."""
        return self._trains

    def _collect(self, updates: Iterable[tuple[Cell, Module, Sides]]) -> None:
        """Hands updates to the updaters, once all of them are made."""
        for cell, state, sides in list(updates):
            hand_over(cell.updater, self._trained(state), *sides)


class TermRule(Rule):
    """A rule that is a sum of terms, each with a rate, whose sign says which side of the update it goes to."""

    @abstractmethod
    def _terms(self, cell: Cell, state: Module, monitors: Monitors) -> Sequence[tuple[Term, float]]:
        """The terms, magnitudes, with their rates."""

    def _pairs(self, state: Module, monitors: Monitors) -> Sequence[Pair] | None:
        """The terms by the names of what they multiply, if they are products of recordings as these are."""
        return None


class TwoFactor(TermRule):
    """A rule of pre- and postsynaptic activity."""

    def forward(self) -> None:
        """Collects the updates of the last step, of all cells that are in training mode and have an updater.

        Raises:
            RuntimeError: if nothing has been recorded yet.
        """
        self._collect(
            (cell, state, self._sides(cell, state, monitors)) for cell, state, monitors in self._learning()
        )

    def _sides(self, cell: Cell, state: Module, monitors: Monitors) -> Sides:
        how, connection = state.__dict__.get(AT_ONCE), cell.connection
        if how is None or not how.holds(connection, monitors):
            pairs = self._pairs(state, monitors)
            how = state.__dict__[AT_ONCE] = None if pairs is None else prepared(connection, monitors, pairs, state)
        sides = None if how is None else how.sides()
        if sides is not None:
            return sides
        with torch.no_grad():
            return two_factor(self._terms(cell, state, monitors), state.batchreduce)


class ThreeFactor(TermRule):
    """A rule of pre- and postsynaptic activity, and of a signal such as a reward."""

    _default_reduction = staticmethod(torch.sum)

    @torch.no_grad()
    def forward(self, signal: float | torch.Tensor, scale: float = 1.0, cells: Sequence[str] | None = None) -> None:
        """Collects the updates of the last step, of all cells that are in training mode and have an updater.

        Args:
            signal: the third factor, one number or one for each sample, ``(B,)``. Where it is negative, what would be
                added is subtracted and the other way round. Samples of which it is NaN take no part.
            scale: factor of the signal, of which only the magnitude counts.
            cells: names of the cells that learn, or one; None for all.

        Raises:
            ValueError: if ``signal`` has another shape, or it or ``scale`` is one NaN.
            TypeError: if ``signal`` or ``scale`` is neither a number nor a tensor.
            AttributeError: if there is no cell of a name.
            RuntimeError: if nothing has been recorded yet.
        """
        if not isinstance(signal, torch.Tensor) or signal.ndim == 0:
            signal = number("signal", signal)
        scale = number("scale", scale)
        self._collect(
            (cell, state, three_factor(self._terms(cell, state, monitors), signal, scale, state.batchreduce))
            for cell, state, monitors in self._learning(cells)
        )
