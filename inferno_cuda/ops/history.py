"""The ring of recorded samples: writing the newest, looking values up at times in the past."""

from __future__ import annotations

import functools
import math

import torch
from torch.autograd import forward_ad

from .. import reference
from .backend import runs_native
from .common import (
    FLOATING,
    check_floating,
    check_pointer,
    check_same,
    check_writable,
    forbid_gradients,
    needs_graph,
    pack,
    shape_text,
    written,
)
from .native import status

MODES = ("previous", "next", "nearest", "linear", "expdecay")

if status.loaded:
    _raw_push_ = torch.ops.inferno_cuda.history_push_.default
    _raw_gather = torch.ops.inferno_cuda.history_gather.default
    _raw_look_up = torch.ops.inferno_cuda.history_look_up.default

    @torch.library.register_fake("inferno_cuda::history_push_")
    def _(data, pointer, obs):
        return None

    @torch.library.register_fake("inferno_cuda::history_gather")
    def _(data, pointer, time, *parameters):
        return torch.empty(time.shape, dtype=data.dtype, device=data.device)


def check_mode(mode: str, time_constant: float | None) -> float:
    """The time constant that goes with `mode`; 1.0 for modes that have none."""
    if mode not in MODES:
        raise ValueError(f"mode was {mode!r}; it must be one of {', '.join(map(repr, MODES))}")
    if mode != "expdecay":
        return 1.0
    if time_constant is None or not time_constant > 0:
        raise ValueError(f"time_constant was {time_constant!r}; it must be positive (ms) for mode 'expdecay'")
    return float(time_constant)


def time_eps(dtype: torch.dtype) -> float:
    """What rounding may have moved times of this dtype by, relatively. Wide types often hold values from float32."""
    return max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)


_SHORTEST, _LONGEST = 1e-28, 1e28


def check_grid(dt: float, tolerance: float) -> None:
    if not dt > 0:
        raise ValueError(f"dt was {dt}; it must be positive (ms)")
    if not _SHORTEST <= dt <= _LONGEST:
        raise ValueError(f"dt was {dt}; it must be in [{_SHORTEST}, {_LONGEST}] (ms), what float32 computes with")
    if not tolerance >= 0:
        raise ValueError(f"tolerance was {tolerance}; it must not be negative (ms)")


def check_reach(name: str, time: float, longest: float) -> None:
    """A longest time of lookup is one that the ring holds, up to rounding."""
    if not 0 <= time <= longest * (1 + 1e-5):
        raise ValueError(f"{name} was {time}; it must be in [0, {longest}] (ms), what the slots hold")


def _check_obs(data, pointer, obs):
    if data.ndim < 1 or data.shape[0] < 1:
        raise ValueError(f"data had shape {shape_text(data.shape)}; it must be (N, *obs) with at least one slot")
    if obs.shape != data.shape[1:]:
        raise ValueError(f"obs had shape {shape_text(obs.shape)}; it must be {shape_text(data.shape[1:])} like data")
    check_same("obs", obs, "data", data)
    check_pointer(pointer, data)


def _as_ring(data):
    """data as [N, B, R], without a copy; None where its memory does not allow that."""
    if data.ndim == 3:
        return data
    if data.ndim == 1:
        return data.view(-1, 1, 1)
    if data.ndim == 2:
        return data.unsqueeze(1)
    merges = all(
        data.shape[d] == 1 or data.shape[d + 1] == 1 or data.stride(d) == data.stride(d + 1) * data.shape[d + 1]
        for d in range(2, data.ndim - 1)
    )
    return data.view(*data.shape[:2], math.prod(data.shape[2:])) if merges else None


def history_push_(data: torch.Tensor, pointer: torch.Tensor, obs: torch.Tensor) -> None:
    """Writes `obs` to slot `pointer` of `data` and advances the pointer, both in place and independent of N.

    Args:
        data: ring of N observations, ``[N, *obs]``, any strides.
        pointer: int64 tensor of shape ``()``: the slot that is written next.
        obs: the newest observation, ``[*obs]``, of data's dtype.

    Raises:
        ValueError: wrong shape or device, or an expanded `data`.
        TypeError: wrong dtype.
        RuntimeError: a tensor requires a gradient, which this form would drop; or `obs` overlaps `data` in memory.
    """
    if data.requires_grad or (obs.requires_grad and torch.is_grad_enabled()) or forward_ad._current_level >= 0:
        forbid_gradients("history_push_", "use history_push", data=data, obs=obs)
    native = runs_native(data, "history_push") and (data.dtype in FLOATING or data.dtype == torch.bool)
    on_cpu = data.is_cpu and pointer.is_cpu and obs.is_cpu and not torch.compiler.is_compiling()
    if native and on_cpu and data.ndim == 3:
        try:
            # The kernel checks its arguments before it writes: repeating that here would cost as much as the push.
            _raw_push_(data, pointer, obs)
        except RuntimeError:
            _check_obs(data, pointer, obs)
            check_writable("data", data)
            raise
        written(data, pointer)
        return
    _check_obs(data, pointer, obs)
    check_writable("data", data)
    ring = _as_ring(data) if native else None
    if ring is None:
        reference.history_push_(data, pointer, obs)
    else:
        _raw_push_(ring, pointer, obs.reshape(ring.shape[1:]))
        written(data, pointer)


def history_push(data: torch.Tensor, pointer: torch.Tensor, obs: torch.Tensor) -> torch.Tensor:
    """A copy of `data` with `obs` in slot `pointer`, which stays where it is; differentiable in both.

    Arguments and errors as :func:`history_push_`.
    """
    _check_obs(data, pointer, obs)
    return reference.history_push(data, pointer, obs)


def history_gather(
    data: torch.Tensor,
    pointer: torch.Tensor,
    time: torch.Tensor,
    *,
    dt: float,
    mode: str = "previous",
    time_constant: float | None = None,
    tolerance: float = 0.0,
    offset: int = 1,
    max_time: float | None = None,
    overbound: float | None = None,
) -> torch.Tensor:
    """Recorded values at given times in the past, one or several per element.

    A time on the grid, up to its own rounding or `tolerance`, gives the recorded sample; others lie between an older
    and a newer sample and are interpolated by `mode`: ``"previous"`` (the older), ``"next"`` (the newer), ``"nearest"``
    (the older on a tie), ``"linear"``, or ``"expdecay"`` (the older, decayed with `time_constant` since).

    Args:
        data: ring of N observations, ``[N, *obs]``, any strides.
        pointer: int64 tensor of shape ``()``: the slot that is written next.
        time: how long ago, ms, ``[*obs]`` or ``[*obs, D]``; expanded tensors are read as they are. NaN gives NaN.
        dt: time between samples, ms.
        time_constant: of the decay, ms; for ``"expdecay"``.
        tolerance: distance from the grid within which a time counts as on it, ms.
        offset: which sample time 0 is: 1 the newest, 2 the one before it; counted modulo N.
        max_time: end of the range of times, ms; default: the oldest sample.
        overbound: the value for times outside ``[0, max_time]``; None takes the nearer end instead.

    Returns:
        Values, of time's shape and data's dtype. Differentiable in data and time.

    Raises:
        ValueError: wrong shape or device, unknown mode, or a parameter out of range.
        TypeError: wrong dtype, or bool data with a mode that computes.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> ring = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])  # 3 samples, the newest last
        >>> ops.history_gather(ring, torch.tensor(0), torch.tensor([0.0, 1.5]), dt=1.0, mode="linear")
        tensor([ 3., 15.])
    """
    numbers = (dt, mode, time_constant, tolerance, offset, max_time, overbound)
    if _is_plain(data, pointer, time, numbers):
        how = _packed_numbers(numbers, _sign(overbound), data.shape[0], data.dtype, time.dtype)
        try:
            return _raw_look_up(data, pointer, time, how, None, None)
        except RuntimeError:
            pass  # the checks below name what was wrong, and what the kernel does not read as it is is copied there
    check_pointer(pointer, data)
    check_floating("time", time)
    if data.ndim < 1 or data.shape[0] < 1:
        raise ValueError(f"data had shape {shape_text(data.shape)}; it must be (N, *obs) with at least one slot")
    if time.device != data.device:
        raise ValueError(f"time was on {time.device}; it must be on {data.device} like data")
    observed = data.shape[1:]
    if time.shape[: len(observed)] != observed or time.ndim not in (len(observed), len(observed) + 1):
        raise ValueError(
            f"time had shape {shape_text(time.shape)}; it must be {shape_text(observed)} like an observation, "
            "or that with one more dimension at the end"
        )
    if data.dtype != torch.bool and data.dtype not in FLOATING:
        raise TypeError(f"data was {data.dtype}; it must be floating point or bool")
    arguments = _checked_numbers(numbers, data.shape[0], data.dtype, time.dtype)
    if not needs_graph(data, time) and runs_native(data, "history_gather"):
        return _gather_native(data, pointer, time, **arguments)
    return reference.history_gather(data, pointer, time, **arguments)


def look_up_current(data, pointer, time, numbers, *, scale=None, dtype=None, minus=None, minus_constant=None):
    """Past currents in one pass over the times, on the CPU; None if the kernel does not take them.

    Args:
        data, pointer, time: as for :func:`history_gather`.
        numbers: what follows them there, in that order.
        scale: current of one spike, if data holds spikes; they are read as currents of `dtype`.
        minus: another ring and its pointer, whose currents, decayed with `minus_constant`, are subtracted.
    """
    if not _is_plain(data, pointer, time, (*numbers, scale, minus_constant)):
        return None
    other, other_pointer = minus or (None, None)
    if other is not None and (type(other) not in _PLAIN_TENSORS or needs_graph(other)):
        return None
    sign, read_as = _sign(numbers[-1]), data.dtype if scale is None else dtype
    how = _packed_numbers(numbers, sign, data.shape[0], read_as, time.dtype, scale, minus_constant)
    try:
        return _raw_look_up(data, pointer, time, how, other, other_pointer)
    except RuntimeError:
        return None


def _checked_numbers(numbers, slots, dtype, time_dtype):
    """What a lookup depends on besides its tensors, as keyword arguments of the reference."""
    dt, mode, time_constant, tolerance, offset, max_time, overbound = numbers
    constant = check_mode(mode, time_constant)
    check_grid(dt, tolerance)
    if dtype == torch.bool and overbound is not None:
        overbound = bool(overbound)
    if dtype == torch.bool and mode in ("linear", "expdecay"):
        raise TypeError(f"data was torch.bool, which mode {mode!r} cannot interpolate; it must be floating point")
    max_age = slots - max(offset, 1)
    if max_age < 0:
        raise ValueError(f"offset was {offset}; it must be at most {slots}, the number of slots")
    arguments = {
        "dt": float(dt),
        "mode": mode,
        "time_constant": constant,
        "tolerance": float(tolerance),
        "eps": time_eps(time_dtype),
        "offset": offset,
        "max_time": dt * max_age if max_time is None else float(max_time),
        "max_age": max_age,
        "overbound": overbound,
    }
    check_reach("max_time", arguments["max_time"], dt * max_age)
    return arguments


_PLAIN_TENSORS = (torch.Tensor, torch.nn.Parameter)
_PLAIN_NUMBERS = frozenset((float, int, bool, str, type(None)))
_PLAIN_TIMES = (torch.float32, torch.float64)
_PLAIN_SAMPLES = (*FLOATING, torch.bool)


def _is_plain(data, pointer, time, numbers):
    """Whether the kernel may be tried at once: on the CPU, with no graph to build, and numbers that do not change."""
    return (
        runs_native(data, "history_gather")
        and data.is_cpu
        and pointer.is_cpu
        and time.is_cpu
        and data.ndim >= 3
        and type(data) in _PLAIN_TENSORS
        and type(time) in _PLAIN_TENSORS
        and time.dtype in _PLAIN_TIMES
        and data.dtype in _PLAIN_SAMPLES
        and not torch.compiler.is_compiling()
        and not needs_graph(data, time)
        and _PLAIN_NUMBERS.issuperset(map(type, numbers))
        and type(numbers[4]) is int  # the offset, which float64 holds
        and abs(numbers[4]) < 1 << 53
    )


def _sign(overbound):
    """Tells the zeros apart, which are the same key of a cache."""
    return overbound == 0 and math.copysign(1.0, overbound)


@functools.lru_cache(maxsize=512)
def _packed_numbers(numbers, sign, slots, dtype, time_dtype, scale=None, minus_constant=None):
    """The checked numbers of a lookup in the one tensor that the kernel takes them in; the same ones are met again."""
    a = _checked_numbers(numbers, slots, dtype, time_dtype)
    fields = ("dt", "max_time", "tolerance", "time_constant", "eps", "max_age")
    bound = a["overbound"]
    clamp, bound = bound is None, 0.0 if bound is None else float(bound)
    scaled = (-1, 1.0) if scale is None else (FLOATING.index(dtype), scale + 0.0)
    minus = 0.0 if minus_constant is None else minus_constant
    return pack([*(a[f] for f in fields), MODES.index(a["mode"]), a["offset"], clamp, bound, *scaled, minus])


def _gather_native(
    data, pointer, time, *, dt, mode, time_constant, tolerance, eps, offset, max_time, max_age, overbound
):
    depth = time.shape[-1] if time.ndim == data.ndim else 1
    ring = _as_ring(data)
    if ring is None:
        ring = data.reshape(*data.shape[:2], math.prod(data.shape[2:]))
    if time.dtype not in (torch.float32, torch.float64):
        time = time.float()
    flat = time.reshape(*ring.shape[1:], depth)
    out = _raw_gather(
        ring,
        pointer,
        flat,
        dt,
        max_time,
        max_age,
        MODES.index(mode),
        time_constant,
        tolerance,
        eps,
        offset,
        None if overbound is None else float(overbound),
    )
    return out.view(time.shape)
