"""One step of leaky integrate-and-fire neurons."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

from .. import reference
from .backend import runs_native
from .common import (
    check_floating,
    check_same,
    check_writable,
    forbid_gradients,
    needs_graph,
    shape_text,
    written,
)
from .native import status

_NAMES = ("dt", "decay", "rest_v", "reset_v", "thresh_v", "refrac_t", "resistance", "refrac_lock")

if status.loaded:
    _raw_ = torch.ops.inferno_cuda.lif_step_.default
    _raw = torch.ops.inferno_cuda.lif_step.default

    @torch.library.register_fake("inferno_cuda::lif_step_")
    def _(voltage, refrac, inputs, *parameters):
        return torch.empty(voltage.shape, dtype=torch.bool, device=voltage.device)

    @torch.library.register_fake("inferno_cuda::lif_step")
    def _(voltage, refrac, inputs, *parameters):
        state = torch.empty(voltage.shape, dtype=voltage.dtype, device=voltage.device)
        return state, torch.empty_like(state), torch.empty_like(state, dtype=torch.bool)


def _check(voltage, refrac, inputs):
    check_floating("voltage", voltage)
    for name, tensor in (("refrac", refrac), ("inputs", inputs)):
        if tensor.shape != voltage.shape:
            raise ValueError(
                f"{name} had shape {shape_text(tensor.shape)}; it must be {shape_text(voltage.shape)} like voltage"
            )
        check_same(name, tensor, "voltage", voltage)


def _any_tensor(parameters):
    return any(isinstance(parameter, torch.Tensor) for parameter in parameters)


def _check_in_place(voltage, refrac, inputs):
    _check(voltage, refrac, inputs)
    check_writable("voltage", voltage)
    check_writable("refrac", refrac)


def _run(voltage, refrac, inputs, parameters):
    """The functional step on the chosen backend, without autograd."""
    if runs_native(voltage, "lif_step") and not _any_tensor(parameters):
        return _raw(voltage.contiguous(), refrac.contiguous(), inputs.contiguous(), *parameters)
    return reference.lif_step(voltage, refrac, inputs, **dict(zip(_NAMES, parameters, strict=True)))


class _LifStep(torch.autograd.Function):
    """Gradients of the voltage; spikes are bool and the refractory time is a clock, so neither carries one."""

    @staticmethod
    def forward(voltage, refrac, inputs, parameters):
        return _run(voltage, refrac, inputs, parameters)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, refrac, _, parameters = inputs
        ctx.parameters = parameters
        ctx.mark_non_differentiable(output[1], output[2])
        ctx.save_for_backward(refrac, output[2])

    @staticmethod
    def backward(ctx, grad, *_):
        refrac, spikes = ctx.saved_tensors
        dt, decay, *_, resistance, refrac_lock = ctx.parameters
        waiting = refrac.to(torch.promote_types(refrac.dtype, torch.float32)) - dt > dt * 1e-3
        grad = torch.where(spikes, 0.0, grad)
        grad_inputs = torch.where(waiting, 0.0, grad * (resistance * (1 - decay)))
        grad_voltage = grad * decay
        if refrac_lock:
            grad_voltage = torch.where(waiting, grad, grad_voltage)
        return grad_voltage, None, grad_inputs, None


def lif_step(
    voltage: torch.Tensor,
    refrac: torch.Tensor,
    inputs: torch.Tensor,
    *,
    dt: float,
    decay: float,
    rest_v: float,
    reset_v: float,
    thresh_v: float,
    refrac_t: float,
    resistance: float = 1.0,
    refrac_lock: bool = True,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One step of LIF neurons that leaves its arguments alone; differentiable in voltage and inputs.

    Args:
        voltage: membrane voltage, mV, any shape.
        refrac: remaining refractory period, ms, shape and dtype of `voltage`.
        inputs: input current, nA, shape and dtype of `voltage`; has no effect on neurons that are refractory.
        dt: step length, ms.
        decay: ``exp(-dt / time_constant)``.
        rest_v, reset_v, thresh_v: resting, reset and threshold voltage, mV.
        refrac_t: refractory period that a spike starts, ms.
        resistance: membrane resistance, MOhm.
        refrac_lock: hold the voltage of refractory neurons; otherwise it goes on integrating with no input.

    Parameters may be tensors that broadcast to `voltage`, such as a threshold for each neuron; the step then runs in
    torch, on any backend, and is differentiable in them too.

    Returns:
        New voltage and refractory time, and the spikes as bool.

    Raises:
        ValueError: shapes or devices differ.
        TypeError: dtypes differ, or are not floating point.
    """
    _check(voltage, refrac, inputs)
    parameters = (dt, decay, rest_v, reset_v, thresh_v, refrac_t, resistance, refrac_lock)
    if needs_graph(voltage, refrac, inputs) and not _any_tensor(parameters):
        return _LifStep.apply(voltage, refrac, inputs, parameters)
    return _run(voltage, refrac, inputs, parameters)


def lif_step_(
    voltage: torch.Tensor,
    refrac: torch.Tensor,
    inputs: torch.Tensor,
    *,
    dt: float,
    decay: float,
    rest_v: float,
    reset_v: float,
    thresh_v: float,
    refrac_t: float,
    resistance: float = 1.0,
    refrac_lock: bool = True,
) -> torch.Tensor:
    """As :func:`lif_step`, but writes `voltage` and `refrac` in place; returns the spikes.

    Raises:
        RuntimeError: a tensor requires a gradient, which this form would drop; or the tensors overlap in memory
            without being the same.
        ValueError, TypeError: as :func:`lif_step`, and for an expanded voltage or refrac.
    """
    if (
        voltage.requires_grad
        or refrac.requires_grad
        or (inputs.requires_grad and torch.is_grad_enabled())
        or forward_ad._current_level >= 0
    ):
        forbid_gradients("lif_step_", "use lif_step", voltage=voltage, refrac=refrac, inputs=inputs)
    parameters = (dt, decay, rest_v, reset_v, thresh_v, refrac_t, resistance, refrac_lock)
    native = runs_native(voltage, "lif_step")
    if native and voltage.is_cpu and refrac.is_cpu and inputs.is_cpu and not torch.compiler.is_compiling():
        try:
            # The kernel checks its arguments before it writes: repeating that here would cost as much as the step.
            spikes = _raw_(voltage, refrac, inputs, *parameters)
        except RuntimeError:
            _check_in_place(voltage, refrac, inputs)
            contiguous = voltage.is_contiguous() and refrac.is_contiguous() and inputs.is_contiguous()
            if contiguous and not _any_tensor(parameters):
                raise
        else:
            written(voltage, refrac)
            return spikes
    _check_in_place(voltage, refrac, inputs)
    if native and voltage.is_contiguous() and refrac.is_contiguous() and not _any_tensor(parameters):
        spikes = _raw_(voltage, refrac, inputs.contiguous(), *parameters)
        written(voltage, refrac)
        return spikes
    new_voltage, new_refrac, spikes = _run(voltage, refrac, inputs, parameters)
    voltage.copy_(new_voltage)
    refrac.copy_(new_refrac)
    return spikes
