"""The kernels of delayed sums over sequences, and the gradients that steps and sequences share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from .. import reference
from .common import sum_rows
from .native import status


class RunOptions(NamedTuple):
    """What the kernels of a sequence take beside tensors.

    `geometry` is () for dense sums, (1,) for direct ones, otherwise height, width and the pairs of a convolution.
    `slope_linear` and `slope_unit` are those of a :class:`~inferno_cuda.reference.Slope`; None: without one.
    """

    slots: int
    linear: bool
    scale: float
    overbound: float
    geometry: tuple[int, ...]
    slope_linear: bool = False
    slope_unit: float | None = None


def geometry_numbers(geometry: reference.Geometry) -> tuple[int, ...]:
    if geometry is reference.DENSE:
        return ()
    if geometry.direct:
        return (1,)
    return (*geometry.image, *geometry.stride, *geometry.padding, *geometry.dilation)


def places(weight: torch.Tensor, numbers: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the outputs of a filter."""
    if len(numbers) < 2:
        return 1, 1
    return reference.Geometry(*(tuple(numbers[k : k + 2]) for k in range(0, 8, 2))).places(weight.shape[2:])


def _inputs(weight: torch.Tensor, geometry: tuple[int, ...]) -> int:
    if not geometry:
        return weight.shape[1]
    return weight.shape[0] if len(geometry) == 1 else weight.shape[1] * geometry[0] * geometry[1]


if status.loaded:
    _raw_run = torch.ops.inferno_cuda.delayed_run.default
    _raw_series = torch.ops.inferno_cuda.delayed_run_series.default
    _raw_taps = torch.ops.inferno_cuda.delayed_run_taps.default

    @torch.library.register_fake("inferno_cuda::delayed_run")
    def _(series, weight, bias, slot, factor, slots, linear, scale, overbound, geometry):
        rows, columns = places(weight, tuple(geometry))
        return weight.new_empty(series.shape[0] - (slots - 1), series.shape[1], weight.shape[0] * rows * columns)

    @torch.library.register_fake("inferno_cuda::delayed_run_series")
    def _(grad, weight, slot, factor, slots, linear, geometry):
        return weight.new_empty(grad.shape[0] + slots - 1, grad.shape[1], _inputs(weight, tuple(geometry)))

    @torch.library.register_fake("inferno_cuda::delayed_run_taps")
    def _(grad, series, weight, slot, slots, newer, scale, overbound, geometry):
        compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
        older = weight.new_empty(weight.shape, dtype=compute)
        return older, weight.new_empty(weight.shape if newer else (0,), dtype=compute)


def _laid_out(sequence: torch.Tensor) -> torch.Tensor:
    """[times, B, rest] with time and batch innermost in memory where a GPU reads it: its lanes are those."""
    return sequence.permute(2, 0, 1).contiguous().permute(1, 2, 0) if sequence.is_cuda else sequence


def run_native(series, weight, bias, slot, factor, options: RunOptions) -> torch.Tensor:
    """[T, B, outputs]; series: [slots - 1 + T, B, inputs]."""
    bias = None if bias is None else bias.contiguous()
    return _raw_run(_laid_out(series), weight.contiguous(), bias, slot, factor, *options[:5])


class Kernels(NamedTuple):
    """What makes the gradients of a map of inputs to outputs.

    Attributes:
        laid_out: brings a sequence [times, B, rest] to the layout that they take.
        series: (grad, weight, slot, factor, options) to the gradient of the series.
        taps: (grad, series, weight, slot, newer, options) to the correlations of each synapse with the samples at its
            age, and if newer, with those after it.
    """

    laid_out: Callable[[torch.Tensor], torch.Tensor]
    series: Callable[..., torch.Tensor]
    taps: Callable[..., tuple[torch.Tensor, torch.Tensor]]


class _Ends(NamedTuple):
    """Correlations with the samples at both ends of the interval of each delay, and the blend towards the newer."""

    older: torch.Tensor
    newer: torch.Tensor
    blend: torch.Tensor


def _series(grad, weight, slot, factor, options: RunOptions):
    return _raw_series(grad, weight, slot, factor, options.slots, options.linear, options.geometry)


def _taps(grad, series, weight, slot, newer, options: RunOptions):
    o = options
    return _raw_taps(grad, series, weight, slot, o.slots, newer, o.scale, o.overbound, o.geometry)


CONVOLUTION = Kernels(_laid_out, _series, _taps)


def _ends(grad, series, weight, slot, factor, options: RunOptions, kernels: Kernels) -> _Ends:
    # at age 0 there is no newer sample: the interval is that from age 1, with all the weight on its newer end
    newest = slot == 0
    blend = slot.new_zeros(slot.shape, dtype=weight.dtype) if factor is None else factor
    older, newer = kernels.taps(grad, series, weight, slot.masked_fill(newest, 1), True, options)
    return _Ends(older, newer, blend.to(older.dtype).masked_fill(newest, 1.0))


def _linear_gradients(grad, series, weight, slot, factor, options: RunOptions, kernels: Kernels):
    older, newer, blend = _ends(grad, series, weight, slot, factor, options, kernels)
    # not by products with 0: what is not looked at may be infinite
    blended = torch.where(blend < 1, older * (1 - blend) + newer * blend, newer)
    grad_weight = torch.where(blend > 0, blended, older)
    return grad_weight, (older - newer) / (options.slope_unit or 1.0)


def gradients(
    grad, series, weight, slot, factor, options: RunOptions, wants: tuple[bool, bool, bool], kernels=CONVOLUTION
):
    """Gradients with respect to series, weight and the delays; None for those that are not wanted.

    grad: [T, B, outputs]; series: [slots - 1 + T, B, inputs]. wants: for the three of them.
    """
    wants_series, wants_weight, wants_delay = wants
    weight, grad = weight.contiguous(), kernels.laid_out(grad)
    grad_series = grad_weight = grad_delay = None
    if wants_series:
        grad_series = kernels.series(grad, weight, slot, factor, options)
    if wants_weight or wants_delay:
        series = kernels.laid_out(series)
        if (options.linear or (wants_delay and options.slope_linear)) and options.slots > 1:
            blend = factor if options.linear else None
            grad_weight, per_weight = _linear_gradients(grad, series, weight, slot, blend, options, kernels)
        else:
            older, _ = kernels.taps(grad, series, weight, slot, False, options)
            grad_weight = older if factor is None or options.linear else older * factor
            per_weight = torch.zeros_like(older) if options.slope_linear else grad_weight / (options.slope_unit or 1.0)
        if wants_delay:
            grad_delay = torch.where(slot == options.slots, 0.0, per_weight * weight)
        grad_weight = grad_weight.to(weight.dtype) if wants_weight else None
    return grad_series, grad_weight, grad_delay


def bias_gradient(grad):
    """Gradient with respect to biases: [T, B, outputs, places] summed over all but the outputs, in a fixed order."""
    compute = torch.float64 if grad.dtype == torch.float64 else torch.float32
    return sum_rows(grad.to(compute).transpose(2, 3).flatten(0, 2)).to(grad.dtype)
