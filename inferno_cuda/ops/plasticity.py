"""Correlations of the two sides of synapses: what the pairs of spikes of a step add up to, over a batch.

Where one side is spikes, only those that there are cost anything, and the terms are added one by one in ascending
order: the same bits on every backend and device, for any number of threads. Nothing of size batch x weights exists.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.autograd import forward_ad

from .. import reference
from ._plasticity_checks import check_sides, check_times, convolution_of, delays_of
from .backend import native_on_cpu, runs_native, transformed
from .common import needs_graph, shape_text
from .delay_plan import DelayPlan
from .native import status

_FLOATING = {
    dtype: number for number, dtype in enumerate((torch.float32, torch.float64, torch.float16, torch.bfloat16))
}

if status.loaded:
    _raw_correlate = torch.ops.inferno_cuda.correlate.default

    @torch.library.register_fake("inferno_cuda::correlate")
    def _(post, pre, pointer, slot, factor, type, linear, scale, overbound, geometry):
        sizes = post.shape[1:2]
        if len(geometry) != 1:
            sizes = (*sizes, pre.shape[-3 if geometry else -1], *geometry[:2])
        return post.new_empty(sizes, dtype=list(_FLOATING)[type])


def _plain(post, pre, pointer, plan, scale, shape, numbers):
    """The op on the CPU where nothing needs a gradient; None if the kernel does not take the tensors.

    It checks its arguments: repeating that here would cost as much as what few spikes add up to.
    """
    if plan is None or pointer is None or not native_on_cpu() or torch.compiler.is_compiling() or transformed():
        return None
    if not (post.is_cpu and pre.is_cpu and pointer.is_cpu and plan.slot.is_cpu) or plan.slope is not None:
        return None
    if plan.slots != pre.shape[0] or plan.slot.shape != shape or torch.is_autocast_enabled("cpu"):
        return None
    if forward_ad._current_level >= 0 or ((post.requires_grad or pre.requires_grad) and torch.is_grad_enabled()):
        return None
    type = _FLOATING.get(pre.dtype if post.dtype == torch.bool else post.dtype)
    if type is None:
        return None
    slot, factor, linear, overbound = plan.slot, plan.factor, plan.linear, plan.overbound
    try:
        return _raw_correlate(post, pre, pointer, slot, factor, type, linear, scale, overbound, numbers)
    except (RuntimeError, TypeError):
        return None  # the checks of the caller name what was wrong


def prepare_correlation(
    post: torch.Tensor, pre: torch.Tensor, pointer: torch.Tensor, plan: DelayPlan, scale: float
) -> Callable[[], torch.Tensor | None]:
    """:func:`correlate_dense` of the same tensors again and again, whose values change, on the CPU without gradients.

    Args:
        post, pre, pointer, plan, scale: as there.

    Returns:
        What computes it; it gives None where :func:`correlate_dense` has to be called.
    """
    type = _FLOATING.get(pre.dtype if post.dtype == torch.bool else post.dtype)
    taken = (pointer, plan.slot, plan.factor, type, plan.linear, scale, plan.overbound, ())

    def correlation() -> torch.Tensor | None:
        if not native_on_cpu() or torch.compiler.is_compiling() or transformed():
            return None
        if forward_ad._current_level >= 0 or torch.is_autocast_enabled("cpu"):
            return None
        try:
            return _raw_correlate(post, pre, *taken)
        except (RuntimeError, TypeError):
            return None

    return correlation


def _correlate(op, post, pre, pointer, plan, scale, shape, geometry, numbers):
    """Checks the plan and runs the op; `shape` is that of the weights."""
    post, pre, dtype = check_sides(post, pre)
    delays = delays_of(pre, pointer, plan, shape, dtype)
    scale = float(scale)
    if delays is None and post.dtype != torch.bool and pre.dtype != torch.bool:
        return reference.product_of_floats(post, pre, scale=scale, geometry=geometry, shape=shape, dtype=dtype)
    if not runs_native(post, op) or needs_graph(post, pre):
        return reference.correlate(post, pre, delays, shape=shape, geometry=geometry, scale=scale, dtype=dtype)
    type = _FLOATING[dtype]
    if delays is None:
        return _raw_correlate(post, pre, None, None, None, type, False, scale, 0.0, numbers)
    pointer, slot, factor, linear, overbound = delays
    return _raw_correlate(post, pre, pointer, slot, factor, type, linear, scale, overbound, numbers)


def correlate_dense(
    post: torch.Tensor,
    pre: torch.Tensor,
    pointer: torch.Tensor | None = None,
    plan: DelayPlan | None = None,
    *,
    scale: float = 1.0,
) -> torch.Tensor:
    """For every synapse of a dense connection, the sum over the batch of its output's value times its input's.

    ``out[o, i] = scale * sum_b post[b, o] * z`` with ``z`` the value of input ``i`` in sample ``b``, or with a plan its
    history at ``delay[o, i]``. A pair with a 0 adds nothing, whatever the other value is.

    Without delays, two sides of floating dtypes are a matrix product of PyTorch. With bool spikes on one side the cost
    is that of writing the result and of the pairs whose spike there is.

    Args:
        post: ``[B, O]``, bool or floating, any strides.
        pre: ``[B, I]``, bool or floating; with a plan a ring of N of these, ``[N, B, I]``.
        pointer: int64 tensor of shape ``()``: the slot of the ring that is written next. Needed with a plan.
        plan: of the delays ``[O, I]``, see :func:`delay_plan`.
        scale: multiplies the sums, such as ``1 / B`` for a mean.

    Returns:
        ``[O, I]`` in the floating dtype of `post` and `pre`; in the default dtype if both are bool. Differentiable in
        both, in torch.

    Raises:
        ValueError: shapes or devices do not fit, or one of `pointer` and `plan` is missing.
        TypeError: dtypes do not fit.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> spikes = torch.tensor([[True, False], [True, True]])
        >>> trace = torch.tensor([[1.0, 0.5, 0.0], [0.0, 2.0, 3.0]])
        >>> ops.correlate_dense(spikes, trace)
        tensor([[1.0000, 2.5000, 3.0000],
                [0.0000, 2.0000, 3.0000]])
    """
    if post.ndim == 2 and pre.ndim == 3:
        found = _plain(post, pre, pointer, plan, scale, (post.shape[1], pre.shape[2]), ())
        if found is not None:
            return found
    check_times(pre, pointer, plan, 2, "batch, inputs")
    if post.ndim != 2 or post.shape[0] != pre.shape[-2]:
        raise ValueError(f"post had shape {shape_text(post.shape)}; it must be ({pre.shape[-2]}, outputs) to fit pre")
    shape = (post.shape[1], pre.shape[-1])
    return _correlate("correlate_dense", post, pre, pointer, plan, scale, shape, reference.DENSE, ())


def correlate_direct(
    post: torch.Tensor,
    pre: torch.Tensor,
    pointer: torch.Tensor | None = None,
    plan: DelayPlan | None = None,
    *,
    scale: float = 1.0,
) -> torch.Tensor:
    """As :func:`correlate_dense` if every output has one synapse, from the input of its own number.

    ``out[o] = scale * sum_b post[b, o] * z`` with ``z`` the value of input ``o``.

    Args:
        post: ``[B, O]``.
        pre: ``[B, O]``; with a plan a ring of these, ``[N, B, O]``.
        pointer, scale: as for :func:`correlate_dense`.
        plan: of the delays ``[O]``.

    Returns:
        ``[O]``.

    Raises:
        ValueError, TypeError: as :func:`correlate_dense`.
    """
    check_times(pre, pointer, plan, 2, "batch, outputs")
    if post.shape != pre.shape[-2:]:
        raise ValueError(f"post had shape {shape_text(post.shape)}; it must be {shape_text(pre.shape[-2:])} to fit pre")
    shape = tuple(post.shape[1:])
    return _correlate("correlate_direct", post, pre, pointer, plan, scale, shape, reference.DIRECT, (1,))


def correlate_conv2d(
    post: torch.Tensor,
    pre: torch.Tensor,
    pointer: torch.Tensor | None = None,
    plan: DelayPlan | None = None,
    *,
    kernel: tuple[int, int],
    scale: float = 1.0,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> torch.Tensor:
    """For every tap of a convolution's filters, the sum over batch and places of the values that meet at it.

    ``out[f, k] = scale * sum over b and p of post[b, f, p] * z`` with ``z`` the value, or with a plan the history at
    ``delay[f, k]``, of the pixel that the tap ``k = (channel, row, column)`` of the kernel at place ``p`` lies on. Taps
    outside the image add nothing. Without delays, two sides of floating dtypes are a gradient of PyTorch's
    convolution.

    Args:
        post: ``[B, F, Ho, Wo]``.
        pre: ``[B, C, H, W]``, pixels; with a plan a ring of these, ``[N, B, C, H, W]``.
        pointer, scale: as for :func:`correlate_dense`.
        plan: of the delays ``[F, C, kernel height, kernel width]``.
        kernel, stride, padding, dilation: pairs (vertical, horizontal).

    Returns:
        ``[F, C, kernel height, kernel width]``.

    Raises:
        ValueError, TypeError: as :func:`correlate_dense`, and ValueError if the kernel is larger than the padded image.
    """
    check_times(pre, pointer, plan, 4, "batch, channels, height, width")
    shape, geometry, numbers = convolution_of(post, pre, kernel, stride, padding, dilation, "post")
    return _correlate("correlate_conv2d", post, pre, pointer, plan, scale, shape, geometry, numbers)
