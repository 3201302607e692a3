"""Delayed sums of connections: plans that are kept, one fused op, or chunks for synapses that do not offer it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import torch

from ... import ops
from ...ops.delay_plan import DIFFERENTIABLE, attach
from ...state import RecordTensor
from ...state._ring import capturing
from ..base import Synapse
from ..synapses import DelayedCurrent

# elements of the currents looked up at once: 4 MiB of float32, small enough to stay in the cache
CHUNK_ELEMENTS = 1 << 20
Make = Callable[[torch.Tensor, DelayedCurrent], ops.DelayPlan]


class PlanCache:
    """The plan made last, and what it was made for. A copy of the cache is empty.

    A CUDA graph reads the plan of its capture in every replay. Plans that a capture used are kept as long as the cache;
    after a change of the delays the graph must be captured again.
    """

    def __init__(self) -> None:
        self._key: tuple | None = None
        self._plan: ops.DelayPlan | None = None
        self._storage: torch.UntypedStorage | None = None
        self._delay: torch.Tensor | None = None
        self._suspect = False
        self._captured: list[ops.DelayPlan] = []

    def suspect(self) -> None:
        """The delays were handed out, and may have been written to where no version counts it: compare them."""
        self._suspect = True

    def _unchanged(self, delay: torch.Tensor) -> bool:
        """Whether delays are still those of the plan; not asked on devices that would have to be waited for."""
        return delay.is_cpu and torch.equal(delay, self._delay)

    def still_has(self, plan: ops.DelayPlan, delay: torch.Tensor) -> bool:
        """Whether :meth:`get` would give this plan again, if nothing but the values of the delays may have changed."""
        if self._plan is not plan or self._suspect or delay.requires_grad:
            return False
        return self._key[0] == (delay.data_ptr(), delay._version) and self._key[-1] == ops.active_mode()

    def get(self, delay: torch.Tensor, how: DelayedCurrent, make: Make | None = None) -> ops.DelayPlan:
        """The plan for these delays, made anew unless nothing it depends on has changed.

        Writes through ``delay.data`` leave no trace in the version of ``delay``; :meth:`suspect` is for those. Delays
        that require a gradient are always suspect, since fused optimizers count no versions either. A plan that is
        made while a CUDA graph is captured has no values before a replay, and is not kept. ``make`` makes it; every
        call of a cache has the same.
        """
        make = make or _plan
        if torch.compiler.is_compiling() or delay.is_inference():
            # an inference tensor does not count its versions, and a compiler does not see them
            return make(delay, how)
        key = (
            None if delay.requires_grad else (delay.data_ptr(), delay._version),
            delay.shape,
            delay.dtype,
            delay.device,
            how.record._times(),
            how[1:5],  # mode, time constant, tolerance and overbound
            ops.active_mode(),
        )
        known = key == self._key and (not (self._suspect or delay.requires_grad) or self._unchanged(delay))
        if capturing(delay):
            return self._keep_captured() if known else make(delay, how)
        if not known:
            # steps outside of inference mode go on with what is made here
            with torch.inference_mode(False):
                self._plan = make(delay, how)
                self._delay = delay.detach().clone() if delay.is_cpu else None
            self._key = key
            # as long as the storage lives, no other can have its address
            self._storage = delay.untyped_storage()
        self._suspect = False
        return self._plan

    def _keep_captured(self) -> ops.DelayPlan:
        if not any(plan is self._plan for plan in self._captured):
            self._captured.append(self._plan)
        return self._plan

    def __deepcopy__(self, memo: dict[int, Any]) -> PlanCache:
        return PlanCache()

    def __reduce__(self) -> tuple:
        return PlanCache, ()


class PlanCaches:
    """A :class:`PlanCache` for each way in which something is looked up at the same delays. A copy is empty."""

    def __init__(self) -> None:
        self._caches: dict[tuple, PlanCache] = {}

    def suspect(self) -> None:
        """As for every one of them."""
        for cache in self._caches.values():
            cache.suspect()

    def of(self, how: DelayedCurrent, make: Make | None = None) -> PlanCache:
        """The cache for a way."""
        return self._caches.setdefault((make, *how.record._times(), *how[1:5]), PlanCache())

    def get(self, delay: torch.Tensor, how: DelayedCurrent, make: Make | None = None) -> ops.DelayPlan:
        """As for a cache of its own."""
        return self.of(how, make).get(delay, how, make)

    def __deepcopy__(self, memo: dict[int, Any]) -> PlanCaches:
        return PlanCaches()

    def __reduce__(self) -> tuple:
        return PlanCaches, ()


def _plan(delay: torch.Tensor, how: DelayedCurrent) -> ops.DelayPlan:
    record: RecordTensor = how.record
    return ops.delay_plan(
        delay.detach(),
        dt=record.dt,
        slots=record.recordsz,
        max_delay=record.duration,
        mode=how.mode,
        time_constant=how.time_constant,
        tolerance=how.tolerance,
        overbound=how.overbound,
    )


def fuses(synapse: Synapse) -> bool:
    """Whether ``delayed_current`` of a synapse describes its ``current_at``.

    It does not where a subclass, or the instance, redefined ``current_at`` alone.
    """
    described = _described if torch.compiler.is_compiling() else _class_fuses  # compilers warn of caches
    return "current_at" not in vars(synapse) and described(type(synapse))


def _described(synapse: type[Synapse]) -> bool:
    for cls in synapse.__mro__:
        if "delayed_current" in vars(cls):
            return True
        if "current_at" in vars(cls):
            return False
    return False


_class_fuses = lru_cache(_described)


def check_differentiable(delay: torch.Tensor, how: DelayedCurrent, synapse: Synapse) -> None:
    """Checks that delays which require a gradient can have one.

    Raises:
        RuntimeError: the synapse's interpolation has none.
    """
    if delay.requires_grad and torch.is_grad_enabled() and how.mode not in DIFFERENTIABLE:
        raise RuntimeError(
            f"'delay' requires a gradient, and {type(synapse).__name__} with its interpolation {how.mode!r} has none: "
            "take a synapse that interpolates 'linear' or 'expdecay', or call delay.requires_grad_(False)"
        )


def differentiable(plan: ops.DelayPlan, delay: torch.Tensor, how: DelayedCurrent) -> ops.DelayPlan:
    """The plan of the delays as it is used in a step: with gradients, if they want any."""
    if not (delay.requires_grad and torch.is_grad_enabled()):
        return plan
    record = how.record
    options = {"mode": how.mode, "time_constant": how.time_constant, "max_delay": record.duration}
    return attach(plan, delay, dt=record.dt, **options)


def fused_run(
    op: Callable[..., torch.Tensor],
    how: DelayedCurrent,
    series: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    delay: torch.Tensor,
    plan: ops.DelayPlan,
) -> torch.Tensor:
    """The delayed sums of a sequence by one of ``ops.delayed_*_run``."""
    record = how.record
    return op(
        series,
        weight,
        delay,
        dt=record.dt,
        slots=record.recordsz,
        max_delay=record.duration,
        mode=how.mode,
        time_constant=how.time_constant,
        tolerance=how.tolerance,
        overbound=how.overbound,
        bias=bias,
        scale=how.scale,
        plan=plan,
    )


def fused_sum(
    op: Callable[..., torch.Tensor],
    how: DelayedCurrent,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    plan: ops.DelayPlan,
) -> torch.Tensor:
    """The delayed sum over a record by one of ``ops.delayed_*``."""
    record = how.record
    out = op(record.value, record._pointer_tensor, weight, plan, bias=bias, scale=how.scale)
    if torch.is_grad_enabled() and (weight.requires_grad or plan.slope is not None):
        record.hold()  # the graph keeps the ring
    return out


def chunks(elements: int, count: int) -> Iterator[slice]:
    """Slices of ``count`` things that take ``elements`` each in a tensor."""
    size = max(CHUNK_ELEMENTS // max(elements, 1), 1)
    return (slice(start, start + size) for start in range(0, count, size))
