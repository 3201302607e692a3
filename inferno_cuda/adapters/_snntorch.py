"""snnTorch's ``Leaky`` and ``Synaptic`` on our op.

Their conventions: a neuron fires where ``mem - threshold > 0``. The reset belongs to the step after the spike: each
step begins by finding which neurons stand above the threshold, subtracts the threshold from what those are charged to,
or clears their voltage before (``Leaky``) or after (``Synaptic``) the charge. With ``reset_delay=False`` the neurons
that fire are reset in the end, less those that were above the threshold before. Decays are clamped to [0, 1] in every
step; inputs are not scaled. Spikes are float32 whatever the state is, times ``graded_spikes_factor``.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from ..ops import Fired, integrate_fire
from ..ops.common import needs_graph
from ..ops.integrate_fire import memory_order
from ._adapter import Adapter
from ._plain import is_plain, no_kernel, version_problem

VERSION = "1."  # whose formulas these are
# Its surrogates whose forward pass is the comparison with 0 alone.
_SURROGATES = {
    f"{name}.<locals>.inner"
    for name in (
        *("atan", "custom_surrogate", "fast_sigmoid", "heaviside", "SFS", "sigmoid", "spike_rate_escape", "SSO"),
        *("straight_through_estimator", "triangular"),
    )
}
_RESETS = ("subtract", "zero", "none")  # by reset_mechanism_val
_RESET_OF = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}  # by state_function

_RELIES = ("fire", "mem_reset", "_base_state_function", *_RESET_OF)


def _is_heaviside(spike_grad: object) -> bool:
    """Whether the forward pass of a surrogate is known to be 1 above 0, else 0."""
    if getattr(spike_grad, "__module__", None) == "snntorch.surrogate":
        return getattr(spike_grad, "__qualname__", None) in _SURROGATES
    return spike_grad is sys.modules["snntorch"].SpikingNeuron._surrogate_bypass


def _problem(module: nn.Module) -> str | None:
    """What about a module the op does not do."""
    own = vars(module)
    if own["inhibition"]:
        return "inhibition=True lets one neuron of a layer fire at a time, which the op does not do"
    if own["state_quant"]:
        return "state_quant changes the state by a function of the user's"
    if not _is_heaviside(own.get("spike_grad")):
        return "spike_grad is none of snntorch.surrogate, so its forward pass may be anything"
    return None


def _reset_of(module: nn.Module) -> str | None:
    """The reset that a module's steps do; None if ``state_function`` and a later setting of the rule differ."""
    function = vars(module).get("state_function")
    if getattr(function, "__self__", None) is not module or function.__name__ not in _RESET_OF:
        return None
    reset = _RESET_OF[function.__name__]
    if not module.reset_delay and _RESETS[module._buffers["reset_mechanism_val"].item()] != reset:
        return None
    return reset


def _coefficient(module: nn.Module, name: str, like: torch.Tensor) -> torch.Tensor | None:
    """A parameter or buffer as a coefficient of `like`; None if it would change the result's dtype or shape."""
    value = module._parameters.get(name)
    value = module._buffers.get(name) if value is None else value
    if value is None or value.device != like.device:
        return None
    if value.ndim:
        shape = like.shape[like.ndim - value.ndim :]
        fits = value.ndim <= like.ndim and all(own in (1, of) for own, of in zip(value.shape, shape, strict=True))
        if not fits or torch.promote_types(value.dtype, like.dtype) != like.dtype:
            return None
        if value.ndim > 1 and not value.is_contiguous():
            return None  # the results would lie in memory as it does
    return value if value.dtype == like.dtype else value.to(like.dtype)


def _amount(module: nn.Module, threshold: torch.Tensor) -> torch.Tensor:
    """What a spike takes off: the reset signal is float32, and so is its product with a threshold of no dimensions."""
    return threshold.float().double() if threshold.dtype == torch.float64 and not threshold.ndim else threshold


def _states(module: nn.Module, inputs: torch.Tensor, given: dict) -> dict[str, torch.Tensor] | None:
    """The state before a step: what is given or kept, zeros where that has another shape; None if it does not fit."""
    states = {}
    for name, state in given.items():
        state = module._buffers.get(name) if state is None else state
        if type(state) is not torch.Tensor or state.device != inputs.device:
            return None
        if state.shape != inputs.shape:
            state = torch.zeros_like(inputs)
        if state.dtype != inputs.dtype:
            return None
        states[name] = state
    return states


def _keep_layout(states: list[torch.Tensor], decays: list[torch.Tensor]) -> bool:
    """Whether the library's results lie in memory as the state does, as the op's do."""
    if all(state.is_contiguous() for state in states):
        return True
    if any(state.stride() != states[0].stride() for state in states) or memory_order(states[0]) is None:
        return False
    return all(sum(size != 1 for size in decay.shape) < 2 for decay in decays)


def _step(module: nn.Module, model: str, inputs: object, **given: torch.Tensor | None) -> Fired | None:
    """A step of the op, its results kept as the library keeps them; None if the library's own code is to run."""
    if not is_plain(inputs) or (module.init_hidden and any(state is not None for state in given.values())):
        return None
    states, reset = _states(module, inputs, given), _reset_of(module)
    if states is None or reset is None or _problem(module) is not None:
        return None
    names = ("beta", "threshold", "graded_spikes_factor", "alpha")[: 4 if "syn" in given else 3]
    coefficients = [_coefficient(module, name, inputs) for name in names]
    if any(value is None for value in coefficients) or needs_graph(*states.values(), *coefficients):
        return None
    decay, threshold, factor, *current_decay = coefficients
    if factor.dtype == torch.float64 and factor.ndim:
        return None  # its spikes would be float64
    if not _keep_layout(list(states.values()), [decay, *current_decay]):
        return None
    fired = integrate_fire(
        model,
        inputs,
        states["mem"],
        states.get("syn"),
        reset=reset,
        delayed=bool(module.reset_delay),
        decay=decay,
        current_decay=current_decay[0] if current_decay else 1.0,
        threshold=threshold,
        amount=_amount(module, threshold),
        factor=factor,
        record_resets=True,
    )
    if inputs.dtype == torch.float64:
        fired = fired._replace(spikes=fired.spikes.float(), resets=fired.resets.float())
    vars(module)["reset"] = fired.resets
    for name, state in zip(states, (fired.current, fired.voltage)[-len(states) :], strict=True):
        module._buffers[name] = state
    return fired


class FusedLeaky:
    """Steps of ``Leaky`` in one kernel, where no gradient is asked for."""

    _ops = ("integrate_fire",)

    def forward(self, input_, mem=None):
        fired = _step(self, "leaky", input_, mem=mem)
        if fired is None:
            return super().forward(input_, mem)
        return fired.spikes if self.init_hidden and not self.output else (fired.spikes, fired.voltage)


class FusedSynaptic:
    """Steps of ``Synaptic`` in one kernel, where no gradient is asked for."""

    _ops = ("integrate_fire",)

    def forward(self, input_, syn=None, mem=None):
        fired = _step(self, "synaptic", input_, syn=syn, mem=mem)
        if fired is None:
            return super().forward(input_, syn, mem)
        return fired.spikes if self.init_hidden and not self.output else (fired.spikes, fired.current, fired.voltage)


def _refuse(module: nn.Module) -> str | None:
    problem = version_problem("snntorch", VERSION)
    if problem is not None:
        return problem
    if _reset_of(module) is None:
        return "state_function and reset_mechanism_val do not agree on the reset"
    return no_kernel(module.mem.device) or _problem(module)


def _runs(module: nn.Module) -> str:
    return "integrate_fire; with gradients or under torch.compile, snnTorch's own code"


def adapters() -> tuple[Adapter, ...]:
    """The adapters of snnTorch, which must have been imported."""
    import snntorch

    return (
        Adapter("snntorch", snntorch.Leaky, FusedLeaky, _runs, _refuse, _RELIES),
        Adapter("snntorch", snntorch.Synaptic, FusedSynaptic, _runs, _refuse, (*_RELIES, "_base_state_reset_zero")),
    )
