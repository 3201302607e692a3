"""One step of a trace: a value that jumps at events and decays in between, recorded in a ring."""

import torch

from .history import history_push, history_push_

TRACES = ("cumulative", "nearest", "instant")


def trace_events(obs, *, target, tolerance):
    """Where ``obs`` is an event: equal to ``target``, or within ``tolerance`` of it; not zero if there is no target.

    Target and tolerance are numbers that the compute type holds, see :func:`round_target`.
    """
    if target is None:
        return obs != 0
    if tolerance is None:
        return obs == target
    return (obs - target).abs() <= tolerance


def round_target(target, dtype):
    """``target`` as a tensor of ``dtype`` holds it, since it is compared with values of that type."""
    return None if target is None else torch.tensor(float(target), dtype=dtype).item()


def trace_step(newest, obs, *, kind, decay, amplitude, target=None, tolerance=None, scale=None, mask=None):
    """The trace after ``obs``, from the ``newest`` one, in its dtype.

    An event, which ``mask`` may say as well, adds ``value = amplitude``, or ``scale * obs + amplitude`` if there is a
    scale: ``"cumulative"`` gives ``decay * newest + value``, ``"nearest"`` the value itself. Elsewhere the trace is
    ``decay * newest``. ``"instant"`` gives the value, and 0 elsewhere.
    """
    dtype = newest.dtype
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    seen = obs.to(dtype).to(compute)
    if mask is None:
        events = trace_events(seen, target=round_target(target, dtype), tolerance=tolerance)
    else:
        events = mask
    decayed = newest.to(compute) * decay
    # zeros are positive, also as parameters
    amplitude = amplitude + 0.0
    value = torch.full_like(decayed, amplitude) if scale is None else seen * (scale + 0.0) + amplitude
    if kind == "instant":
        return torch.where(events, value, 0.0).to(dtype)
    return torch.where(events, decayed + value if kind == "cumulative" else value, decayed).to(dtype)


def _newest(data, pointer):
    return data.index_select(0, (pointer - 1).remainder(data.shape[0]).reshape(1)).squeeze(0)


def trace_push_(data, pointer, obs, **how):
    """Writes the trace after ``obs`` to slot ``pointer`` of ``data``, and advances the pointer."""
    history_push_(data, pointer, trace_step(_newest(data, pointer), obs, **how))


def trace_push(data, pointer, obs, **how):
    """A copy of ``data`` with the trace after ``obs`` in slot ``pointer``."""
    return history_push(data, pointer, trace_step(_newest(data, pointer), obs, **how))
