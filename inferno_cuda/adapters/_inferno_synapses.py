"""inferno-ai's synapses: a step is one op."""

from __future__ import annotations

from functools import partial
from math import exp
from typing import Any

import torch
from torch import nn

from .. import ops
from ._adapter import Adapter
from ._hold import writable
from ._inferno import LIBRARY, TYPES, advanced, plain, pointer_of, refuses, ring_of
from ._inferno_lookup import past_currents, past_spikes
from ._inferno_plan import kind_of


class _Fused:
    """The step of a synapse, and its past."""

    _ops = ("synapse_step",)
    _fused_model: str
    _fused_currents: tuple[str, ...] = ()
    _fused_numbers: tuple[str, ...] = ("spike_charge",)

    def forward(self, *inputs: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        if not _covers(self, inputs):
            return super().forward(*inputs, **kwargs)
        names, buffers = ("spike_", *self._fused_currents), self._buffers
        write = dict.__getitem__ if self._InfernoSynapse__inplace else writable
        rings = {name: write(buffers, f"_{name}_data") for name in names}
        spikes, *currents = [(data, pointer_of(self, name, data)) for name, data in rings.items()]
        gain, *decay = self._fused_law()
        out = ops.synapse_step_(
            self._fused_model,
            inputs[0],
            spikes,
            currents,
            gain=gain,
            decay=tuple(decay),
            injected=inputs[1:] if self._fused_model == "delta_plus" else (),
            dtype=self._fused_dtype(),
        )
        for name, data in rings.items():
            advanced(self, name, data)
        return out

    def current_at(self, selector: torch.Tensor) -> torch.Tensor:
        found = past_currents(self, kind_of(self._accelerates), selector)
        return super().current_at(selector) if found is None else found

    def spike_at(self, selector: torch.Tensor) -> torch.Tensor:
        found = past_spikes(self, selector)
        return super().spike_at(selector) if found is None else found

    def _fused_dtype(self) -> torch.dtype:
        """Of the currents."""
        return self._buffers[f"_{self._fused_currents[0]}_data"].dtype

    def _fused_law(self) -> tuple[float, ...]:
        """What a spike gives, in nA, and what is left of each recorded current after a step."""
        return (self.spike_charge / self.dt,)


def _covers(synapse: nn.Module, inputs: tuple) -> bool:
    """Whether the op takes this step; the library runs it otherwise."""
    if not inputs or any(type(x) is not torch.Tensor for x in inputs):
        return False
    rings = [ring_of(synapse, name) for name in ("spike_", *synapse._fused_currents)]
    if any(data is None for data in rings) or rings[0].dtype != torch.bool:
        return False
    spikes, *currents = rings
    dtype = synapse._fused_dtype()
    if dtype not in TYPES or any(data.dtype != dtype or data.shape != spikes.shape for data in currents):
        return False
    if any(x.shape != spikes.shape[1:] for x in inputs):
        return False
    if any(tensor.device != spikes.device for tensor in (*inputs, *currents)):
        return False
    x, *others = inputs
    # the library multiplies a bool by a number in torch's default type
    if x.dtype != dtype and (x.dtype != torch.bool or (currents and dtype != torch.get_default_dtype())):
        return False
    if synapse._fused_model == "delta_plus" and any(other.dtype != dtype for other in others):
        return False
    if not plain(*inputs, *rings):
        return False
    numbers = (synapse._DelayedMixin__step_time, *(getattr(synapse, name) for name in synapse._fused_numbers))
    return all(type(number) in (float, int) for number in numbers)


class FusedDelta(_Fused):
    _fused_model = "delta"

    def _fused_dtype(self) -> torch.dtype:
        return self._buffers["_current__ref"].dtype


class _FusedDeltaPlus(_Fused):
    _fused_model = "delta_plus"
    _fused_currents = ("current_",)


class _FusedSingle(_Fused):
    _fused_model = "exponential"
    _fused_currents = ("current_",)
    _fused_numbers = ("spike_charge", "time_constant")

    def _fused_law(self) -> tuple[float, ...]:
        tau = self.time_constant
        return self.spike_charge / tau, exp(-self.dt / tau)


class _FusedDouble(_Fused):
    _fused_model = "double_exponential"
    _fused_currents = ("pos_current_", "neg_current_")
    _fused_numbers = ("spike_charge", "tc_decay", "tc_rise")

    def _fused_law(self) -> tuple[float, ...]:
        decay, rise = self.tc_decay, self.tc_rise
        return self.spike_charge / (decay - rise), exp(-self.dt / decay), exp(-self.dt / rise)


_RELIES = (
    *("spike", "current", "pos_current", "neg_current", "pos_current_at", "neg_current_at", "dt", "inplace"),
    *("_derived_current", "__setattr__"),
)


def _lookups(mixin: str, overbound: str) -> tuple[str, ...]:
    return tuple(f"_{mixin}__{name}" for name in ("interp", "interp_kwargs", "tolerance", overbound))


_PRIVATE = (
    *("_InfernoSynapse__inplace", "_DelayedMixin__step_time", "_extras", "_spike__constraints", "_spike__data"),
    *("spike_._ShapedTensor__owner", *_lookups("SpikeMixin", "overbound")),
)
_LOOKUPS = {
    FusedDelta: ("_current__ref", *_lookups("SpikeDerivedCurrentMixin", "current_overbound")),
    _FusedDeltaPlus: _lookups("CurrentMixin", "overbound"),
    _FusedSingle: _lookups("CurrentMixin", "overbound"),
    _FusedDouble: ("_DoubleExponentialCurrent__tolerance", "_DoubleExponentialCurrent__current_overbound"),
}


def _refuse(synapse: nn.Module) -> str | None:
    rings = [ring_of(synapse, name) for name in ("spike_", "current_", "pos_current_", "neg_current_")]
    if rings[0] is None:
        return "its state is no buffer of its own (D-17)"
    halves = [ring.dtype for ring in rings if ring is not None and ring.dtype not in (*TYPES, torch.bool)]
    if halves:
        return f"its state is {halves[0]}, which the ops round otherwise"
    to_current = vars(synapse).get("_SpikeDerivedCurrentMixin__to_current")
    if to_current is not None and not to_current.__module__.startswith("inferno."):
        return "it derives its currents from spikes by a function of its own"
    return refuses("synapse_step", rings[0].device)


def _runs(model: str, synapse: nn.Module) -> str:
    return f"synapse_step ({model})"


def adapters() -> tuple[Adapter, ...]:
    """The adapters of inferno-ai's synapses."""
    from inferno import neural

    fused = {
        neural.DeltaCurrent: FusedDelta,
        neural.DeltaPlusCurrent: _FusedDeltaPlus,
        neural.SingleExponentialCurrent: _FusedSingle,
        neural.DoubleExponentialCurrent: _FusedDouble,
    }

    def adapter(base: type[nn.Module], overrides: type) -> Adapter:
        private = _PRIVATE + _LOOKUPS[overrides]
        return Adapter(LIBRARY, base, overrides, partial(_runs, overrides._fused_model), _refuse, _RELIES, private)

    return tuple(adapter(base, overrides) for base, overrides in fused.items())
