"""Where a time lies on the ring: its range, and the two slots around it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from .. import functional as F
from ..reference import lookup

# functions of the package that the gather op knows, by identity
MODES = {
    id(F.interp_previous): "previous",
    id(F.interp_next): "next",
    id(F.interp_nearest): "nearest",
    id(F.interp_linear): "linear",
    id(F.interp_expdecay): "expdecay",
    id(F.interp_expratedecay): "expdecay",
}
_PICKS = ("previous", "next", "nearest")


class Between(NamedTuple):
    """Steps back to the older and the newer slot around a time, and the ms since the older one, in (0, dt]."""

    older: Any
    newer: Any
    sample_at: Any


def gather_mode(interp: Any, kwargs: dict[str, Any], data: torch.Tensor) -> tuple[str | None, float | None]:
    """Mode and time constant for the gather op; no mode if it does not know ``interp`` with these arguments."""
    mode = MODES.get(id(interp))
    if mode in _PICKS and data.dtype == torch.bool:
        return mode, None
    if mode is None or not data.is_floating_point():
        return None, None
    if mode != "expdecay":
        return mode, None
    key = "rate_constant" if interp is F.interp_expratedecay else "time_constant"
    constant = kwargs.get(key)
    if not isinstance(constant, int | float) or not constant > 0 or math.isinf(constant):
        return None, None
    return mode, float(constant) if key == "time_constant" else 1.0 / constant


def slots(duration: float, step_time: float, inclusive: bool) -> int:
    """Number of observations that cover ``duration``."""
    ratio = duration / step_time
    if ratio == math.inf:
        raise ValueError(f"'duration' ({duration}) is too many steps of 'step_time' ({step_time})")
    near = round(ratio)
    steps = near if abs(ratio - near) <= 1e-6 * ratio else math.ceil(ratio)
    return max(steps + bool(inclusive), 1)


def max_age(count: int, offset: int) -> int:
    """Steps that one can go back from ``offset`` without passing the oldest of ``count`` observations."""
    return count - max(offset, 1)


def readable(tensor: torch.Tensor) -> bool:
    """If the host can read values of ``tensor`` without waiting for a device; compiled code reads none."""
    return tensor.is_cpu and not torch.compiler.is_compiling()


def check_time(time: float | torch.Tensor, limit: float, tolerance: float) -> None:
    """Raise ValueError unless every time is in [-tolerance, limit + tolerance]; NaN is not.

    Off the CPU the device asserts it, as the host would have to wait for the answer.
    """
    isnumber = not isinstance(time, torch.Tensor)
    dtype = torch.float64 if isnumber else time.dtype
    low, high = -tolerance, limit + max(tolerance, 2 * torch.finfo(dtype).eps * limit)
    if isnumber:
        least = most = time
    elif time.numel() == 0:
        return
    elif readable(time):
        least, most = (v.item() for v in torch.aminmax(time.detach()))
    else:
        torch._assert_async(((time >= low) & (time <= high)).all(), "'time' is out of the recorded range")
        return
    if not (least >= low and most <= high):
        was = f"({time})" if isnumber else f"(min={least}, max={most})"
        raise ValueError(f"'time' {was} must be within the recorded range, with tolerance [{low}, {high}] ms")


def locate(time: float | torch.Tensor, step_time: float, limit: float, age: int, tolerance: float) -> Between:
    """The slots around each time; those on the grid have one. A number gives numbers, a tensor gives tensors."""
    isnumber = not isinstance(time, torch.Tensor)
    at = torch.tensor(time, dtype=torch.float64) if isnumber else time
    older, newer, blend, _ = lookup(
        at, dt=step_time, max_time=limit, max_age=age, tolerance=tolerance, eps=torch.finfo(at.dtype).eps
    )
    sample_at = torch.where(older == newer, step_time, step_time * blend)
    if isnumber:
        return Between(older.item(), newer.item(), sample_at.item())
    return Between(older, newer, sample_at.to(time.dtype))
