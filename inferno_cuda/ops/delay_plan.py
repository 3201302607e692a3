"""What the delays of a connection say about its lookups, prepared once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from .. import reference
from .backend import runs_native, transformed
from .common import check_floating, needs_graph
from .history import MODES, check_grid, check_mode, check_reach, time_eps
from .native import status

if status.loaded:
    _raw_plan = torch.ops.inferno_cuda.delay_plan.default

    @torch.library.register_fake("inferno_cuda::delay_plan")
    def _(delay, slots, *parameters):
        slot = torch.empty(delay.shape, dtype=torch.uint8 if slots <= 255 else torch.int32, device=delay.device)
        return slot, torch.empty(delay.shape, dtype=delay.dtype, device=delay.device)


@dataclass(frozen=True)
class DelayPlan:
    """What depends on a connection's delays alone; made by :func:`delay_plan`.

    Attributes:
        slot: age of each synapse's sample, in the shape of the delays; `slots` where the delay is out of range.
        factor: decay since that sample, or the blend towards the next newer one if `linear`; None: 1 everywhere.
        slots: number of slots of the ring that it was made for.
        linear: what `factor` means.
        overbound: value of delays that are out of range, nA.
        slope: what carries gradients to the delays; None: there are none.
    """

    slot: torch.Tensor
    factor: torch.Tensor | None
    slots: int
    linear: bool
    overbound: float
    slope: reference.Slope | None = None


DIFFERENTIABLE = ("linear", "expdecay")


def attach(
    plan: DelayPlan, delay: torch.Tensor, *, dt: float, mode: str, time_constant: float | None, max_delay: float
) -> DelayPlan:
    """The plan of these delays, such that gradients of what it is used for reach them.

    Raises:
        RuntimeError: the mode has no derivative with respect to the delays.
    """
    if mode not in DIFFERENTIABLE:
        raise RuntimeError(
            f"delay requires a gradient, and the interpolation mode {mode!r} has none with respect to delays; it must "
            "be 'linear' or 'expdecay', or call delay.requires_grad_(False)"
        )
    unit = dt if mode == "linear" else time_constant
    return replace(plan, slope=reference.Slope(reference.delay_shift(delay, max_delay), mode == "linear", unit))


def delay_plan(
    delay: torch.Tensor,
    *,
    dt: float,
    slots: int,
    max_delay: float,
    mode: str = "previous",
    time_constant: float | None = None,
    tolerance: float = 0.0,
    overbound: float | None = 0.0,
) -> DelayPlan:
    """Prepares the delayed sums for the given delays; to be used again until they change.

    Args:
        delay: conduction delays, ms, in the shape of the weights; and in their dtype, since factors are rounded to it.
        dt: step length, ms.
        slots: number of slots of the history's ring.
        max_delay: longest delay that the history serves, ms.
        mode, time_constant, tolerance, overbound: as for :func:`~inferno_cuda.ops.history_gather`.

    Delays that require a gradient get one from what the plan is used for, in the modes linear and expdecay: the
    derivative within the interval between two samples. On a sample it is that of the interval of smaller delays; for
    linear at 0, where there is none, that of larger ones. Delays out of range get none, but with ``overbound=None``
    that of the end they are clamped to, unless it would push them further outside.

    Raises:
        ValueError: a delay is NaN, or a parameter is out of range. On devices other than the CPU, where reading a
            value back would stall the device, and in compiled code, NaN fails an assertion on the device instead.
        TypeError: delay is not floating point.
        RuntimeError: delay requires a gradient, and the mode has none; or torch.func.vmap maps over the delays.
    """
    constant = check_mode(mode, time_constant)
    check_grid(dt, tolerance)
    check_floating("delay", delay)
    if not 1 <= slots < 2**31:
        raise ValueError(f"slots was {slots}; it must be positive and below 2^31")
    check_reach("max_delay", max_delay, dt * (slots - 1))
    if transformed() and _is_mapped(delay):
        raise RuntimeError("delay: vmap maps over delays; a plan has one for each synapse, plan them one by one")
    given, delay = delay, delay.detach()
    eps = time_eps(delay.dtype)
    if delay.dtype not in (torch.float32, torch.float64):
        delay = delay.float()
    if delay.is_cpu and not torch.compiler.is_compiling():
        if bool(delay.isnan().any()):
            raise ValueError("delay had NaN entries; delays must be numbers (ms)")
    elif delay.device.type != "meta":
        torch._assert_async(~delay.isnan().any(), "delay had NaN entries; delays must be numbers (ms)")
    clamp = overbound is None
    if runs_native(delay, "delay_plan"):
        slot, factor = _raw_plan(
            delay.contiguous(), slots, dt, max_delay, MODES.index(mode), constant, tolerance, eps, clamp
        )
    else:
        slot, factor = reference.delay_plan(
            delay.contiguous(),
            slots=slots,
            dt=dt,
            max_delay=max_delay,
            mode=mode,
            time_constant=constant,
            tolerance=tolerance,
            eps=eps,
            clamp=clamp,
        )
    plan = _made(delay, slot, factor, slots, mode, overbound)
    if not needs_graph(given):
        return plan
    return attach(plan, given, dt=dt, mode=mode, time_constant=time_constant, max_delay=max_delay)


def _is_mapped(tensor: torch.Tensor) -> bool:
    """Whether torch.func.vmap maps over a tensor, at any level."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        if functorch.is_batchedtensor(tensor):
            return True
        tensor = functorch.get_unwrapped(tensor)
    return False


def _made(delay, slot, factor, slots, mode, overbound) -> DelayPlan:
    linear = mode == "linear"
    if mode in ("previous", "next", "nearest"):
        factor = None
    elif delay.is_cpu and not torch.compiler.is_compiling() and bool((factor == (0.0 if linear else 1.0)).all()):
        factor, linear = None, False  # all on the grid
    return DelayPlan(slot, factor, slots, linear, 0.0 if overbound is None else float(overbound))
