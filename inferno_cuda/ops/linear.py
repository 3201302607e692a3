"""Sums of dense connections without delays."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.autograd import forward_ad

from .backend import native_on_cpu, transformed
from .common import has_memory
from .native import status

if status.loaded:
    _raw = torch.ops.inferno_cuda.dense_sum.default

    @torch.library.register_fake("inferno_cuda::dense_sum")
    def _(inputs, weight, bias):
        return inputs.new_empty(inputs.shape[0], weight.shape[0])


class _Linear(torch.autograd.Function):
    """The gradients of a linear layer."""

    @staticmethod
    def setup_context(ctx, inputs, output):
        data, weight = inputs[:2]
        # each for the other's gradient alone: what nobody needs may be changed before the pass backwards
        of_inputs, of_weight = ctx.needs_input_grad[:2]
        ctx.save_for_backward(data if of_weight else None, weight if of_inputs else None)

    @staticmethod
    def backward(ctx, gradient):
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        return (
            gradient @ weight if of_inputs else None,
            gradient.t() @ inputs if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


class _DenseSum(_Linear):
    """The kernel."""

    @staticmethod
    def forward(inputs, weight, bias):
        return _raw(inputs, weight, bias)


class DenseGraph(_Linear):
    """Zeros in the place of :func:`dense_sum`, with its gradients."""

    @staticmethod
    def forward(inputs, weight, bias):
        return inputs.new_zeros(()).expand(len(inputs), len(weight))


def dense_sum(inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """``torch.nn.functional.linear``; on the CPU, samples with few inputs add those alone, in ascending order.

    Few are at most one in 16 that is not 0. What meets a 0 is not looked at there, so that an infinite weight that no
    input reaches adds nothing. A sample's sum does not depend on the others then, nor on the number of threads.

    Args:
        inputs: ``[B, I]``.
        weight: ``[O, I]``, of the dtype of the inputs.
        bias: ``[O]``, or None.

    Returns:
        ``[B, O]``. Differentiable.
    """
    tensors = (inputs, weight) if bias is None else (inputs, weight, bias)
    if not native_on_cpu() or torch.compiler.is_compiling() or transformed() or forward_ad._current_level >= 0:
        return F.linear(inputs, weight, bias)
    wide = inputs.dtype in (torch.float32, torch.float64) and inputs.ndim == 2 and weight.ndim == 2
    for tensor in tensors:
        wide = wide and tensor.is_cpu and tensor.dtype == inputs.dtype and has_memory(tensor)
    if not wide or torch.is_autocast_enabled("cpu"):
        return F.linear(inputs, weight, bias)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return _DenseSum.apply(inputs, weight, bias)
    return _raw(inputs, weight, bias)
