"""Applying pending updates to a parameter in one pass, or only where outer products of spikes change it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch.autograd import forward_ad

from .. import reference
from ..reference import Limit, OuterProduct
from .backend import native_on_cpu, runs_native, transformed
from .common import (
    _increment_version,
    check_floating,
    check_same,
    check_writable,
    check_written_apart,
    forbid_gradients,
    shape_text,
    written,
)
from .native import status
from .plasticity import correlate_dense

_POWERS = {1.0: 1, 2.0: 2, 3.0: 3, None: 4}  # csrc/core/updates.h
_MOST = 8  # outer products that the kernel takes
Update = torch.Tensor | Sequence[OuterProduct] | None

if status.loaded:
    _raw_updates = torch.ops.inferno_cuda.apply_updates_.default
    _raw_outers = torch.ops.inferno_cuda.apply_outers_.default
    _raw_sides = torch.ops.inferno_cuda.outer_sides.default
    _raw_clamp = torch.ops.inferno_cuda.clamp_updated_.default

    @torch.library.register_fake("inferno_cuda::apply_updates_")
    def _(param, pos, neg, upper, lower):
        return None

    @torch.library.register_fake("inferno_cuda::apply_outers_")
    def _(param, posts, pres, scales, positive, upper, lower):
        return None

    @torch.library.register_fake("inferno_cuda::clamp_updated_")
    def _(param, low, high):
        return None

    @torch.library.register_fake("inferno_cuda::outer_sides")
    def _(data, pointers):
        sides = [ring.new_empty(ring.shape[1], ring[0, 0].numel()) for ring in data]
        return [*sides, torch.empty(len(data), dtype=torch.int64)]


def _numbers(limit: Limit | None) -> list[float] | None:
    """A limit as the kernels take it; None if they have no such power."""
    if limit is None:
        return []
    if limit.power not in _POWERS:
        return None
    scaled = limit.range is not None
    return [float(_POWERS[limit.power]), float(limit.below), float(scaled), limit.limit, limit.range if scaled else 1.0]


@functools.lru_cache(maxsize=512)
def _plain_numbers(limit: Limit | None) -> list[float]:
    """A limit as the kernels take it; the same ones are met again.

    Raises:
        TypeError, ValueError: it is no limit of plain numbers, or the kernels have no such power.
    """
    if limit is not None and not all(isinstance(value, int | float | None) for value in limit):
        raise TypeError("not all of these are numbers")
    numbers = _numbers(_check_limit("limit", limit))
    if numbers is None:
        raise ValueError("no kernel has this power")
    return numbers


def _apply_plain(param, pos, neg, upper, lower) -> bool:
    """The same on the CPU where nothing needs a gradient; whether the kernels took the tensors.

    They check their arguments before they write: repeating that here would cost more than small updates do.
    """
    if not param.is_cpu or not native_on_cpu() or torch.compiler.is_compiling():
        return False
    if forward_ad._current_level >= 0 or transformed() or (param.requires_grad and torch.is_grad_enabled()):
        return False
    try:
        bounds = _plain_numbers(upper), _plain_numbers(lower)
        if isinstance(pos, torch.Tensor) or isinstance(neg, torch.Tensor):
            if any(update is not None and update.requires_grad for update in (pos, neg)):
                return False
            _raw_updates(param, pos, neg, *bounds)
        else:
            pos = pos or ()
            every = (*pos, *(neg or ()))
            if not 0 < len(every) <= _MOST:
                return False
            posts, pres, scales = zip(*every, strict=True)
            for side in (*posts, *pres):
                if side.requires_grad:
                    return False
            _raw_outers(param, posts, pres, scales, len(pos), *bounds)
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return False
    _increment_version((param,))
    return True


def outer_sides(
    data: Sequence[torch.Tensor], pointers: Sequence[torch.Tensor]
) -> tuple[list[torch.Tensor], list[int]] | None:
    """Copies of the newest slots of rings, for outer products, and how many values of each are not 0.

    Args:
        data: rings ``[N, B, *shape]``, floating, on the CPU; they need no gradient.
        pointers: of each ring, the slot that is written next.

    Returns:
        tensors ``[B, n]``, and numbers of values; None if the kernel does not take the rings.
    """
    try:
        *sides, counts = _raw_sides(data, pointers)
    except RuntimeError:
        return None
    return sides, counts.tolist()


def clamp_updated_(param: torch.Tensor, low: float | None, high: float | None) -> bool:
    """``param.clamp_(low, high)`` of a small parameter without waking threads; whether the kernel took it.

    Args:
        param: contiguous, float32 or float64, on the CPU, where no gradient is recorded.
        low, high: limits, or None.
    """
    if not param.is_cpu or not native_on_cpu() or not param.is_contiguous() or forward_ad._current_level >= 0:
        return False
    if param.dtype not in (torch.float32, torch.float64) or torch.compiler.is_compiling() or transformed():
        return False
    _raw_clamp(param, -math.inf if low is None else low, math.inf if high is None else high)
    _increment_version((param,))
    return True


def _check_limit(name: str, limit: Limit | None) -> Limit | None:
    if limit is None:
        return None
    if not isinstance(limit, Limit):
        raise TypeError(f"{name} was {type(limit).__name__}; it must be a Limit or None")
    power = None if limit.power is None else float(limit.power)
    span = None if limit.range is None else float(limit.range)
    return Limit(float(limit.limit), bool(limit.below), power, span)


def _check_update(name: str, update: Update, param: torch.Tensor) -> dict[str, torch.Tensor]:
    """The tensors of an update, by what they are called in errors."""
    if update is None:
        return {}
    if isinstance(update, torch.Tensor):
        if update.shape != param.shape:
            raise ValueError(
                f"{name} had shape {shape_text(update.shape)}; it must be {shape_text(param.shape)} like param"
            )
        check_same(name, update, "param", param)
        return {name: update}
    tensors = {}
    for k, (post, pre, _) in enumerate(update):
        if param.ndim != 2:
            raise ValueError(f"{name} had outer products; param must be (outputs, inputs) then, it had {param.ndim}")
        for side, tensor, size in (("post", post, param.shape[0]), ("pre", pre, param.shape[1])):
            if tensor.shape != (post.shape[0], size):
                raise ValueError(
                    f"{name}[{k}].{side} had shape {shape_text(tensor.shape)}; it must be (batch, {size}) to fit param"
                )
            if tensor.dtype != torch.bool:
                check_same(f"{name}[{k}].{side}", tensor, "param", param)
            elif tensor.device != param.device:
                raise ValueError(f"{name}[{k}].{side} was on {tensor.device}; it must be on {param.device} like param")
            tensors[f"{name}[{k}].{side}"] = tensor
    return tensors


def _dense(update: Update, param: torch.Tensor) -> torch.Tensor | None:
    if update is None or isinstance(update, torch.Tensor):
        return update
    total = None
    for post, pre, scale in update:
        term = correlate_dense(post, pre, scale=scale).to(param.dtype)
        total = term if total is None else total + term
    return total


def apply_updates_(
    param: torch.Tensor,
    pos: Update = None,
    neg: Update = None,
    *,
    upper: Limit | None = None,
    lower: Limit | None = None,
) -> None:
    """Applies pending updates in place: ``param += upper(pos) - lower(neg)``.

    Updates that are outer products, on both sides or on one alone, change only the rows of outputs and the columns of
    inputs with values that are not 0: what these do not meet is neither read nor written.

    Args:
        param: any shape; ``[O, I]`` for outer products.
        pos: magnitudes to be added: a tensor of param's shape and dtype, a sequence of :class:`OuterProduct`, which
            are summed, or None.
        neg: the same, to be subtracted.
        upper: bound of `pos`, see :class:`Limit`, or None.
        lower: bound of `neg`, or None.

    The kernels know powers of 1, 2 and 3 and sharp limits; with others it runs in torch.

    Raises:
        ValueError: shapes or devices do not fit, or elements of `param` share memory.
        TypeError: dtypes do not fit, or a bound is not a :class:`Limit`.
        RuntimeError: an update requires a gradient, or `param` where gradients are on; tensors overlap in memory.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> weight = torch.tensor([[0.0, 0.5], [0.5, 1.0]])
        >>> spikes, trace = torch.tensor([[True, False]]), torch.tensor([[0.5, 0.25]])
        >>> ops.apply_updates_(weight, [ops.OuterProduct(spikes, trace)], upper=ops.Limit(1.0, below=True))
        >>> weight
        tensor([[0.5000, 0.6250],
                [0.5000, 1.0000]])
    """
    if _apply_plain(param, pos, neg, upper, lower):
        return
    # the checks name what was wrong; what the kernels do not read as it is is copied, or runs in torch
    check_floating("param", param)
    upper, lower = _check_limit("upper", upper), _check_limit("lower", lower)
    read = _check_update("pos", pos, param) | _check_update("neg", neg, param)
    forbid_gradients("apply_updates_", "detach it", **{"param": param if torch.is_grad_enabled() else None}, **read)
    check_writable("param", param)
    check_written_apart({"param": param}, read)
    if any(isinstance(update, torch.Tensor) for update in (pos, neg)):
        pos, neg = _dense(pos, param), _dense(neg, param)
        _apply_dense(param, pos, neg, upper, lower)
    else:
        _apply_outers(param, list(pos or ()), list(neg or ()), upper, lower)


def _runs(param: torch.Tensor, bounds: tuple[list[float] | None, ...]) -> bool:
    return None not in bounds and param.is_contiguous() and runs_native(param, "apply_updates")


def _apply_dense(param, pos, neg, upper, lower) -> None:
    bounds = _numbers(upper), _numbers(lower)
    if _runs(param, bounds):
        _raw_updates(param, *(None if t is None else t.contiguous() for t in (pos, neg)), *bounds)
        written(param)
    else:
        with torch.no_grad():
            reference.apply_updates_(param, pos, neg, upper, lower)


def _apply_outers(param, pos, neg, upper, lower) -> None:
    bounds, every = (_numbers(upper), _numbers(lower)), pos + neg
    if not every:
        return
    if len(every) <= _MOST and _runs(param, bounds):
        posts, pres, scales = ([outer[k] for outer in every] for k in range(3))
        _raw_outers(param, posts, pres, scales, len(pos), *bounds)
        written(param)
    else:
        with torch.no_grad():
            reference.apply_outers_(param, pos, neg, upper, lower)
