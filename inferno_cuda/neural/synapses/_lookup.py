"""Looking up the past of a synapse at given delays."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ... import ops
from ...state import RecordTensor

SPIKE_MODES = ("nearest", "previous")
CURRENT_MODES = (*SPIKE_MODES, "linear")


@dataclass(frozen=True, slots=True)
class DelayedCurrent:
    """How a synapse looks up its delayed current; enough for a connection to run it as one fused op.

    Args:
        record: history that is looked up, of currents in nA, or of spikes (bool).
        mode: interpolation between samples: previous, next, nearest, linear or expdecay.
        time_constant: of the decay between samples, in ms, for the mode expdecay.
        tolerance: how far from a sample a delay still counts as that sample's, in ms.
        overbound: current where the delay is out of range, in nA; None clamps the delay instead.
        scale: current of one spike, in nA, if the record holds spikes; otherwise 1.
        minus: how the part is looked up that is subtracted; None if there is none.
    """

    record: RecordTensor
    mode: str
    time_constant: float | None
    tolerance: float
    overbound: float | None
    scale: float
    minus: DelayedCurrent | None = None


def number(name: str, value: float) -> float:
    """A time constant. A tensor would be read where nothing notices its changes, and without its gradient."""
    if isinstance(value, torch.Tensor):
        raise TypeError(f"'{name}' is a Tensor, it must be a number")
    return value


def spike_mode(name: str, mode: str) -> str:
    """Lower-cases an interpolation mode for spikes, or raises RuntimeError if there is none of that name."""
    lowered = str(mode).lower()
    if lowered not in SPIKE_MODES:
        raise RuntimeError(f"'{name}' is {mode!r}, it must be one of: {', '.join(map(repr, SPIKE_MODES))}")
    return lowered


def current_mode(name: str, mode: str) -> tuple[str, str]:
    """The interpolation of currents, which may be linear, and that of spikes, which is the previous one then.

    Raises:
        RuntimeError: if there is none of that name.
    """
    lowered = str(mode).lower()
    if lowered not in CURRENT_MODES:
        raise RuntimeError(f"'{name}' is {mode!r}, it must be one of: {', '.join(map(repr, CURRENT_MODES))}")
    return lowered, "previous" if lowered == "linear" else lowered


def look_up(
    record: RecordTensor,
    selector: torch.Tensor,
    mode: str,
    tolerance: float,
    overbound: float | bool | None,
    time_constant: float | None = None,
) -> torch.Tensor:
    """What a record held ``selector`` ms ago; the result has the selector's shape.

    Delays lie in ``[0, record.duration]``, up to ``tolerance`` and rounding. Elsewhere the result is ``overbound``, or
    with None that of the nearest delay in range.

    Raises:
        ValueError: if ``selector`` is shaped neither like an observation nor like one with a trailing dimension.
    """
    return _gather(record, record.value, selector, mode, tolerance, overbound, time_constant)


def look_up_blended(how: DelayedCurrent, selector: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What a record of spikes held, as currents of this dtype between which is interpolated; see :func:`look_up`."""
    data = how.record.value
    currents = torch.where(data, torch.full((), how.scale, dtype=dtype, device=data.device), 0.0)
    return _gather(how.record, currents, selector, how.mode, how.tolerance, how.overbound, None)


def _gather(
    record: RecordTensor,
    data: torch.Tensor,
    selector: torch.Tensor,
    mode: str,
    tolerance: float,
    overbound: float | bool | None,
    time_constant: float | None,
) -> torch.Tensor:
    shape, wanted = selector.shape, data.shape[1:]
    if shape != wanted and (shape[:-1] != wanted or not shape):
        raise ValueError(
            f"'selector' has the shape {tuple(shape)}, it must be {tuple(wanted)}, or that with one more dimension"
        )
    if not selector.is_floating_point():
        selector = selector.to(torch.get_default_dtype())
    return ops.history_gather(
        data,
        record._pointer_tensor,
        selector,
        dt=record.dt,
        mode=mode,
        time_constant=time_constant,
        tolerance=tolerance,
        max_time=record.duration,
        overbound=overbound,
    )


def look_up_fused(how: DelayedCurrent, selector: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor | None:
    """The current that ``how`` describes, in one pass; None where no kernel does that.

    Args:
        how: what is looked up. The range of delays and the tolerance of ``how.minus`` are those of ``how``.
        selector: delays, in ms.
        dtype: of the current, if the record holds spikes.
    """
    record, minus = how.record, how.minus
    return ops.history.look_up_current(
        record.value,
        record._pointer_tensor,
        selector,
        (record.dt, how.mode, how.time_constant, how.tolerance, 1, record.duration, how.overbound),
        scale=None if dtype is None else how.scale,
        dtype=dtype,
        minus=None if minus is None else (minus.record.value, minus.record._pointer_tensor),
        minus_constant=None if minus is None else minus.time_constant,
    )


def outside(record: RecordTensor, selector: torch.Tensor, tolerance: float) -> torch.Tensor:
    """Where :func:`look_up` gives the overbound value, bool, shaped like ``selector``."""
    if not selector.is_floating_point():
        selector = selector.to(torch.get_default_dtype())
    data = record.value
    return ops.history_gather(
        data.new_zeros((), dtype=torch.bool).expand(data.shape),
        record._pointer_tensor,
        selector,
        dt=record.dt,
        tolerance=tolerance,
        max_time=record.duration,
        overbound=True,
    )
