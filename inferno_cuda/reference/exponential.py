"""Arithmetic that all backends share."""

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


def _power_of_two(exponent: torch.Tensor) -> torch.Tensor:
    return ((exponent + 1023) << 52).view(torch.float64)


def exp(x: torch.Tensor) -> torch.Tensor:
    """exp(x) of a float64 tensor, from additions and multiplications alone, so that every backend rounds alike.

    ``torch.exp`` differs between devices in the last bits. With ``x = k ln 2 + r``, this is a Taylor polynomial in
    ``r`` times ``2^k``, the latter in two factors so that results below the normal range come out gradually.
    """
    bounded = x.clamp(-746.0, 710.0)
    k = torch.round(bounded * 1.4426950408889634)
    r = (bounded - k * 0.6931471803691238) - k * 1.9082149292705877e-10
    p = torch.full_like(r, _TAYLOR[0])
    for coefficient in _TAYLOR[1:]:
        p = p * r + coefficient
    whole = k.nan_to_num(0.0).long()
    half = torch.div(whole, 2, rounding_mode="trunc")
    return p * _power_of_two(half) * _power_of_two(whole - half)
