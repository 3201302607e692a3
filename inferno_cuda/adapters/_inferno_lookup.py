"""Past currents and spikes of inferno-ai's synapses at given times.

What is looked up depends on the times alone, which are often one matrix of delays for all samples of a batch: it is
worked out once for those, and kept until they change.
"""

from __future__ import annotations

import torch
from torch import nn

from .. import ops
from ._inferno import TYPES, plain, pointer_of, ring_of
from ._inferno_plan import Part, Plans, mode_of, parts_of


def spike_part(synapse: nn.Module) -> list[Part] | None:
    """How ``spike_at`` looks up; the library takes tolerance and overbound for each other there (D-01)."""
    own = vars(synapse)
    mode = mode_of(own["_SpikeMixin__interp"])
    tolerance, overbound = own["_SpikeMixin__overbound"], own["_SpikeMixin__tolerance"]
    if mode not in ("previous", "nearest") or own["_SpikeMixin__interp_kwargs"] or tolerance is None:
        return None
    return [Part("spike_", mode, None, float(tolerance), overbound)]


def past_currents(synapse: nn.Module, kind: str, times: torch.Tensor) -> torch.Tensor | None:
    """``synapse.current_at(times)``; None if the library has to look it up."""
    parts = parts_of(synapse, kind)
    dtype = synapse._buffers["_current__ref"].dtype if kind == "delta" else None
    return None if parts is None else _past(synapse, parts, times, "_fused_past_currents", dtype)


def past_spikes(synapse: nn.Module, times: torch.Tensor) -> torch.Tensor | None:
    """``synapse.spike_at(times)``; None if the library has to look it up."""
    parts = spike_part(synapse)
    return None if parts is None else _past(synapse, parts, times, "_fused_past_spikes", None)


def _past(
    synapse: nn.Module, parts: list[Part], times: torch.Tensor, kept: str, dtype: torch.dtype | None
) -> torch.Tensor | None:
    rings = [ring_of(synapse, part.handle) for part in parts]
    if type(times) is not torch.Tensor or not _covered(rings, times):
        return None
    # of an expanded view, what is there once
    own = times[tuple(slice(1) if stride == 0 else slice(None) for stride in times.stride())]
    plans = vars(synapse).setdefault(kept, Plans()).get(own, synapse, parts)
    if plans is None:
        return None
    total = None
    for part, plan, data in zip(parts, plans, rings, strict=True):
        ages = plan.slot.to(times.dtype).expand(times.shape)
        found = ops.history_gather(data, pointer_of(synapse, part.handle, data), ages, dt=1.0, overbound=0.0)
        if plan.factor is not None:
            found = found * plan.factor
        if dtype is not None:
            found = found.to(dtype) * part.scale
        total = found if total is None else total - found
    overbound, outside = parts[0].overbound, plans[0].slot == plans[0].slots
    if overbound:
        total = torch.where(outside, total.new_tensor(overbound), total)
    return total


def _covered(rings: list[torch.Tensor | None], times: torch.Tensor) -> bool:
    """Whether our ops look this up; a history of one sample has a way of its own in the library (D-10)."""
    if any(data is None or len(data) == 1 or not data.numel() for data in rings) or times.dtype not in TYPES:
        return False
    observed = rings[0].shape[1:]
    if any(data.shape != rings[0].shape or data.device != times.device for data in rings):
        return False
    if times.shape[: len(observed)] != observed or times.ndim > len(observed) + 1 or not times.numel():
        return False
    return all(data.dtype in (torch.bool, *TYPES) for data in rings) and plain(times, *rings)
