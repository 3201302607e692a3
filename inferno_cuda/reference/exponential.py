"""Arithmetic that all backends share."""

from typing import NamedTuple

import torch

# 1/13!, 1/12!, ..., 1/2!, 1, 1
_TAYLOR = (
    1.6059043836821613e-10,
    2.08767569878681e-09,
    2.505210838544172e-08,
    2.755731922398589e-07,
    2.7557319223985893e-06,
    2.48015873015873e-05,
    0.0001984126984126984,
    0.001388888888888889,
    0.008333333333333333,
    0.041666666666666664,
    0.16666666666666666,
    0.5,
    1.0,
    1.0,
)


def divide(tensor: torch.Tensor, divisor: float | torch.Tensor) -> torch.Tensor:
    """``tensor / divisor``, rounded once; for numbers, torch on CUDA would multiply by the rounded reciprocal."""
    return tensor / (divisor if isinstance(divisor, torch.Tensor) else tensor.new_full((), divisor))


class _Format(NamedTuple):
    """What the exponential needs to know of a floating dtype; see csrc/core/exp.h."""

    bits: torch.dtype
    mantissa: int
    bias: int
    terms: int  # of the polynomial
    lowest: float
    highest: float
    ln2: tuple[float, float]  # two parts, a whole multiple of the first being exact


_FORMATS = {
    torch.float64: _Format(torch.int64, 52, 1023, 14, -746.0, 710.0, (0.6931471803691238, 1.9082149292705877e-10)),
    torch.float32: _Format(torch.int32, 23, 127, 8, -104.0, 89.0, (0.693359375, -0.00021219444)),
}


def _power_of_two(exponent: torch.Tensor, form: _Format, dtype: torch.dtype) -> torch.Tensor:
    return ((exponent + form.bias) << form.mantissa).view(dtype)


def exp(x: torch.Tensor) -> torch.Tensor:
    """exp(x) of a float64 or float32 tensor, from additions and multiplications alone: every backend rounds alike.

    ``torch.exp`` differs between devices in the last bits. With ``x = k ln 2 + r``, this is a Taylor polynomial in
    ``r`` times ``2^k``, the latter in two factors so that results below the normal range come out gradually.
    """
    form = _FORMATS[x.dtype]
    bounded = x.clamp(form.lowest, form.highest)
    k = torch.round(bounded * 1.4426950408889634)
    high, low = form.ln2
    r = (bounded - k * high) - k * low
    first, *rest = _TAYLOR[-form.terms :]
    p = torch.full_like(r, first)
    for coefficient in rest:
        p = p * r + coefficient
    whole = k.nan_to_num(0.0).to(form.bits)
    half = torch.div(whole, 2, rounding_mode="trunc")
    return p * _power_of_two(half, form, x.dtype) * _power_of_two(whole - half, form, x.dtype)
