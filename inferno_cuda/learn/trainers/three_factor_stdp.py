"""Spike-timing-dependent plasticity that a signal such as a reward modulates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import torch

from ...neural import Cell
from ...state import Module
from .._eligibility import EligibilityMonitor, EligibilityTraceReducer, Reshape, Sources
from .._pairs import Pairs
from .._rule import Monitors, ThreeFactor
from .._terms import Kept, Term

TraceMode = Literal["cumulative", "nearest"]


def _eligibility(reducer: EligibilityTraceReducer, sources: Sources, attr: str, module: Module) -> EligibilityMonitor:
    return EligibilityMonitor(reducer, sources, module)


class MSTDP(ThreeFactor, Pairs):
    r"""Spike-timing-dependent plasticity modulated by a signal (Florian 2007, without eligibility trace).

    The terms are those of :class:`STDP`, times the magnitude of the signal :math:`M`. A term is added where the product
    of its rate and the signal is not negative, otherwise subtracted:

    .. math::

        \Delta W_{oi} = M(t) \left(\eta_\text{post} \, x_i(t) \, s_o(t) + \eta_\text{pre} \, y_o(t) \, s_i(t)\right)

    Args:
        lr_post, lr_pre, tc_post, tc_pre, delayed, interp_tolerance, trace_mode: as for :class:`STDP`.
        batch_reduction: reduction of terms over the samples, ``(terms, 0)``; by default the sum.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        ValueError, TypeError: as :class:`STDP`.
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


class MSTDPET(ThreeFactor, Pairs):
    r"""Spike-timing-dependent plasticity modulated by a signal, with eligibility traces (Florian 2007).

    .. math::

        \Delta W_{oi} &= M(t) \left(\eta_\text{post} \, z^\text{post}_{oi}(t) +
        \eta_\text{pre} \, z^\text{pre}_{oi}(t)\right) \\
        z^\text{post}_{oi}(t) &= z^\text{post}_{oi}(t - \Delta t) \, e^{-\Delta t / \tau_z} +
        \frac{x_i(t) \, s_o(t)}{\tau_z} \qquad
        z^\text{pre}_{oi}(t) = z^\text{pre}_{oi}(t - \Delta t) \, e^{-\Delta t / \tau_z} +
        \frac{y_o(t) \, s_i(t)}{\tau_z}

    Where there are delays, spikes count when they arrive. Each eligibility trace takes as much memory as there are
    weights, for every sample.

    Args:
        lr_post, lr_pre, tc_post, tc_pre, interp_tolerance, trace_mode: as for :class:`STDP`.
        tc_eligibility: time constant :math:`\tau_z` of the eligibility, in ms.
        batch_reduction: reduction of terms over the samples, ``(terms, 0)``; by default the sum.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        ValueError, TypeError: as :class:`STDP`.
    """

    def __init__(
        self,
        lr_post: float,
        lr_pre: float,
        tc_post: float,
        tc_pre: float,
        tc_eligibility: float,
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
            tc_eligibility=tc_eligibility,
            interp_tolerance=interp_tolerance,
            trace_mode=trace_mode,
            batch_reduction=batch_reduction,
        )

    def _eligibilities(self, cell: Cell, state: Module) -> Iterator[tuple[str, EligibilityTraceReducer, tuple]]:
        pre, post = Reshape(cell.connection.presyn_receptive), Reshape(cell.connection.postsyn_receptive)
        sides = (
            ("elig_post", state.lr_post, pre, post, ("trace_pre", "spike_post")),
            ("elig_pre", state.lr_pre, post, pre, ("trace_post", "spike_pre")),
        )
        for name, rate, first, second, watched in sides:
            if rate != 0:
                dt, tau = cell.connection.dt, state.tc_eligibility
                yield name, EligibilityTraceReducer(dt, tau, obs_reshape=first, cond_reshape=second), watched

    def _add_monitors(self, name: str, cell: Cell, state: Module) -> None:
        super()._add_monitors(name, cell, state)
        for monitor, reducer, watched in self._eligibilities(cell, state):
            sources = Sources(*(self.get_monitor(name, source) for source in watched))
            self.add_monitor(name, monitor, "monitors", partial(_eligibility, reducer, sources), True)

    def _terms(self, cell: Cell, state: Module, monitors: Monitors) -> list[tuple[Term, float]]:
        rates = {"elig_post": state.lr_post, "elig_pre": state.lr_pre}
        return [(Kept(monitors[name].reducer.present()), rate) for name, rate in rates.items() if name in monitors]
