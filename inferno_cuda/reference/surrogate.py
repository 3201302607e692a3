"""Surrogate derivatives of the spike, their antiderivatives, and the step function with such a gradient.

``x`` is the voltage less the threshold, in mV; ``scale`` is in 1/mV. What follows from ``scale`` alone is computed in
double and rounded to the type of ``x`` once, as the kernels do.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from .exponential import exp


def _over(number, x):
    # divides once: torch takes the reciprocal first for a number over a tensor
    return x.new_full((), number) / x


def _atan(x, scale):
    u = (0.5 * math.pi * scale) * x
    return _over(0.5 * scale, 1.0 + u * u)


def _atan_smooth(x, scale):
    return 0.5 + torch.atan((0.5 * math.pi * scale) * x) / math.pi


def _sigmoid(x, scale):
    # even in x as it is written, so that no gradient is lost to cancellation above the threshold
    e = exp(-(scale * x.abs()))
    d = 1.0 + e
    return (scale * e) / (d * d)


def _sigmoid_smooth(x, scale):
    return torch.sigmoid(scale * x)


def _fast_sigmoid(x, scale):
    d = 1.0 + scale * x.abs()
    return _over(0.5 * scale, d * d)


def _fast_sigmoid_smooth(x, scale):
    u = scale * x
    return 0.5 + 0.5 * u / (1.0 + u.abs())


def _super_spike(x, scale):
    d = 1.0 + scale * x.abs()
    return _over(1.0, d * d)


def _super_spike_smooth(x, scale):
    return 0.5 + x / (1.0 + scale * x.abs())


def _triangular(x, scale):
    return scale * (1.0 - scale * x.abs()).clamp_min(0.0)


def _triangular_smooth(x, scale):
    u = (scale * x).clamp(-1.0, 1.0)
    return 0.5 + u - 0.5 * u * u.abs()


def _gaussian(x, scale):
    u = scale * x
    return (scale / math.sqrt(2.0 * math.pi)) * exp(-0.5 * (u * u))


def _gaussian_smooth(x, scale):
    return 0.5 + 0.5 * torch.erf((scale / math.sqrt(2.0)) * x)


def _boxcar(x, scale):
    return torch.where(scale * x.abs() < 0.5, x.new_full((), scale), 0.0)


def _boxcar_smooth(x, scale):
    return (0.5 + scale * x).clamp(0.0, 1.0)


def _straight_through(x, scale):
    return torch.full_like(x, scale)


def _straight_through_smooth(x, scale):
    return 0.5 + scale * x


class SurrogateForm(NamedTuple):
    """A surrogate: both are functions of ``(x, scale)``, element-wise, ``x`` in float32 or float64.

    Attributes:
        derivative: what backward passes take for the derivative of the spike.
        smooth: an antiderivative of it that is 1/2 at the threshold.
    """

    derivative: Callable
    smooth: Callable


#: The surrogates by name; their order is their number among the kernels.
SURROGATES = {
    "atan": SurrogateForm(_atan, _atan_smooth),
    "sigmoid": SurrogateForm(_sigmoid, _sigmoid_smooth),
    "fast_sigmoid": SurrogateForm(_fast_sigmoid, _fast_sigmoid_smooth),
    "super_spike": SurrogateForm(_super_spike, _super_spike_smooth),
    "triangular": SurrogateForm(_triangular, _triangular_smooth),
    "gaussian": SurrogateForm(_gaussian, _gaussian_smooth),
    "boxcar": SurrogateForm(_boxcar, _boxcar_smooth),
    "straight_through": SurrogateForm(_straight_through, _straight_through_smooth),
}


def _computed(form, x, scale):
    """Half types compute in float32 and round once."""
    compute = torch.float64 if x.dtype == torch.float64 else torch.float32
    return form(x.to(compute), scale).to(x.dtype)


def surrogate_derivative(name, x, scale):
    """The derivative of a surrogate at ``x``, in the dtype of ``x``."""
    return _computed(SURROGATES[name].derivative, x, scale)


def surrogate_smooth(name, x, scale):
    """The smooth spike function of a surrogate at ``x``, in the dtype of ``x``; autograd gives its derivative."""
    return _computed(SURROGATES[name].smooth, x, scale)


class _Heaviside(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, derivative):
        return (x >= 0).to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.derivative = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * ctx.derivative(x), None


def heaviside(x, derivative):
    """1 where ``x >= 0``, else 0, in the dtype of ``x``; its gradient is ``derivative(x)``."""
    return _Heaviside.apply(x, derivative)
