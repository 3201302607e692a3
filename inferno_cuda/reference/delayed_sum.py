"""Sums over inputs whose every synapse has its own delay: dense, one to one, and convolution over pixels."""

import torch

from .delayed_run import DENSE, DIRECT, Geometry, delayed_run


def ring_series(data, pointer):
    """A ring [N, B, ...] as a series [N, B, inputs], the oldest sample first."""
    order = (pointer + torch.arange(data.shape[0], device=data.device)).remainder(data.shape[0])
    return data.index_select(0, order).flatten(2)


def _step(geometry, data, pointer, weight, bias, slot, factor, **options):
    series = ring_series(data, pointer)
    out = delayed_run(series, weight, bias, slot, factor, slots=data.shape[0], geometry=geometry, **options)
    return out.squeeze(0)


def delayed_dense(data, pointer, weight, bias, slot, factor, *, linear, scale, overbound, slope=None):
    """``y[b, o] = bias[o] + sum_i weight[o, i] * z[o, i, b]`` with z the history of input i at that synapse's delay.

    data: [N, B, I]. weight, slot, factor: [O, I]. Result: [B, O]. The inputs are added one by one, in ascending order:
    that fixes the rounding for every backend, and nothing of size B x I x O exists.
    """
    options = {"linear": linear, "scale": scale, "overbound": overbound, "slope": slope}
    return _step(DENSE, data, pointer, weight, bias, slot, factor, **options)


def delayed_direct(data, pointer, weight, bias, slot, factor, *, linear, scale, overbound, slope=None):
    """``y[b, o] = bias[o] + weight[o] * z[o, b]``: as :func:`delayed_dense` if only the inputs of equal number count.

    data: [N, B, O]. weight, slot, factor: [O]. Result: [B, O].
    """
    options = {"linear": linear, "scale": scale, "overbound": overbound, "slope": slope}
    return _step(DIRECT, data, pointer, weight, bias, slot, factor, **options)


def delayed_conv2d(
    data, pointer, weight, bias, slot, factor, *, linear, scale, overbound, stride, padding, dilation, slope=None
):
    """A convolution of pixels in which each tap of each filter looks back by its own delay.

    data: [N, B, C, H, W]. weight, slot, factor: [F, C, kH, kW]. Result: [B, F, Ho, Wo]. The taps are added one by one
    in the order of (channel, row, column); those outside the image contribute nothing.
    """
    geometry = Geometry(tuple(data.shape[3:]), tuple(stride), tuple(padding), tuple(dilation))
    options = {"linear": linear, "scale": scale, "overbound": overbound, "slope": slope}
    out = _step(geometry, data, pointer, weight, bias, slot, factor, **options)
    return out.unflatten(1, (len(weight), *geometry.places(weight.shape[2:])))
