"""Numbers of neurons: one for all of them, or one for each."""

from __future__ import annotations

import math

import torch

Number = float | torch.Tensor
MAX_REFRACTORY = 2**15 - 1  # steps


def number(name: str, value, size: int) -> Number:
    if isinstance(value, torch.Tensor) and value.ndim:
        if value.shape != (size,):
            raise ValueError(f"{name} had shape {tuple(value.shape)}; it must be a number or ({size},), one per neuron")
        value = value.detach().to("cpu", torch.float64)
        bad = bool(torch.isnan(value).any())
    else:
        value = float(value)
        bad = math.isnan(value)
    if bad:
        raise ValueError(f"{name} was NaN; it must be a number")
    return value


def holds(condition) -> bool:
    return bool(condition.all()) if isinstance(condition, torch.Tensor) else bool(condition)


def exp(x: Number) -> Number:
    return torch.exp(x) if isinstance(x, torch.Tensor) else math.exp(x)


def expm1(x: Number) -> Number:
    return torch.expm1(x) if isinstance(x, torch.Tensor) else math.expm1(x)


def select(condition, yes: Number, no: Number) -> Number:
    if isinstance(condition, torch.Tensor):
        yes, no = (torch.as_tensor(value, dtype=torch.float64) for value in (yes, no))
        return torch.where(condition, yes, no)
    return yes if condition else no


def ratio(numerator: Number, denominator: Number) -> Number:
    """0 / 0 stands where another formula is selected."""
    safe = select(denominator == 0, 1.0, denominator)
    return numerator / safe


def exp_each(x: Number) -> Number:
    """As of the C library: one number gives the same bits, whether it is given alone or among others."""
    if not isinstance(x, torch.Tensor):
        return math.exp(x)
    different, where = torch.unique(x, return_inverse=True)
    return torch.tensor([math.exp(value) for value in different.tolist()], dtype=torch.float64)[where]


def divide(numerator: float, divisor: Number) -> Number:
    """Rounded once; torch divides a number by a tensor as a product with the rounded reciprocal."""
    if isinstance(divisor, torch.Tensor):
        return torch.tensor(numerator, dtype=torch.float64) / divisor
    return numerator / divisor


def check_refractory(name: str, period: Number, steps: torch.Tensor) -> None:
    if steps.numel() and float(steps.max()) > MAX_REFRACTORY:
        raise ValueError(f"{name} was {period} ms, {int(steps.max())} steps; at most {MAX_REFRACTORY} fit")
