"""What inferno-ai's lookups find at the delays of a connection, prepared for our delayed sums.

The arithmetic is that of ``RecordTensor.select`` in the dtype of the delays, its slips on the grid included (D-08), and
so are the reach that a record has after a change of its delay (D-02) and time constants that were kept (D-30).
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn

from .. import ops
from ._inferno import ring_of
from ._registry import definer

_MODES = {"interp_previous": "previous", "interp_nearest": "nearest", "interp_expdecay": "expdecay"}


_KINDS: WeakKeyDictionary[type[nn.Module], str | None] = WeakKeyDictionary()


def kind_of(cls: type[nn.Module]) -> str | None:
    """How a class of synapses looks its currents up; None for one that has a way of its own."""
    if cls not in _KINDS:
        _KINDS[cls] = _find_kind(cls)
    return _KINDS[cls]


def _find_kind(cls: type[nn.Module]) -> str | None:
    neural = sys.modules["inferno.neural"]
    kinds = {
        neural.DeltaCurrent: "delta",
        neural.DeltaPlusCurrent: "plus",
        neural.SingleExponentialCurrent: "plus",
        neural.DoubleExponentialCurrent: "double_exponential",
    }
    base = next((base for base in cls.__mro__ if base in kinds), None)
    if base is None or any(definer(cls, name) is not definer(base, name) for name in ("current_at", "dt")):
        return None
    return kinds[base]


class Part(NamedTuple):
    """One history that a synapse's currents are looked up in.

    Attributes:
        handle: name of the record.
        mode: how it interpolates: previous, nearest or expdecay.
        time_constant: of the decay, ms; None for the other modes.
        tolerance: distance from the grid within which a time counts as on it, ms.
        overbound: value of times out of range; None takes the nearer end instead.
        scale: what True stands for in a history of spikes, nA.
    """

    handle: str
    mode: str
    time_constant: float | None
    tolerance: float
    overbound: float | None
    scale: float = 1.0


def mode_of(interpolation: Any) -> str | None:
    """The name of one of the library's interpolations that our ops have; None for another."""
    known = getattr(interpolation, "__module__", None) == "inferno.functional.interpolation"
    return _MODES.get(interpolation.__name__) if known else None


def parts_of(synapse: nn.Module, kind: str) -> list[Part] | None:
    """The histories whose lookups make up ``synapse.current_at``: the second is taken off the first.

    None for a synapse that was given another interpolation.
    """
    own = vars(synapse)
    if kind == "double_exponential":
        tolerance = own["_DoubleExponentialCurrent__tolerance"]
        overbound = own["_DoubleExponentialCurrent__current_overbound"]
        rest = None if overbound is None else 0.0
        return [
            Part("pos_current_", "expdecay", synapse.tc_decay, tolerance, overbound),
            Part("neg_current_", "expdecay", synapse.tc_rise, tolerance, rest),
        ]
    if kind == "delta":
        mixin, handle, overbound = "_SpikeDerivedCurrentMixin__", "spike_", "current_overbound"
        scale = synapse.spike_charge / synapse.dt
    else:
        mixin, handle, overbound, scale = "_CurrentMixin__", "current_", "overbound", 1.0
    mode, options = mode_of(own[f"{mixin}interp"]), own[f"{mixin}interp_kwargs"]
    if mode is None or set(options) != ({"time_constant"} if mode == "expdecay" else set()):
        return None
    return [
        Part(handle, mode, options.get("time_constant"), own[f"{mixin}tolerance"], own[f"{mixin}{overbound}"], scale)
    ]


def _plan(delay: torch.Tensor, slots: int, dt: float, duration: float, part: Part) -> ops.DelayPlan | None:
    """None where the library raises: it takes some delays at the very end of the range to be beyond it."""
    tolerance = part.tolerance
    bounded = delay.clamp(min=0, max=duration)
    lowest, highest = bounded.amin(), bounded.amax()
    if not (lowest >= -tolerance and highest <= dt * (slots - 1) + tolerance):
        return None
    shift = bounded / dt
    whole = shift.round()
    shift = torch.where(torch.abs(dt * whole - bounded) <= tolerance, whole, shift)
    older, newer = (1 + shift).ceil(), (1 + shift).floor()
    between, since = older != newer, dt - dt * (shift % 1)
    factor = None
    if part.mode == "nearest":
        older = torch.where(between & (since / dt > 0.5), newer, older)
    elif part.mode == "expdecay":
        factor = torch.where(between, torch.exp(-since / part.time_constant), 1.0)
    slot = (older.long() - 1) % slots
    if part.overbound is not None:
        slot = torch.where((delay - bounded).abs() <= tolerance, slot, slots)
    slot = slot.to(torch.uint8 if slots <= 255 else torch.int32).contiguous()
    return ops.DelayPlan(slot, factor, slots, False, float(part.overbound or 0.0))


class Plans:
    """The plans made last, and what they were made for."""

    def __init__(self) -> None:
        self._key: tuple | None = None
        self._delay: torch.Tensor | None = None
        self._storage: torch.UntypedStorage | None = None
        self._plans: list[ops.DelayPlan] | None = None

    def get(self, delay: torch.Tensor, synapse: nn.Module, parts: list[Part]) -> list[ops.DelayPlan] | None:
        """A plan for each part; None if the library would raise.

        On the CPU the delays are compared by value, so that no write to them goes unseen. Elsewhere that would wait for
        the device: a write through ``.data`` is not noticed there.
        """
        own = vars(synapse)
        grids = tuple(
            (len(ring_of(synapse, p.handle)), own[f"_{p.handle}_dt"], own[f"_{p.handle}_duration"]) for p in parts
        )
        key = (delay.shape, delay.dtype, delay.device, tuple(parts), grids)
        if not delay.is_cpu:
            key += (None if delay.is_inference() else delay._version, delay.data_ptr())
        if key != self._key or not self._same(delay):
            with torch.inference_mode(False), torch.no_grad():
                fixed = delay.detach().clone()
                plans = [_plan(fixed, *grid, part) for grid, part in zip(grids, parts, strict=True)]
            self._key, self._delay, self._storage = key, fixed, delay.untyped_storage()
            self._plans = None if any(plan is None for plan in plans) else plans
        return self._plans

    def _same(self, delay: torch.Tensor) -> bool:
        return torch.equal(delay, self._delay) if delay.is_cpu else not delay.is_inference()
