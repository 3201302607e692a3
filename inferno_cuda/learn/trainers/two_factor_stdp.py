"""Spike-timing-dependent plasticity of pairs and triplets of spikes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch

from ...neural import Cell
from ...state import Module
from ...state._check import greater
from .._monitors import Watch, postsynaptic, presynaptic, spikes, trace
from .._pairs import Pairs
from .._rule import Monitors, TwoFactor
from .._sent import Values, together
from .._terms import Term, arriving, newest, previous, product

TraceMode = Literal["cumulative", "nearest"]


class STDP(TwoFactor, Pairs):
    r"""Pair-based spike-timing-dependent plasticity (Bi & Poo 1998; Song, Miller & Abbott 2000).

    .. math::

        \Delta W_{oi} &= \eta_\text{post} \, x_i(t) \, s_o(t) + \eta_\text{pre} \, y_o(t) \, s_i(t) \\
        x_i(t) &= x_i(t - \Delta t) \, e^{-\Delta t / \tau_\text{pre}} + s_i(t) \qquad
        y_o(t) = y_o(t - \Delta t) \, e^{-\Delta t / \tau_\text{post}} + s_o(t)

    with the spikes :math:`s` of this step. Traces have this step's spikes in them, so spikes that coincide count in
    both terms. Terms are reduced over the samples, and those with a rate that is not negative are added, the others
    subtracted. A rate of 0 leaves its side out.

    ``forward()`` collects the update of the last step in ``cell.updater.weight``; ``connection.update()`` applies it.

    Args:
        lr_post: rate :math:`\eta_\text{post}` of changes at postsynaptic spikes.
        lr_pre: rate :math:`\eta_\text{pre}` of changes at presynaptic spikes.
        tc_post: time constant :math:`\tau_\text{post}` of the postsynaptic trace, in ms.
        tc_pre: time constant :math:`\tau_\text{pre}` of the presynaptic trace, in ms.
        delayed: whether, where there are delays, one trace an input is recorded and looked up at the delays; otherwise
            there is one trace a weight, of the spikes as they arrive, which takes more memory.
        interp_tolerance: by which a delay may be off the grid of steps and still be on it, in ms.
        trace_mode: "cumulative", in which every spike adds to the trace, or "nearest", in which it sets it.
        batch_reduction: reduction of terms over the samples, ``(terms, 0)``; by default the mean.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        ValueError: if a time constant is not positive, the tolerance negative, or the mode unknown.
        TypeError: if ``batch_reduction`` cannot be called.

    Example:
        >>> import torch
        >>> from inferno_cuda.learn import STDP
        >>> from inferno_cuda.neural import DeltaCurrent, LIF, LinearDense, Serial
        >>> synapse = DeltaCurrent.partialconstructor(spike_charge=100.0)
        >>> connection = LinearDense(1, 1, 1.0, synapse=synapse, weight_init=torch.ones_like)
        >>> connection.updater = connection.defaultupdater()
        >>> layer = Serial(connection, LIF(1, 1.0, rest_v=-65.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=1.0,
        ...                                time_constant=20.0, resistance=10.0))
        >>> trainer = STDP(lr_post=0.5, lr_pre=-0.25, tc_post=20.0, tc_pre=20.0)
        >>> unit = trainer.register_cell("only", layer.cell)
        >>> layer(torch.ones(1, 1)), trainer()  # both fire in this step
        (tensor([[True]]), None)
        >>> connection.update()
        >>> connection.weight.item()  # 1 + 0.5 - 0.25
        1.25
    """

    def __init__(
        self,
        lr_post: float,
        lr_pre: float,
        tc_post: float,
        tc_pre: float,
        delayed: bool = False,
        interp_tolerance: float = 0.0,
        trace_mode: TraceMode = "cumulative",
        batch_reduction: Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        self._configure(
            kwargs,
            lr_post=lr_post,
            lr_pre=lr_pre,
            tc_post=tc_post,
            tc_pre=tc_pre,
            delayed=delayed,
            interp_tolerance=interp_tolerance,
            trace_mode=trace_mode,
            batch_reduction=batch_reduction,
        )


class StableSTDP(STDP):
    """:class:`STDP` with traces of amplitude 1, multiplied by the rates when they are read.

    The same rule with other rounding: traces do not become very small or very large with the rates, and the rates in
    the state of a cell can be changed at any time. Arguments are those of :class:`STDP`.
    """

    def _amplitudes(self, state: Module) -> tuple[None, None]:
        return None, None

    def _trace(self, value: Values, rate: float) -> Values:
        return value * abs(rate)


class TripletSTDP(TwoFactor):
    r"""Spike-timing-dependent plasticity of pairs and triplets of spikes (Pfister & Gerstner 2006).

    .. math::

        \Delta W_{oi} &= x_i(t) \, s_o(t)
        \left(\eta_\text{post,pair} + \eta_\text{post,triplet} \, y'_o(t - \Delta t)\right) \\
        &+ y_o(t) \, s_i(t) \left(\eta_\text{pre,pair} + \eta_\text{pre,triplet} \, x'_i(t - \Delta t)\right)

    with fast traces :math:`x, y` and slow ones :math:`x', y'`, which are read as they were before this step. Rates of
    triplets count by their magnitude: the sign of the rate of a pair says which side both go to.

    In terms of the paper, :math:`A_2^+, A_3^+, A_2^-, A_3^-` are ``lr_post_pair``, ``lr_post_triplet``,
    ``-lr_pre_pair`` and ``lr_pre_triplet``; :math:`\tau_+, \tau_x` are ``tc_pre_fast`` and ``tc_pre_slow``, and
    :math:`\tau_-, \tau_y` are ``tc_post_fast`` and ``tc_post_slow``.

    Args:
        lr_post_pair: rate of changes by pairs at postsynaptic spikes, not 0.
        lr_post_triplet: rate of changes by triplets at postsynaptic spikes.
        lr_pre_pair: rate of changes by pairs at presynaptic spikes, not 0.
        lr_pre_triplet: rate of changes by triplets at presynaptic spikes.
        tc_post_fast: time constant of the fast postsynaptic trace, in ms.
        tc_post_slow: that of the slow one, in ms, above ``tc_post_fast``.
        tc_pre_fast: time constant of the fast presynaptic trace, in ms.
        tc_pre_slow: that of the slow one, in ms, above ``tc_pre_fast``.
        delayed, interp_tolerance, trace_mode, batch_reduction: as for :class:`STDP`.
        inplace: whether records are written in place.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        ValueError: if a time constant is not positive, a slow one is not above the fast one, the rate of a pair is 0,
            the tolerance is negative, or the mode unknown.
        TypeError: if ``batch_reduction`` cannot be called.
    """

    def __init__(
        self,
        lr_post_pair: float,
        lr_post_triplet: float,
        lr_pre_pair: float,
        lr_pre_triplet: float,
        tc_post_fast: float,
        tc_post_slow: float,
        tc_pre_fast: float,
        tc_pre_slow: float,
        delayed: bool = False,
        interp_tolerance: float = 0.0,
        trace_mode: TraceMode = "cumulative",
        batch_reduction: Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor] | None = None,
        inplace: bool = False,
        **kwargs: Any,
    ) -> None:
        self._configure(
            kwargs,
            lr_post_pair=lr_post_pair,
            lr_post_triplet=lr_post_triplet,
            lr_pre_pair=lr_pre_pair,
            lr_pre_triplet=lr_pre_triplet,
            tc_post_fast=tc_post_fast,
            tc_post_slow=tc_post_slow,
            tc_pre_fast=tc_pre_fast,
            tc_pre_slow=tc_pre_slow,
            delayed=delayed,
            interp_tolerance=interp_tolerance,
            trace_mode=trace_mode,
            batch_reduction=batch_reduction,
            inplace=inplace,
        )

    def _checked(self, values: dict[str, Any]) -> dict[str, Any]:
        checked = super()._checked(values)
        for side in ("post", "pre"):
            fast = f"tc_{side}_fast"
            greater(f"tc_{side}_slow", checked[f"tc_{side}_slow"], checked[fast], fast)
        return checked

    def _amplitudes(self, state: Module, side: str, other: str) -> tuple[float | None, float | None]:
        """What a spike of a side adds to its fast and to its slow trace; None for 1, which tells no monitors apart."""
        pair = abs(getattr(state, f"lr_{side}_pair"))
        return abs(getattr(state, f"lr_{other}_pair")), getattr(state, f"lr_{side}_triplet") / pair

    def _watches(self, cell: Cell, state: Module) -> Iterator[Watch]:
        before = presynaptic(cell, state.delayed)
        for side, other, source in (("post", "pre", postsynaptic(cell)), ("pre", "post", before)):
            (fast, slow), dt = self._amplitudes(state, side, other), source.dt
            kept = source.duration or dt
            tc_fast, tc_slow = getattr(state, f"tc_{side}_fast"), getattr(state, f"tc_{side}_slow")
            inplace = state.inplace
            yield trace(f"trace_{side}_fast", source, state, tc_fast, fast, kept, inplace, timing="fast")
            if slow != 0:
                yield trace(f"trace_{side}_slow", source, state, tc_slow, slow, kept + dt, inplace, timing="slow")
            yield spikes(f"spike_{side}", source, inplace=inplace)

    def _modulated(self, spike: Values, slow: Values | None, state: Module, side: str) -> Values:
        """Spikes times what a spike makes of the fast trace of the other side."""
        return spike if slow is None else together(lambda spike, slow: (1.0 + slow) * spike, spike, slow)

    def _terms(self, cell: Cell, state: Module, monitors: Monitors) -> list[tuple[Term, float]]:
        def incoming(name: str, back: int = 0) -> Values:
            return arriving(cell, monitors[name], state.delayed, state.tolerance, back)

        y_slow = previous(monitors["trace_post_slow"]) if "trace_post_slow" in monitors else None
        x_slow = incoming("trace_pre_slow", 1) if "trace_pre_slow" in monitors else None
        y = self._modulated(newest(monitors["spike_post"]), y_slow, state, "post")
        x = self._modulated(incoming("spike_pre"), x_slow, state, "pre")
        return [
            (product(cell, y, incoming("trace_pre_fast"), "post"), state.lr_post_pair),
            (product(cell, newest(monitors["trace_post_fast"]), x, "pre"), state.lr_pre_pair),
        ]


class StableTripletSTDP(TripletSTDP):
    """:class:`TripletSTDP` with traces of amplitude 1, multiplied by the rates when they are read.

    The same rule with other rounding: no trace has the ratio of two rates as its amplitude, which is large where the
    rate of pairs is small, as in the models of Pfister and Gerstner (2006) for the visual cortex. Arguments are those
    of :class:`TripletSTDP`.
    """

    def _amplitudes(self, state: Module, side: str, other: str) -> tuple[None, None]:
        return None, None

    def _modulated(self, spike: Values, slow: Values | None, state: Module, side: str) -> Values:
        pair, triplet = abs(getattr(state, f"lr_{side}_pair")), getattr(state, f"lr_{side}_triplet")
        return together(lambda spike, slow: (pair + triplet * slow) * spike, spike, slow)
