"""Weighted sums over a history in which every synapse looks back by its own delay.

The ops differ in which input a synapse looks at. The terms of an output are added one by one in ascending order, so the
result is the same, bit for bit, on every backend and device, for any batch size and number of threads.
"""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

from .. import reference
from ._delayed_checks import check_bias, check_convolution, check_plan, check_samples
from ._delayed_native import RunOptions, bias_gradient, geometry_numbers, gradients
from .backend import native_on_cpu, runs_native, transformed
from .common import check_floating, check_pointer, forbid_second_derivatives, needs_graph, shape_text, widened
from .delay_plan import DelayPlan
from .native import status

_RAW = {}

if status.loaded:
    _RAW = {
        "delayed_dense": torch.ops.inferno_cuda.delayed_dense.default,
        "delayed_direct": torch.ops.inferno_cuda.delayed_direct.default,
        "delayed_conv2d": torch.ops.inferno_cuda.delayed_conv2d.default,
    }

    @torch.library.register_fake("inferno_cuda::delayed_dense")
    def _(data, pointer, weight, bias, slot, factor, linear, scale, overbound):
        return torch.empty(data.shape[1], weight.shape[0], dtype=weight.dtype, device=weight.device)

    @torch.library.register_fake("inferno_cuda::delayed_direct")
    def _(data, pointer, weight, bias, slot, factor, linear, scale, overbound):
        return torch.empty(data.shape[1:], dtype=weight.dtype, device=weight.device)

    @torch.library.register_fake("inferno_cuda::delayed_conv2d")
    def _(data, pointer, weight, bias, slot, factor, linear, scale, overbound, *geometry):
        pairs = zip(geometry[0:2], geometry[2:4], geometry[4:6], strict=True)
        size = [
            (pixels + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for pixels, kernel, (stride, padding, dilation) in zip(
                data.shape[3:], weight.shape[2:], pairs, strict=True
            )
        ]
        return torch.empty(data.shape[1], weight.shape[0], *size, dtype=weight.dtype, device=weight.device)


def _plain_sum(op, data, pointer, weight, plan, bias, scale, *geometry):
    """The sum on the CPU where nothing needs a gradient; None if the kernel does not take the tensors.

    The kernel checks all but what is checked here: repeating the rest would cost as much as a small sum.
    """
    if forward_ad._current_level >= 0 or not native_on_cpu() or torch.compiler.is_compiling() or transformed():
        return None
    if plan.slope is not None:
        return None  # there may be a gradient with respect to the delays
    slot, factor = plan.slot, plan.factor
    if not (data.is_cpu and pointer.is_cpu and weight.is_cpu and slot.is_cpu):
        return None
    if not ((bias is None or bias.is_cpu) and (factor is None or factor.is_cpu)):
        return None
    gradient = weight.requires_grad or data.requires_grad or (bias is not None and bias.requires_grad)
    if (gradient and torch.is_grad_enabled()) or plan.slots != data.shape[0] or slot.shape != weight.shape:
        return None
    numbers = [number for pair in geometry for number in pair]
    try:
        return _RAW[op](data, pointer, weight, bias, slot, factor, plan.linear, scale, plan.overbound, *numbers)
    except (RuntimeError, TypeError):
        return None  # the checks of the caller name what was wrong; what the kernel does not read as it is is copied


def _native(op, data, pointer, weight, bias, slot, factor, linear, scale, overbound, geometry):
    bias = None if bias is None else bias.contiguous()
    pairs = (geometry.stride, geometry.padding, geometry.dilation) if op == "delayed_conv2d" else ()
    numbers = (number for pair in pairs for number in pair)
    return _RAW[op](data, pointer, weight.contiguous(), bias, slot, factor, linear, scale, overbound, *numbers)


class _DelayedSum(torch.autograd.Function):
    """The kernel of a step; backward is that of a sequence of one."""

    @staticmethod
    def forward(op, data, pointer, weight, bias, shift, slot, factor, linear, scale, overbound, geometry, slope):
        return _native(op, data, pointer, weight, bias, slot, factor, linear, scale, overbound, geometry)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.op, data, pointer, weight, _, _, slot, factor, linear, scale, overbound, geometry, slope = inputs
        numbers = geometry_numbers(geometry)
        ctx.options = RunOptions(data.shape[0], linear, scale, overbound, numbers, *slope)
        _, wants_data, _, wants_weight, _, wants_shift, *_ = ctx.needs_input_grad
        ctx.wants = wants_data, wants_weight, wants_shift
        if any(ctx.wants):
            # The pointer moves on before backward runs; the data must not change (RecordTensor.hold sees to it).
            ctx.save_for_backward(data, pointer.clone(), weight, slot, factor)

    @staticmethod
    def backward(ctx, grad):
        forbid_second_derivatives(ctx.op)
        grad_data = grad_weight = grad_shift = grad_bias = None
        if any(ctx.wants):
            data, pointer, weight, slot, factor = ctx.saved_tensors
            series, reaching = reference.ring_series(data, pointer), grad.flatten(1).unsqueeze(0)
            found = gradients(reaching, series, weight, slot, factor, ctx.options, ctx.wants)
            grad_series, grad_weight, grad_shift = found
            if grad_series is not None:
                order = (pointer + torch.arange(data.shape[0], device=data.device)).remainder(data.shape[0])
                grad_data = torch.zeros_like(data).index_copy_(0, order, grad_series.view(data.shape))
        if ctx.needs_input_grad[4]:
            grad_bias = bias_gradient(grad.flatten(2).unsqueeze(0) if grad.ndim > 2 else grad.view(1, *grad.shape, 1))
        return None, grad_data, None, grad_weight, grad_bias, grad_shift, *(None,) * 7


def _sum(op, data, pointer, weight, plan, bias, scale, geometry=reference.DENSE):
    """Checks all but the shapes of data and weight, and runs the op."""
    check_samples("data", data, weight)
    check_pointer(pointer, data)
    check_plan(plan, weight, data.shape[0])
    check_bias(bias, weight)
    factor, slope = plan.factor, plan.slope
    compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
    if factor is not None and factor.dtype != compute:
        factor = factor.to(compute)
    if not runs_native(weight, op):
        pairs = {"stride": geometry.stride, "padding": geometry.padding, "dilation": geometry.dilation}
        options = {"linear": plan.linear, "scale": float(scale), "overbound": plan.overbound, "slope": slope}
        options |= pairs if op == "delayed_conv2d" else {}
        return getattr(reference, op)(data, pointer, weight, bias, plan.slot, factor, **options)
    options = (plan.linear, float(scale), plan.overbound, geometry)
    shift = None if slope is None else slope.shift
    if needs_graph(data, weight, bias, shift):
        how = (False, None) if slope is None else (slope.linear, slope.unit)
        return _DelayedSum.apply(op, data, pointer, weight, bias, shift, plan.slot, factor, *options, how)
    return _native(op, data, pointer, weight, bias, plan.slot, factor, *options)


def delayed_dense(
    data: torch.Tensor,
    pointer: torch.Tensor,
    weight: torch.Tensor,
    plan: DelayPlan,
    *,
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
) -> torch.Tensor:
    """Every output sums over all inputs.

    ``y[b, o] = bias[o] + sum_i weight[o, i] * z`` with ``z`` the history of ``(b, i)`` at ``delay[o, i]``. Nothing of
    size batch x inputs x outputs is allocated.

    Args:
        data: ring of N observations, ``[N, B, I]``, any strides, bool or of weight's dtype. The batch innermost in
            memory is fastest.
        pointer: int64 tensor of shape ``()``: the slot that is written next.
        weight: ``[O, I]``.
        plan: of the delays ``[O, I]``, see :func:`delay_plan`.
        bias: ``[O]``.
        scale: what True stands for in a bool history, nA.

    Returns:
        ``[B, O]``, of weight's dtype. Differentiable in data, weight and bias, and in the delays that
        plan was made for, see :func:`delay_plan`.

    Raises:
        ValueError: shapes or devices do not fit.
        TypeError: dtypes do not fit.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> ring = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]).unsqueeze(1)  # 3 samples, the newest last
        >>> pointer = torch.tensor(0)
        >>> delay = torch.tensor([[0.0, 1.0], [2.0, 9.0]])  # ms; 9 is out of range
        >>> plan = ops.delay_plan(delay, dt=1.0, slots=3, max_delay=2.0)
        >>> ops.delayed_dense(ring, pointer, torch.ones(2, 2), plan)
        tensor([[23.,  1.]])
    """
    out = _plain_sum("delayed_dense", data, pointer, weight, plan, bias, scale)
    if out is not None:
        return out
    data, weight, bias = widened(data, weight, bias)
    check_floating("weight", weight)
    if data.ndim != 3:
        raise ValueError(f"data had shape {shape_text(data.shape)}; it must be (slots, batch, inputs)")
    if weight.ndim != 2 or weight.shape[1] != data.shape[2]:
        raise ValueError(f"weight had shape {shape_text(weight.shape)}; it must be (outputs, {data.shape[2]})")
    return _sum("delayed_dense", data, pointer, weight, plan, bias, scale)


def delayed_direct(
    data: torch.Tensor,
    pointer: torch.Tensor,
    weight: torch.Tensor,
    plan: DelayPlan,
    *,
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
) -> torch.Tensor:
    """Every output has one term, from the input of its own number.

    ``y[b, o] = bias[o] + weight[o] * z`` with ``z`` the history of ``(b, o)`` at ``delay[o]``.

    Args:
        data: ring of N observations, ``[N, B, O]``, any strides, bool or of weight's dtype. The batch innermost in
            memory is fastest.
        pointer, bias, scale: as for :func:`delayed_dense`.
        weight: ``[O]``.
        plan: of the delays ``[O]``.

    Returns:
        ``[B, O]``, of weight's dtype. Differentiable in data, weight and bias, and in the delays that
        plan was made for, see :func:`delay_plan`.

    Raises:
        ValueError, TypeError: as :func:`delayed_dense`.
    """
    out = _plain_sum("delayed_direct", data, pointer, weight, plan, bias, scale)
    if out is not None:
        return out
    data, weight, bias = widened(data, weight, bias)
    check_floating("weight", weight)
    if data.ndim != 3:
        raise ValueError(f"data had shape {shape_text(data.shape)}; it must be (slots, batch, inputs)")
    if weight.shape != data.shape[2:]:
        raise ValueError(f"weight had shape {shape_text(weight.shape)}; it must be ({data.shape[2]},)")
    return _sum("delayed_direct", data, pointer, weight, plan, bias, scale, reference.DIRECT)


def delayed_conv2d(
    data: torch.Tensor,
    pointer: torch.Tensor,
    weight: torch.Tensor,
    plan: DelayPlan,
    *,
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> torch.Tensor:
    """A convolution over an image in which every tap of every filter looks back by its own delay.

    ``y[b, f, p] = bias[f] + sum_k weight[f, k] * z`` with ``z`` the history, at ``delay[f, k]``, of the pixel that the
    tap ``k = (channel, row, column)`` of the kernel at place ``p`` lies on. Taps outside the image contribute nothing.
    The history is read where it lies: there is no unfolded copy of it.

    Args:
        data: ring of N images, ``[N, B, C, H, W]``, any strides, bool or of weight's dtype. The batch innermost in
            memory, and columns next, is fastest.
        pointer, bias, scale: as for :func:`delayed_dense`, with ``bias`` of shape ``[F]``.
        weight: ``[F, C, kernel height, kernel width]``.
        plan: of delays in the shape of weight.
        stride, padding, dilation: as for ``torch.nn.functional.conv2d``, pairs (vertical, horizontal).

    Returns:
        ``[B, F, Ho, Wo]``, of weight's dtype. Differentiable in data, weight and bias, and in the delays that
        plan was made for, see :func:`delay_plan`.

    Raises:
        ValueError, TypeError: as :func:`delayed_dense`, and ValueError if the kernel is larger than the padded image.
    """
    out = _plain_sum("delayed_conv2d", data, pointer, weight, plan, bias, scale, stride, padding, dilation)
    if out is not None:
        return out
    data, weight, bias = widened(data, weight, bias)
    check_floating("weight", weight)
    if data.ndim != 5:
        raise ValueError(
            f"data had shape {shape_text(data.shape)}; it must be (slots, batch, channels, height, width)"
        )
    if weight.ndim != 4 or weight.shape[1] != data.shape[2]:
        raise ValueError(
            f"weight had shape {shape_text(weight.shape)}; it must be (filters, {data.shape[2]}, kernel height, width)"
        )
    geometry = check_convolution(data.shape[3:], weight, stride, padding, dilation)
    return _sum("delayed_conv2d", data, pointer, weight, plan, bias, scale, geometry)

