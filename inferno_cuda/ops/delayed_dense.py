"""Dense connections whose every synapse has a delay of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .. import reference
from .backend import runs_native
from .common import check_floating, check_pointer, check_same, forbid_gradients, needs_graph, shape_text
from .history import MODES, check_grid, check_mode, check_reach, time_eps
from .native import status

if status.loaded:
    _raw_plan = torch.ops.inferno_cuda.delay_plan.default
    _raw_dense = torch.ops.inferno_cuda.delayed_dense.default

    @torch.library.register_fake("inferno_cuda::delay_plan")
    def _(delay, slots, *parameters):
        slot = torch.empty(delay.shape, dtype=torch.uint8 if slots <= 255 else torch.int32, device=delay.device)
        return slot, torch.empty(delay.shape, dtype=delay.dtype, device=delay.device)

    @torch.library.register_fake("inferno_cuda::delayed_dense")
    def _(data, pointer, weight, bias, slot, factor, linear, scale, overbound):
        return torch.empty(data.shape[1], weight.shape[0], dtype=weight.dtype, device=weight.device)


@dataclass(frozen=True)
class DelayPlan:
    """What depends on a connection's delays alone; made by :func:`delay_plan`.

    Attributes:
        slot: age of each synapse's sample, ``[O, I]``; `slots` where the delay is out of range.
        factor: decay since that sample, or the blend towards the next newer one if `linear`; None: 1 everywhere.
        slots: number of slots of the ring that it was made for.
        linear: what `factor` means.
        overbound: value of delays that are out of range, nA.
    """

    slot: torch.Tensor
    factor: torch.Tensor | None
    slots: int
    linear: bool
    overbound: float


def delay_plan(
    delay: torch.Tensor,
    *,
    dt: float,
    slots: int,
    max_delay: float,
    mode: str = "previous",
    time_constant: float | None = None,
    tolerance: float = 0.0,
    overbound: float | None = 0.0,
) -> DelayPlan:
    """Prepares :func:`delayed_dense` for the given delays; to be used again until they change.

    Args:
        delay: conduction delays, ms, ``[O, I]``; in the dtype of the weights, since factors are rounded to it.
        dt: step length, ms.
        slots: number of slots of the history's ring.
        max_delay: longest delay that the history serves, ms.
        mode, time_constant, tolerance, overbound: as for :func:`~inferno_cuda.ops.history_gather`.

    Raises:
        ValueError: a delay is NaN, or a parameter is out of range. On devices other than the CPU, where reading a
            value back would stall the device, and in compiled code, NaN fails an assertion on the device instead.
        TypeError: delay is not floating point.
        RuntimeError: delay requires a gradient, which a plan would drop.
    """
    if needs_graph(delay):
        forbid_gradients("delay_plan", "there are none with respect to delays yet; requires_grad_(False)", delay=delay)
    constant = check_mode(mode, time_constant)
    check_grid(dt, tolerance)
    check_floating("delay", delay)
    if delay.ndim != 2:
        raise ValueError(f"delay had shape {shape_text(delay.shape)}; it must be (outputs, inputs)")
    if not 1 <= slots < 2**31:
        raise ValueError(f"slots was {slots}; it must be positive and below 2^31")
    check_reach("max_delay", max_delay, dt * (slots - 1))
    delay = delay.detach()
    eps = time_eps(delay.dtype)
    if delay.dtype not in (torch.float32, torch.float64):
        delay = delay.float()
    if delay.is_cpu and not torch.compiler.is_compiling():
        if bool(delay.isnan().any()):
            raise ValueError("delay had NaN entries; delays must be numbers (ms)")
    elif delay.device.type != "meta":
        torch._assert_async(~delay.isnan().any(), "delay had NaN entries; delays must be numbers (ms)")
    clamp = overbound is None
    if runs_native(delay, "delay_plan"):
        slot, factor = _raw_plan(
            delay.contiguous(), slots, dt, max_delay, MODES.index(mode), constant, tolerance, eps, clamp
        )
    else:
        slot, factor = reference.delay_plan(
            delay.contiguous(),
            slots=slots,
            dt=dt,
            max_delay=max_delay,
            mode=mode,
            time_constant=constant,
            tolerance=tolerance,
            eps=eps,
            clamp=clamp,
        )
    linear = mode == "linear"
    if mode in ("previous", "next", "nearest"):
        factor = None
    elif delay.is_cpu and not torch.compiler.is_compiling() and bool((factor == (0.0 if linear else 1.0)).all()):
        factor, linear = None, False  # all on the grid
    return DelayPlan(slot, factor, slots, linear, 0.0 if overbound is None else float(overbound))


def _run(data, pointer, weight, bias, slot, factor, linear, scale, overbound):
    if runs_native(weight, "delayed_dense"):
        bias = None if bias is None else bias.contiguous()
        return _raw_dense(data, pointer, weight.contiguous(), bias, slot, factor, linear, scale, overbound)
    return reference.delayed_dense(
        data, pointer, weight, bias, slot, factor, linear=linear, scale=scale, overbound=overbound
    )


class _DelayedDense(torch.autograd.Function):
    @staticmethod
    def forward(data, pointer, weight, bias, slot, factor, linear, scale, overbound):
        return _run(data, pointer, weight, bias, slot, factor, linear, scale, overbound)

    @staticmethod
    def setup_context(ctx, inputs, output):
        data, pointer, weight, bias, slot, factor, *options = inputs
        ctx.options = options
        wants_data, _, wants_weight, *_ = ctx.needs_input_grad
        if wants_data or wants_weight:
            # The pointer moves on before backward runs; the data must not change (RecordTensor.hold sees to it).
            ctx.save_for_backward(data, pointer.clone(), weight, slot, factor)

    @staticmethod
    def backward(ctx, grad):
        wants_data, _, wants_weight, wants_bias, *_ = ctx.needs_input_grad
        grad_data = grad_weight = None
        if wants_data or wants_weight:
            data, pointer, weight, slot, factor = ctx.saved_tensors
            linear, scale, overbound = ctx.options
            grad_data, grad_weight = reference.delayed_dense_backward(
                grad, data, pointer, weight, slot, factor, linear=linear, scale=scale, overbound=overbound
            )
        grad_bias = grad.sum(0) if wants_bias else None
        return grad_data, None, grad_weight, grad_bias, None, None, None, None, None


def delayed_dense(
    data: torch.Tensor,
    pointer: torch.Tensor,
    weight: torch.Tensor,
    plan: DelayPlan,
    *,
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
) -> torch.Tensor:
    """Weighted sum over a history in which every synapse looks back by its own delay.

    ``y[b, o] = bias[o] + sum_i weight[o, i] * z`` with ``z`` the history of ``(b, i)`` at ``delay[o, i]``. Inputs are
    added one by one in ascending order, so the result is the same, bit for bit, on every backend and device, for any
    batch size and number of threads. Nothing of size batch x inputs x outputs is allocated.

    Args:
        data: ring of N observations, ``[N, B, I]``, any strides, bool or of weight's dtype. The batch innermost in
            memory is fastest.
        pointer: int64 tensor of shape ``()``: the slot that is written next.
        weight: ``[O, I]``.
        plan: of the delays ``[O, I]``, see :func:`delay_plan`.
        bias: ``[O]``.
        scale: what True stands for in a bool history, nA.

    Returns:
        ``[B, O]``, of weight's dtype. Differentiable in data, weight and bias.

    Raises:
        ValueError: shapes or devices do not fit.
        TypeError: dtypes do not fit.
    """
    check_floating("weight", weight)
    if data.ndim != 3:
        raise ValueError(f"data had shape {shape_text(data.shape)}; it must be (slots, batch, inputs)")
    if weight.ndim != 2 or weight.shape[1] != data.shape[2]:
        raise ValueError(f"weight had shape {shape_text(weight.shape)}; it must be (outputs, {data.shape[2]})")
    if data.dtype != torch.bool:
        check_same("data", data, "weight", weight)
    elif data.device != weight.device:
        raise ValueError(f"data was on {data.device}; it must be on {weight.device} like weight")
    check_pointer(pointer, data)
    if plan.slot.dtype not in (torch.uint8, torch.int32):
        raise TypeError(f"plan.slot was {plan.slot.dtype}; it must be uint8 or int32, as delay_plan makes it")
    if plan.factor is not None and (plan.factor.shape != weight.shape or plan.factor.device != weight.device):
        raise ValueError("plan.factor does not fit plan.slot; make plans with delay_plan")
    if plan.slot.shape != weight.shape or plan.slots != data.shape[0] or plan.slot.device != weight.device:
        raise ValueError(
            f"plan was made for delays of shape {shape_text(plan.slot.shape)} on {plan.slot.device} and {plan.slots} "
            f"slots; it must fit weight {shape_text(weight.shape)} on {weight.device} and {data.shape[0]} slots"
        )
    if plan.linear and data.dtype == torch.bool:
        raise TypeError("data was torch.bool, which mode 'linear' cannot interpolate; it must be floating point")
    if bias is not None:
        if bias.shape != weight.shape[:1]:
            raise ValueError(f"bias had shape {shape_text(bias.shape)}; it must be ({weight.shape[0]},)")
        check_same("bias", bias, "weight", weight)
    factor = plan.factor
    compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
    if factor is not None and factor.dtype != compute:
        factor = factor.to(compute)
    arguments = (data, pointer, weight, bias, plan.slot, factor, plan.linear, float(scale), plan.overbound)
    if needs_graph(data, weight, bias):
        return _DelayedDense.apply(*arguments)
    return _run(*arguments)
