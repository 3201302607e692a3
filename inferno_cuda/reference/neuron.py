"""The step of every neuron model: membranes, resets and adaptation, and the one procedure around them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import NamedTuple

import torch

from .exponential import divide, exp

MAX_LANES = 32  # partial sums of a reduction over the batch


def linear_membrane(voltage, current, *, rest_v, resistance, decay):
    """Relaxes to ``rest_v + resistance * current``: exponential Euler, exact for a current constant within the step.

    ``decay`` is ``exp(-dt / time_constant)`` (Gerstner et al., Neuronal Dynamics, 2014, section 1.3).
    """
    drive = resistance * current
    return rest_v + (voltage - rest_v - drive) * decay + drive


def quadratic_membrane(voltage, current, *, rest_v, resistance, rate, crit_v, affinity):
    """Forward Euler with ``rate = dt / time_constant`` (Gerstner et al., section 5.3)."""
    return voltage + rate * (affinity * (voltage - rest_v) * (voltage - crit_v) + resistance * current)


def exponential_membrane(voltage, current, *, rest_v, resistance, rate, rheobase_v, sharpness):
    """Forward Euler with ``rate = dt / time_constant`` (Gerstner et al., section 5.2)."""
    onset = sharpness * exp(divide(voltage - rheobase_v, sharpness))
    return voltage + rate * (rest_v - voltage + onset + resistance * current)


def constant_reset(voltage, *, reset_v):
    """To a voltage that does not depend on what was reached."""
    return reset_v


def linear_reset(voltage, *, rest_v, reset_v_mul, reset_v_add):
    """To a share of the distance from rest, less a constant (Teeter et al., Nature Communications 9, 709, 2018)."""
    return rest_v + reset_v_mul * (voltage - rest_v) - reset_v_add


def threshold_adaptation(adaptation, hold, spikes, voltage, *, rest_v, constants):
    """Jumps at spikes and decays. constants: decay of a step, and jump in mV, each [K]. adaptation: [..., K]."""
    decay, increment = constants
    return torch.where(hold, adaptation, adaptation * decay) + _jump(spikes, increment)


def current_adaptation(adaptation, hold, spikes, voltage, *, rest_v, constants):
    """Follows the voltage and jumps at spikes. constants: ``dt / time_constant``, coupling in uS, jump in nA."""
    rate, coupling, increment = constants
    moved = adaptation + rate * (coupling * (voltage - rest_v) - adaptation)
    return torch.where(hold, adaptation, moved) + _jump(spikes, increment)


def _jump(spikes, increment):
    if spikes.dtype == torch.bool:
        return torch.where(spikes, increment, 0.0)
    return spikes * increment  # the gradient reaches the spikes too


class NeuronModel(NamedTuple):
    """What distinguishes a model; the step around it is :func:`neuron_step`.

    Attributes:
        integrate: ``(voltage, current, **parameters) -> voltage``.
        reset: ``(voltage, **parameters) -> voltage`` of the neurons that fired.
        adapt: ``(adaptation, hold, spikes, voltage, *, rest_v, constants) -> adaptation``, or None. A threshold
            adaptation raises the threshold, a current adaptation is taken off the input.
        membrane: names of the parameters of ``integrate``.
        after: names of the parameters of ``reset``.
    """

    integrate: Callable
    reset: Callable
    adapt: Callable | None
    membrane: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def constants(self) -> int:
        """Number of constants of each adaptation; 0 without any."""
        return {None: 0, threshold_adaptation: 2, current_adaptation: 3}[self.adapt]

    @property
    def parameters(self) -> frozenset[str]:
        """Names of the parameters besides ``dt`` and ``refrac_t``."""
        return frozenset({"thresh_v", *self.membrane, *self.after})


def _model(integrate, reset, adapt=None) -> NeuronModel:
    # read from the signatures once: that takes longer than a step
    return NeuronModel(integrate, reset, adapt, _keywords(integrate), _keywords(reset))


def _keywords(function) -> tuple[str, ...]:
    return tuple(p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY)


#: The models by name.
MODELS = {
    "lif": _model(linear_membrane, constant_reset),
    "alif": _model(linear_membrane, constant_reset, threshold_adaptation),
    "glif2": _model(linear_membrane, linear_reset, threshold_adaptation),
    "qif": _model(quadratic_membrane, constant_reset),
    "izhikevich": _model(quadratic_membrane, constant_reset, current_adaptation),
    "eif": _model(exponential_membrane, constant_reset),
    "adex": _model(exponential_membrane, constant_reset, current_adaptation),
}


def marked_period(refrac_t):
    """The refractory period that a spike starts: -0.0 for none, so that spikes can still be told."""
    if isinstance(refrac_t, torch.Tensor):
        return torch.where(refrac_t == 0, -0.0, refrac_t)
    return refrac_t or -0.0


def sum_kinds(adaptation):
    """The sum over the last dimension, in ascending order."""
    total = adaptation[..., 0]
    for kind in range(1, adaptation.shape[-1]):
        total = total + adaptation[..., kind]
    return total


def reduce_batch(values, mean):
    """Sum or mean over dimension 0, in the order of all backends.

    Sample b goes to partial sum b modulo the number of lanes, then the upper half of these is added to the lower.
    """
    batch = values.shape[0]
    lanes = 1
    while lanes < min(batch, MAX_LANES):
        lanes *= 2
    sums = values[:lanes]
    for start in range(lanes, batch, lanes):
        more = values[start : start + lanes]
        sums = torch.cat([sums[: len(more)] + more, sums[len(more) :]])
    while lanes > 1:
        lanes //= 2
        upper = sums[lanes:]
        sums = torch.cat([sums[: len(upper)] + upper, sums[len(upper) : lanes]])
    return divide(sums[0], batch) if mean and batch > 1 else sums[0]


def step_threshold(voltage, thresh_v, waiting, reset):
    """Which neurons fire, and the voltages after that: ``(spikes, voltage, started)``, no gradient through the spikes.

    ``started`` says where a refractory period begins; here these are the spikes.
    """
    spikes = (voltage >= thresh_v) & ~waiting
    return spikes, torch.where(spikes, reset(voltage), voltage), spikes


def fire(inputs, refrac, integrate, held, *, reset, dt, refrac_t, thresh_v, threshold=step_threshold):
    """What every model does around its membrane: ``(spikes, voltage, refrac)``.

    ``integrate`` gives the new voltage for a current, ``reset`` the voltage after a spike for the one that was reached.
    ``held`` is the voltage that refractory neurons keep; None lets them integrate, without input. ``threshold`` is
    :func:`step_threshold`, or another function of its kind, such as those with a gradient in ``neuron_run.py``.
    """
    left = refrac - dt
    waiting = left > dt * 1e-3  # what is left below a thousandth of a step is rounding
    voltage = integrate(torch.where(waiting, 0.0, inputs))
    if held is not None:
        voltage = torch.where(waiting, held, voltage)
    spikes, voltage, started = threshold(voltage, thresh_v, waiting, reset)
    return spikes, voltage, torch.where(started, refrac_t, torch.where(waiting, left, 0.0))


def neuron_step(
    model,
    voltage,
    refrac,
    inputs,
    *,
    adaptation,
    constants,
    reduction,
    dt,
    refrac_t,
    thresh_v,
    refrac_lock,
    threshold=step_threshold,
    **others,
):
    """One step; returns new ``(voltage, refrac, spikes, adaptation)``, the last None unless ``reduction`` is given.

    ``voltage``, ``refrac``, ``inputs``: ``[B, *shape]``. ``adaptation``: ``[*shape, K]``. ``constants``: a row ``[K]``
    for each constant of the model, in the compute type. ``reduction``: "mean" or "sum" over the samples, or None to
    leave the adaptation alone. ``threshold``: see :func:`fire`; spikes have the dtype that it gives them, and floating
    ones that of ``voltage``.
    """
    integrate, reset, adapt, membrane, after = MODELS[model]
    dtype = voltage.dtype
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    voltage, refrac, inputs = voltage.to(compute), refrac.to(compute), inputs.to(compute)
    if adapt is not None:
        adaptation = adaptation.to(compute)
        acting = sum_kinds(adaptation)
        if adapt is threshold_adaptation:
            thresh_v = thresh_v + acting
        else:
            inputs = inputs - acting

    spikes, voltage, refrac = fire(
        inputs,
        refrac,
        lambda current: integrate(voltage, current, **_chosen(others, membrane)),
        voltage if refrac_lock else None,
        reset=lambda reached: reset(reached, **_chosen(others, after)),
        dt=dt,
        refrac_t=marked_period(refrac_t),
        thresh_v=thresh_v,
        threshold=threshold,
    )
    voltage, refrac = voltage.to(dtype), refrac.to(dtype)
    fired = spikes if spikes.dtype == torch.bool else spikes.to(dtype)
    if adapt is None or reduction is None:
        return voltage, refrac, fired, None
    moved = adapt_samples(
        model,
        adaptation,
        voltage.to(compute),
        refrac,
        spikes,
        rest_v=others["rest_v"],
        constants=constants,
        refrac_lock=refrac_lock,
    )
    return voltage, refrac, fired, reduce_batch(moved, reduction == "mean").to(dtype)


def adapt_samples(model, adaptation, voltage, refrac, spikes, *, rest_v, constants, refrac_lock):
    """The adaptations that each sample would have after the step that gave this state, ``[B, *shape, K]``."""
    if isinstance(rest_v, torch.Tensor) and rest_v.ndim:
        rest_v = rest_v[..., None]
    hold = (refrac > 0)[..., None] if refrac_lock else torch.zeros((), dtype=torch.bool, device=voltage.device)
    return MODELS[model].adapt(
        adaptation, hold, spikes[..., None], voltage[..., None], rest_v=rest_v, constants=constants
    )


def threshold_constants(dt, time_constant, increment):
    """What :func:`threshold_adaptation` takes as constants, from time constants (ms) and jumps (mV), each [K]."""
    return torch.stack([exp(-dt / time_constant.double()), increment.double()])


def current_constants(dt, time_constant, coupling, increment):
    """What :func:`current_adaptation` takes, from time constants (ms), couplings (uS) and jumps (nA), each [K]."""
    return torch.stack([dt / time_constant.double(), coupling.double(), increment.double()])


def _chosen(parameters, names):
    return {name: parameters[name] for name in names}
