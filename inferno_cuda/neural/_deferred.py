"""Updates that are kept as what they are made of until they are applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from .. import ops
from ..functional import bounding

_HALVES = {
    bounding.bound_upper_power: (True, "power", False),
    bounding.bound_lower_power: (False, "power", False),
    bounding.bound_upper_scaled_power: (True, "power", True),
    bounding.bound_lower_scaled_power: (False, "power", True),
    bounding.bound_upper_multiplicative: (True, 1.0, False),
    bounding.bound_lower_multiplicative: (False, 1.0, False),
    bounding.bound_upper_scaled_multiplicative: (True, 1.0, True),
    bounding.bound_lower_scaled_multiplicative: (False, 1.0, True),
    bounding.bound_upper_sharp: (True, None, False),
    bounding.bound_lower_sharp: (False, None, False),
}
_FULLS = {
    bounding.bound_power: ("power", False),
    bounding.bound_scaled_power: ("power", True),
    bounding.bound_multiplicative: (1.0, False),
    bounding.bound_scaled_multiplicative: (1.0, True),
    bounding.bound_sharp: (None, False),
}


class Unknown(Exception):
    """A bound that is not one of functional.bounding, or does not have the arguments that it needs."""


class Deferred:
    """An update of weights ``[O, I]`` as a sum of outer products, such as those of spikes and traces of a batch.

    Immutable: the tensors given must not be written to afterwards. Where it is applied as it is, only the rows and
    columns with values cost anything; whoever needs a tensor gets it from :meth:`dense`.

    Args:
        *outers: at least one :class:`~inferno_cuda.ops.OuterProduct`, all of the same shapes.
        dtype: of the update; by default the floating one among the tensors.

    Raises:
        ValueError: there is no outer product, or their shapes differ.
        TypeError: the floating tensors have different dtypes.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> from inferno_cuda.neural import Deferred
        >>> spikes, trace = torch.tensor([[True, False]]), torch.tensor([[0.5, 0.25]])
        >>> update = Deferred(ops.OuterProduct(spikes, trace))
        >>> update.dense()
        tensor([[0.5000, 0.2500],
                [0.0000, 0.0000]])
        >>> update.rows()
        tensor([0])
    """

    __slots__ = ("_cached", "dtype", "outers")

    def __init__(self, *outers: ops.OuterProduct, dtype: torch.dtype | None = None) -> None:
        outers = tuple(ops.OuterProduct(o.post.detach(), o.pre.detach(), float(o.scale)) for o in outers)
        shapes = {(o.post.shape[1:], o.pre.shape[1:]) for o in outers}
        if len(shapes) != 1 or any(o.post.ndim != 2 or o.pre.shape[:1] != o.post.shape[:1] for o in outers):
            raise ValueError("'outers' must be at least one outer product, of (batch, outputs) and (batch, inputs)")
        found = {t.dtype for o in outers for t in (o.post, o.pre) if t.is_floating_point()}
        found |= set() if dtype is None else {dtype}
        if len(found) > 1:
            raise TypeError(f"'outers' had the dtypes {', '.join(sorted(map(str, found)))}; there must be one")
        self.outers = outers
        self.dtype = found.pop() if found else torch.get_default_dtype()
        self._cached: torch.Tensor | None = None

    @classmethod
    def _of(cls, outers: tuple[ops.OuterProduct, ...], dtype: torch.dtype) -> Deferred:
        """Outer products that are known to fit each other, without a gradient."""
        made = cls.__new__(cls)
        made.outers, made.dtype, made._cached = outers, dtype, None
        return made

    @property
    def shape(self) -> torch.Size:
        """Shape of the update, ``(O, I)``."""
        return torch.Size((self.outers[0].post.shape[1], self.outers[0].pre.shape[1]))

    @property
    def device(self) -> torch.device:
        """Device of the update."""
        return self.outers[0].post.device

    def fits(self, param: torch.Tensor) -> bool:
        """Whether it is an update of this parameter, by shape, dtype and device."""
        post, pre, _ = self.outers[0]  # read here, since a step asks this of every update
        size = post.shape[1], pre.shape[1]
        return self.dtype == param.dtype and param.shape == size and post.device == param.device

    def rows(self) -> torch.Tensor:
        """Numbers of the outputs whose row may not be 0, ascending, int64."""
        return torch.stack([(o.post != 0).any(0) for o in self.outers]).any(0).nonzero().flatten()

    def columns(self) -> torch.Tensor:
        """Numbers of the inputs whose column may not be 0, ascending, int64."""
        return torch.stack([(o.pre != 0).any(0) for o in self.outers]).any(0).nonzero().flatten()

    def dense(self) -> torch.Tensor:
        """The update as a tensor, computed once."""
        if self._cached is None:
            terms = [ops.correlate_dense(o.post, o.pre, scale=o.scale).to(self.dtype) for o in self.outers]
            self._cached = terms[0] if len(terms) == 1 else torch.stack(terms).sum(0)
        return self._cached

    def map(self, fn: Callable[[torch.Tensor], torch.Tensor]) -> Deferred:
        """The same of other tensors, as ``Module._apply`` makes them: another device or dtype."""
        return Deferred(*(ops.OuterProduct(fn(o.post), fn(o.pre), o.scale) for o in self.outers))

    def __getstate__(self) -> dict[str, Any]:
        return {"outers": self.outers, "dtype": self.dtype}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.outers, self.dtype, self._cached = state["outers"], state["dtype"], None

    def __repr__(self) -> str:
        return f"Deferred(shape={tuple(self.shape)}, outers={len(self.outers)}, dtype={self.dtype})"


class Pending(list):
    """Pending updates of one side. Reading gives tensors; what is deferred is kept beside them."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return [as_tensor(update) for update in found] if isinstance(index, slice) else as_tensor(found)

    def __iter__(self) -> Iterable[torch.Tensor]:
        return map(as_tensor, super().__iter__())

    def __reduce__(self) -> tuple:
        return type(self), (kept(self),)


def kept(updates: list[torch.Tensor | Deferred]) -> list[torch.Tensor | Deferred]:
    """The pending updates of a side as they are kept."""
    return list(list.__iter__(updates))


def as_tensor(update: torch.Tensor | Deferred) -> torch.Tensor:
    return update.dense() if isinstance(update, Deferred) else update


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unknown
    return float(value)


def limit_of(bound: tuple[Callable, tuple, dict[str, Any]] | None) -> ops.Limit | None:
    """The limit that a bound of one side stands for; None without a bound.

    Raises:
        Unknown: it is another function, or not given what it needs.
    """
    if bound is None:
        return None
    function, (limit,), kwargs = bound
    below, power, scaled = _known(_HALVES, function)
    power = _number(kwargs.get("power")) if power == "power" else power
    return ops.Limit(_number(limit), below, power, _number(kwargs.get("range")) if scaled else None)


def limits_of(bound: tuple[Callable, tuple, dict[str, Any]]) -> tuple[ops.Limit | None, ops.Limit | None]:
    """Both limits that a bound of both sides stands for.

    Raises:
        Unknown: it is another function, or not given what it needs.
    """
    function, limits, kwargs = bound
    power, scaled = _known(_FULLS, function)
    high, low = (None if limit is None else _number(limit) for limit in limits)
    span = None
    if scaled and high is not None and low is not None:
        if not high > low:
            raise Unknown
        span = high - low
    powers = [_number(kwargs.get(f"{side}_power")) if power == "power" else power for side in ("upper", "lower")]
    upper = None if high is None else ops.Limit(high, True, powers[0], span)
    return upper, None if low is None else ops.Limit(low, False, powers[1], span)


def _known(table: dict[Callable, tuple], function: Callable) -> tuple:
    try:
        return table[function]
    except (KeyError, TypeError):  # not hashable
        raise Unknown from None
