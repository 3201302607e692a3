"""Neurons with linear membrane dynamics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch

from ... import reference
from ...state._check import finite, positive
from ._adaptive import AdaptiveNeuron, each
from ._fused import FusedNeuron
from ._surrogate import SpikeGradient
from .mixins import AdaptiveThresholdMixin, BatchReduction


def _decay(step_time: float, time_constant: float | torch.Tensor) -> float | torch.Tensor:
    exponent = -step_time / time_constant
    return torch.exp(exponent) if isinstance(exponent, torch.Tensor) else math.exp(exponent)


class _ConstantReset(FusedNeuron):
    """Linear membrane, constant threshold and reset: LIF and GLIF1."""

    _model = "lif"

    def __init__(
        self,
        shape: Sequence[int] | int,
        step_time: float,
        *,
        rest_v: float,
        reset_v: float,
        thresh_v: float,
        refrac_t: float,
        time_constant: float,
        resistance: float = 1.0,
        batch_size: int = 1,
        surrogate: SpikeGradient | None = None,
        detach_reset: bool = False,
    ) -> None:
        time_constant = positive("time_constant", time_constant)
        FusedNeuron.__init__(
            self, shape, step_time, rest_v, refrac_t, resistance, batch_size, surrogate, detach_reset
        )
        self._set_threshold("thresh_v", thresh_v, reset_v=reset_v)
        self.time_constant = time_constant

    def _dynamics(self) -> dict[str, float]:
        return {
            "thresh_v": self.thresh_v,
            "rest_v": self.rest_v,
            "resistance": self.resistance,
            "decay": _decay(self.step_time, self.time_constant),
            "reset_v": self.reset_v,
        }


class LIF(_ConstantReset):
    r"""Leaky integrate-and-fire neurons.

    .. math::

        V(t + \Delta t) = E + RI + (V(t) - E - RI) e^{-\Delta t / \tau}

    and where :math:`V \ge \Theta` outside the refractory period: a spike, :math:`V \leftarrow V_r`. This is exponential
    Euler, exact for a current that is constant within the step (Gerstner, Kistler, Naud and Paninski, Neuronal
    Dynamics, Cambridge 2014, section 1.3). A neuron that fired stays silent until ``refrac_t`` has passed, so spikes
    are at least ``max(dt, refrac_t)`` apart. All parameters are attributes of the same names, read at every step.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        rest_v: resting potential :math:`E`, in mV.
        reset_v: potential after a spike :math:`V_r`, in mV.
        thresh_v: potential at which a spike is fired :math:`\Theta`, in mV.
        refrac_t: absolute refractory period, in ms.
        time_constant: membrane time constant :math:`\tau`, in ms.
        resistance: membrane resistance :math:`R`, in MOhm.
        batch_size: number of samples simulated side by side.
        surrogate: what stands for the derivative of a spike: one of ``inferno_cuda.surrogate``, or a function of the
            voltage less the threshold, in mV, that has the gradient. Spikes are floating point then, 0 and 1.
        detach_reset: whether the reset is left out of the gradient of the spike that made it.

    Raises:
        ValueError: if ``step_time`` or ``time_constant`` is not positive, ``refrac_t`` is negative, ``resistance`` is
            zero, ``rest_v`` or ``reset_v`` is not less than ``thresh_v``, or a size is not a positive integer.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import LIF
        >>> neurons = LIF(3, 1.0, rest_v=-65.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=3.0, time_constant=20.0)
        >>> current = torch.tensor([[0.0, 20.0, 40.0]])  # nA, one sample
        >>> torch.stack([neurons(current) for _ in range(100)]).sum(0)  # spikes of each neuron in 100 ms
        tensor([[0, 3, 8]])
    """


class GLIF1(_ConstantReset):
    r"""Generalised leaky integrate-and-fire neurons, level 1: the same model as :class:`LIF`.

    The name is that of Teeter et al., Nature Communications 9, 709 (2018), whose levels add reset rules, currents after
    spikes and adapting thresholds to it. Neither class is a subclass of the other.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        rest_v: resting potential, in mV.
        reset_v: potential after a spike, in mV.
        thresh_v: potential at which a spike is fired, in mV.
        refrac_t: absolute refractory period, in ms.
        time_constant: membrane time constant, in ms.
        resistance: membrane resistance, in MOhm.
        batch_size: number of samples simulated side by side.
        surrogate: what stands for the derivative of a spike: one of ``inferno_cuda.surrogate``, or a function of the
            voltage less the threshold, in mV, that has the gradient. Spikes are floating point then, 0 and 1.
        detach_reset: whether the reset is left out of the gradient of the spike that made it.

    Raises:
        ValueError: as for :class:`LIF`.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import GLIF1
        >>> neurons = GLIF1(1, 1.0, rest_v=-65.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=3.0, time_constant=20.0)
        >>> [neurons(400.0).item() for _ in range(7)]
        [True, False, False, True, False, False, True]
    """


class _AdaptiveThreshold(AdaptiveThresholdMixin, AdaptiveNeuron):
    """Linear membrane and thresholds that adapt: ALIF and GLIF2."""

    _sources = ("tc_adaptation", "adapt_increment")

    @staticmethod
    def _make_constants(dt: float, *sources: torch.Tensor) -> torch.Tensor:
        return reference.threshold_constants(dt, *sources)

    def _dynamics(self) -> dict[str, float]:
        return {
            "thresh_v": self.thresh_eq_v,
            "rest_v": self.rest_v,
            "resistance": self.resistance,
            "decay": _decay(self.step_time, self.tc_membrane),
        }


class ALIF(_AdaptiveThreshold):
    r"""Leaky integrate-and-fire neurons with adaptive thresholds.

    .. math::

        V(t + \Delta t) &= E + RI + (V(t) - E - RI) e^{-\Delta t / \tau_m} \\
        \Theta(t) &= \Theta_\infty + \sum_k \theta_k(t) \\
        \theta_k(t + \Delta t) &= \theta_k(t) e^{-\Delta t / \tau_k} + d_k s(t + \Delta t)

    and where :math:`V \ge \Theta` outside the refractory period: a spike :math:`s`, :math:`V \leftarrow V_r` (Bellec et
    al., NeurIPS 2018; Gerstner et al., Neuronal Dynamics, 2014, chapter 6). Adaptations are shared by the samples of a
    batch: those of the samples are reduced to one. They stand still in refractory neurons, except for the jump of the
    spike itself. All parameters are attributes of the same names, read at every step; ``spike_increment`` is the buffer
    ``adapt_increment``.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        rest_v: resting potential :math:`E`, in mV.
        reset_v: potential after a spike :math:`V_r`, in mV.
        thresh_eq_v: threshold without adaptation :math:`\Theta_\infty`, in mV.
        refrac_t: absolute refractory period, in ms.
        tc_membrane: membrane time constant :math:`\tau_m`, in ms.
        tc_adaptation: time constants of the adaptations :math:`\tau_k`, in ms; one or several.
        spike_increment: jumps of the adaptations at a spike :math:`d_k`, in mV; one or several. The last value of the
            shorter of the two stands for those that it lacks.
        resistance: membrane resistance :math:`R`, in MOhm.
        batch_size: number of samples simulated side by side.
        batch_reduction: called as ``batch_reduction(values, 0)``; None is ``torch.mean``. That and ``torch.sum`` are
            part of the fused step.
        surrogate: what stands for the derivative of a spike: one of ``inferno_cuda.surrogate``, or a function of the
            voltage less the threshold, in mV, that has the gradient. Spikes are floating point then, 0 and 1.
        detach_reset: whether the reset is left out of the gradient of the spike that made it.

    Raises:
        ValueError: if ``step_time`` or a time constant is not positive, ``refrac_t`` is negative, ``resistance`` is
            zero, ``rest_v`` or ``reset_v`` is not less than ``thresh_eq_v``, or a size is not a positive integer.

    Example:
        >>> from inferno_cuda.neural import ALIF
        >>> neurons = ALIF(1, 1.0, rest_v=-65.0, reset_v=-65.0, thresh_eq_v=-52.0, refrac_t=2.0, tc_membrane=20.0,
        ...                tc_adaptation=80.0, spike_increment=2.5)
        >>> [step for step in range(150) if neurons(25.0).item()]  # the intervals grow
        [14, 34, 57, 82, 109, 137]
    """

    _model = "alif"

    def __init__(
        self,
        shape: Sequence[int] | int,
        step_time: float,
        *,
        rest_v: float,
        reset_v: float,
        thresh_eq_v: float,
        refrac_t: float,
        tc_membrane: float,
        tc_adaptation: float | Iterable[float],
        spike_increment: float | Iterable[float],
        resistance: float = 1.0,
        batch_size: int = 1,
        batch_reduction: BatchReduction | None = None,
        surrogate: SpikeGradient | None = None,
        detach_reset: bool = False,
    ) -> None:
        FusedNeuron.__init__(
            self, shape, step_time, rest_v, refrac_t, resistance, batch_size, surrogate, detach_reset
        )
        self._set_threshold("thresh_eq_v", thresh_eq_v, reset_v=reset_v)
        self.tc_membrane = positive("tc_membrane", tc_membrane)
        self._init_adaptation(
            batch_reduction,
            tc_adaptation=each(positive, "tc_adaptation", tc_adaptation),
            adapt_increment=each(finite, "spike_increment", spike_increment),
        )

    def _dynamics(self) -> dict[str, float]:
        return {**super()._dynamics(), "reset_v": self.reset_v}


class GLIF2(_AdaptiveThreshold):
    r"""Generalised leaky integrate-and-fire neurons, level 2: the reset depends on the voltage, thresholds adapt.

    .. math::

        V(t + \Delta t) &= E + RI + (V(t) - E - RI) e^{-\Delta t / \tau_m} \\
        \Theta(t) &= \Theta_\infty + \sum_k \theta_k(t) \\
        \theta_k(t + \Delta t) &= \theta_k(t) e^{-\lambda_k \Delta t} + d_k s(t + \Delta t)

    and where :math:`V \ge \Theta` outside the refractory period: a spike :math:`s`, and
    :math:`V \leftarrow E + m_v (V - E) - b_v` (Teeter et al., Nature Communications 9, 709, 2018). Adaptations are
    shared by the samples of a batch, and stand still in refractory neurons, as in :class:`ALIF`. All parameters are
    attributes of the same names, read at every step; ``spike_increment`` is the buffer ``adapt_increment``.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        rest_v: resting potential :math:`E`, in mV.
        reset_v_add: what a reset takes off :math:`b_v`, in mV.
        reset_v_mul: the share of ``V - E`` that a reset leaves :math:`m_v`.
        thresh_eq_v: threshold without adaptation :math:`\Theta_\infty`, in mV.
        refrac_t: absolute refractory period, in ms.
        tc_membrane: membrane time constant :math:`\tau_m`, in ms.
        rc_adaptation: rate constants of the adaptations :math:`\lambda_k`, in 1/ms; one or several.
        spike_increment: jumps of the adaptations at a spike :math:`d_k`, in mV; one or several. The last value of the
            shorter of the two stands for those that it lacks.
        resistance: membrane resistance :math:`R`, in MOhm.
        batch_size: number of samples simulated side by side.
        batch_reduction: as for :class:`ALIF`.
        surrogate: what stands for the derivative of a spike: one of ``inferno_cuda.surrogate``, or a function of the
            voltage less the threshold, in mV, that has the gradient. Spikes are floating point then, 0 and 1.
        detach_reset: whether the reset is left out of the gradient of the spike that made it.

    Raises:
        ValueError: if ``step_time``, ``tc_membrane`` or a rate constant is not positive, ``refrac_t`` is negative,
            ``resistance`` is zero, ``rest_v`` is not less than ``thresh_eq_v``, or a size is not a positive integer.

    Example:
        >>> from inferno_cuda.neural import GLIF2
        >>> neurons = GLIF2(1, 1.0, rest_v=-65.0, reset_v_add=2.0, reset_v_mul=0.4, thresh_eq_v=-52.0, refrac_t=2.0,
        ...                 tc_membrane=20.0, rc_adaptation=0.02, spike_increment=2.0)
        >>> [step for step in range(100) if neurons(25.0).item()]
        [14, 30, 48, 67, 87]
    """

    _model = "glif2"
    _sources = ("rc_adaptation", "adapt_increment")

    def __init__(
        self,
        shape: Sequence[int] | int,
        step_time: float,
        *,
        rest_v: float,
        reset_v_add: float,
        reset_v_mul: float,
        thresh_eq_v: float,
        refrac_t: float,
        tc_membrane: float,
        rc_adaptation: float | Iterable[float],
        spike_increment: float | Iterable[float],
        resistance: float = 1.0,
        batch_size: int = 1,
        batch_reduction: BatchReduction | None = None,
        surrogate: SpikeGradient | None = None,
        detach_reset: bool = False,
    ) -> None:
        FusedNeuron.__init__(
            self, shape, step_time, rest_v, refrac_t, resistance, batch_size, surrogate, detach_reset
        )
        self.reset_v_add = float(reset_v_add)
        self.reset_v_mul = float(reset_v_mul)
        self._set_threshold("thresh_eq_v", thresh_eq_v)
        self.tc_membrane = positive("tc_membrane", tc_membrane)
        self._init_adaptation(
            batch_reduction,
            rc_adaptation=each(positive, "rc_adaptation", rc_adaptation),
            adapt_increment=each(finite, "spike_increment", spike_increment),
        )

    @staticmethod
    def _make_constants(dt: float, *sources: torch.Tensor) -> torch.Tensor:
        rate_constant, increment = sources
        return reference.threshold_constants(dt, 1 / rate_constant.double(), increment)

    def _dynamics(self) -> dict[str, float]:
        return {**super()._dynamics(), "reset_v_mul": self.reset_v_mul, "reset_v_add": self.reset_v_add}
