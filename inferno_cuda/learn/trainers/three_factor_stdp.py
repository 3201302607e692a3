"""Spike-timing-dependent plasticity that a signal such as a reward modulates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from ...core import trace_cumulative_value
from ...functional import interp_expdecay
from ...neural import Cell
from ...observe import FoldReducer, Monitor, MultiStateMonitor
from ...observe._weak import Weak
from ...state import Module
from ...state._check import positive
from .._pairs import Pairs
from .._rule import Monitors, ThreeFactor
from .._terms import Kept, Product, Term, newest

TraceMode = Literal["cumulative", "nearest"]


class Reshape:
    """A method of a module, which it does not keep alive: called for the method, as :class:`weakref.WeakMethod` is.

    Can be copied and pickled together with the module.

    Args:
        method: the method.
    """

    def __init__(self, method: Callable[[Tensor], Tensor]) -> None:
        self._owner = Weak(method.__self__)
        self._name = method.__name__

    def __call__(self) -> Callable[[Tensor], Tensor] | None:
        owner = self._owner()
        return None if owner is None else getattr(owner, self._name)


class _Latest:
    """What monitors recorded last, to be read by another one, which does not keep them alive.

    Can be copied and pickled together with them.

    Args:
        *monitors: the monitors.
    """

    def __init__(self, *monitors: Monitor) -> None:
        self._monitors = tuple(map(Weak, monitors))

    def present(self, _: tuple[()]) -> bool:
        """Whether all of them still record, and have."""
        monitors = [monitor() for monitor in self._monitors]
        return all(m is not None and m.registered and m.latest is not None for m in monitors)

    def read(self, _: tuple[()]) -> tuple[Tensor, ...]:
        """The newest records, in order."""
        return tuple(monitor().latest for monitor in self._monitors)


class EligibilityTraceReducer(FoldReducer):
    r"""Trace of products of what two monitors record, ``(B, *weight)``.

    .. math::

        z(t) = z(t - \Delta t) \, e^{-\Delta t / \tau} + \frac{a(t) \, b(t)}{\tau}

    Args:
        step_time: length of a step :math:`\Delta t`, in ms.
        time_constant: of the trace, :math:`\tau`, in ms.
        obs_reshape: called for the method that brings the first observation to ``(B, <broadcastable with weight>, L)``,
            such as a :class:`weakref.WeakMethod` of a connection's ``presyn_receptive``.
        cond_reshape: that for the second observation.
        duration: how long the trace is kept, in ms.
        inclusive: whether what is ``duration`` old is kept too.

    Raises:
        ValueError: if ``step_time`` or ``time_constant`` is not positive, or ``duration`` is negative.
    """

    def __init__(
        self,
        step_time: float,
        time_constant: float,
        *,
        obs_reshape: Callable[[], Callable[[Tensor], Tensor]],
        cond_reshape: Callable[[], Callable[[Tensor], Tensor]],
        duration: float = 0.0,
        inclusive: bool = True,
    ) -> None:
        FoldReducer.__init__(self, step_time, duration, inclusive, 0)
        self.time_constant = positive("time_constant", time_constant)
        self.decay = math.exp(-self.dt / self.time_constant)
        self.scale = 1 / self.time_constant
        self.obs_reshape = obs_reshape
        self.cond_reshape = cond_reshape

    @property
    def dt(self) -> float:
        """Length of a step, in ms. Setting it changes the decay."""
        return FoldReducer.dt.fget(self)

    @dt.setter
    def dt(self, value: float) -> None:
        FoldReducer.dt.fset(self, value)
        self.decay = math.exp(-self.dt / self.time_constant)

    def fold(self, obs: Tensor, cond: Tensor, state: Tensor | None) -> Tensor:
        """The trace with the product of two observations added."""
        dtype = torch.promote_types(obs.dtype, cond.dtype)
        term = Product(self.obs_reshape()(obs).to(dtype), self.cond_reshape()(cond).to(dtype)).per_sample()
        return trace_cumulative_value(term, state, decay=self.decay, scale=self.scale)

    def interpolate(self, prev_data: Tensor, next_data: Tensor, sample_at: Tensor, step_time: float) -> Tensor:
        """The trace between two steps, which decays from the earlier one."""
        return interp_expdecay(prev_data, next_data, sample_at, step_time, time_constant=self.time_constant)


def _eligibility(reducer: EligibilityTraceReducer, latest: _Latest, attr: str, module: Module) -> MultiStateMonitor:
    # after the monitors that it reads, which are prepended; there is nothing of the layer that it reads itself
    return MultiStateMonitor(
        reducer, "", (), module, eval_update=False, prepend=False, filter_=latest.present, map_=latest.read
    )


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
            latest = _Latest(*(self.get_monitor(name, source) for source in watched))
            self.add_monitor(name, monitor, "monitors", partial(_eligibility, reducer, latest), True)

    def _terms(self, cell: Cell, state: Module, monitors: Monitors) -> list[tuple[Term, float]]:
        rates = {"elig_post": state.lr_post, "elig_pre": state.lr_pre}
        return [(Kept(newest(monitors[name])), rate) for name, rate in rates.items() if name in monitors]
