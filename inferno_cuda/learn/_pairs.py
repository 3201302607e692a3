"""What the rules of pairs of spikes share: traces, and the terms that they make with spikes."""

from __future__ import annotations

from collections.abc import Iterator

from ..neural import Cell
from ..state import Module
from ._monitors import Watch, postsynaptic, presynaptic, spikes, trace
from ._prepared import Pair
from ._rule import Monitors, TermRule
from ._sent import Values
from ._terms import Term, arriving, newest, product


class Pairs(TermRule):
    """A rule of pairs: a term at every postsynaptic spike, one at every presynaptic spike.

    The rates are the amplitudes of the traces; a side without a rate is not recorded.
    """

    def _amplitudes(self, state: Module) -> tuple[float | None, float | None]:
        """What a spike adds to the post- and to the presynaptic trace; None for 1, which tells no monitors apart."""
        return abs(state.lr_pre), abs(state.lr_post)

    def _watches(self, cell: Cell, state: Module) -> Iterator[Watch]:
        after, before = postsynaptic(cell), presynaptic(cell, getattr(state, "delayed", False))
        amp_post, amp_pre = self._amplitudes(state)
        if amp_post != 0:
            yield trace("trace_post", after, state, state.tc_post, amp_post)
        if amp_pre != 0:
            yield spikes("spike_post", after)
            yield trace("trace_pre", before, state, state.tc_pre, amp_pre)
        if amp_post != 0:
            yield spikes("spike_pre", before)

    def _trace(self, value: Values, rate: float) -> Values:
        """A recorded trace with the amplitude that the term needs."""
        return value

    def _pairs(self, state: Module, monitors: Monitors) -> list[Pair] | None:
        if type(self)._trace is not Pairs._trace:
            return None
        pairs = []
        if "trace_pre" in monitors:
            pairs.append(Pair("spike_post", "trace_pre", "spike_post", state.lr_post))
        if "trace_post" in monitors:
            pairs.append(Pair("trace_post", "spike_pre", "spike_pre", state.lr_pre))
        return pairs

    def _terms(self, cell: Cell, state: Module, monitors: Monitors) -> list[tuple[Term, float]]:
        def incoming(name: str) -> Values:
            return arriving(cell, monitors[name], state.delayed, state.tolerance)

        terms = []
        if "trace_pre" in monitors:
            x_pre = self._trace(incoming("trace_pre"), state.lr_post)
            terms.append((product(cell, newest(monitors["spike_post"]), x_pre, "post"), state.lr_post))
        if "trace_post" in monitors:
            x_post = self._trace(newest(monitors["trace_post"]), state.lr_pre)
            terms.append((product(cell, x_post, incoming("spike_pre"), "pre"), state.lr_pre))
        return terms
