"""Delayed sums of every step of a sequence, and how they change with the delays."""

from typing import NamedTuple

import torch
import torch.nn.functional as F


class Geometry(NamedTuple):
    """A convolution over pixels. The other maps have one pixel; with `direct` an output sees its own input alone."""

    image: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    direct: bool = False

    def places(self, kernel):
        """Rows and columns of the outputs of a filter with a kernel of this size."""
        axes = zip(self.image, self.stride, self.padding, self.dilation, kernel, strict=True)
        return tuple((size + 2 * pad - spread * (taps - 1) - 1) // step + 1 for size, step, pad, spread, taps in axes)


#: Every output sums over all inputs.
DENSE = Geometry()
#: Every output sees the input of its own number.
DIRECT = Geometry(direct=True)


class Slope(NamedTuple):
    """How sums change with the delays: `shift` has the shape of the weights, is zero, and carries the gradient.

    `unit` is the step length (linear) or the time constant (expdecay), in ms.
    """

    shift: torch.Tensor
    linear: bool
    unit: float


class _Inward(torch.autograd.Function):
    """Zeros, from which gradients pass to the delays, but not those that would push a clamped one further outside."""

    generate_vmap_rule = True

    @staticmethod
    def forward(delay, max_delay):
        return torch.zeros_like(delay)

    @staticmethod
    def setup_context(ctx, inputs, output):
        delay, ctx.max_delay = inputs
        ctx.save_for_backward(delay)

    @staticmethod
    def backward(ctx, grad):
        (delay,) = ctx.saved_tensors
        outward = ((delay < 0) & (grad > 0)) | ((delay > ctx.max_delay) & (grad < 0))
        return torch.where(outward, 0.0, grad), None


def delay_shift(delay, max_delay):
    """The ``shift`` of a :class:`Slope`. An optimizer steps against a gradient: one below 0 makes a delay longer."""
    return _Inward.apply(delay, max_delay)


def rows(tensor):
    """[outputs, ...] as [outputs, terms]."""
    return tensor.unsqueeze(1) if tensor.ndim == 1 else tensor.flatten(1)


class Inputs:
    """What the terms of every output see of a series [times, B, inputs]."""

    def __init__(self, series, weight, slots, scale, overbound, geometry):
        self.geometry, self.slots = geometry, slots
        compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
        if series.dtype == torch.bool:
            series = torch.where(series, torch.full((), scale, dtype=compute, device=series.device), 0.0)
        top, left = geometry.padding
        border = (left, left, top, top)
        images = F.pad(series.to(compute).unflatten(2, (-1, *geometry.image)), border).movedim(2, 0)
        outside = images.new_full((), overbound).expand_as(images[:, :1])
        self.channels = torch.cat([images, outside], 1)  # [channels, times and what delays out of range see, B, H, W]
        self.outside = images.shape[1]
        self.pixels = F.pad(torch.ones(geometry.image, dtype=torch.bool, device=series.device), border)
        self.steps = torch.arange(len(series) - slots + 1, device=series.device).unsqueeze(1)
        self.kernel = tuple(weight.shape[2:]) if weight.ndim == 4 else (1, 1)

    def _seen(self, images, j):
        """The pixels under term j at every place: [..., H, W] to [..., Ho, Wo]."""
        tap, at = divmod(j % (self.kernel[0] * self.kernel[1]), self.kernel[1]), []
        for axis in range(2):
            stride, dilation = self.geometry.stride[axis], self.geometry.dilation[axis]
            behind = (self.kernel[axis] - 1 - tap[axis]) * dilation
            at.append(slice(tap[axis] * dilation, images.shape[axis - 2] - behind, stride))
        return images[..., at[0], at[1]]

    def at(self, age, j):
        """The samples of term j at the ages [outputs], in every step: [T, B, Ho, Wo, outputs]."""
        times = torch.where(age == self.slots, self.outside, self.steps + (self.slots - 1 - age))
        if self.geometry.direct:
            samples = self.channels[torch.arange(len(age), device=age.device), times]
        else:
            channel = self.channels[j // (self.kernel[0] * self.kernel[1])]
            samples = self._seen(channel, j)[times]
        return samples.movedim(1, -1)

    def inside(self, values, j):
        """The values where term j lies on a pixel, 0 elsewhere."""
        if not any(self.geometry.padding):
            return values
        return torch.where(self._seen(self.pixels, j).unsqueeze(-1), values, 0.0)


def _slope(inputs, slope, age, value, j):
    """How the value of term j changes with its delays, in units a ms; 0 where they are out of range.

    Linear: from the sample of the age to the one after it, which on the grid is the derivative from the left; at 0,
    where there is none, from the sample of age 1 to that of age 0.
    """
    inside = age != inputs.slots
    if not slope.linear:
        return torch.where(inside, value / slope.unit, 0.0)
    if inputs.slots == 1:
        return torch.zeros_like(value)
    older = torch.where(age == 0, 1, age)
    return torch.where(inside, (inputs.at(older, j) - inputs.at(older - 1, j)) / slope.unit, 0.0)


def term_of(inputs, j, weight, age, factor, linear, slope, shift):
    """Term j of every output, [T, B, Ho, Wo, outputs], from what is of its synapses [outputs]."""
    value = inputs.at(age, j)
    if factor is not None and linear:
        newer = inputs.at(torch.where(factor > 0, age - 1, age), j)
        value = torch.where(factor > 0, value + (newer - value) * factor, value)
    coefficient = weight if factor is None or linear else weight * factor
    term = coefficient * value
    if slope is None:
        return term
    return term + coefficient * (_slope(inputs, slope, age, value, j) * shift)


def delayed_run(series, weight, bias, slot, factor, *, slots, linear, scale, overbound, geometry=DENSE, slope=None):
    """The delayed sums of every step: ``y[t, b, o] = bias[o] + sum_j weight[o, j] * z[t, b, o, j]``.

    ``z`` is the sample of term j that lies ``slot[o, j]`` before step t, with ``factor`` as for :func:`delayed_dense`.
    The terms are added one by one in ascending order, which fixes the rounding for every backend.

    Args:
        series: ``[slots - 1 + T, B, inputs]``: the past, oldest first, then the steps.
        weight, slot, factor: ``[outputs, inputs]``, ``[outputs]`` or ``[filters, channels, kH, kW]``.
        slope: how to differentiate with respect to the delays, or None.

    Returns:
        ``[T, B, outputs]``; outputs are (filter, row, column) for a convolution.
    """
    inputs = Inputs(series, weight, slots, scale, overbound, geometry)
    compute = inputs.channels.dtype
    weights, ages = rows(weight).to(compute), rows(slot).long()
    factors = None if factor is None else rows(factor)
    total = None
    shifts = None if slope is None else rows(slope.shift)
    for j in range(weights.shape[1]):
        factor, shift = (None if values is None else values[:, j] for values in (factors, shifts))
        term = term_of(inputs, j, weights[:, j], ages[:, j], factor, linear, slope, shift)
        term = inputs.inside(term, j)
        total = (0.0 if total is None else total) + term  # sums begin at 0: there are none of -0
    if total is None:
        total = torch.zeros(series.shape[0] - slots + 1, series.shape[1], 1, 1, len(weights), dtype=compute)
        total = total.to(weight.device)
    if bias is not None:
        total = total + bias.to(compute)
    return total.movedim(-1, 2).flatten(2).to(weight.dtype).contiguous()
