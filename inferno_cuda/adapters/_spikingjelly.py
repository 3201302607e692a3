"""SpikingJelly's ``IFNode`` and ``LIFNode`` on our op, single- and multi-step.

Their conventions: a neuron fires where ``v - v_threshold >= 0``, and is reset in the same step: with ``v_reset=None``
the threshold is subtracted from its voltage, otherwise the voltage is set to ``v_reset``. ``LIFNode`` relaxes to
``v_reset`` (to 0 where that is None) with the time constant ``tau``, in steps; ``decay_input`` divides the input by
``tau``, too. Spikes have the dtype of the input. On CUDA the library has fused kernels of its own, which keep running.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from ..ops import Fired, integrate_fire
from ..ops.common import needs_graph
from ._adapter import Adapter
from ._plain import is_plain, no_kernel, version_problem

VERSION = "2."  # whose formulas these are
_SURROGATE_MODULE = "spikingjelly.activation_based.surrogate"
# Its surrogates whose forward pass is the comparison with 0 alone.
_SURROGATES = {
    *("ATan", "Erf", "FakeNumericalGradient", "LeakyKReLU", "LogTailedReLU", "NonzeroSignLogAbs", "PiecewiseExp"),
    *("PiecewiseLeakyReLU", "PiecewiseQuadratic", "QPseudoSpike", "Rect", "S2NN", "Sigmoid", "SoftSign"),
    *("SquarewaveFourierSeries", "SuperSpike"),
}
_RELIES = (
    *("forward", "single_step_functional_forward", "multi_step_functional_forward", "materialize_states"),
    *("_v_seq_source", "_append_v_seq"),
)
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the number of dimensions


def _problem(module: nn.Module) -> str | None:
    """What about a module the op does not do."""
    surrogate = module._modules.get("surrogate_function")
    known = type(surrogate).__module__ == _SURROGATE_MODULE and type(surrogate).__name__ in _SURROGATES
    if not known:
        return "surrogate_function is none of SpikingJelly's that compare with 0, so its forward pass may be anything"
    if not surrogate.spiking or surrogate._forward_hooks or surrogate._forward_pre_hooks:
        return "surrogate_function does not give spikes (spiking=False), or has hooks"
    if module._neuron_precision is not None:
        return "it has a precision of its own, for kernels of SpikingJelly"
    reset = 0.0 if module.v_reset is None else module.v_reset
    if not all(isinstance(number, float) for number in (module.v_threshold, reset)):
        return "v_threshold or v_reset is no number"
    return None


def _lif_problem(module: nn.Module) -> str | None:
    return _problem(module) if isinstance(module.tau, float) else "tau is no number"


def _keeps_layout(voltage: torch.Tensor) -> bool:
    """Whether the library's results lie in memory as the voltage does, as the op's do.

    It stacks the steps, which keeps the order of channels alone.
    """
    if voltage.is_contiguous():
        return True
    layout = _CHANNELS_LAST.get(voltage.ndim)
    return layout is not None and voltage.is_contiguous(memory_format=layout)


def _steps(module: nn.Module, x: object, mode: str, others: tuple, record: bool) -> Fired | None:
    """The op over one step or a sequence, its last voltage kept; None if the library's own code is to run."""
    if others or not is_plain(x) or not x.is_cpu or x.numel() == 0 or x.ndim < (2 if mode == "m" else 1):
        return None
    if module._fused_problem() is not None:
        return None
    voltage, *_ = module.materialize_states((x,), tuple(module._memories.values()), mode)
    if type(voltage) is not torch.Tensor or needs_graph(voltage) or not _keeps_layout(voltage):
        return None
    soft = module.v_reset is None
    model, tau = module._fused_charge()
    fired = integrate_fire(
        model,
        x,
        voltage,
        reset="subtract" if soft else "set",
        threshold=module.v_threshold,
        tau=tau,
        rest=0.0 if soft else module.v_reset,
        record_voltages=record,
    )
    module._memories["v"] = fired.voltage
    return fired


class FusedIFNode:
    """One step, or a whole sequence, in one kernel, where no gradient is asked for."""

    _ops = ("integrate_fire",)
    _fused_problem = _problem

    def _fused_charge(self) -> tuple[str, float]:
        """The op's model, and its time constant."""
        return "perfect", 1.0

    def single_step_forward(self, x, *args, **kwargs):
        fired = _steps(self, x, "s", (*args, *kwargs), record=False)
        if fired is None:
            return super().single_step_forward(x, *args, **kwargs)
        if self.store_v_seq:
            self._append_v_seq(self._v_seq_source())
        return fired.spikes

    def multi_step_forward(self, x_seq, *args, **kwargs):
        fired = _steps(self, x_seq, "m", (*args, *kwargs), record=self.store_v_seq)
        if fired is None:
            return super().multi_step_forward(x_seq, *args, **kwargs)
        self.v_seq = fired.voltages
        return fired.spikes


class FusedLIFNode(FusedIFNode):
    """The same for nodes that leak."""

    _fused_problem = _lif_problem

    def _fused_charge(self) -> tuple[str, float]:
        return "filtering" if self.decay_input else "relaxing", self.tau


def _refuse(module: nn.Module, problem: Callable[[nn.Module], str | None]) -> str | None:
    return version_problem("spikingjelly", VERSION) or no_kernel("cpu") or problem(module)


def _runs(module: nn.Module) -> str:
    return "integrate_fire; with gradients, on CUDA or under torch.compile, SpikingJelly's own code"


def adapters() -> tuple[Adapter, ...]:
    """The adapters of SpikingJelly; none unless its neurons have been imported."""
    neuron = sys.modules.get("spikingjelly.activation_based.neuron")
    if neuron is None:
        return ()
    return (
        Adapter("spikingjelly", neuron.IFNode, FusedIFNode, _runs, partial(_refuse, problem=_problem), _RELIES),
        Adapter("spikingjelly", neuron.LIFNode, FusedLIFNode, _runs, partial(_refuse, problem=_lif_problem), _RELIES),
    )


class _Passive(type):
    """Its classes have all modules of SpikingJelly as subclasses that keep no state: surrogates, layers, models."""

    def __subclasscheck__(cls, other: type) -> bool:
        modules = tuple(base.__module__ for base in other.__mro__)
        if not any(name.startswith("spikingjelly.") for name in modules):
            return False
        stateful = issubclass(other, sys.modules["spikingjelly.activation_based.base"].MemoryModule)
        return not stateful and not any(name.startswith("spikingjelly.activation_based.neuron") for name in modules)


class _Stateless(metaclass=_Passive):
    """What they are subclasses of."""


def passive() -> tuple[type, ...]:
    """Classes that have nothing to do in a step."""
    return (_Stateless,) if "spikingjelly.activation_based.base" in sys.modules else ()
