"""Says how the cells of a learning rule learn, and why not faster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .. import ops
from ..neural import Cell
from ..neural.connections._base import WeightedConnection
from ..observe import CumulativeTraceReducer, EventReducer, NearestTraceReducer, PassthroughReducer
from ..state import Module
from ._arrivals import Arriving
from ._eligibility import EligibilityTraceReducer
from ._sent import kind_of
from ._terms import is_mean_or_sum

if TYPE_CHECKING:
    from ._rule import Monitors, Rule

HEADER = ("cell", "connection", "records", "terms", "why not faster")
_OURS = {CumulativeTraceReducer, NearestTraceReducer, PassthroughReducer, EventReducer, EligibilityTraceReducer}


class CellRow(NamedTuple):
    """How a cell learns.

    Attributes:
        cell: its name in the trainer.
        connection: class of its connection.
        records: "spikes of each neuron", or "arrivals at each weight" where every sample has a value for each weight.
        terms: "kernels", or "torch" where the library's own steps make them.
        reason: why not faster; empty if there is nothing to say.
    """

    cell: str
    connection: str
    records: str
    terms: str
    reason: str


class LearningReport:
    """The rows of :meth:`Rule.explain`; prints as a table."""

    def __init__(self, rows: list[CellRow]) -> None:
        self.rows = tuple(rows)

    def __iter__(self) -> Iterator[CellRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> CellRow:
        return self.rows[index]

    def __repr__(self) -> str:
        lines = [HEADER, *(row._replace(reason=row.reason or "-") for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
        lines.insert(1, tuple("-" * width for width in widths))
        padded = ("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join(line.rstrip() for line in padded)


def explained(rule: Rule) -> LearningReport:
    """How the cells of a rule learn."""
    rows = []
    for name, (cell, state) in rule.named_cells:
        monitors = dict(rule.named_monitors_of(name))
        spread, terms = _spread(cell, monitors), _in_torch(rule, cell, state, monitors)
        records = "arrivals at each weight" if spread else "spikes of each neuron"
        reason = "; ".join(text for text in (spread, terms) if text)
        kind = type(cell.connection).__name__
        rows.append(CellRow(name, kind, records, "torch" if terms else "kernels", reason))
    return LearningReport(rows)


def _spread(cell: Cell, monitors: Monitors) -> str:
    """Why there is a value for each sample and weight; empty if there is none."""
    for name, monitor in monitors.items():
        reducer = monitor.reducer
        if isinstance(reducer, Arriving) and not reducer._initial and not reducer._of_sent:
            return (
                f"{name}: spikes were under way before the first step, delays or spikes changed outside of steps, or "
                "the synapse has its own lookup; clear() of layer and trainer ends it"
            )
    return ""


def _in_torch(rule: Rule, cell: Cell, state: Module, monitors: Monitors) -> str:
    """Why no kernels make the terms; empty if they do."""
    connection = cell.connection
    if not is_mean_or_sum(state.batchreduce):
        return f"batch_reduction {getattr(state.batchreduce, '__name__', state.batchreduce)} is no mean or sum"
    if not isinstance(connection, WeightedConnection):
        return f"{type(connection).__name__} is no connection of this package"
    if not connection._has_correlations:
        return f"there are no kernels for learning rules on a {type(connection).__name__}"
    for name, monitor in monitors.items():
        kind = type(monitor.reducer)
        if kind not in _OURS and not issubclass(kind, Arriving):
            return f"{name} has a reducer of its own, {kind.__name__}"
    choice = ops.choose(f"correlate_{kind_of(connection)}", connection.weight.device)
    return rule._why_torch(state) or choice.reason
