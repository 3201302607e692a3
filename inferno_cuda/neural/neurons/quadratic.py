"""Neurons with quadratic membrane dynamics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from ... import reference
from ...state._check import at_most, finite, less, positive
from ._adaptive import AdaptiveNeuron, each
from ._fused import FusedNeuron
from ._surrogate import SpikeGradient
from .mixins import AdaptiveCurrentMixin, BatchReduction


class QIF(FusedNeuron):
    r"""Quadratic integrate-and-fire neurons.

    .. math::

        V(t + \Delta t) = V(t) + \frac{\Delta t}{\tau} \left( a (V(t) - E)(V(t) - V_c) + RI \right)

    and where :math:`V \ge \Theta` outside the refractory period: a spike, :math:`V \leftarrow V_r`. This is forward
    Euler (Gerstner, Kistler, Naud and Paninski, Neuronal Dynamics, Cambridge 2014, section 5.3). All parameters
    are attributes of the same names, read at every step.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        rest_v: resting potential :math:`E`, in mV.
        crit_v: critical potential :math:`V_c`, above which the voltage rises by itself, in mV.
        affinity: strength :math:`a` of the pull to ``rest_v`` and away from ``crit_v``, in 1/mV.
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
        ValueError: if ``step_time``, ``time_constant`` or ``affinity`` is not positive, ``refrac_t`` is negative,
            ``resistance`` is zero, unless ``rest_v < crit_v <= thresh_v`` and ``reset_v < thresh_v``, or if a
            size is not a positive integer.

    Example:
        >>> from inferno_cuda.neural import QIF
        >>> neurons = QIF(1, 0.1, rest_v=-65.0, crit_v=-50.0, affinity=0.1, reset_v=-70.0, thresh_v=-30.0, refrac_t=2.0,
        ...               time_constant=10.0)
        >>> sum(neurons(20.0).item() for _ in range(1000))  # spikes in 100 ms
        5
    """

    _model = "qif"

    def __init__(
        self,
        shape: Sequence[int] | int,
        step_time: float,
        *,
        rest_v: float,
        crit_v: float,
        affinity: float,
        reset_v: float,
        thresh_v: float,
        refrac_t: float,
        time_constant: float,
        resistance: float = 1.0,
        batch_size: int = 1,
        surrogate: SpikeGradient | None = None,
        detach_reset: bool = False,
    ) -> None:
        FusedNeuron.__init__(
            self, shape, step_time, rest_v, refrac_t, resistance, batch_size, surrogate, detach_reset
        )
        _set_membrane(self, crit_v, affinity, reset_v, thresh_v)
        self.time_constant = positive("time_constant", time_constant)

    def _dynamics(self) -> dict[str, float]:
        return _dynamics(self, self.time_constant)


class Izhikevich(AdaptiveCurrentMixin, AdaptiveNeuron):
    r"""Quadratic integrate-and-fire neurons with adaptive currents, after Izhikevich.

    .. math::

        V(t + \Delta t) &= V(t) + \frac{\Delta t}{\tau_m}
            \left( a (V(t) - E)(V(t) - V_c) + R (I - \sum_k w_k(t)) \right) \\
        w_k(t + \Delta t) &= w_k(t) + \frac{\Delta t}{\tau_k} \left( b_k (V(t + \Delta t) - E) - w_k(t) \right)
            + d_k s(t + \Delta t)

    and where :math:`V \ge \Theta` outside the refractory period: a spike :math:`s`, :math:`V \leftarrow V_r`; the
    adaptation sees the voltage after the reset. This is forward Euler
    (Izhikevich, IEEE Transactions on Neural Networks 14, 1569, 2003; Gerstner et al., Neuronal Dynamics,
    2014, section 6.1). Adaptations are shared by the samples of a batch: those of the samples are reduced to one. They
    stand still in refractory neurons, except for the jump of the spike itself. All parameters are attributes of the
    same names, read at every step; ``voltage_coupling`` and ``spike_increment`` are the buffers ``adapt_vc_coupling``
    and ``adapt_increment``.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        rest_v: resting potential :math:`E`, in mV.
        crit_v: critical potential :math:`V_c`, above which the voltage rises by itself, in mV.
        affinity: strength :math:`a` of the pull to ``rest_v`` and away from ``crit_v``, in 1/mV.
        reset_v: potential after a spike :math:`V_r`, in mV.
        thresh_v: potential at which a spike is fired :math:`\Theta`, in mV.
        refrac_t: absolute refractory period, in ms.
        tc_membrane: membrane time constant :math:`\tau_m`, in ms.
        tc_adaptation: time constants of the adaptations :math:`\tau_k`, in ms; one or several.
        voltage_coupling: couplings of the adaptations to the voltage :math:`b_k`, in uS; one or several.
        spike_increment: jumps of the adaptations at a spike :math:`d_k`, in nA; one or several. The last value of each
            of the three stands for those that it lacks.
        resistance: membrane resistance :math:`R`, in MOhm.
        batch_size: number of samples simulated side by side.
        batch_reduction: called as ``batch_reduction(values, 0)``; None is ``torch.mean``. That and ``torch.sum`` are
            part of the fused step.
        surrogate: what stands for the derivative of a spike: one of ``inferno_cuda.surrogate``, or a function of the
            voltage less the threshold, in mV, that has the gradient. Spikes are floating point then, 0 and 1.
        detach_reset: whether the reset is left out of the gradient of the spike that made it.

    Raises:
        ValueError: as for :class:`QIF`, or if a time constant is not positive.

    Example:
        >>> from inferno_cuda.neural import Izhikevich
        >>> neurons = Izhikevich(1, 0.1, rest_v=-82.66, crit_v=-42.34, affinity=0.04, reset_v=-65.0, thresh_v=30.0,
        ...                      refrac_t=0.0, tc_membrane=1.0, tc_adaptation=50.0, voltage_coupling=0.2,
        ...                      spike_increment=8.0)
        >>> sum(neurons(26.53).item() for _ in range(2000))  # spikes in 200 ms
        6
    """

    _model = "izhikevich"
    _sources = ("tc_adaptation", "adapt_vc_coupling", "adapt_increment")

    def __init__(
        self,
        shape: Sequence[int] | int,
        step_time: float,
        *,
        rest_v: float,
        crit_v: float,
        affinity: float,
        reset_v: float,
        thresh_v: float,
        refrac_t: float,
        tc_membrane: float,
        tc_adaptation: float | Iterable[float],
        voltage_coupling: float | Iterable[float],
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
        _set_membrane(self, crit_v, affinity, reset_v, thresh_v)
        self.tc_membrane = positive("tc_membrane", tc_membrane)
        self._init_adaptation(
            batch_reduction,
            tc_adaptation=each(positive, "tc_adaptation", tc_adaptation),
            adapt_vc_coupling=each(finite, "voltage_coupling", voltage_coupling),
            adapt_increment=each(finite, "spike_increment", spike_increment),
        )

    @staticmethod
    def _make_constants(dt: float, *sources: torch.Tensor) -> torch.Tensor:
        return reference.current_constants(dt, *sources)

    def _dynamics(self) -> dict[str, float]:
        return _dynamics(self, self.tc_membrane)


def _set_membrane(neuron: FusedNeuron, crit_v: float, affinity: float, reset_v: float, thresh_v: float) -> None:
    neuron._set_threshold("thresh_v", thresh_v, reset_v=reset_v)
    neuron.crit_v = at_most("crit_v", crit_v, neuron.thresh_v, "thresh_v")
    less("rest_v", neuron.rest_v, neuron.crit_v, "crit_v")
    neuron.affinity = positive("affinity", affinity)


def _dynamics(neuron: FusedNeuron, time_constant: float) -> dict[str, float]:
    return {
        "thresh_v": neuron.thresh_v,
        "rest_v": neuron.rest_v,
        "resistance": neuron.resistance,
        "rate": neuron.step_time / time_constant,
        "crit_v": neuron.crit_v,
        "affinity": neuron.affinity,
        "reset_v": neuron.reset_v,
    }
