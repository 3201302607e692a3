"""Weighted sums over a whole sequence in which every synapse looks back by its own delay, which can be learned.

Every step equals the op of :mod:`.delayed_sum` on the history as it is after that step, bit for bit. Weights and delays
are read once for many steps.
"""

from __future__ import annotations

import math

import torch

from .. import reference
from ._delayed_checks import check_bias, check_convolution, check_plan, check_samples
from ._delayed_native import RunOptions, bias_gradient, geometry_numbers, gradients, places, run_native
from .backend import runs_native
from .common import check_floating, forbid_second_derivatives, needs_graph, shape_text, widened
from .delay_plan import DelayPlan, attach, delay_plan


class _DelayedRun(torch.autograd.Function):
    """Keeps its arguments for backward, and nothing else: spikes stay bool."""

    @staticmethod
    def forward(series, weight, bias, shift, slot, factor, options):
        return run_native(series, weight, bias, slot, factor, options)

    @staticmethod
    def setup_context(ctx, inputs, output):
        series, weight, _, _, slot, factor, ctx.options = inputs
        ctx.outputs = len(weight), math.prod(places(weight, ctx.options.geometry))
        wants_series, wants_weight, _, wants_shift, *_ = ctx.needs_input_grad
        ctx.wants = wants_series, wants_weight, wants_shift
        if any(ctx.wants):
            ctx.save_for_backward(series, weight, slot, factor)

    @staticmethod
    def backward(ctx, grad):
        forbid_second_derivatives("a delayed sum")
        grad_series = grad_weight = grad_shift = grad_bias = None
        if any(ctx.wants):
            grad_series, grad_weight, grad_shift = gradients(grad, *ctx.saved_tensors, ctx.options, ctx.wants)
        if ctx.needs_input_grad[2]:
            grad_bias = bias_gradient(grad.unflatten(2, ctx.outputs))
        return grad_series, grad_weight, grad_bias, grad_shift, None, None, None


def planned(delay, plan, weight, timing) -> DelayPlan:
    """The plan of the delays, which gradients pass to them where they want any."""
    if delay.shape != weight.shape or delay.device != weight.device:
        raise ValueError(
            f"delay had shape {shape_text(delay.shape)} on {delay.device}; it must be {shape_text(weight.shape)} on "
            f"{weight.device} like weight"
        )
    if plan is None:
        return delay_plan(delay, **timing)
    if not needs_graph(delay):
        return plan
    names = ("dt", "mode", "time_constant", "max_delay")
    return attach(plan, delay, **{name: timing[name] for name in names})


def _run(op, series, weight, delay, plan, bias, scale, timing, geometry):
    """Checks all but the number of dimensions and the inputs of series, and runs the op. series: [times, B, inputs]."""
    slots = timing["slots"]
    check_samples("series", series, weight)
    check_bias(bias, weight)
    if series.shape[0] < slots - 1:
        raise ValueError(
            f"series had {series.shape[0]} observations; it must have slots - 1 = {slots - 1} of the past, and then "
            "one a step"
        )
    plan = planned(delay, plan, weight, timing)
    check_plan(plan, weight, slots)
    factor, slope = plan.factor, plan.slope
    compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
    if factor is not None and factor.dtype != compute:
        factor = factor.to(compute)
    if not runs_native(weight, op):
        return reference.delayed_run(
            series,
            weight,
            bias,
            plan.slot,
            factor,
            slots=slots,
            linear=plan.linear,
            scale=float(scale),
            overbound=plan.overbound,
            geometry=geometry,
            slope=slope,
        )
    how = (False, None) if slope is None else (slope.linear, float(slope.unit))
    options = RunOptions(slots, plan.linear, float(scale), plan.overbound, geometry_numbers(geometry), *how)
    shift = None if slope is None else slope.shift
    if needs_graph(series, weight, bias, shift):
        return _DelayedRun.apply(series, weight, bias, shift, plan.slot, factor, options)
    return run_native(series, weight, bias, plan.slot, factor, options)


def delayed_dense_run(
    series: torch.Tensor,
    weight: torch.Tensor,
    delay: torch.Tensor,
    *,
    dt: float,
    slots: int,
    max_delay: float,
    mode: str = "previous",
    time_constant: float | None = None,
    tolerance: float = 0.0,
    overbound: float | None = 0.0,
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
    plan: DelayPlan | None = None,
) -> torch.Tensor:
    """Every output sums over all inputs, in every step of a sequence.

    ``y[t, b, o] = bias[o] + sum_i weight[o, i] * z`` with ``z`` the series of ``(b, i)`` at ``delay[o, i]`` before step
    t: what :func:`delayed_dense` gives in that step, bit for bit.

    Args:
        series: ``[slots - 1 + T, B, I]``, any strides, bool or of weight's dtype: what lies in the past of the first
            step, oldest first, then an observation a step.
        weight: ``[O, I]``.
        delay: ``[O, I]``, ms.
        dt: step length, ms.
        slots: number of observations that a step can look at, itself among them.
        max_delay: longest delay, ms.
        mode, time_constant, tolerance, overbound: as for :func:`~inferno_cuda.ops.history_gather`.
        bias: ``[O]``.
        scale: what True stands for in a bool series, nA.
        plan: that of the delays, with the same options, where it is kept; see :func:`delay_plan`.

    Returns:
        ``[T, B, O]``, of weight's dtype. Differentiable in series, weight and bias, and in the modes linear and
        expdecay in delay, by the rule in :func:`delay_plan`.

    Raises:
        ValueError: shapes or devices do not fit, a delay is NaN, or a parameter is out of range.
        TypeError: dtypes do not fit.
        RuntimeError: delay requires a gradient, and the mode has none.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> series = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]).view(5, 1, 1)  # two of the past, then a spike in step 0
        >>> delay = torch.tensor([[0.5]], requires_grad=True)  # ms
        >>> y = ops.delayed_dense_run(series, torch.ones(1, 1), delay, dt=1.0, slots=3, max_delay=2.0, mode="linear")
        >>> y.flatten().tolist()
        [0.5, 0.5, 0.0]
        >>> y[1].sum().backward()
        >>> delay.grad  # a longer delay moves the spike towards step 1
        tensor([[1.]])
    """
    series, weight, bias = widened(series, weight, bias)
    check_floating("weight", weight)
    if series.ndim != 3:
        raise ValueError(f"series had shape {shape_text(series.shape)}; it must be (slots - 1 + steps, batch, inputs)")
    if weight.ndim != 2 or weight.shape[1] != series.shape[2]:
        raise ValueError(f"weight had shape {shape_text(weight.shape)}; it must be (outputs, {series.shape[2]})")
    timing = _timing(dt, slots, max_delay, mode, time_constant, tolerance, overbound)
    return _run("delayed_dense_run", series, weight, delay, plan, bias, scale, timing, reference.DENSE)


def delayed_direct_run(
    series: torch.Tensor,
    weight: torch.Tensor,
    delay: torch.Tensor,
    *,
    dt: float,
    slots: int,
    max_delay: float,
    mode: str = "previous",
    time_constant: float | None = None,
    tolerance: float = 0.0,
    overbound: float | None = 0.0,
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
    plan: DelayPlan | None = None,
) -> torch.Tensor:
    """Every output has one term, from the input of its own number, in every step of a sequence.

    What :func:`delayed_direct` gives in every step, bit for bit.

    Args:
        series: ``[slots - 1 + T, B, O]``, any strides, bool or of weight's dtype.
        weight: ``[O]``.
        delay: ``[O]``, ms.
        dt, slots, max_delay, mode, time_constant, tolerance, overbound, bias, scale, plan: as for
            :func:`delayed_dense_run`.

    Returns:
        ``[T, B, O]``, of weight's dtype; differentiable as :func:`delayed_dense_run`.

    Raises:
        ValueError, TypeError, RuntimeError: as :func:`delayed_dense_run`.
    """
    series, weight, bias = widened(series, weight, bias)
    check_floating("weight", weight)
    if series.ndim != 3:
        raise ValueError(f"series had shape {shape_text(series.shape)}; it must be (slots - 1 + steps, batch, inputs)")
    if weight.shape != series.shape[2:]:
        raise ValueError(f"weight had shape {shape_text(weight.shape)}; it must be ({series.shape[2]},)")
    timing = _timing(dt, slots, max_delay, mode, time_constant, tolerance, overbound)
    return _run("delayed_direct_run", series, weight, delay, plan, bias, scale, timing, reference.DIRECT)


def delayed_conv2d_run(
    series: torch.Tensor,
    weight: torch.Tensor,
    delay: torch.Tensor,
    *,
    dt: float,
    slots: int,
    max_delay: float,
    mode: str = "previous",
    time_constant: float | None = None,
    tolerance: float = 0.0,
    overbound: float | None = 0.0,
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
    plan: DelayPlan | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> torch.Tensor:
    """A convolution over images, every tap of every filter with its own delay, in every step of a sequence.

    What :func:`delayed_conv2d` gives in every step, bit for bit.

    Args:
        series: ``[slots - 1 + T, B, C, H, W]``, bool or of weight's dtype; copied where pixels and channels do not lie
            at even distances in memory.
        weight: ``[F, C, kernel height, kernel width]``.
        delay: of weight's shape, ms.
        dt, slots, max_delay, mode, time_constant, tolerance, overbound, scale, plan: as for :func:`delayed_dense_run`.
        bias: ``[F]``.
        stride, padding, dilation: as for ``torch.nn.functional.conv2d``, pairs (vertical, horizontal).

    Returns:
        ``[T, B, F, Ho, Wo]``, of weight's dtype; differentiable as :func:`delayed_dense_run`.

    Raises:
        ValueError, TypeError, RuntimeError: as :func:`delayed_dense_run`, and ValueError if the kernel is larger than
            the padded image.
    """
    series, weight, bias = widened(series, weight, bias)
    check_floating("weight", weight)
    if series.ndim != 5:
        raise ValueError(
            f"series had shape {shape_text(series.shape)}; it must be (slots - 1 + steps, batch, channels, height, "
            "width)"
        )
    if weight.ndim != 4 or weight.shape[1] != series.shape[2]:
        raise ValueError(
            f"weight had shape {shape_text(weight.shape)}; it must be (filters, {series.shape[2]}, kernel height, "
            "width)"
        )
    geometry = check_convolution(series.shape[3:], weight, stride, padding, dilation)
    timing = _timing(dt, slots, max_delay, mode, time_constant, tolerance, overbound)
    out = _run("delayed_conv2d_run", series.flatten(2), weight, delay, plan, bias, scale, timing, geometry)
    return out.unflatten(2, (len(weight), *places(weight, geometry_numbers(geometry))))


def _timing(dt, slots, max_delay, mode, time_constant, tolerance, overbound):
    return {
        "dt": dt,
        "slots": slots,
        "max_delay": max_delay,
        "mode": mode,
        "time_constant": time_constant,
        "tolerance": tolerance,
        "overbound": overbound,
    }
