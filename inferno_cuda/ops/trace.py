"""Traces: values that jump at events and decay in between, computed and recorded at once."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.autograd import forward_ad

from .. import reference
from .backend import active_mode, native_on_cpu, runs_native
from .common import (
    _increment_version,
    check_floating,
    check_pointer,
    check_writable,
    check_written_apart,
    forbid_gradients,
    pack,
    shape_text,
    written,
)
from .native import status

KINDS = reference.TRACES
_EVENTS = ("masked", "nonzero", "equal", "within")

if status.loaded:
    _raw_ = torch.ops.inferno_cuda.trace_push_.default
    _raw_packed_ = torch.ops.inferno_cuda.trace_push_packed_.default
    _raw_several_ = torch.ops.inferno_cuda.traces_push_.default

    @torch.library.register_fake("inferno_cuda::traces_push_")
    def _(data, pointers, observed, of_observed, of_traces):
        return None

    @torch.library.register_fake("inferno_cuda::trace_push_")
    def _(data, pointer, obs, *rest):
        return None


def _numbers(kind, decay, amplitude, target, tolerance, scale, masked, dtype):
    """The numbers of a step in the order in which a kernel takes them."""
    if masked:
        events = "masked"
    elif target is None:
        events = "nonzero"
    else:
        events = "equal" if tolerance is None else "within"
    rounded = 0.0 if target is None else reference.round_target(target, dtype)
    within = 0.0 if tolerance is None else float(tolerance)
    scale = None if scale is None else scale + 0.0
    # without negative zeros, which are the same key of a cache as zeros
    return KINDS.index(kind), _EVENTS.index(events), decay + 0.0, amplitude + 0.0, rounded, within, scale


@functools.lru_cache(maxsize=512)
def _packed(kind, decay, amplitude, target, tolerance, scale, masked, dtype):
    """The same in the one tensor that the kernel of a small step takes them in; the same ones are met again.

    Raises:
        ValueError, TypeError: these are not the numbers of a step, or no plain numbers.
    """
    _check_numbers(kind, tolerance)
    for number in (decay, amplitude, target, tolerance, scale):
        if not isinstance(number, int | float | None):
            raise TypeError("not all of these are numbers")
    *numbers, scale = _numbers(kind, decay, amplitude, target, tolerance, scale, masked, dtype)
    return pack([*numbers, scale is not None, 0.0 if scale is None else scale])


def trace_push_plain(data, pointer, obs, mask, *numbers) -> bool:
    """:func:`trace_push_` of tensors that need no gradient; whether the kernel for the CPU took them.

    The kernel checks its arguments before it writes: repeating that here would cost as much as the step.

    Args:
        data, pointer, obs, mask: as there.
        *numbers: kind, decay, amplitude, target, tolerance and scale.
    """
    if not data.is_cpu or not native_on_cpu() or forward_ad._current_level >= 0 or torch.compiler.is_compiling():
        return False
    try:
        _raw_packed_(data, pointer, obs, mask, _packed(*numbers, mask is not None, data.dtype))
    except (RuntimeError, TypeError, ValueError):
        return False
    _increment_version((data, pointer))
    return True


class Traced(NamedTuple):
    """A trace of :func:`traces_push_plain`: the number of its observation, and the numbers of a step."""

    observed: int
    kind: str
    decay: float
    amplitude: float
    target: float | bool | None
    tolerance: float | None
    dtype: torch.dtype


def pack_traces(
    observed: Sequence[tuple[float, float] | None], traces: Sequence[Traced]
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """What :func:`traces_push_plain` takes besides tensors; None if these are not the numbers of a step.

    Args:
        observed: for each observation None, or two numbers: it is spikes where its values lie between them.
        traces: of which of them, and how.
    """
    rows = []
    try:
        for trace in traces:
            _check_numbers(trace.kind, trace.tolerance)
            numbers = (trace.decay, trace.amplitude, trace.target, trace.tolerance)
            if not all(isinstance(number, int | float | None) for number in numbers):
                return None
            *numbers, _ = _numbers(trace.kind, *numbers, None, False, trace.dtype)
            rows += [trace.observed, *numbers, 0.0, 0.0]
        between = [number for limits in observed for number in ((0.0,) * 3 if limits is None else (1.0, *limits))]
        return pack(between), pack(rows)
    except (TypeError, ValueError):
        return None


def traces_push_plain(data, pointers, observed, packed) -> bool:
    """Several :func:`trace_push_` of one step at once, of tensors that need no gradient; whether the kernels took them.

    They change nothing if they did not.

    Args:
        data, pointers: of each trace, as there.
        observed: the observations: bool, or values that are spikes where they lie between two numbers.
        packed: what :func:`pack_traces` made for these.
    """
    if not native_on_cpu() or forward_ad._current_level >= 0 or torch.compiler.is_compiling():
        return False
    try:
        _raw_several_(data, pointers, observed, *packed)
    except RuntimeError:
        return False
    _increment_version((*data, *pointers))
    return True


def _check_numbers(kind, tolerance):
    if kind not in KINDS:
        raise ValueError(f"kind was {kind!r}; it must be one of {', '.join(map(repr, KINDS))}")
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance was {tolerance}; it must not be negative")


def _check(data, pointer, obs, kind, tolerance, mask):
    _check_numbers(kind, tolerance)
    if data.ndim < 1 or data.shape[0] < 1:
        raise ValueError(f"data had shape {shape_text(data.shape)}; it must be (N, *obs) with at least one slot")
    check_floating("data", data)
    for name, tensor in {"obs": obs, "mask": mask}.items():
        if tensor is None:
            continue
        if tensor.shape != data.shape[1:]:
            raise ValueError(f"{name} had shape {shape_text(tensor.shape)}; it must be {shape_text(data.shape[1:])}")
        if tensor.device != data.device:
            raise ValueError(f"{name} was on {tensor.device}; it must be on {data.device} like data")
    if obs.is_complex():
        raise TypeError(f"obs was {obs.dtype}; it must be bool, integer or floating point")
    if mask is not None and mask.dtype != torch.bool:
        raise TypeError(f"mask was {mask.dtype}; it must be torch.bool")
    check_pointer(pointer, data)


def _merges(tensor: torch.Tensor, first: int) -> bool:
    """Whether a kernel can take the dimensions behind the batch, which is dimension `first`, as one."""
    places = [d for d in range(first + 1, tensor.ndim) if tensor.shape[d] != 1]
    return all(tensor.stride(d) == tensor.stride(e) * tensor.shape[e] for d, e in zip(places, places[1:], strict=False))


def _flat(tensor: torch.Tensor | None, dims: int) -> torch.Tensor | None:
    """The tensor as a kernel reads it: with a batch dimension, the others behind that evenly in memory."""
    if tensor is None:
        return None
    tensor = tensor if tensor.ndim > dims else tensor.unsqueeze(-1)
    return tensor if _merges(tensor, dims) else tensor.contiguous()


def _push_native_(data, pointer, obs, mask, numbers):
    obs = obs if obs.dtype in (torch.bool, data.dtype) else obs.to(data.dtype)
    _raw_(data if data.ndim > 1 else data.unsqueeze(-1), pointer, _flat(obs, 0), _flat(mask, 0), *numbers)
    written(data, pointer)


def trace_push_(
    data: torch.Tensor,
    pointer: torch.Tensor,
    obs: torch.Tensor,
    *,
    kind: str,
    decay: float,
    amplitude: float,
    target: float | bool | None = None,
    tolerance: float | None = None,
    scale: float | None = None,
    mask: torch.Tensor | None = None,
) -> None:
    """Writes the trace after `obs` to slot `pointer` of `data` and advances the pointer, both in place.

    At an event, ``"cumulative"`` gives ``decay * newest + value`` and ``"nearest"`` gives ``value``; elsewhere both
    give ``decay * newest``. ``"instant"`` gives the value at an event, and 0 elsewhere. The value is `amplitude`, or
    ``scale * obs + amplitude``.

    Args:
        data: ring of N traces, ``[N, *obs]``, floating point, any strides.
        pointer: int64 tensor of shape ``()``: the slot that is written next. The newest trace is in the one before.
        obs: the observation, ``[*obs]``, of any real dtype; it is cast to that of data.
        kind: ``"cumulative"``, ``"nearest"`` or ``"instant"``.
        decay: what is left of a trace after a step, ``exp(-dt / time_constant)``.
        amplitude: what an event adds.
        target: an observation that equals this is an event; None: one that is not zero.
        tolerance: how far from `target` an observation may be and still be an event.
        scale: factor of observations that are added as well; None: they are not.
        mask: bool ``[*obs]``: where the events are, in place of `target`.

    Raises:
        ValueError: wrong shape or device, unknown kind, a negative tolerance, or an expanded `data`.
        TypeError: wrong dtype.
        RuntimeError: a tensor requires a gradient, which this form would drop; or tensors overlap in memory.
    """
    if data.requires_grad or (obs.requires_grad and torch.is_grad_enabled()) or forward_ad._current_level >= 0:
        forbid_gradients("trace_push_", "use trace_push", data=data, obs=obs)
    if trace_push_plain(data, pointer, obs, mask, kind, decay, amplitude, target, tolerance, scale):
        return
    # the checks name what was wrong; what the kernel does not read as it is is copied
    _check(data, pointer, obs, kind, tolerance, mask)
    check_writable("data", data)
    read = {"obs": obs} if mask is None else {"obs": obs, "mask": mask}
    check_written_apart({"data": data, "pointer": pointer}, read)
    native = runs_native(data, "trace_push")
    if native and not _merges(data, 1) and active_mode() == "native":
        raise RuntimeError(
            "trace_push: backend is set to 'native', but its kernel takes data whose dimensions behind the batch lie "
            "evenly in memory, see contiguous()"
        )
    if native and _merges(data, 1):
        numbers = _numbers(kind, decay, amplitude, target, tolerance, scale, mask is not None, data.dtype)
        _push_native_(data, pointer, obs, mask, numbers)
        return
    reference.trace_push_(
        data,
        pointer,
        obs,
        kind=kind,
        decay=decay,
        amplitude=amplitude,
        target=target,
        tolerance=tolerance,
        scale=scale,
        mask=mask,
    )


def trace_push(
    data: torch.Tensor,
    pointer: torch.Tensor,
    obs: torch.Tensor,
    *,
    kind: str,
    decay: float,
    amplitude: float,
    target: float | bool | None = None,
    tolerance: float | None = None,
    scale: float | None = None,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """A copy of `data` with the trace after `obs` in slot `pointer`, which stays; differentiable in `data` and `obs`.

    Arguments and errors as :func:`trace_push_`. Through where events are, there is no gradient.
    """
    _check(data, pointer, obs, kind, tolerance, mask)
    return reference.trace_push(
        data,
        pointer,
        obs,
        kind=kind,
        decay=decay,
        amplitude=amplitude,
        target=target,
        tolerance=tolerance,
        scale=scale,
        mask=mask,
    )
