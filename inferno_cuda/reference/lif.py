"""The leaky integrate-and-fire step."""

import torch


def lif_step(voltage, refrac, inputs, *, dt, decay, rest_v, reset_v, thresh_v, refrac_t, resistance, refrac_lock):
    """One step of LIF neurons; returns new ``(voltage, refrac, spikes)``.

    The membrane relaxes exponentially to ``rest_v + resistance * inputs``: exponential Euler, exact for an input that
    is constant within the step (Gerstner et al., Neuronal Dynamics, 2014, section 1.3).
    """
    dtype = voltage.dtype
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    voltage, refrac, inputs = voltage.to(compute), refrac.to(compute), inputs.to(compute)

    left = refrac - dt
    waiting = left > dt * 1e-3  # what is left below a thousandth of a step is rounding
    drive = resistance * torch.where(waiting, 0.0, inputs)
    integrated = rest_v + (voltage - rest_v - drive) * decay + drive
    voltage = torch.where(waiting, voltage, integrated) if refrac_lock else integrated
    spikes = (voltage >= thresh_v) & ~waiting
    refrac = torch.where(waiting, left, 0.0)
    return (
        torch.where(spikes, reset_v, voltage).to(dtype),
        torch.where(spikes, refrac_t, refrac).to(dtype),
        spikes,
    )
