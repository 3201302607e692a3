"""What learning rules compute for each synapse from its postsynaptic and its presynaptic side."""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from .delayed_run import DENSE


def compute_dtype(dtype):
    """What values of a dtype are computed in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


class Delays(NamedTuple):
    """Where the samples of a ring are found: `pointer` of the ring, and the fields of a plan in the weights' shape."""

    pointer: torch.Tensor
    slot: torch.Tensor
    factor: torch.Tensor | None
    linear: bool
    overbound: float


class _Samples:
    """What the synapses [F, C, kH, kW] of a map find, place by place. pre: [N, B, C, H, W]."""

    def __init__(self, pre, shape, geometry, pointer, overbound, compute):
        top, left = geometry.padding
        border = (left, left, top, top)
        self.data = F.pad(pre.to(compute), border)
        self.pixels = F.pad(torch.ones(geometry.image, dtype=torch.bool, device=pre.device), border)
        self.geometry, self.slots, self.overbound = geometry, len(pre), overbound
        self.newest = pointer - 1
        channels = shape[0] if geometry.direct else shape[1]
        places = torch.arange(channels, device=pre.device)
        self.channel = places.view(-1, 1, 1, 1) if geometry.direct else places.view(1, -1, 1, 1)
        self.taps = [torch.arange(size, device=pre.device) for size in shape[2:]]

    def _pixels(self, row, column):
        y = (row * self.geometry.stride[0] + self.taps[0] * self.geometry.dilation[0]).view(-1, 1)
        return y, column * self.geometry.stride[1] + self.taps[1] * self.geometry.dilation[1]

    def inside(self, row, column):
        return self.pixels[self._pixels(row, column)]

    def at(self, age, b, row, column):
        y, x = self._pixels(row, column)
        value = self.data[(self.newest - age).remainder(self.slots), b, self.channel, y, x]
        value = torch.where(age == self.slots, self.overbound, value)
        return torch.where(self.pixels[y, x], value, 0.0)


def full_shape(shape, geometry):
    """The shape of weights as that of a convolution's, ``[F, C, kH, kW]``."""
    return tuple(shape) if len(shape) == 4 else (shape[0], 1 if geometry.direct else shape[1], 1, 1)


def _met(post, pre):
    return torch.where((post != 0) & (pre != 0), post * pre, 0.0)


def correlate(post, pre, delays=None, *, shape, geometry=DENSE, scale=1.0, dtype):
    """``out[f, c, tap] = scale * sum over b and places of post[b, f, place] * pre[b, c, pixel under tap]``.

    What is multiplied with 0 adds nothing, whatever it is. Terms are added one by one, samples in ascending order, in
    each the places row by row: that fixes the rounding for every backend. At delays between two samples, the sums with
    either of them are blended.

    Args:
        post: ``[B, F]`` or ``[B, F, Ho, Wo]``.
        pre: ``[B, C]`` or ``[B, C, H, W]``; with delays rings of these.
        delays: a :class:`Delays`, or None.
        shape: of the weights: ``[F, C]``, ``[F]`` or ``[F, C, kH, kW]``.
        dtype: of the result.
    """
    compute = compute_dtype(dtype)
    full = full_shape(shape, geometry)
    post = post.to(compute)
    post = post if post.ndim == 4 else post[:, :, None, None]
    if delays is None:
        pointer, slot = torch.ones((), dtype=torch.int64, device=pre.device), None
        pre = pre.unsqueeze(0)
        age = torch.zeros((1, 1, 1, 1), dtype=torch.int64, device=pre.device)
        factor, linear, overbound = None, False, 0.0
    else:
        pointer, slot, factor, linear, overbound = delays
        age = slot.view(full).long()
        factor = None if factor is None else factor.view(full)
    pre = pre if pre.ndim == 5 else pre[..., None, None]
    samples = _Samples(pre, full, geometry, pointer, overbound, compute)

    def summed(age):
        total = torch.zeros(full, dtype=compute, device=post.device)
        for b in range(post.shape[0]):
            for row in range(post.shape[2]):
                for column in range(post.shape[3]):
                    value = post[b, :, row, column].view(-1, 1, 1, 1)
                    total = total + _met(value, samples.at(age, b, row, column))
        return total

    total = summed(age)
    if linear:
        newer = summed(torch.where(factor > 0, age - 1, age))
        total = torch.where(factor > 0, total + (newer - total) * factor, total)
    elif factor is not None:
        total = total * factor
    return (total * scale).to(dtype).view(shape)


def product_of_floats(post, pre, *, scale, geometry=DENSE, shape, dtype):
    """:func:`correlate` without delays where no side is spikes: a matrix product, or the gradient of a convolution."""
    compute = compute_dtype(dtype)
    post, pre = post.to(compute), pre.to(compute)
    if geometry.direct:
        total = (post * pre).sum(0)
    elif post.ndim == 2:
        total = post.t() @ pre
    else:
        options = {"stride": geometry.stride, "padding": geometry.padding, "dilation": geometry.dilation}
        total = torch.nn.grad.conv2d_weight(pre, tuple(shape), post, **options)
    return (total * scale).to(dtype)
