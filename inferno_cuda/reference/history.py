"""Writing to a ring of recorded samples, and looking values up at times in the past."""

from typing import NamedTuple

import torch

from .exponential import divide, exp

_FLOAT_AGES = 1 << 20


class Lookup(NamedTuple):
    """Where the values at some times are found; every field has the times' shape."""

    older: torch.Tensor  # age of the sample before the time, int64; 0 is the newest
    newer: torch.Tensor  # age of the sample after it; the same on the grid
    blend: torch.Tensor  # 0 at the older sample, towards 1 at the newer, float64 or float32
    inside: torch.Tensor  # whether the time was in range, up to rounding


def history_push_(data, pointer, obs):
    """Writes ``obs`` to slot ``pointer`` of ``data``, counted modulo N, and advances the pointer."""
    data.index_copy_(0, pointer.remainder(data.shape[0]).reshape(1), obs.unsqueeze(0))
    pointer.add_(1).remainder_(data.shape[0])


def history_push(data, pointer, obs):
    """A copy of ``data`` with ``obs`` in slot ``pointer``."""
    return data.index_copy(0, pointer.remainder(data.shape[0]).reshape(1), obs.unsqueeze(0))


def lookup(time, *, dt, max_time, max_age, tolerance, eps):
    """The samples around each time. ``eps`` is the spacing, at 1, of the type that the times were given in.

    Times of float32 or less are looked up in float32, as long as it counts the samples exactly and with room to spare.
    """
    time = time.double() if time.dtype == torch.float64 or max_age >= _FLOAT_AGES else time.float()
    slack = (2 * eps * time.abs().clamp(max=max_time)).clamp(min=tolerance)
    inside = (time >= -slack) & (time <= max_time + slack)
    time = torch.where(time < max_time, time, max_time)
    time = torch.where(time > 0, time, 0.0)
    steps = divide(time, dt)
    nearest = torch.round(steps)
    exact = (nearest * dt - time).abs() <= slack
    older = torch.where(exact, nearest, steps.ceil()).long().clamp(max=max_age)
    newer = torch.where(exact, nearest, steps.floor()).long().clamp(max=max_age)
    blend = torch.where(older == newer, 0.0, 1 - (steps - steps.floor()))
    return Lookup(older, newer, blend, inside)


def _picked_age(at, mode):
    if mode == "next":
        return at.newer
    if mode == "nearest":
        return torch.where(at.blend > 0.5, at.newer, at.older)
    return at.older


def _decay_since_older(at, dt, time_constant, dtype):
    exponent = divide(-(dt * at.blend), time_constant).to(dtype)
    return torch.where(at.older == at.newer, 1.0, exp(exponent))


def history_gather(
    data, pointer, time, *, dt, mode, time_constant, tolerance, eps, offset, max_time, max_age, overbound
):
    """Values of ``data`` ``[N, *obs]`` at ``time`` ``[*obs]`` or ``[*obs, D]`` before the sample at ``offset``."""
    at = lookup(time, dt=dt, max_time=max_time, max_age=max_age, tolerance=tolerance, eps=eps)
    places = [
        torch.arange(size, device=data.device).view([-1 if d == i else 1 for i in range(time.ndim)])
        for d, size in enumerate(data.shape[1:])
    ]

    def sample(age):
        return data[((pointer - offset - age).remainder(data.shape[0]), *places)]

    compute = torch.float64 if data.dtype == torch.float64 else torch.float32
    if mode == "linear":
        older, newer = sample(at.older).to(compute), sample(at.newer).to(compute)
        blended = torch.where(at.older == at.newer, older, older + (newer - older) * at.blend.to(compute))
        value = blended.to(data.dtype)
    elif mode == "expdecay":
        factor = _decay_since_older(at, dt, time_constant, compute)
        value = (sample(at.older).to(compute) * factor).to(data.dtype)
    else:
        value = sample(_picked_age(at, mode))
    if overbound is not None:
        value = torch.where(at.inside, value, overbound)
    return torch.where(time.isnan(), False if data.dtype == torch.bool else torch.nan, value)


def delay_plan(delay, *, dt, slots, max_delay, mode, time_constant, tolerance, eps, clamp):
    """What depends on the delays alone: ``(slot, factor)``, both shaped like ``delay``.

    ``slot`` is the age of each synapse's sample, or ``slots`` where the delay is out of range. ``factor`` is the decay
    since that sample (expdecay), the blend towards the next newer one (linear), otherwise 1.
    """
    at = lookup(delay, dt=dt, max_time=max_delay, max_age=slots - 1, tolerance=tolerance, eps=eps)
    found = torch.ones_like(at.inside) if clamp else at.inside
    factor = torch.ones_like(at.blend)
    if mode == "expdecay":
        factor = torch.where(found, _decay_since_older(at, dt, time_constant, delay.dtype), 1.0)
    if mode == "linear":
        factor = torch.where(found, at.blend, 0.0)
    slot = torch.where(found, _picked_age(at, mode), slots)
    return slot.to(torch.uint8 if slots <= 255 else torch.int32), factor.to(delay.dtype)
