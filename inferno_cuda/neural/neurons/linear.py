"""Neurons with linear membrane dynamics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ... import ops
from ...state._check import less, nonnegative, nonzero, positive, step
from ..base import InfernoNeuron
from ._inputs import like_state
from .mixins import SpikeRefractoryMixin, VoltageMixin


class LIF(VoltageMixin, SpikeRefractoryMixin, InfernoNeuron):
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

    Raises:
        ValueError: if ``step_time`` or ``time_constant`` is not positive, ``refrac_t`` is negative, ``resistance`` is
            zero, ``rest_v`` or ``reset_v`` is not less than ``thresh_v``, or a size is not a positive integer.
    """

    _ops = ("lif_step",)

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
    ) -> None:
        InfernoNeuron.__init__(self, shape, batch_size)
        self.step_time = step("step_time", step_time)
        self.thresh_v = float(thresh_v)
        self.rest_v = less("rest_v", rest_v, self.thresh_v, "thresh_v")
        self.reset_v = less("reset_v", reset_v, self.thresh_v, "thresh_v")
        self.refrac_t = nonnegative("refrac_t", refrac_t)
        self.time_constant = positive("time_constant", time_constant)
        self.resistance = nonzero("resistance", resistance)
        VoltageMixin.__init__(self, torch.full(self.batchedshape, self.rest_v))
        SpikeRefractoryMixin.__init__(self, torch.zeros(self.batchedshape), "refrac_t")

    @property
    def dt(self) -> float:
        """Length of a simulation step, in ms. Setting it leaves the state alone.

        Raises:
            ValueError: if the new value is not positive and finite.
        """
        return self.step_time

    @dt.setter
    def dt(self, value: float) -> None:
        self.step_time = step("dt", value)

    def clear(self, **kwargs) -> None:
        """Puts every neuron to its resting potential, out of refractoriness. Cuts autograd graphs."""
        self._reset_state(self.rest_v, 0.0)

    def forward(self, inputs: torch.Tensor | float, refrac_lock: bool = True, **kwargs) -> torch.Tensor:
        """Simulates one step.

        Gradients reach ``inputs`` and earlier voltages; spikes are bool and have none.

        Args:
            inputs: input currents, ``(B, *shape)`` or broadcastable to it, or a number, in nA.
            refrac_lock: whether the voltage stands still during the refractory period; otherwise it integrates
                without input.

        Returns:
            the spikes of this step, ``(B, *shape)``, bool.

        Raises:
            ValueError: if ``inputs`` does not broadcast to ``(B, *shape)``.
            TypeError: if ``inputs`` is neither a tensor nor a number, or its dtype does not convert to that of the
                state without loss.
        """
        buffers = self._buffers
        voltage = buffers["_voltage__data"]
        refrac = buffers["_refrac__data"]
        if not isinstance(inputs, torch.Tensor) or inputs.shape != voltage.shape or inputs.dtype != voltage.dtype:
            inputs = like_state(inputs, voltage)
        rebind = self._must_rebind(inputs, voltage, refrac)
        result = (ops.lif_step if rebind else ops.lif_step_)(
            voltage,
            refrac,
            inputs,
            dt=self.step_time,
            decay=math.exp(-self.step_time / self.time_constant),
            rest_v=self.rest_v,
            reset_v=self.reset_v,
            thresh_v=self.thresh_v,
            # a spike without a refractory period is marked by the sign of its zero
            refrac_t=self.refrac_t or -0.0,
            resistance=self.resistance,
            refrac_lock=refrac_lock,
        )
        if not rebind:
            return result
        voltage, refrac, spikes = result
        self._rebind(voltage, refrac)
        return spikes
