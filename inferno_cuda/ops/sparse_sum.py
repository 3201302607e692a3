"""Weighted sums over synapses that are listed one by one, with and without a delay on each of them.

The terms of an output are added one by one in the order of the list, so the result is the same, bit for bit, on every
backend and device, for any batch size and number of threads.

On the CPU a step is summed over events alone where they are few: inputs that are not 0 or, with delays, whose history,
which must be of spikes, has one, if these have at most one synapse in 8, counted once for every item of the batch (or
a sixteenth of the items of a batch above 16). The order stays, and what is left out would have added 0; only a weight
that is not finite adds NaN where it meets 0 in a sum over all synapses, and nothing in one over events.
"""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

from .. import reference
from ._delayed_checks import check_plan, check_samples
from ._delayed_native import Kernels, RunOptions, bias_gradient, gradients
from .backend import native_on_cpu, runs_native, transformed
from .common import (
    check_floating,
    check_pointer,
    check_same,
    forbid_second_derivatives,
    needs_graph,
    shape_text,
    widened,
)
from .connectivity import Connectivity
from .delay_plan import DelayPlan
from .delayed_run import planned
from .native import status

if status.loaded:
    _raw_sum = torch.ops.inferno_cuda.sparse_sum.default
    _raw_transposed = torch.ops.inferno_cuda.sparse_sum_transposed.default
    _raw_taps = torch.ops.inferno_cuda.sparse_taps.default

    @torch.library.register_fake("inferno_cuda::sparse_sum")
    def _(data, pointer, weight, bias, start, partner, source_start, target_by_source, by_source, slot, factor, slots,
          linear, scale, overbound):  # fmt: skip
        steps = data.shape[0] - (slots - 1)  # of a ring: 1
        return weight.new_empty(steps, data.shape[1], start.shape[0] - 1)

    @torch.library.register_fake("inferno_cuda::sparse_sum_transposed")
    def _(grad, weight, start, partner, place, slot, factor, slots, linear):
        return weight.new_empty(start.shape[0] - 1, slots - 1 + grad.shape[0], grad.shape[1])

    @torch.library.register_fake("inferno_cuda::sparse_taps")
    def _(grad, data, source, target, slot, slots, newer, scale, overbound):
        compute = torch.float64 if grad.dtype == torch.float64 else torch.float32
        older = source.new_empty(source.shape, dtype=compute)
        return older, source.new_empty(source.shape if newer else (0,), dtype=compute)


def _laid_out(sequence: torch.Tensor) -> torch.Tensor:
    """[times, B, rest] with the batch innermost in memory and the steps next."""
    times, batch = sequence.shape[:2]
    if (batch <= 1 or sequence.stride(1) == 1) and (times <= 1 or sequence.stride(0) == batch):
        return sequence
    return sequence.permute(2, 0, 1).contiguous().permute(1, 2, 0)


def _batch_inside(ring: torch.Tensor) -> torch.Tensor:
    """[slots, B, rest] with the batch innermost in memory."""
    inside = ring.shape[1] <= 1 or ring.stride(1) == 1
    return ring if inside else ring.transpose(1, 2).contiguous().transpose(1, 2)


def _arranged(data: torch.Tensor, pointer: torch.Tensor | None, slot: torch.Tensor | None) -> torch.Tensor:
    """Data as the kernels read them: without delays, those of the CPU take one sample after another."""
    if pointer is not None:
        return _batch_inside(data)
    return data.contiguous() if slot is None and data.is_cpu else _laid_out(data)


def _native(data, pointer, weight, bias, slot, factor, start, source, transposed, options: RunOptions):
    data = _arranged(data, pointer, slot)
    bias = None if bias is None else bias.contiguous()
    return _raw_sum(data, pointer, weight.contiguous(), bias, start, source, *transposed, slot, factor, *options[:4])


class _SparseSum(torch.autograd.Function):
    """The sums of a sequence, or of a ring as a sequence of one. Keeps its arguments for backward, and nothing else."""

    @staticmethod
    def forward(data, pointer, weight, bias, shift, slot, factor, start, source, target, transposed, options):
        return _native(data, pointer, weight, bias, slot, factor, start, source, transposed, options)

    @staticmethod
    def setup_context(ctx, inputs, output):
        data, pointer, weight, _, _, slot, factor, _, source, target, transposed, ctx.options = inputs
        wants_data, _, wants_weight, _, wants_shift, *_ = ctx.needs_input_grad
        ctx.wants = wants_data, wants_weight, wants_shift
        if any(ctx.wants):
            # the pointer moves on before backward runs; the data must not change (RecordTensor.hold sees to it)
            pointer = None if pointer is None else pointer.clone()
            ctx.save_for_backward(data, pointer, weight, slot, factor, source, target, *transposed)

    @staticmethod
    def backward(ctx, grad):
        forbid_second_derivatives("a sum over listed synapses")
        grad_data = grad_weight = grad_shift = grad_bias = None
        if any(ctx.wants):
            data, pointer, weight, slot, factor, source, target, *transposed = ctx.saved_tensors
            series = data if pointer is None else reference.ring_series(data, pointer)
            kernels = _kernels(source, target, transposed)
            found = gradients(grad, series, weight, slot, factor, ctx.options, ctx.wants, kernels)
            grad_data, grad_weight, grad_shift = found
            if grad_data is not None and pointer is not None:
                order = (pointer + torch.arange(len(data), device=data.device)).remainder(len(data))
                grad_data = torch.zeros_like(data).index_copy_(0, order, grad_data)
        if ctx.needs_input_grad[3]:
            grad_bias = bias_gradient(grad.unsqueeze(3))
        return grad_data, None, grad_weight, grad_bias, grad_shift, *(None,) * 7


def _kernels(source, target, transposed) -> Kernels:
    start, partner, place = transposed

    def series(grad, weight, slot, factor, options):
        made = _raw_transposed(grad, weight, start, partner, place, slot, factor, options.slots, options.linear)
        return made.permute(1, 2, 0)

    def taps(grad, data, weight, slot, newer, options):
        return _raw_taps(grad, data, source, target, slot, options.slots, newer, options.scale, options.overbound)

    return Kernels(_laid_out, series, taps)


def _plain_sum(data, pointer, weight, bias, links, plan, slots, scale):
    """The sum on the CPU where nothing needs a gradient; None if the kernel does not take the tensors.

    The kernel checks all but what is checked here: repeating the rest would cost as much as a small sum.
    """
    if forward_ad._current_level >= 0 or not native_on_cpu() or torch.compiler.is_compiling() or transformed():
        return None
    if type(links) is not Connectivity or data.shape[-1] != links.inputs:
        return None
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (data, weight, bias)):
        return None
    slot = factor = None
    linear, overbound = False, 0.0
    if plan is not None:
        if plan.slope is not None or plan.slots != slots:
            return None
        slot, factor, linear, overbound = plan.slot, plan.factor, plan.linear, plan.overbound
    if not all(x is None or x.is_cpu for x in (data, pointer, weight, bias, links.source, slot, factor)):
        return None
    data = _arranged(data, pointer, slot)
    try:
        rows = links.start, links.source, links.source_start, links.target_by_source, links.by_source
        return _raw_sum(data, pointer, weight, bias, *rows, slot, factor, slots, linear, scale, overbound)
    except (RuntimeError, TypeError):
        return None  # the checks of the caller name what was wrong; what the kernel does not read as it is is copied


def _sum(op, data, pointer, weight, bias, links: Connectivity, plan: DelayPlan | None, slots: int, scale):
    """Checks all but the shape of data, and runs the op: [T, B, O]."""
    check_samples("data" if pointer is not None or plan is None else "series", data, weight)
    if bias is not None:
        if bias.shape != (links.outputs,):
            raise ValueError(f"bias had shape {shape_text(bias.shape)}; it must be ({links.outputs},)")
        check_same("bias", bias, "weight", weight)
    slot = factor = slope = None
    linear, overbound = False, 0.0
    if plan is not None:
        check_plan(plan, weight, slots)
        slot, factor, slope, linear, overbound = plan.slot, plan.factor, plan.slope, plan.linear, plan.overbound
    compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
    if factor is not None and factor.dtype != compute:
        factor = factor.to(compute)
    if not runs_native(weight, op):
        series = data if pointer is None else reference.ring_series(data, pointer)
        rows = reference.Links(links.source, links.start, links.degree)
        options = {"linear": linear, "scale": float(scale), "overbound": overbound, "slope": slope}
        return reference.sparse_run(series, weight, bias, slot, factor, rows, slots=slots, **options)
    how = (False, None) if slope is None else (slope.linear, float(slope.unit))
    options = RunOptions(slots, linear, float(scale), overbound, (), *how)
    shift = None if slope is None else slope.shift
    transposed = links.source_start, links.target_by_source, links.by_source
    if not needs_graph(data, weight, bias, shift):
        return _native(data, pointer, weight, bias, slot, factor, links.start, links.source, transposed, options)
    sides = links.start, links.source, links.target, transposed
    return _SparseSum.apply(data, pointer, weight, bias, shift, slot, factor, *sides, options)


def _check(name: str, samples: torch.Tensor, weight: torch.Tensor, links: Connectivity) -> None:
    check_floating("weight", weight)
    if not isinstance(links, Connectivity):
        raise TypeError(f"links was {type(links).__name__}; it must be a Connectivity, as ops.connectivity makes it")
    if samples.shape[-1:] != (links.inputs,):
        shape = shape_text(samples.shape)
        raise ValueError(f"{name} had shape {shape}; its last size must be {links.inputs}, the inputs")
    if weight.shape != (links.synapses,):
        raise ValueError(f"weight had shape {shape_text(weight.shape)}; it must be ({links.synapses},), the synapses")
    if links.source.device != weight.device:
        raise ValueError(f"links were on {links.source.device}; they must be on {weight.device} like weight")


def sparse_sum(
    data: torch.Tensor,
    weight: torch.Tensor,
    links: Connectivity,
    *,
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
) -> torch.Tensor:
    """Every output sums over the synapses that it has.

    ``y[..., o] = bias[o]`` plus ``weight[s] * data[..., source[s]]`` for its synapses s, in the order of the list.

    Args:
        data: ``[..., I]``, bool or of weight's dtype.
        weight: ``[S]``.
        links: the synapses, see :func:`connectivity`.
        bias: ``[O]``.
        scale: what True stands for in bool data, nA.

    Returns:
        ``[..., O]``, of weight's dtype. Differentiable in data, weight and bias.

    Raises:
        ValueError: shapes or devices do not fit.
        TypeError: dtypes do not fit.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> links = ops.connectivity(torch.tensor([0, 2, 2]), torch.tensor([1, 1, 1]), inputs=3, outputs=2)
        >>> ops.sparse_sum(torch.tensor([1.0, 10.0, 100.0]), torch.tensor([1.0, 2.0, 3.0]), links)
        tensor([  0., 501.])
    """
    out = None
    if data.ndim == 2:
        out = _plain_sum(data.unsqueeze(0), None, weight, bias, links, None, 1, scale)
    if out is None:
        data, weight, bias = widened(data, weight, bias)
        _check("data", data, weight, links)
        lanes = data.reshape(1, -1, links.inputs)
        out = _sum("sparse_sum", lanes, None, weight, bias, links, None, 1, scale)
    return out.view(*data.shape[:-1], links.outputs)


def delayed_sparse(
    data: torch.Tensor,
    pointer: torch.Tensor,
    weight: torch.Tensor,
    plan: DelayPlan,
    links: Connectivity,
    *,
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
) -> torch.Tensor:
    """Every output sums over the synapses that it has, each with a delay of its own.

    ``y[b, o] = bias[o]`` plus ``weight[s] * z`` for its synapses s, in the order of the list, with ``z`` the history of
    ``(b, source[s])`` at ``delay[s]``.

    Args:
        data: ring of N observations, ``[N, B, I]``, bool or of weight's dtype; copied unless the batch is innermost in
            memory.
        pointer: int64 tensor of shape ``()``: the slot that is written next.
        weight: ``[S]``.
        plan: of the delays ``[S]``, see :func:`delay_plan`.
        links, bias, scale: as for :func:`sparse_sum`.

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
        >>> links = ops.connectivity(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 0]), inputs=2, outputs=1)
        >>> plan = ops.delay_plan(torch.tensor([2.0, 1.0, 0.0]), dt=1.0, slots=3, max_delay=2.0)  # ms
        >>> ops.delayed_sparse(ring, torch.tensor(0), torch.ones(3), plan, links)
        tensor([[51.]])
    """
    if data.ndim != 3:
        raise ValueError(f"data had shape {shape_text(data.shape)}; it must be (slots, batch, inputs)")
    out = _plain_sum(data, pointer, weight, bias, links, plan, data.shape[0], scale)
    if out is not None:
        return out.squeeze(0)
    data, weight, bias = widened(data, weight, bias)
    _check("data", data, weight, links)
    check_pointer(pointer, data)
    return _sum("delayed_sparse", data, pointer, weight, bias, links, plan, data.shape[0], scale).squeeze(0)


def delayed_sparse_run(
    series: torch.Tensor,
    weight: torch.Tensor,
    delay: torch.Tensor,
    links: Connectivity,
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
    """Every output sums over the synapses that it has, in every step of a sequence.

    What :func:`delayed_sparse` gives in every step, bit for bit.

    Args:
        series: ``[slots - 1 + T, B, I]``, bool or of weight's dtype: what lies in the past of the first step, oldest
            first, then an observation a step; copied unless the batch is innermost in memory, and the steps next.
        weight: ``[S]``.
        delay: ``[S]``, ms.
        links, bias, scale: as for :func:`sparse_sum`.
        dt, slots, max_delay, mode, time_constant, tolerance, overbound, plan: as for :func:`delayed_dense_run`.

    Returns:
        ``[T, B, O]``, of weight's dtype; differentiable as :func:`delayed_dense_run`.

    Raises:
        ValueError, TypeError, RuntimeError: as :func:`delayed_dense_run`.
    """
    series, weight, bias = widened(series, weight, bias)
    if series.ndim != 3 or series.shape[0] < slots - 1:
        raise ValueError(
            f"series had shape {shape_text(series.shape)}; it must be (slots - 1 + steps, batch, inputs), with "
            f"slots - 1 = {slots - 1} of the past"
        )
    _check("series", series, weight, links)
    timing = {"dt": dt, "slots": slots, "max_delay": max_delay, "mode": mode, "time_constant": time_constant}
    plan = planned(delay, plan, weight, timing | {"tolerance": tolerance, "overbound": overbound})
    return _sum("delayed_sparse_run", series, None, weight, bias, links, plan, slots, scale)
