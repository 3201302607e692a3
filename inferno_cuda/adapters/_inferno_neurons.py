"""inferno-ai's neurons: a step is one op.

What differs from a step of this package's own neurons is kept as inferno-ai has it: the refractory countdown is the
plain one (D-07), and a spike without a refractory period leaves no mark (D-06).
"""

from __future__ import annotations

from functools import partial
from math import exp
from typing import Any

import torch
from torch import nn

from .. import ops
from ..neural.neurons._constants import Constants
from ._adapter import Adapter
from ._inferno import LIBRARY, TYPES, owned, plain, refuses

REDUCTIONS = ((torch.mean, "mean"), (torch.sum, "sum"))


def _covered(neuron: nn.Module, inputs: Any, refrac_lock: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Voltage and refractory time of a step that the op takes; None for another one, which the library runs."""
    buffers = neuron._buffers
    voltage, refrac = buffers.get("_voltage__data"), buffers.get("_refrac__data")
    if type(voltage) is not torch.Tensor or type(refrac) is not torch.Tensor or type(inputs) is not torch.Tensor:
        return None
    dtype, shape = voltage.dtype, voltage.shape
    if dtype not in TYPES or refrac.dtype != dtype or inputs.dtype != dtype:
        return None
    if refrac.shape != shape or inputs.shape != shape or inputs.device != voltage.device or not refrac_lock:
        return None
    if not plain(voltage, refrac, inputs) or not owned(neuron, "voltage_", "refrac_"):
        return None
    return voltage, refrac


def numbers_of(neuron: nn.Module) -> dict[str, float] | None:
    """The parameters of a step but for ``dt``; None if not all are numbers: the library takes tensors too."""
    numbers = {name: getattr(neuron, attribute) for name, attribute in neuron._fused_parameters.items()}
    dt, tau = neuron.step_time, getattr(neuron, neuron._fused_tau)
    if any(type(x) is not float and type(x) is not int for x in (*numbers.values(), dt, tau)):
        return None
    return numbers | ({"rate": dt / tau} if neuron._fused_euler else {"decay": exp(-dt / tau)})


def advance(
    neuron: nn.Module,
    inputs: torch.Tensor,
    state: tuple[torch.Tensor, torch.Tensor],
    numbers: dict[str, float],
    adaptation: torch.Tensor | None = None,
    constants: torch.Tensor | None = None,
    reduction: str | None = None,
) -> torch.Tensor:
    """One step into new tensors, since the program may hold the present ones; these become the neuron's."""
    voltage, refrac = state
    # other modules of the library give their results in an order of memory that the op would have to change each time
    voltage = voltage.clone(memory_format=torch.contiguous_format)
    # what is left is counted down here: in a step of 0 ms the op takes no rounding for zero
    refrac = (refrac - neuron.step_time).clamp_(min=0).contiguous()
    spikes = ops.neuron_step_(
        neuron._fused_model,
        voltage,
        refrac,
        inputs.contiguous(),
        adaptation=adaptation,
        constants=constants,
        reduction=reduction,
        dt=0.0,
        **numbers,
    )
    if numbers["refrac_t"] == 0:
        refrac.abs_()  # the op marks spikes by -0.0
    neuron._buffers["_voltage__data"], neuron._buffers["_refrac__data"] = voltage, refrac
    return spikes


class ConstantStep:
    """The step of neurons that do not adapt."""

    _ops = ("neuron_step",)
    _fused_model: str
    _fused_parameters: dict[str, str]
    _fused_euler = False
    _fused_tau = "time_constant"

    def forward(self, inputs: torch.Tensor, refrac_lock: bool = True, **kwargs: Any) -> torch.Tensor:
        state = _covered(self, inputs, refrac_lock)
        numbers = None if state is None else numbers_of(self)
        if numbers is None:
            return super().forward(inputs, refrac_lock, **kwargs)
        return advance(self, inputs, state, numbers)


class AdaptiveStep:
    """The step of neurons that adapt, if they reduce their adaptations over the batch in a way that the op knows."""

    _ops = ("neuron_step",)
    _fused_model: str
    _fused_parameters: dict[str, str]
    _fused_euler = False
    _fused_tau = "tc_membrane"
    _fused_adaptation: str
    _fused_reduction: str
    _fused_sources: tuple[str, ...]

    def forward(
        self, inputs: torch.Tensor, adapt: bool | None = None, refrac_lock: bool = True, **kwargs: Any
    ) -> torch.Tensor:
        adapts = self.training if adapt is None else adapt
        given = vars(self).get(self._fused_reduction)
        reduction = next((name for function, name in REDUCTIONS if adapts and given is function), None)
        state = _covered(self, inputs, refrac_lock)
        numbers = None if state is None else numbers_of(self)
        adaptation = None if numbers is None else adapting(self, state[0])
        if adaptation is None or (adapts and reduction is None):
            return super().forward(inputs, adapt, refrac_lock, **kwargs)
        constants = constants_of(self, adaptation.dtype)
        if not adapts:
            return advance(self, inputs, state, numbers, adaptation, constants)
        adaptation = adaptation.clone(memory_format=torch.contiguous_format)
        spikes = advance(self, inputs, state, numbers, adaptation, constants, reduction)
        self._buffers[self._fused_adaptation] = adaptation
        return spikes


def adapting(neuron: nn.Module, voltage: torch.Tensor) -> torch.Tensor | None:
    """The adaptations of neurons with this voltage, if the op takes them."""
    adaptation = neuron._buffers.get(neuron._fused_adaptation)
    if type(adaptation) is not torch.Tensor or adaptation.ndim != voltage.ndim:
        return None
    if adaptation.shape[:-1] != voltage.shape[1:] or not adaptation.shape[-1] or not plain(adaptation):
        return None
    sources = [neuron._buffers.get(name) for name in neuron._fused_sources]
    fitting = all(type(x) is torch.Tensor and x.dtype == adaptation.dtype == voltage.dtype for x in sources)
    return adaptation if fitting and all(x.shape == adaptation.shape[-1:] for x in sources) else None


def constants_of(neuron: nn.Module, dtype: torch.dtype) -> torch.Tensor:
    """The constants of the adaptations, rounded as the library rounds them."""
    kept = vars(neuron).setdefault("_fused_constants", Constants())
    sources = [neuron._buffers[name] for name in neuron._fused_sources]
    return kept.get(neuron._fused_make, neuron.step_time, dtype, sources)


def _same(*names: str, **others: str) -> dict[str, str]:
    return {name: name for name in ("rest_v", "refrac_t", "resistance", *names)} | others


class _FusedLIF(ConstantStep):
    _fused_model = "lif"
    _fused_parameters = _same("reset_v", "thresh_v")


class _FusedQIF(ConstantStep):
    _fused_model = "qif"
    _fused_parameters = _same("reset_v", "thresh_v", "crit_v", "affinity")
    _fused_euler = True


class _FusedEIF(ConstantStep):
    _fused_model = "eif"
    _fused_parameters = _same("reset_v", "thresh_v", "rheobase_v", "sharpness")
    _fused_euler = True


class _FusedALIF(AdaptiveStep):
    _fused_model = "alif"
    _fused_parameters = _same("reset_v", thresh_v="thresh_eq_v")
    _fused_adaptation = "threshold_adaptation_"
    _fused_reduction = "_AdaptiveThresholdMixin__batchreduce"
    _fused_sources = ("tc_adaptation", "adapt_increment")

    @staticmethod
    def _fused_make(dt: float, time_constant: torch.Tensor, increment: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.exp(-dt / time_constant), increment])


class _FusedGLIF2(_FusedALIF):
    _fused_model = "glif2"
    _fused_parameters = _same("reset_v_mul", "reset_v_add", thresh_v="thresh_eq_v")
    _fused_sources = ("rc_adaptation", "adapt_increment")

    @staticmethod
    def _fused_make(dt: float, rate_constant: torch.Tensor, increment: torch.Tensor) -> torch.Tensor:
        return _FusedALIF._fused_make(dt, 1 / rate_constant, increment)


class _CurrentAdaptive(AdaptiveStep):
    _fused_adaptation = "current_adaptation_"
    _fused_reduction = "_AdaptiveCurrentMixin__batchreduce"
    _fused_sources = ("tc_adaptation", "adapt_vc_coupling", "adapt_increment")
    _fused_euler = True

    @staticmethod
    def _fused_make(dt: float, time_constant: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        return torch.stack([dt / time_constant, *others])


class _FusedIzhikevich(_CurrentAdaptive):
    _fused_model = "izhikevich"
    _fused_parameters = _FusedQIF._fused_parameters


class _FusedAdEx(_CurrentAdaptive):
    _fused_model = "adex"
    _fused_parameters = _FusedEIF._fused_parameters


_PRIVATE = ("step_time", "voltage_._ShapedTensor__owner", "refrac_._ShapedTensor__owner", "_refrac__data")
_RELIES = ("voltage", "refrac", "threshold_adaptation", "current_adaptation", "_integrate_v", "__setattr__")


def _refuse(neuron: nn.Module) -> str | None:
    voltage = neuron._buffers.get("_voltage__data")
    if voltage is None:
        return "its voltage is no buffer"
    if voltage.dtype not in TYPES:
        return f"its state is {voltage.dtype}, which the ops round otherwise"
    if not owned(neuron, "voltage_", "refrac_"):
        return "it is a copy that shares its state with the original (D-17)"
    return refuses("neuron_step", voltage.device)


def _runs(model: str, neuron: nn.Module) -> str:
    return f"neuron_step ({model})"


def adapters() -> tuple[Adapter, ...]:
    """The adapters of inferno-ai's neurons."""
    from inferno import neural

    fused = {
        neural.LIF: _FusedLIF,
        neural.GLIF1: _FusedLIF,
        neural.QIF: _FusedQIF,
        neural.EIF: _FusedEIF,
        neural.ALIF: _FusedALIF,
        neural.GLIF2: _FusedGLIF2,
        neural.Izhikevich: _FusedIzhikevich,
        neural.AdEx: _FusedAdEx,
    }

    def adapter(base: type[nn.Module], overrides: type) -> Adapter:
        adapts = issubclass(overrides, AdaptiveStep)
        private = (*_PRIVATE, overrides._fused_adaptation, overrides._fused_reduction) if adapts else _PRIVATE
        return Adapter(LIBRARY, base, overrides, partial(_runs, overrides._fused_model), _refuse, _RELIES, private)

    return tuple(adapter(base, overrides) for base, overrides in fused.items())
