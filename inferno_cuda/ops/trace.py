"""Traces: values that jump at events and decay in between, computed and recorded at once."""

from __future__ import annotations

import torch

from .. import reference
from .common import check_floating, check_pointer, check_writable, forbid_gradients, shape_text

KINDS = reference.TRACES


def _check(data, pointer, obs, kind, decay, tolerance, mask):
    if kind not in KINDS:
        raise ValueError(f"kind was {kind!r}; it must be one of {', '.join(map(repr, KINDS))}")
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
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance was {tolerance}; it must not be negative")
    check_pointer(pointer, data)


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
    give ``decay * newest``. The value is `amplitude`, or ``scale * obs + amplitude``.

    Args:
        data: ring of N traces, ``[N, *obs]``, floating point, any strides.
        pointer: int64 tensor of shape ``()``: the slot that is written next. The newest trace is in the one before.
        obs: the observation, ``[*obs]``, of any real dtype; it is cast to that of data.
        kind: ``"cumulative"`` or ``"nearest"``.
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
    forbid_gradients("trace_push_", "use trace_push", data=data, obs=obs)
    _check(data, pointer, obs, kind, decay, tolerance, mask)
    check_writable("data", data)
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
    _check(data, pointer, obs, kind, decay, tolerance, mask)
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
