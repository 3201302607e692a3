"""Parameters of connections: how they are stored, checked and updated."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn as nn

from ...state._check import instance, same_shape
from ._plan import PlanCache, PlanCaches


def check_like(name: str, value: torch.Tensor, param: torch.Tensor) -> None:
    """Checks that the values of a tensor can be copied into a parameter without loss.

    Raises:
        TypeError: if it is not a tensor, or its dtype does not convert to that of the parameter.
        ValueError: if its shape or device is another one.
    """
    instance(name, value, torch.Tensor)
    same_shape(name, value, param.shape, f"the present {name}")
    if torch.promote_types(value.dtype, param.dtype) != param.dtype:
        raise TypeError(f"'{name}' has the dtype {value.dtype}, it must be one that converts to {param.dtype}")
    if value.device != param.device:
        raise ValueError(f"'{name}' is on the device {value.device}, it must be on {param.device}")


def check_numbers(delay: torch.Tensor) -> None:
    """Refuses NaN: a ValueError where the host can read the delays, elsewhere an assertion of the device."""
    if delay.is_cpu and not torch.compiler.is_compiling():
        if bool(delay.isnan().any()):
            raise ValueError("'delay' has NaN entries, delays must be numbers")
    else:
        torch._assert_async(~delay.isnan().any(), "'delay' has NaN entries, delays must be numbers")


class WeightMixin:
    """Weights, held by the parameter ``weight_``.

    Args:
        weight: initial weights.
        requires_grad: whether autograd is to train the parameters.
    """

    def __init__(self, weight: torch.Tensor, requires_grad: bool = False) -> None:
        self.register_parameter("weight_", nn.Parameter(weight, requires_grad))

    @property
    def weight(self) -> nn.Parameter:
        """Weights. Setting copies the values into the parameter.

        Raises:
            TypeError: if the new value is not a tensor or its dtype does not convert to that of the parameter.
            ValueError: if its shape or device is another one.
            RuntimeError: if a parametrization or pruning of PyTorch computes it.
        """
        return self._held("weight_")

    @weight.setter
    def weight(self, value: torch.Tensor | nn.Parameter) -> None:
        check_like("weight", value, self._held("weight_"))
        self._replace("weight_", value)

    def _held(self, name: str) -> torch.Tensor | None:
        """A parameter, or what PyTorch computes in its place; None if there is none."""
        held = self._parameters.get(name)
        return self._computed(name) if held is None and self._is_computed(name) else held

    def _is_computed(self, name: str) -> bool:
        """Whether a parametrization, or pruning, which keeps its result as an attribute, stands for a parameter."""
        return name in self.__dict__ or name in self._modules.get("parametrizations", ())

    def _computed(self, name: str) -> torch.Tensor:
        return getattr(self, name)

    def _replace(self, name: str, value: torch.Tensor) -> None:
        if self._is_computed(name):
            made_by = self._modules.get("parametrizations", {})
            by = [type(part).__name__ for part in made_by[name]] if name in made_by else ["pruning, or the like,"]
            raise RuntimeError(
                f"'{name.removesuffix('_')}' cannot be set: {' and '.join(by)} of torch.nn.utils computes it from "
                "other parameters; set these, or remove what computes it"
            )
        # in place: a graph that saved the old values raises in backward, where a new storage would go unnoticed
        with torch.no_grad():
            self._parameters[name].copy_(value)


class WeightBiasMixin(WeightMixin):
    """Weights and optional biases; the parameter ``bias_`` exists only if there are some.

    Args:
        weight: initial weights.
        bias: initial biases, in nA, or None.
        requires_grad: whether autograd is to train the parameters.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, requires_grad: bool = False) -> None:
        WeightMixin.__init__(self, weight, requires_grad)
        if bias is not None:
            self.register_parameter("bias_", nn.Parameter(bias, requires_grad))

    @property
    def bias(self) -> nn.Parameter | None:
        """Biases, in nA, or None. Setting copies the values; without biases it has no effect.

        Raises:
            TypeError: if the new value is not a tensor or its dtype does not convert to that of the parameter.
            ValueError: if its shape or device is another one.
            RuntimeError: if a parametrization or pruning of PyTorch computes it.
        """
        return self._held("bias_")

    @bias.setter
    def bias(self, value: torch.Tensor | nn.Parameter) -> None:
        bias = self._held("bias_")
        if bias is not None:
            check_like("bias", value, bias)
            self._replace("bias_", value)


class WeightBiasDelayMixin(WeightBiasMixin):
    """Weights, optional biases and optional delays; ``bias_`` and ``delay_`` exist only if there are some.

    Args:
        weight: initial weights.
        bias: initial biases, in nA, or None.
        delay: initial delays, in ms, or None.
        requires_grad: whether autograd is to train the parameters.
    """

    _delays_learned: bool = False  # or learn, as far as is known
    _projected: tuple[int, int] | None = None  # address and version of the delays that were last in range

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        delay: torch.Tensor | None,
        requires_grad: bool = False,
    ) -> None:
        WeightBiasMixin.__init__(self, weight, bias, requires_grad)
        if delay is not None:
            self.register_parameter("delay_", nn.Parameter(delay, requires_grad))
        self._plans = PlanCache()
        self._minus_plans = PlanCache()  # of the part of the current that is subtracted, if there is one
        self._spike_plans = PlanCaches()  # of spikes and what is made of them, as learning rules look them up

    @property
    def delay(self) -> nn.Parameter | None:
        """Delays, in ms, or None. Setting copies the values; without delays it has no effect.

        Values above ``delayedby`` are legal: they give the overbound value of the synapse, which silences it by
        default. What a step needs to know about the delays is prepared once and kept until they change. Writing
        through ``.data`` is no change that can be seen, so after a read of this property the next step compares the
        delays with those it knows: read it again for each write through ``.data``, do not keep the result over a step.

        ``connection.delay.requires_grad_()`` makes them learn, with a synapse that interpolates ``"linear"`` or
        ``"expdecay"``. Delays that learn, or have learned, stay within ``[0, delayedby]``: those that an optimizer
        moved outside are moved to the nearer end at the next step, and when they are read here or saved. Those that a
        parametrization of PyTorch computes are left where it puts them.

        Raises:
            TypeError: if the new value is not a tensor or its dtype does not convert to that of the parameter.
            ValueError: if its shape or device is another one, or an entry is negative or NaN.
            RuntimeError: if a parametrization or pruning of PyTorch computes it.
        """
        self._plans.suspect()
        self._minus_plans.suspect()
        self._spike_plans.suspect()
        self._project_delays()
        return self._held("delay_")

    @delay.setter
    def delay(self, value: torch.Tensor | nn.Parameter) -> None:
        delay = self._held("delay_")
        if delay is not None:
            check_like("delay", value, delay)
            if not bool((value >= 0).all()):
                raise ValueError("'delay' has negative or NaN entries, all must be nonnegative")
            self._replace("delay_", value)
            self._delays_learned = delay.requires_grad

    @torch.no_grad()
    def _project_delays(self) -> None:
        """Moves delays that learn back into their range. No version tells whether a fused optimizer changed them.

        Those that have learned too: the last step of an optimizer may have come before they were frozen.
        """
        delay, longest = self._parameters.get("delay_"), self.delayedby
        if delay is None or not (delay.requires_grad or self._delays_learned):
            return
        compiling = torch.compiler.is_compiling()
        self._delays_learned = True
        if not delay.is_leaf or (not compiling and delay.is_inference()):
            return
        if compiling:
            delay.clamp_(0.0, longest)
        elif delay.is_cpu:
            # a graph of former steps may have kept the delays: they are not written to for nothing
            low, high = delay.aminmax() if delay.numel() else (0.0, 0.0)
            if low < 0.0 or high > longest:
                delay.clamp_(0.0, longest)
        elif self._projected == (delay.data_ptr(), delay._version):
            # for the same reason: nothing is moved here unless it was written without a version
            delay.data.clamp_(0.0, longest)
        else:
            delay.clamp_(0.0, longest)
            self._projected = delay.data_ptr(), delay._version

    @torch.no_grad()
    def round_delays_(self) -> WeightBiasDelayMixin:
        """Moves the delays to the nearest multiples of the step length that are in range, such as after learning.

        There, every interpolation finds the same sample. Delays beyond ``delayedby``, which are silent, stay there.
        Without delays it has no effect.

        Returns:
            the connection itself.

        Raises:
            RuntimeError: if a parametrization or pruning of PyTorch computes them.
        """
        self._project_delays()
        delay, longest = self._held("delay_"), self.delayedby
        if delay is not None:
            steps = math.floor(longest / self.dt * (1 + 1e-6))
            rounded = (delay / self.dt).round().clamp(0, steps) * self.dt
            self._replace("delay_", torch.where(delay > longest, delay, rounded))
        return self

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._project_delays()
        super()._save_to_state_dict(*args, **kwargs)

    def _parameter(self, name: str) -> torch.Tensor | None:
        return self._held("delay_") if name == "delay" else getattr(self, name)

    def _written_in_place(self, name: str) -> torch.Tensor | None:
        """The tensor of a parameter, where setting it does no more than write this tensor; otherwise None."""
        kind, setters = type(self), (WeightMixin.weight, WeightBiasMixin.bias, WeightBiasDelayMixin.delay)
        plain = kind._replace is WeightMixin._replace
        plain = plain and kind._update_parameter is WeightBiasDelayMixin._update_parameter
        plain = plain and getattr(kind, name, None) in setters
        return self._parameters.get(f"{name}_") if plain else None

    def _settled_in_place(self, name: str) -> torch.Tensor | None:
        """The tensor of a parameter, where setting it is to write this tensor and to settle it; otherwise None."""
        return self._written_in_place(name)

    def _settle(self, name: str) -> None:
        """Makes what was written to a parameter in place what setting it would have made of it."""

    def _update_parameter(self, name: str, value: torch.Tensor) -> None:
        delay = self._held("delay_") if name == "delay" else None
        if delay is not None:
            # an update may leave the range, a hook after it may bring the delays back
            check_like("delay", value, delay)
            self._replace("delay_", value)
        else:
            setattr(self, name, value)
