"""The terms of the delay-adjusted rules with exponential windows."""

from __future__ import annotations

from ..neural import Cell
from ..state import Module
from ._delays import DelayAdjusted
from ._lags import adjusted_terms
from ._rule import Monitors, TermRule
from ._terms import Term


class DelayAdjustedWindow(DelayAdjusted, TermRule):
    """A rule whose terms decay with the time from the arrival of a spike to a postsynaptic spike."""

    # suffixes of rate and time constant for postsynaptic spikes at the arrival or after it, and for those before
    _suffixes = "pos", "neg"

    def _terms(self, cell: Cell, state: Module, monitors: Monitors) -> list[tuple[Term, float]]:
        rates = [getattr(state, f"lr_{suffix}") for suffix in self._suffixes]
        constants = [getattr(state, f"tc_{suffix}") for suffix in self._suffixes]
        windows = zip(rates, constants, strict=True)
        terms = adjusted_terms(cell, monitors["spike_post"], monitors["spike_pre"], *windows)
        return [(term, rate) for term, rate in zip(terms, rates, strict=True) if rate != 0]
