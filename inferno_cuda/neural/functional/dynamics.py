"""The parts that neuron models are built from, in torch: membranes, firing, adaptation.

Parameters are numbers, or tensors that broadcast to what they act on. The fused neurons compute the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from ... import reference

Parameter = float | torch.Tensor
Fired = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _decay(step_time: Parameter, time_constant: Parameter) -> Parameter:
    exponent = -step_time / time_constant
    return torch.exp(exponent) if isinstance(exponent, torch.Tensor) else math.exp(exponent)


def _hold(refracs: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
    """Which neurons' adaptations stand still, with a dimension for the adaptations."""
    if refracs is None:
        return torch.zeros((), dtype=torch.bool, device=like.device)
    return (refracs > 0).unsqueeze(-1)


def _like(adaptations: torch.Tensor, *parameters: Parameter) -> list[torch.Tensor]:
    return [torch.as_tensor(p, dtype=adaptations.dtype, device=adaptations.device) for p in parameters]


def voltage_integration_linear(
    masked_inputs: torch.Tensor,
    voltages: torch.Tensor,
    *,
    step_time: Parameter,
    time_constant: Parameter,
    rest_v: Parameter,
    resistance: Parameter,
) -> torch.Tensor:
    r"""A membrane that relaxes exponentially; exact for a current that is constant within the step.

    .. math::

        V(t + \Delta t) = E + RI + (V(t) - E - RI) e^{-\Delta t / \tau}

    Args:
        masked_inputs: input currents, zero where a neuron is refractory, in nA.
        voltages: membrane voltages, in mV.
        step_time: length of the step :math:`\Delta t`, in ms.
        time_constant: membrane time constant :math:`\tau`, in ms.
        rest_v: resting potential :math:`E`, in mV.
        resistance: membrane resistance :math:`R`, in MOhm.

    Returns:
        the voltages after the step, in mV.
    """
    decay = _decay(step_time, time_constant)
    return reference.linear_membrane(voltages, masked_inputs, rest_v=rest_v, resistance=resistance, decay=decay)


def voltage_integration_quadratic(
    masked_inputs: torch.Tensor,
    voltages: torch.Tensor,
    *,
    step_time: Parameter,
    rest_v: Parameter,
    crit_v: Parameter,
    affinity: Parameter,
    time_constant: Parameter,
    resistance: Parameter,
) -> torch.Tensor:
    r"""A membrane with a quadratic drift, by forward Euler.

    .. math::

        V(t + \Delta t) = V(t) + \frac{\Delta t}{\tau} \left( a (V(t) - E)(V(t) - V_c) + RI \right)

    Args:
        masked_inputs: input currents, zero where a neuron is refractory, in nA.
        voltages: membrane voltages, in mV.
        step_time: length of the step :math:`\Delta t`, in ms.
        rest_v: resting potential :math:`E`, in mV.
        crit_v: critical potential :math:`V_c`, in mV.
        affinity: :math:`a`, in 1/mV.
        time_constant: membrane time constant :math:`\tau`, in ms.
        resistance: membrane resistance :math:`R`, in MOhm.

    Returns:
        the voltages after the step, in mV.
    """
    return reference.quadratic_membrane(
        voltages,
        masked_inputs,
        rest_v=rest_v,
        resistance=resistance,
        rate=step_time / time_constant,
        crit_v=crit_v,
        affinity=affinity,
    )


def voltage_integration_exponential(
    masked_inputs: torch.Tensor,
    voltages: torch.Tensor,
    *,
    step_time: Parameter,
    rest_v: Parameter,
    rheobase_v: Parameter,
    sharpness: Parameter,
    time_constant: Parameter,
    resistance: Parameter,
) -> torch.Tensor:
    r"""A membrane with an exponential onset of spikes, by forward Euler.

    .. math::

        V(t + \Delta t) = V(t) + \frac{\Delta t}{\tau} \left( -(V(t) - E) + D e^{(V(t) - V_T) / D} + RI \right)

    Args:
        masked_inputs: input currents, zero where a neuron is refractory, in nA.
        voltages: membrane voltages, in mV.
        step_time: length of the step :math:`\Delta t`, in ms.
        rest_v: resting potential :math:`E`, in mV.
        rheobase_v: potential :math:`V_T` around which the voltage begins to rise by itself, in mV.
        sharpness: width :math:`D` of the onset, in mV.
        time_constant: membrane time constant :math:`\tau`, in ms.
        resistance: membrane resistance :math:`R`, in MOhm.

    Returns:
        the voltages after the step, in mV.
    """
    return reference.exponential_membrane(
        voltages,
        masked_inputs,
        rest_v=rest_v,
        resistance=resistance,
        rate=step_time / time_constant,
        rheobase_v=rheobase_v,
        sharpness=sharpness,
    )


def voltage_thresholding_constant(
    inputs: torch.Tensor,
    refracs: torch.Tensor,
    dynamics: Callable[[torch.Tensor], torch.Tensor],
    voltages: torch.Tensor | None = None,
    *,
    step_time: Parameter,
    reset_v: Parameter,
    thresh_v: Parameter,
    refrac_t: Parameter,
) -> Fired:
    """One step of refractory neurons whose voltage is reset to a constant.

    Args:
        inputs: input currents, in nA.
        refracs: remaining refractory periods, in ms.
        dynamics: from input currents, zero where a neuron is refractory, to voltages after the step.
        voltages: what refractory neurons keep, in mV; None lets their voltage follow ``dynamics``.
        step_time: length of the step, in ms.
        reset_v: voltage after a spike, in mV.
        thresh_v: voltage from which on a neuron fires, in mV.
        refrac_t: absolute refractory period, in ms.

    Returns:
        spikes (bool), voltages and refractory periods after the step.
    """
    return reference.fire(
        inputs,
        refracs,
        dynamics,
        voltages,
        reset=lambda reached: reset_v,
        dt=step_time,
        refrac_t=refrac_t,
        thresh_v=thresh_v,
    )


def voltage_thresholding_linear(
    inputs: torch.Tensor,
    refracs: torch.Tensor,
    dynamics: Callable[[torch.Tensor], torch.Tensor],
    voltages: torch.Tensor | None = None,
    *,
    step_time: Parameter,
    rest_v: Parameter,
    v_slope: Parameter,
    v_intercept: Parameter,
    thresh_v: Parameter,
    refrac_t: Parameter,
) -> Fired:
    """As :func:`voltage_thresholding_constant`, with a reset to ``rest_v + v_slope * (V - rest_v) - v_intercept``.

    Args:
        inputs, refracs, dynamics, voltages, step_time, thresh_v, refrac_t: as there.
        rest_v: resting potential, in mV.
        v_slope: share of the distance from rest that a reset leaves.
        v_intercept: what a reset takes off, in mV.

    Returns:
        spikes (bool), voltages and refractory periods after the step.
    """

    def reset(reached: torch.Tensor) -> torch.Tensor:
        return reference.linear_reset(reached, rest_v=rest_v, reset_v_mul=v_slope, reset_v_add=v_intercept)

    return reference.fire(
        inputs, refracs, dynamics, voltages, reset=reset, dt=step_time, refrac_t=refrac_t, thresh_v=thresh_v
    )


def adaptive_currents_linear(
    adaptations: torch.Tensor,
    voltages: torch.Tensor,
    spikes: torch.Tensor,
    *,
    step_time: Parameter,
    rest_v: Parameter,
    time_constant: Parameter,
    voltage_coupling: Parameter,
    spike_increment: Parameter,
    refracs: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Adaptations of the input current after a step, by forward Euler.

    .. math::

        w_k(t + \Delta t) = w_k(t) + \frac{\Delta t}{\tau_k} \left( b_k (V - E) - w_k(t) \right) + d_k s

    Args:
        adaptations: before the step, ``(*shape, K)``, in nA.
        voltages: after the step, ``(B, *shape)``, in mV.
        spikes: of the step, ``(B, *shape)``.
        step_time: length of the step :math:`\Delta t`, in ms.
        rest_v: resting potential :math:`E`, in mV.
        time_constant: :math:`\tau_k`, ``(K,)``, in ms.
        voltage_coupling: :math:`b_k`, ``(K,)``, in uS.
        spike_increment: :math:`d_k`, ``(K,)``, in nA.
        refracs: refractory periods after the step, ``(B, *shape)``; where they are positive only the jump happens.

    Returns:
        the adaptations of each sample, ``(B, *shape, K)``, in nA.
    """
    constants = _like(adaptations, step_time / time_constant, voltage_coupling, spike_increment)
    return reference.current_adaptation(
        adaptations,
        _hold(refracs, adaptations),
        spikes.unsqueeze(-1),
        (voltages - rest_v).unsqueeze(-1),
        rest_v=0.0,
        constants=constants,
    )


def adaptive_thresholds_linear_spike(
    adaptations: torch.Tensor,
    spikes: torch.Tensor,
    *,
    step_time: Parameter,
    time_constant: Parameter,
    spike_increment: Parameter,
    refracs: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Adaptations of the threshold, driven by spikes, after a step.

    .. math::

        \theta_k(t + \Delta t) = \theta_k(t) e^{-\Delta t / \tau_k} + d_k s

    Args:
        adaptations: before the step, ``(*shape, K)``, in mV.
        spikes: of the step, ``(B, *shape)``.
        step_time: length of the step :math:`\Delta t`, in ms.
        time_constant: :math:`\tau_k`, ``(K,)``, in ms.
        spike_increment: :math:`d_k`, ``(K,)``, in mV.
        refracs: refractory periods after the step, ``(B, *shape)``; where they are positive only the jump happens.

    Returns:
        the adaptations of each sample, ``(B, *shape, K)``, in mV.
    """
    constants = _like(adaptations, _decay(step_time, time_constant), spike_increment)
    hold, spikes = _hold(refracs, adaptations), spikes.unsqueeze(-1)
    return reference.threshold_adaptation(adaptations, hold, spikes, None, rest_v=None, constants=constants)


def adaptive_thresholds_linear_voltage(
    adaptations: torch.Tensor,
    voltages: torch.Tensor,
    *,
    step_time: Parameter,
    rest_v: Parameter,
    adapt_rate: Parameter,
    rebound_rate: Parameter,
    adapt_reset_min: Parameter | None = None,
    spikes: torch.Tensor | None = None,
    refracs: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Adaptations of the threshold, driven by the voltage, after a step, by forward Euler.

    .. math::

        \theta_k(t + \Delta t) = \theta_k(t) + \Delta t \left( a_k (V - E) - b_k \theta_k(t) \right)

    and where a neuron fired at least ``adapt_reset_min`` (Mihalas and Niebur, Neural Computation 21, 704, 2009).

    Args:
        adaptations: before the step, ``(*shape, K)``, in mV.
        voltages: after the step, ``(B, *shape)``, in mV.
        step_time: length of the step :math:`\Delta t`, in ms.
        rest_v: resting potential :math:`E`, in mV.
        adapt_rate: :math:`a_k`, ``(K,)``, in 1/ms.
        rebound_rate: :math:`b_k`, ``(K,)``, in 1/ms.
        adapt_reset_min: smallest adaptation after a spike, in mV; None for none.
        spikes: of the step, ``(B, *shape)``.
        refracs: refractory periods after the step, ``(B, *shape)``; where they are positive adaptations stand still.

    Returns:
        the adaptations of each sample, ``(B, *shape, K)``, in mV.
    """
    moved = adaptations + step_time * (adapt_rate * (voltages - rest_v).unsqueeze(-1) - rebound_rate * adaptations)
    moved = torch.where(_hold(refracs, adaptations), adaptations, moved)
    if adapt_reset_min is None or spikes is None:
        return moved
    return torch.where(spikes.unsqueeze(-1), torch.maximum(moved, *_like(moved, adapt_reset_min)), moved)


def apply_adaptive_currents(current: torch.Tensor, adaptations: torch.Tensor) -> torch.Tensor:
    """Input currents, ``(B, *shape)``, less the sum of their adaptations, ``(*shape, K)``, in nA."""
    return current - reference.sum_kinds(adaptations)


def apply_adaptive_thresholds(threshold: Parameter, adaptations: torch.Tensor) -> torch.Tensor:
    """Threshold plus the sum of its adaptations, ``(*shape, K)``, in mV."""
    return threshold + reference.sum_kinds(adaptations)
