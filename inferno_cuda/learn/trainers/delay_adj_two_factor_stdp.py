"""Plasticity of weights and of delays by the time from the arrival of a spike to a postsynaptic spike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .._delay_adjusted import DelayAdjustedWindow
from .._rule import TwoFactor


class DelayAdjustedSTDP(TwoFactor, DelayAdjustedWindow):
    r"""Plasticity of weights by the time from the arrival of a spike to a postsynaptic spike.

    .. math::

        \Delta W_{oi} = \begin{cases}
        \eta_+ \, e^{-t / \tau_+} & t \ge 0 \\
        \eta_- \, e^{t / \tau_-} & t < 0
        \end{cases}
        \qquad t = t^f_o - t^f_i - d_{oi}

    with the times :math:`t^f` of the last spikes and the delays :math:`d`. The window is that of Bi & Poo (1998). Once
    both have spiked it is applied in **every** step, not only in those with a spike; while a spike is on its way,
    :math:`t` is negative. Terms are reduced over the samples, and those with a rate that is not negative are added, the
    others subtracted. A rate of 0 leaves its side out.

    Args:
        lr_pos: rate :math:`\eta_+`, where the spike arrived at the postsynaptic spike or before.
        lr_neg: rate :math:`\eta_-`, where it arrives after.
        tc_pos: time constant :math:`\tau_+`, in ms.
        tc_neg: time constant :math:`\tau_-`, in ms.
        interp_tolerance: not used: nothing is looked up.
        batch_reduction: reduction of terms over the samples, ``(terms, 0)``; by default the mean.
        inplace: whether records are written in place.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        ValueError: if a time constant is not positive, or the tolerance is negative.
        TypeError: if ``batch_reduction`` cannot be called.
    """

    def __init__(
        self,
        lr_pos: float,
        lr_neg: float,
        tc_pos: float,
        tc_neg: float,
        interp_tolerance: float = 0.0,
        batch_reduction: Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor] | None = None,
        inplace: bool = False,
        **kwargs: Any,
    ) -> None:
        self._configure(
            kwargs,
            lr_pos=lr_pos,
            lr_neg=lr_neg,
            tc_pos=tc_pos,
            tc_neg=tc_neg,
            interp_tolerance=interp_tolerance,
            batch_reduction=batch_reduction,
            inplace=inplace,
        )


class DelayAdjustedSTDPD(TwoFactor, DelayAdjustedWindow):
    r"""Plasticity of delays by the time from the arrival of a spike to a postsynaptic spike.

    .. math::

        \Delta d_{oi} = \begin{cases}
        \eta_- \, e^{-t / \tau_-} & t \ge 0 \\
        \eta_+ \, e^{t / \tau_+} & t < 0
        \end{cases}
        \qquad t = t^f_o - t^f_i - d_{oi}

    as in :class:`DelayAdjustedSTDP`. With ``lr_neg`` negative and ``lr_pos`` positive, as the names have it, spikes
    that led to a postsynaptic spike come earlier the next time, others later. With the signs the other way round,
    delays move to where the arrival and the postsynaptic spike coincide. Nothing keeps the delays in their range but
    bounds of the updater, or a :class:`~inferno_cuda.neural.Clamping`.

    Args:
        lr_neg: rate :math:`\eta_-`, where the spike arrived at the postsynaptic spike or before, in ms.
        lr_pos: rate :math:`\eta_+`, where it arrives after, in ms.
        tc_neg: time constant :math:`\tau_-`, in ms.
        tc_pos: time constant :math:`\tau_+`, in ms.
        interp_tolerance, batch_reduction, inplace: as for :class:`DelayAdjustedSTDP`.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        ValueError, TypeError: as :class:`DelayAdjustedSTDP`.
    """

    _trains = "delay"
    _suffixes = "neg", "pos"

    def __init__(
        self,
        lr_neg: float,
        lr_pos: float,
        tc_neg: float,
        tc_pos: float,
        interp_tolerance: float = 0.0,
        batch_reduction: Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor] | None = None,
        inplace: bool = False,
        **kwargs: Any,
    ) -> None:
        self._configure(
            kwargs,
            lr_neg=lr_neg,
            lr_pos=lr_pos,
            tc_neg=tc_neg,
            tc_pos=tc_pos,
            interp_tolerance=interp_tolerance,
            batch_reduction=batch_reduction,
            inplace=inplace,
        )
