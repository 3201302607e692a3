"""What was sent at the past steps of a synapse, read at the delays of its connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import ops
from ..neural import Connection, Conv2D, LinearDirect
from ..neural.connections._base import WeightedConnection
from ..neural.connections._plan import PlanCache
from ..neural.synapses._lookup import DelayedCurrent
from ..neural.synapses.mixins import SpikeMixin
from ..ops.backend import runs_native
from ..ops.plasticity import prepare_correlation
from ..state import RecordTensor
from ..state._ring import capturing

_KERNELS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def history_of(connection: Connection) -> DelayedCurrent | None:
    """How ``connection.synspike`` looks up the spikes of its synapse; None where that cannot be told.

    It cannot for spikes that a synapse computes, for classes with a ``synspike`` or ``spike_at`` of their own, without
    delays, and where delays out of range count as a spike in every step.
    """
    if not has_correlations(connection) or torch.compiler.is_compiling() or not connection.delayedby:
        return None
    synapse = connection._modules["synapse_"]
    if not isinstance(synapse, SpikeMixin) or "spike_at" in vars(synapse) or "delay_" not in connection._parameters:
        return None
    own = Conv2D.synspike if isinstance(connection, Conv2D) else Connection.synspike
    kind = type(synapse)
    if type(connection).synspike is not own or kind.spike_at is not SpikeMixin.spike_at:
        return None
    how = synapse.delayed_spike()
    data = how.record._data
    if kind.spike is not SpikeMixin.spike or how.overbound or data.dtype != torch.bool or data.is_inference():
        return None
    return how


def plans_of(connection: Connection, how: DelayedCurrent) -> PlanCache:
    """Where plans of the delays are kept for what is looked up at them."""
    current = connection._modules["synapse_"].delayed_current()
    same = current.record is how.record and current[1:4] == how[1:4] and current.overbound == how.overbound
    return connection._plans if same else connection._spike_plans.of(how)


def plan_of(connection: Connection, how: DelayedCurrent) -> ops.DelayPlan:
    """Where in the history each synapse finds what arrives now; the same object until the delays change."""
    return plans_of(connection, how).get(connection._held("delay_"), how)


def looked_up(
    connection: Connection, record: RecordTensor, mode: str, time_constant: float | None, tolerance: float, back: int
) -> tuple[Tensor, Tensor, ops.DelayPlan] | None:
    """Ring, pointer and plan of a record of a synapse, looked up at the delays; None where that is no such ring.

    Delays below their range, which a rule can make, see the newest, those above it nothing.

    Args:
        connection: whose delays these are.
        record: of the synapse, for at least the longest delay and ``back`` steps.
        mode: interpolation, "previous" or "expdecay".
        time_constant: of the latter, in ms.
        tolerance: how far from a sample a delay still counts as that sample's, in ms.
        back: by how many steps the newest is ignored.
    """
    data, delay = record._data, connection._parameters.get("delay_")
    known = has_correlations(connection) and delay is not None and data.dtype in _KERNELS
    if not known or torch.compiler.is_compiling() or data.requires_grad or not runs_native(data, "correlate_dense"):
        return None
    how = DelayedCurrent(_Times(record, connection.delayedby), mode, time_constant, tolerance, 0.0, 1.0)
    plan = connection._spike_plans.get(delay, how, _plan_from_newest)
    pointer = record._pointer_tensor
    return data, (pointer - back).remainder(len(data)) if back else pointer, plan


class _Times(NamedTuple):
    """The times of a record that is longer than what is looked up in it."""

    record: RecordTensor
    longest: float

    def _times(self) -> tuple:
        return (*self.record._times(), self.longest)


def _plan_from_newest(delay: Tensor, how: DelayedCurrent) -> ops.DelayPlan:
    record, longest = how.record
    options = {"time_constant": how.time_constant, "tolerance": how.tolerance, "overbound": how.overbound}
    slots = record.recordsz
    delay = delay.detach().clamp_min(0.0)
    return ops.delay_plan(delay, dt=record.dt, slots=slots, max_delay=longest, mode=how.mode, **options)


def same_delays(plan: ops.DelayPlan, other: ops.DelayPlan) -> bool:
    """Whether two plans read the same slots. While a CUDA graph is captured, equal values are not looked for."""
    if plan is other:
        return True
    if plan.slots != other.slots or capturing(other.slot):
        return False
    return torch.equal(plan.slot.to(other.slot.device), other.slot)


@dataclass(frozen=True)
class Sent:
    """A ring of what was sent, and where each synapse finds what arrives.

    Attributes:
        connection: whose delays these are.
        ring: ``(N, B, *shape of the synapse)``.
        pointer: slot of the ring that is written next.
        plan: of delays in the shape of the weights, for the N slots.
        scale: what all of it is multiplied by.
        look_up: makes what arrives, arranged like the connection's ``synspike``; None to read the ring.
    """

    connection: Connection
    ring: Tensor
    pointer: Tensor
    plan: ops.DelayPlan
    scale: float = 1.0
    look_up: Callable[[], Tensor] | None = None

    def __mul__(self, factor: float) -> Sent:
        return replace(self, scale=self.scale * factor)

    def gathered(self, nothing: float = 0.0) -> Tensor:
        """What arrives, arranged like the connection's ``synspike``; ``nothing`` out of range and beyond borders."""
        found = self._read(nothing) if self.look_up is None else self.look_up()
        return found if self.scale == 1.0 else found * self.scale

    def _read(self, nothing: float) -> Tensor:
        plan, connection = self.plan, self.connection
        ring = torch.cat([self.ring, torch.full_like(self.ring[:1], nothing)])
        slot = (self.pointer - 1 - plan.slot.long()).remainder(plan.slots)
        slot = torch.where(plan.slot == plan.slots, plan.slots, slot)
        if isinstance(connection, Conv2D):
            return _windows(connection, ring, slot, nothing)
        return _synapses(connection, ring, slot)


def _synapses(connection: Connection, ring: Tensor, slot: Tensor) -> Tensor:
    numbers = torch.arange(ring.shape[2], device=ring.device)
    found = ring[slot, :, numbers]
    if isinstance(connection, LinearDirect):
        return found.t().unsqueeze(2).contiguous()
    return found.permute(2, 1, 0).contiguous()


def _windows(connection: Conv2D, ring: Tensor, slot: Tensor, nothing: float) -> Tensor:
    windows, channels = connection._windows, torch.arange(connection.channels, device=ring.device)
    seen = []
    for tap in windows.taps():
        images = ring[slot[..., tap[0], tap[1]], :, channels]  # (F, C, B, H, W)
        seen.append(windows.seen(images.permute(2, 1, 3, 4, 0), tap).flatten(2, 3))
    found = torch.stack(seen, 2).flatten(1, 2)
    if nothing == 0.0 or not any(connection.padding):
        return found
    inside = windows.unfold(torch.ones(connection.inshape, dtype=torch.bool, device=ring.device))
    return found.masked_fill(~inside.unsqueeze(-1), nothing)


Values = Tensor | Sent  # arranged like a connection's ``synspike``, or to be read so


def together(function: Callable[..., Any], *values: Values) -> Values:
    """A function of each element of several values, that is 0 where all of them are out of range."""
    sent = [value for value in values if isinstance(value, Sent)]
    if len(sent) < len(values) or any(value.plan.factor is not None for value in sent):
        return function(*(value.gathered() if isinstance(value, Sent) else value for value in values))
    slots = min(len(value.ring) for value in sent)
    plan = next(value.plan for value in sent if value.plan.slots == slots)
    ordered = []
    for value in sent:
        ages = torch.arange(slots, 0, -1, device=value.ring.device)
        newest = value.ring.index_select(0, (value.pointer - ages).remainder(len(value.ring)))
        ordered.append(newest if value.scale == 1.0 else newest * value.scale)
    return Sent(sent[0].connection, function(*ordered), torch.zeros_like(sent[0].pointer), plan)


def correlated(post: Tensor, pre: Sent, scale: float) -> Tensor | None:
    """The sum over the samples of a postsynaptic recording, ``(B, *outshape)``, times what arrives, ``(*weight,)``.

    None where no kernel computes it: the sums of these ops in torch take a step for every sample and place.
    """
    connection, kind = pre.connection, kind_of(pre.connection)
    if not runs_native(post, f"correlate_{kind}") or post.dtype not in _KERNELS:
        return None
    arguments, scale = (pre.ring, pre.pointer, pre.plan), scale * pre.scale
    if kind == "conv2d":
        geometry = connection._geometry()
        return ops.correlate_conv2d(post, *arguments, kernel=connection.kernel, scale=scale, **geometry)
    op = ops.correlate_direct if kind == "direct" else ops.correlate_dense
    return op(post.flatten(1), *arguments, scale=scale)


def sum_of(post: Tensor, pre: Sent, scale: float) -> Callable[[], Tensor | None]:
    """:func:`correlated` of the same tensors again and again, whose values change, for float recordings."""
    if kind_of(pre.connection) != "dense" or not (post.is_cpu and pre.ring.is_cpu) or pre.plan.slope is not None:
        return lambda: correlated(post, pre, scale)
    return prepare_correlation(post.flatten(1), pre.ring, pre.pointer, pre.plan, scale * pre.scale)


def has_correlations(connection: Connection) -> bool:
    """Whether the ops of learning rules know how its synapses are arranged."""
    return isinstance(connection, WeightedConnection) and connection._has_correlations


def kind_of(connection: Connection) -> str:
    """What the ops call its arrangement of synapses."""
    if isinstance(connection, Conv2D):
        return "conv2d"
    return "direct" if isinstance(connection, LinearDirect) else "dense"
