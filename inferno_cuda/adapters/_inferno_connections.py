"""inferno-ai's connections: sums over delayed inputs without a tensor of all of them, and less around a product."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .. import ops
from ._adapter import Adapter
from ._inferno import LIBRARY, TYPES, plain, pointer_of, refuses, ring_of
from ._inferno_plan import Part, Plans, kind_of, parts_of
from ._swap import library_class


class FusedConnection:
    """The step of a connection."""

    _fused_op = "delayed_dense"

    @property
    def _ops(self) -> tuple[str, ...]:
        return (self._fused_op,) if self.delayedby else ()

    def forward(self, *inputs: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        weight, bias = self._parameters.get("weight_"), self._parameters.get("bias_")
        if weight is None or any(type(x) is not torch.Tensor for x in inputs):
            return super().forward(*inputs, **kwargs)
        if not self.delayedby:
            currents = self.synapse_(*(self._fused_to_synapse(x) for x in inputs), **kwargs)
            return self._fused_undelayed(currents, weight, bias).view(-1, *self.outshape)
        parts = _parts(self, inputs, weight, bias)
        plans = None if parts is None else _plans(self, parts)
        if plans is None:
            return super().forward(*inputs, **kwargs)
        self.synapse_(*(self._fused_to_synapse(x) for x in inputs), **kwargs)
        total = None
        for part, plan in zip(parts, plans, strict=True):
            data = ring_of(self.synapse_, part.handle)
            pointer = pointer_of(self.synapse_, part.handle, data)
            term = self._fused_delayed(data, pointer, weight, plan, bias if total is None else None, part.scale)
            total = term if total is None else total - term
        return total.view(-1, *self.outshape)

    def _fused_revert(self) -> None:
        # an updater is named after the class that its connection had when it was made
        updater, name = self._modules.get("updater_"), f"{type(self).__name__}Updater"
        if updater is not None and type(updater).__name__ == name:
            type(updater).__name__ = type(updater).__qualname__ = f"{library_class(self).__name__}Updater"
        super()._fused_revert()

    def _fused_to_synapse(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) if x.ndim > 1 else self.like_synaptic(x)

    def _fused_delayed(
        self,
        data: torch.Tensor,
        pointer: torch.Tensor,
        weight: torch.Tensor,
        plan: ops.DelayPlan,
        bias: torch.Tensor | None,
        scale: float,
    ) -> torch.Tensor:
        """The sum over one part of the current."""
        return getattr(ops, self._fused_op)(data, pointer, weight, plan, bias=bias, scale=scale)


class _FusedDense(FusedConnection):
    def _fused_undelayed(
        self, currents: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        return F.linear(currents, weight, bias)


class _FusedDirect(FusedConnection):
    _fused_op = "delayed_direct"

    def _fused_undelayed(
        self, currents: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        return currents * weight if bias is None else currents * weight + bias


class FusedConv(FusedConnection):
    def _fused_to_synapse(self, x: torch.Tensor) -> torch.Tensor:
        return self.like_synaptic(x)

    def _fused_undelayed(
        self, currents: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        out = torch.matmul(weight.flatten(1), currents)
        return out if bias is None else out + bias.unsqueeze(1)

    def _fused_delayed(
        self,
        data: torch.Tensor,
        pointer: torch.Tensor,
        weight: torch.Tensor,
        plan: ops.DelayPlan,
        bias: torch.Tensor | None,
        scale: float,
    ) -> torch.Tensor:
        # the library records windows, (slots, B, taps, places): the places of a sample are the batch of a dense sum
        flat = weight.flatten(1)
        samples = data.transpose(2, 3).unbind(1)
        sums = [ops.delayed_dense(x, pointer, flat, plan, bias=bias, scale=scale) for x in samples]
        return torch.stack(sums).transpose(1, 2).contiguous()


def _parts(
    connection: nn.Module, inputs: tuple[torch.Tensor, ...], weight: torch.Tensor, bias: torch.Tensor | None
) -> list[Part] | None:
    """What the delayed sum reads, if our ops take it; None if the library has to do it."""
    synapse, delay = connection.synapse_, connection._parameters["delay_"]
    kind = kind_of(library_class(synapse))
    if kind is None or weight.dtype not in TYPES or delay.shape != weight.shape or delay.dtype not in TYPES:
        return None
    if torch.is_autocast_enabled(weight.device.type):
        return None  # the library's product is of a lower precision then
    if not plain(weight, delay, *inputs) or (bias is not None and not plain(bias)):
        return None
    parts = parts_of(synapse, kind)
    if parts is None:
        return None
    for part in parts:
        data = ring_of(synapse, part.handle)
        if data is None or not plain(data) or data.device != weight.device or len(data) == 1:
            return None
        dtype = synapse._buffers["_current__ref"].dtype if kind == "delta" else data.dtype
        if dtype != weight.dtype or (data.dtype == torch.bool) != (kind == "delta"):
            return None
        if any(type(x) is torch.Tensor for x in part):
            return None
    return parts


def _plans(connection: nn.Module, parts: list[Part]) -> list[ops.DelayPlan] | None:
    delay = connection._parameters["delay_"]
    kept = vars(connection).setdefault("_fused_plans", Plans())
    return kept.get(delay.flatten(1) if delay.ndim > 2 else delay, connection.synapse_, parts)


_RELIES = (
    *("weight", "bias", "delay", "synapse", "syncurrent", "selector", "like_synaptic", "delayedby", "biased"),
    *("outshape", "__setattr__"),
)


def _refuse(op: str, connection: nn.Module) -> str | None:
    weight = connection._parameters.get("weight_")
    if weight is None:
        return "its weight is no parameter"
    if weight.dtype not in TYPES:
        return f"its weight is {weight.dtype}, which the ops round otherwise"
    if not connection.delayedby:
        return None
    if kind_of(library_class(connection.synapse_)) is None:
        return f"{library_class(connection.synapse_).__name__} looks its currents up in a way of its own"
    return refuses(op, weight.device)


def _runs(op: str, connection: nn.Module) -> str:
    return op if connection.delayedby else "the library's product, called directly"


def adapters() -> tuple[Adapter, ...]:
    """The adapters of inferno-ai's connections."""
    from inferno import neural

    fused = {
        neural.LinearDense: _FusedDense,
        neural.LinearLateral: _FusedDense,
        neural.LinearDirect: _FusedDirect,
        neural.Conv2D: FusedConv,
    }
    private = ("synapse_",)
    return tuple(
        Adapter(LIBRARY, base, cls, partial(_runs, cls._fused_op), partial(_refuse, cls._fused_op), _RELIES, private)
        for base, cls in fused.items()
    )


def passive() -> tuple[type[nn.Module], ...]:
    """Classes that do nothing in a step."""
    from inferno import neural

    return neural.Updater, neural.Accumulator, neural.Cell
