"""Pairs of spikes by their times, and traces of eligibility of each synapse of each sample."""

from __future__ import annotations

import math

import torch

from .. import reference
from ._plasticity_checks import check_sides, check_times, convolution_of, delays_of
from .backend import runs_native
from .common import (
    check_floating,
    check_same,
    check_writable,
    check_written_apart,
    forbid_gradients,
    needs_graph,
    shape_text,
    written,
)
from .delay_plan import DelayPlan
from .native import status

Rate = tuple[float, float]

if status.loaded:
    _raw_pairs = torch.ops.inferno_cuda.spike_pairs.default
    _raw_step = torch.ops.inferno_cuda.eligibility_step_.default
    _raw_sum = torch.ops.inferno_cuda.eligibility_sum.default

    @torch.library.register_fake("inferno_cuda::spike_pairs")
    def _(post, pre, pointer, slot, factor, linear, overbound, delay, sample_scale, numbers, geometry):
        sizes = post.shape[1:2]
        if len(geometry) != 1:
            sizes = (*sizes, pre.shape[-3 if geometry else -1], *geometry[:2])
        return post.new_empty(sizes), post.new_empty(sizes)

    @torch.library.register_fake("inferno_cuda::eligibility_step_")
    def _(trace, post, pre, pointer, slot, factor, linear, overbound, decay, scale, geometry):
        return None

    @torch.library.register_fake("inferno_cuda::eligibility_sum")
    def _(trace, factor):
        return torch.empty(trace.shape[1:], dtype=trace.dtype, device=trace.device)


def _rate(name: str, value: Rate) -> Rate:
    rate, constant = map(float, value)
    if not (math.isfinite(rate) and math.isfinite(constant) and constant > 0):
        raise ValueError(f"{name} was ({rate}, {constant}); it must be a finite rate and a positive time constant (ms)")
    return rate, constant


def _beside(name: str, tensor: torch.Tensor | None, shape: tuple[int, ...], post: torch.Tensor) -> None:
    if tensor is not None:
        if tuple(tensor.shape) != tuple(shape):
            raise ValueError(f"{name} had shape {shape_text(tensor.shape)}; it must be {shape_text(shape)}")
        check_same(name, tensor, "last_post", post)


def _pairs(op, post, pre, pointer, plan, delay, pos, neg, sample_scale, shape, geometry, numbers):
    check_floating("last_post", post)
    check_same("last_pre", pre, "last_post", post)
    delays = delays_of(pre, pointer, plan, shape, post.dtype)
    _beside("delay", delay, shape, post)
    _beside("sample_scale", sample_scale, (post.shape[0],), post)
    pos, neg = _rate("pos", pos), _rate("neg", neg)
    if not runs_native(post, op) or needs_graph(post, pre, delay, sample_scale):
        options = {"delay": delay, "pos": pos, "neg": neg, "sample_scale": sample_scale}
        return reference.spike_pairs(post, pre, delays, shape=shape, geometry=geometry, **options)
    pointer, slot, factor, linear, overbound = delays or (None, None, None, False, 0.0)
    delay, sample_scale = (None if t is None else t.contiguous() for t in (delay, sample_scale))
    rates = [abs(pos[0]), pos[1], abs(neg[0]), neg[1]]
    return _raw_pairs(post, pre, pointer, slot, factor, linear, overbound, delay, sample_scale, rates, numbers)


def spike_time_pairs_dense(
    last_post: torch.Tensor,
    last_pre: torch.Tensor,
    pointer: torch.Tensor | None = None,
    plan: DelayPlan | None = None,
    *,
    pos: Rate,
    neg: Rate,
    delay: torch.Tensor | None = None,
    sample_scale: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """For every synapse, exponentials of the time between the last spikes of its two sides, summed over the batch.

    ``t = last_pre - last_post - delay``: at least 0 where the output spiked last, when the input's spike had come.
    Returned are the sums of ``|rate| * exp(-|t| / constant)`` over samples with ``t >= 0`` and over those with
    ``t < 0``. Where one side has not spiked, its time is NaN, and the sample adds nothing.

    Args:
        last_post: time since the last spike of every output, ``[B, O]``, ms.
        last_pre: the same of the inputs, ``[B, I]``; with a plan a ring of N of these, ``[N, B, I]``.
        pointer: int64 tensor of shape ``()``: the slot of the ring that is written next. Needed with a plan.
        plan: where in the ring every synapse looks, see :func:`delay_plan`.
        pos: rate and time constant (ms) for ``t >= 0``.
        neg: rate and time constant (ms) for ``t < 0``.
        delay: ``[O, I]``, ms, or None: 0.
        sample_scale: ``[B]``, multiplies what every sample adds, or None.

    Returns:
        at or after, and before: ``[O, I]`` each, in the dtype of the times. Differentiable, in torch.

    Raises:
        ValueError: shapes or devices do not fit, one of `pointer` and `plan` is missing, or a constant is not positive.
        TypeError: dtypes do not fit.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> post, pre = torch.tensor([[0.0]]), torch.tensor([[10.0, torch.nan]])  # the input spiked 10 ms before
        >>> ops.spike_time_pairs_dense(post, pre, pos=(1.0, 10.0), neg=(1.0, 20.0))
        (tensor([[0.3679, 0.0000]]), tensor([[0., 0.]]))
    """
    check_times(last_pre, pointer, plan, 2, "batch, inputs", "last_pre")
    if last_post.ndim != 2 or last_post.shape[0] != last_pre.shape[-2]:
        raise ValueError(
            f"last_post had shape {shape_text(last_post.shape)}; it must be ({last_pre.shape[-2]}, outputs)"
        )
    shape = (last_post.shape[1], last_pre.shape[-1])
    beside = (pointer, plan, delay, pos, neg, sample_scale)
    return _pairs("spike_time_pairs_dense", last_post, last_pre, *beside, shape, reference.DENSE, ())


def spike_time_pairs_direct(
    last_post: torch.Tensor,
    last_pre: torch.Tensor,
    pointer: torch.Tensor | None = None,
    plan: DelayPlan | None = None,
    *,
    pos: Rate,
    neg: Rate,
    delay: torch.Tensor | None = None,
    sample_scale: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """As :func:`spike_time_pairs_dense` if every output has one synapse, from the input of its own number.

    Args:
        last_post: ``[B, O]``, ms.
        last_pre: ``[B, O]``; with a plan a ring of these, ``[N, B, O]``.
        pointer, plan, pos, neg, sample_scale: as for :func:`spike_time_pairs_dense`.
        delay: ``[O]``, ms, or None.

    Returns:
        at or after, and before: ``[O]`` each.

    Raises:
        ValueError, TypeError: as :func:`spike_time_pairs_dense`.
    """
    check_times(last_pre, pointer, plan, 2, "batch, outputs", "last_pre")
    if last_post.shape != last_pre.shape[-2:]:
        raise ValueError(
            f"last_post had shape {shape_text(last_post.shape)}; it must be {shape_text(last_pre.shape[-2:])}"
        )
    shape = tuple(last_post.shape[1:])
    beside = (pointer, plan, delay, pos, neg, sample_scale)
    return _pairs("spike_time_pairs_direct", last_post, last_pre, *beside, shape, reference.DIRECT, (1,))


def spike_time_pairs_conv2d(
    last_post: torch.Tensor,
    last_pre: torch.Tensor,
    pointer: torch.Tensor | None = None,
    plan: DelayPlan | None = None,
    *,
    kernel: tuple[int, int],
    pos: Rate,
    neg: Rate,
    delay: torch.Tensor | None = None,
    sample_scale: torch.Tensor | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> tuple[torch.Tensor, torch.Tensor]:
    """As :func:`spike_time_pairs_dense` for every tap of a convolution's filters, summed over batch and places.

    Args:
        last_post: ``[B, F, Ho, Wo]``, ms.
        last_pre: ``[B, C, H, W]``, pixels; with a plan a ring of these. Taps outside the image add nothing.
        pointer, plan, pos, neg, sample_scale: as for :func:`spike_time_pairs_dense`.
        delay: ``[F, C, kernel height, kernel width]``, ms, or None.
        kernel, stride, padding, dilation: pairs (vertical, horizontal).

    Returns:
        at or after, and before: ``[F, C, kernel height, kernel width]`` each.

    Raises:
        ValueError, TypeError: as :func:`spike_time_pairs_dense`, and ValueError if the kernel is larger than the padded
            image.
    """
    check_times(last_pre, pointer, plan, 4, "batch, channels, height, width", "last_pre")
    shape, geometry, numbers = convolution_of(last_post, last_pre, kernel, stride, padding, dilation, "last_post")
    beside = (pointer, plan, delay, pos, neg, sample_scale)
    return _pairs("spike_time_pairs_conv2d", last_post, last_pre, *beside, shape, geometry, numbers)


def eligibility_step_(
    trace: torch.Tensor,
    post: torch.Tensor,
    pre: torch.Tensor,
    pointer: torch.Tensor | None = None,
    plan: DelayPlan | None = None,
    *,
    decay: float,
    scale: float = 1.0,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> None:
    """Decays the traces of all synapses of all samples, in place, and adds what the two sides of each come to.

    ``trace[b, o, i] = trace[b, o, i] * decay + post[b, o] * z * scale`` with ``z`` the value of input ``i`` in sample
    ``b``, or with a plan its history at ``delay[o, i]``. One pass over the traces.

    Args:
        trace: ``[B, O, I]`` for a dense map, ``[B, O]`` for a direct one, ``[B, F, C, kH, kW]`` for a convolution,
            which adds the sum over its places. Contiguous for the kernels.
        post, pre, pointer, plan: as for :func:`correlate_dense`, :func:`correlate_direct`, :func:`correlate_conv2d`.
        decay: what is left of a trace after the step.
        scale: multiplies what is added.
        stride, padding, dilation: of a convolution.

    Raises:
        ValueError: shapes or devices do not fit, or elements of `trace` share memory.
        TypeError: dtypes do not fit.
        RuntimeError: a tensor requires a gradient, or `trace` overlaps another one in memory.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> trace, post = torch.ones(1, 2, 2), torch.tensor([[True, False]])
        >>> ops.eligibility_step_(trace, post, torch.tensor([[2.0, 4.0]]), decay=0.5, scale=0.25)
        >>> trace
        tensor([[[1.0000, 1.5000],
                 [0.5000, 0.5000]]])
    """
    check_floating("trace", trace)
    if trace.ndim not in (2, 3, 5):
        raise ValueError(f"trace had shape {shape_text(trace.shape)}; it must be (batch, *shape of the weights)")
    check_times(pre, pointer, plan, 4 if trace.ndim == 5 else 2, "batch, *inputs")
    post, pre, _ = check_sides(post, pre)
    for name, side in (("post", post), ("pre", pre)):
        if side.dtype != torch.bool:
            check_same(name, side, "trace", trace)
    geometry, numbers = (reference.DIRECT, (1,)) if trace.ndim == 2 else (reference.DENSE, ())
    shape = (post.shape[-1],) if trace.ndim == 2 else (post.shape[-1], pre.shape[-1])
    if trace.ndim == 5:
        shape, geometry, numbers = convolution_of(post, pre, trace.shape[3:], stride, padding, dilation, "post")
    batch = pre.shape[-4] if trace.ndim == 5 else pre.shape[-2]
    fits = post.ndim == (4 if trace.ndim == 5 else 2) and (trace.ndim != 2 or post.shape[-1] == pre.shape[-1])
    if not fits or post.shape[0] != batch or tuple(trace.shape) != (batch, *shape) or trace.device != post.device:
        raise ValueError(
            f"trace had shape {shape_text(trace.shape)} on {trace.device}, post {shape_text(post.shape)} and pre "
            f"{shape_text(pre.shape)} on {post.device}; they must fit"
        )
    delays = delays_of(pre, pointer, plan, shape, trace.dtype)
    forbid_gradients("eligibility_step_", "detach it", trace=trace, post=post, pre=pre)
    check_writable("trace", trace)
    check_written_apart({"trace": trace}, {"post": post, "pre": pre})
    if not trace.is_contiguous() or not runs_native(trace, "eligibility_step"):
        with torch.no_grad():
            options = {"geometry": geometry, "decay": float(decay), "scale": float(scale)}
            return reference.eligibility_step_(trace, post, pre, delays, **options)
    pointer, slot, factor, linear, overbound = delays or (None, None, None, False, 0.0)
    _raw_step(trace, post, pre, pointer, slot, factor, linear, overbound, float(decay), float(scale), numbers)
    return written(trace)


def eligibility_sum(trace: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """The traces of all samples weighted and summed: ``sum_b factor[b] * trace[b]``, in ascending order.

    Args:
        trace: ``[B, ...]``, as :func:`eligibility_step_` keeps them.
        factor: ``[B]``, of trace's dtype. What is multiplied with 0 adds nothing.

    Returns:
        ``[...]``. Differentiable, in torch.

    Raises:
        ValueError: shapes or devices do not fit.
        TypeError: dtypes do not fit.
    """
    check_floating("trace", trace)
    check_same("factor", factor, "trace", trace)
    if trace.ndim == 0 or factor.shape != trace.shape[:1]:
        raise ValueError(
            f"factor had shape {shape_text(factor.shape)}; it must be (batch,) of trace {shape_text(trace.shape)}"
        )
    if not runs_native(trace, "eligibility_sum") or needs_graph(trace, factor):
        return reference.eligibility_sum(trace, factor)
    return _raw_sum(trace.contiguous(), factor.contiguous())
