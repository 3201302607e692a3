"""What the rules share that count from the arrival of a spike, at the delay of each weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..neural import Cell
from ..state import Module
from ._monitors import Watch, postsynaptic, sent, since_spike
from ._rule import Rule
from .base import IndependentCellTrainer


class DelayAdjusted(Rule):
    """A rule of the time from the arrival of a spike to a postsynaptic spike; the connection needs to have delays."""

    def register_cell(self, name: str, cell: Cell, /, **kwargs: Any) -> IndependentCellTrainer.Unit:
        """Adds a cell, as every rule does.

        Raises:
            RuntimeError: if the connection has no delays, the cell no updater, or that lacks the parameter trained.
            ValueError, TypeError: as for every rule.
        """
        if isinstance(cell, Cell) and cell.connection.delayedby is None:
            raise RuntimeError(
                f"the connection of 'cell' has no delays, {type(self).__name__} needs some: make it with 'delay'"
            )
        return super().register_cell(name, cell, **kwargs)

    def _watches(self, cell: Cell, state: Module) -> Iterator[Watch]:
        yield since_spike("spike_post", postsynaptic(cell), state.inplace)
        yield since_spike("spike_pre", sent(cell), state.inplace)
