"""What the builder of rows refuses."""

from __future__ import annotations

import math

import torch

from .common import shape_text

MAX_REPEATS = 65535  # spikes of a source in a step


def check_range(name: str, numbers: torch.Tensor, low: int, high: int, unit: str) -> None:
    if len(numbers):
        least, most = map(int, torch.aminmax(numbers))
        if least < low or most > high:
            raise ValueError(f"{name} was {least} to {most}{unit}; it must be {low} to {high}")


def check_weight(weight, like: torch.Tensor) -> torch.Tensor | float:
    if not isinstance(weight, torch.Tensor):
        weight = float(weight)
        if not math.isfinite(weight):
            raise ValueError(f"weight was {weight}; it must be finite")
        return weight
    if weight.dtype not in (torch.float32, torch.float64) or weight.shape != like.shape:
        text = f"{weight.dtype} of shape {shape_text(weight.shape)}"
        raise TypeError(f"weight was {text}; it must be a number, or float32 or float64 of shape ({len(like)},)")
    if len(weight) and not all(map(math.isfinite, torch.aminmax(weight))):
        raise ValueError("weight had values that are not finite")
    return weight


def check_mean(mean: float | None, weight: torch.Tensor | float) -> float:
    if isinstance(weight, torch.Tensor):
        if mean is not None:
            raise TypeError("mean was given beside weights one by one; it belongs to a number that bounds them")
        return 0.0
    bound = abs(weight)
    if mean is not None and not 0 <= mean <= bound:
        raise ValueError(f"mean was {mean}; it must be 0 to {bound:g}, which no weight exceeds")
    return bound if mean is None else float(mean)


def check_repeats(repeats, neurons: int) -> torch.Tensor | None:
    """int32 ``[neurons]``; None where no source fires more than once in a step."""
    if not isinstance(repeats, torch.Tensor):
        repeats = torch.full((neurons,), repeats, dtype=torch.int64)
    if repeats.is_floating_point() or repeats.dtype == torch.bool or repeats.shape != (neurons,):
        text = f"{repeats.dtype} of shape {shape_text(repeats.shape)}"
        raise ValueError(f"repeats was {text}; it must be a number or int of shape ({neurons},)")
    check_range("repeats", repeats, 1, MAX_REPEATS, "")
    return repeats.to("cpu", torch.int32) if neurons and int(repeats.max()) > 1 else None


def magnitude(weight: torch.Tensor | float) -> float:
    """The largest one among some weights; 0 without any."""
    if not isinstance(weight, torch.Tensor):
        return abs(weight)
    return max(abs(end) for end in torch.stack(torch.aminmax(weight)).tolist()) if len(weight) else 0.0
