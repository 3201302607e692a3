"""Many steps of neurons, and the gradient of their spikes: this definition is the one that the kernels follow.

With a surrogate a step is what it is without; only its gradient differs. Let ``x = V - threshold`` be taken from the
voltage before the reset, ``s`` the spike and ``r(V)`` the voltage after a reset. Then, outside the refractory period,

- ``ds/dx`` is the derivative of the surrogate at ``x``, so that the threshold gets the gradient of ``-s``;
- the voltage ``V' = V + s (r(V) - V)`` has ``dV'/ds = r(V) - V`` (dropped if the reset is detached), ``dV'/dr = s`` and
  ``dV'/dV = 1 - s`` besides what goes through ``s`` and ``r``;
- the adaptation jumps by ``increment * s``.

Refractory neurons have no gradient to their input and none through their spikes; when refractory periods end is
discrete and has no gradient either.
"""

import functools
from typing import NamedTuple

import torch

from .neuron import neuron_step, step_threshold


class NeuronRun(NamedTuple):
    """What a sequence of steps gives.

    Attributes:
        spikes: ``[T, B, *shape]``; bool, or with a surrogate 0 and 1 in the dtype of the inputs.
        voltage: after the last step, mV, ``[B, *shape]``.
        refrac: remaining refractory periods after the last step, ms, ``[B, *shape]``.
        adaptation: after the last step, ``[*shape, K]``; None unless it was updated.
        voltages: after every step, ``[T, B, *shape]``, if they were to be recorded; or None.
        refracs: as the voltages.
    """

    spikes: torch.Tensor
    voltage: torch.Tensor
    refrac: torch.Tensor
    adaptation: torch.Tensor | None
    voltages: torch.Tensor | None
    refracs: torch.Tensor | None


class _Reset(torch.autograd.Function):
    """``where(spikes, after, voltage)``, with the gradient of ``voltage + spikes * (after - voltage)``."""

    generate_vmap_rule = True

    @staticmethod
    def forward(spikes, after, voltage):
        return torch.where(spikes != 0, after, voltage)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient):
        spikes, after, voltage = ctx.saved_tensors
        return gradient * (after - voltage), gradient * spikes, gradient * (1.0 - spikes)


def surrogate_threshold(voltage, thresh_v, waiting, reset, *, surrogate, detach_reset):
    """As :func:`~inferno_cuda.reference.step_threshold`, with floating spikes that have the gradient of ``surrogate``.

    The values of the spikes are not those of ``surrogate``, which may be any function of ``voltage - thresh_v``: where
    a neuron fires does not depend on how its gradient is computed.
    """
    started = (voltage >= thresh_v) & ~waiting
    soft = torch.where(waiting, 0.0, surrogate(voltage - thresh_v))
    spikes = _with_gradient(started.to(voltage.dtype), soft)
    after = torch.as_tensor(reset(voltage), dtype=voltage.dtype, device=voltage.device).expand_as(voltage)
    return spikes, _Reset.apply(spikes.detach() if detach_reset else spikes, after, voltage), started


def smooth_threshold(voltage, thresh_v, waiting, reset, *, surrogate, detach_reset):
    """As :func:`surrogate_threshold`, but smooth in its value too, so that finite differences can be compared with it.

    A spike is what ``surrogate.smooth`` says, and starts no refractory period.
    """
    spikes = torch.where(waiting, 0.0, surrogate.smooth(voltage - thresh_v))
    share = spikes.detach() if detach_reset else spikes
    return spikes, voltage + share * (reset(voltage) - voltage), torch.zeros_like(waiting)


class _WithGradient(torch.autograd.Function):
    """The first tensor, with the gradient of the second."""

    generate_vmap_rule = True

    @staticmethod
    def forward(value, source):
        return value.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        return None, gradient


def _with_gradient(value, source):
    return _WithGradient.apply(value, source)


def threshold_rule(surrogate=None, detach_reset=False, smooth=False):
    """What :func:`~inferno_cuda.reference.fire` takes as ``threshold``."""
    if surrogate is None:
        return step_threshold
    rule = smooth_threshold if smooth else surrogate_threshold
    return functools.partial(rule, surrogate=surrogate, detach_reset=detach_reset)


def neuron_run(
    model,
    voltage,
    refrac,
    inputs,
    *,
    refrac_lock=True,
    adaptation=None,
    constants=None,
    reduction=None,
    surrogate=None,
    detach_reset=False,
    record=(),
    smooth=False,
    **parameters,
):
    """As many calls of :func:`~inferno_cuda.reference.neuron_step` as ``inputs``, ``[T, B, *shape]``, has steps.

    ``surrogate``: None, or a function of the voltage less the threshold whose gradient the spikes get. ``smooth``: the
    spikes are ``surrogate.smooth`` and start no refractory periods. ``record``: any of "voltage" and "refrac".
    Parameters are numbers, or tensors that broadcast to ``voltage``; these compute in its compute type.
    """
    compute = torch.float64 if voltage.dtype == torch.float64 else torch.float32
    parameters = {n: p.to(compute) if isinstance(p, torch.Tensor) else p for n, p in parameters.items()}
    if isinstance(parameters.get("refrac_t"), torch.Tensor):
        parameters["refrac_t"] = parameters["refrac_t"].detach()  # when periods end is discrete
    threshold = threshold_rule(surrogate, detach_reset, smooth)
    every_spike, voltages, refracs, adapted = [], [], [], adaptation
    for current in inputs:
        voltage, refrac, spikes, moved = neuron_step(
            model,
            voltage,
            refrac,
            current,
            adaptation=adapted,
            constants=constants,
            reduction=reduction,
            refrac_lock=refrac_lock,
            threshold=threshold,
            **parameters,
        )
        adapted = adapted if moved is None else moved
        every_spike.append(spikes)
        voltages.append(voltage)
        refracs.append(refrac)
    return NeuronRun(
        _stacked(every_spike, inputs, torch.bool if surrogate is None else inputs.dtype),
        voltage,
        refrac,
        None if reduction is None else adapted,
        _stacked(voltages, inputs, inputs.dtype) if "voltage" in record else None,
        _stacked(refracs, inputs, inputs.dtype) if "refrac" in record else None,
    )


def _stacked(steps, inputs, dtype):
    return torch.stack(steps) if steps else torch.empty_like(inputs, dtype=dtype)
