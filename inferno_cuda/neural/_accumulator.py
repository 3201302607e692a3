"""Pending updates of one parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..ops import Limit, OuterProduct
from ..ops.common import has_memory, overlap
from ..state import Module
from ..state._check import instance
from ._coverage import watched
from ._deferred import Deferred, Pending, Unknown, kept, limit_of, limits_of

Reduction = Callable[[torch.Tensor, int], torch.Tensor]
Bound = tuple[Callable, tuple[float | None, ...], dict[str, Any]]


def saved_updates(state_dict: Mapping[str, Any], prefix: str) -> tuple[list[str], list[str]]:
    """Keys of the pending updates, positive and negative, that inferno-ai saved with an accumulator; in order."""
    found = []
    for start in (f"{prefix}_pos.", f"{prefix}_neg."):
        keys = [key for key, value in state_dict.items() if key.startswith(start) and isinstance(value, torch.Tensor)]
        numbers = {key: key[len(start) :] for key in keys}
        found.append(sorted((key for key in keys if numbers[key].isdecimal()), key=lambda key: int(numbers[key])))
    return tuple(found)


def _bounded(bound: Bound, *tensors: torch.Tensor) -> torch.Tensor:
    function, limits, kwargs = bound
    return function(*tensors, *limits, **kwargs)


def _update(name: str, value: torch.Tensor | Deferred | None) -> torch.Tensor | Deferred | None:
    if value is None or isinstance(value, Deferred):
        return value
    value = instance(name, value, torch.Tensor).detach()
    return value if value.is_floating_point() or value.is_complex() else value.to(torch.get_default_dtype())


class Accumulator(Module):
    """Pending updates of one parameter, potentiation (``pos``) apart from depression (``neg``).

    Both are magnitudes: applied without bounds they change the parameter by ``pos - neg``. Pending updates are not
    parameters and are not saved in the state_dict. Those that inferno-ai saved replace what is pending.

    A learning rule may give a :class:`~inferno_cuda.neural.Deferred` in place of a tensor. Whoever reads it sees a
    tensor; an :class:`Updater` applies it as it is where it can.
    """

    def __init__(self) -> None:
        Module.__init__(self)
        self._pos: list[torch.Tensor] = Pending()
        self._neg: list[torch.Tensor] = Pending()
        self._reduced: dict[str, torch.Tensor | None] = {}
        self._reduce: Reduction = torch.sum
        self._upper: Bound | None = None
        self._lower: Bound | None = None
        self._full: Bound | None = None

    @property
    def pos(self) -> torch.Tensor | None:
        """Reduction of the pending positive updates, or None. Setting it appends an update, deleting it drops all."""
        return self._reduction_of("_pos")

    @pos.setter
    def pos(self, value: torch.Tensor | Deferred | None) -> None:
        self._append(value, None)

    @pos.deleter
    def pos(self) -> None:
        self._drop("_pos")

    @property
    def neg(self) -> torch.Tensor | None:
        """Reduction of the pending negative updates, or None. Setting it appends an update, deleting it drops all."""
        return self._reduction_of("_neg")

    @neg.setter
    def neg(self, value: torch.Tensor | Deferred | None) -> None:
        self._append(None, value)

    @neg.deleter
    def neg(self) -> None:
        self._drop("_neg")

    def _append(self, pos: torch.Tensor | Deferred | None, neg: torch.Tensor | Deferred | None) -> None:
        pos, neg = _update("pos", pos), _update("neg", neg)
        if pos is not None:
            self._pos.append(pos)
            self._reduced.pop("_pos", None)
        if neg is not None:
            self._neg.append(neg)
            self._reduced.pop("_neg", None)

    def _drop(self, pending: str) -> None:
        getattr(self, pending).clear()
        self._reduced.pop(pending, None)

    def _reduction_of(self, pending: str) -> torch.Tensor | None:
        if pending not in self._reduced:
            updates = getattr(self, pending)
            self._reduced[pending] = self._reduce(torch.stack(list(updates), 0), 0) if updates else None
        return self._reduced[pending]

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Accumulator:
        super()._apply(fn, recurse)
        for updates in (self._pos, self._neg):
            updates[:] = [u.map(fn) if isinstance(u, Deferred) else fn(u) for u in kept(updates)]
        self._reduced.clear()
        return self

    def _unsaved(self) -> dict[str, torch.Tensor]:
        """What the state_dict leaves out and a checkpoint needs, under the keys that inferno-ai has for it."""
        sides = {"_pos": self._pos, "_neg": self._neg}
        return {f"{side}.{i}": update for side, updates in sides.items() for i, update in enumerate(updates)}

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        keys = saved_updates(state_dict, prefix)
        if any(keys):
            self.clear()
            # taken out of the dictionary, which is torch's own, so that they are not unexpected
            self._pos[:], self._neg[:] = ([state_dict.pop(k).detach().clone() for k in side] for side in keys)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def reduction(self, fn: Reduction | None = None) -> None:
        """Sets how several pending updates become one: ``fn(stacked, 0)``, by default their sum."""
        self._reduce = torch.sum if fn is None else fn
        self._reduced.clear()

    def upperbound(self, bound: Callable | None, max: float | None = None, /, **kwargs: Any) -> None:
        """Bounds positive updates: ``pos' = bound(param, pos, max, **kwargs)``. None takes the bound away.

        Replaces a bound set with :meth:`fullbound`.
        """
        self._full = None
        self._upper = None if bound is None else (bound, (max,), kwargs)

    def lowerbound(self, bound: Callable | None, min: float | None = None, /, **kwargs: Any) -> None:
        """Bounds negative updates: ``neg' = bound(param, neg, min, **kwargs)``. None takes the bound away.

        Replaces a bound set with :meth:`fullbound`.
        """
        self._full = None
        self._lower = None if bound is None else (bound, (min,), kwargs)

    def fullbound(
        self, bound: Callable | None, max: float | None = None, min: float | None = None, /, **kwargs: Any
    ) -> None:
        """Bounds both directions at once: ``delta = bound(param, pos, neg, max, min, **kwargs)``.

        None takes the bound away. Replaces bounds set with :meth:`upperbound` and :meth:`lowerbound`.
        """
        self._upper = self._lower = None
        self._full = None if bound is None else (bound, (max, min), kwargs)

    def clear(self, **kwargs) -> None:
        """Drops all pending updates."""
        self._pos.clear()
        self._neg.clear()
        self._reduced.clear()

    def update(self, param: torch.Tensor, **kwargs) -> torch.Tensor | None:
        """What the pending updates add to ``param``, or None if there are none."""
        pos, neg = self.pos, self.neg
        if pos is None and neg is None:
            return None
        if self._full is not None:
            pos = torch.zeros_like(neg) if pos is None else pos
            neg = torch.zeros_like(pos) if neg is None else neg
            return _bounded(self._full, param, pos, neg)
        if pos is not None and self._upper is not None:
            pos = _bounded(self._upper, param, pos)
        if neg is not None and self._lower is not None:
            neg = _bounded(self._lower, param, neg)
        if neg is None:
            return pos
        return -neg if pos is None else pos - neg

    def _is_idle(self) -> bool:
        """Whether there is nothing to apply, and nobody to see that."""
        return not self._pos and not self._neg and type(self) is Accumulator and not watched(self)

    def _fused(self, param: torch.Tensor) -> dict[str, Any] | None:
        """Arguments of ``ops.apply_updates_`` that stand for a call, or None: one is needed.

        They do where updates are summed, as tensors of the parameter's shape and dtype or all deferred, and bounds are
        none or of functional.bounding.
        """
        if type(self) is not Accumulator or watched(self) or self._reduce is not torch.sum:
            return None
        limits = self._limits()
        if limits is None:
            return None
        upper, lower = limits
        outers = self._outers(param)
        if outers is not None:
            return {"pos": outers[0], "neg": outers[1], "upper": upper, "lower": lower}
        for update in (*list.__iter__(self._pos), *list.__iter__(self._neg)):
            if update.shape != param.shape or update.dtype != param.dtype or update.device != param.device:
                return None
            if isinstance(update, torch.Tensor) and (not has_memory(update) or overlap(update, param)):
                return None
        pos, neg = (self._only(updates) for updates in ("_pos", "_neg"))
        return {"pos": pos, "neg": neg, "upper": upper, "lower": lower}

    def _outers(self, param: torch.Tensor) -> tuple[list[OuterProduct], list[OuterProduct]] | None:
        """Both sides, if there is something and all of it is deferred and fits the parameter."""
        sides: tuple[list, list] = [], []
        for updates, side in zip((self._pos, self._neg), sides, strict=True):
            for update in list.__iter__(updates):
                if update.__class__ is not Deferred or not update.fits(param):
                    return None
                side += update.outers
        return sides if sides[0] or sides[1] else None

    def _limits(self) -> tuple[Limit | None, Limit | None] | None:
        """What the bounds stand for, found out once for each change of them; None if they are others."""
        bounds, known = (self._upper, self._lower, self._full), self.__dict__.get("_known")
        if known is None or known[0] is not bounds[0] or known[1] is not bounds[1] or known[2] is not bounds[2]:
            try:
                halves = self._full is None
                limits = (limit_of(self._upper), limit_of(self._lower)) if halves else limits_of(self._full)
            except Unknown:
                limits = None
            known = self.__dict__["_known"] = (*bounds, limits)
        return known[3]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_known"}

    def _only(self, pending: str) -> torch.Tensor | None:
        updates = getattr(self, pending)
        return updates[0] if len(updates) == 1 else self._reduction_of(pending)

    def forward(self, param: torch.Tensor, **kwargs) -> torch.Tensor:
        """``param`` with the pending updates added, in the dtype of ``param``; itself if there are none."""
        delta = self.update(param, **kwargs)
        return param if delta is None else (param + delta).to(param.dtype)
