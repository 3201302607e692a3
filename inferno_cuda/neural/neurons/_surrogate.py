"""How the spikes of a neuron pass gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch

SpikeGradient = Callable[[torch.Tensor], torch.Tensor]


class SurrogateMixin:
    """Spikes with a surrogate gradient.

    Args:
        surrogate: what stands for the derivative of a spike; None for spikes without one.
        detach_reset: whether the reset is left out of that gradient.
    """

    def __init__(self, surrogate: SpikeGradient | None, detach_reset: bool) -> None:
        self.surrogate = surrogate
        self.detach_reset = detach_reset

    @property
    def surrogate(self) -> SpikeGradient | None:
        """What stands for the derivative of a spike, or None for bool spikes without one.

        One of ``inferno_cuda.surrogate``, or a function of the voltage less the threshold, in mV, of which the gradient
        is taken, and nothing else.

        Setting it changes no state and no values: with a surrogate spikes are 0 and 1 in the dtype of the state.

        Raises:
            TypeError: if the new value can not be called.
        """
        held = self.__dict__.get("_surrogate")
        return self._modules.get("_surrogate") if held is None else held

    @surrogate.setter
    def surrogate(self, value: SpikeGradient | None) -> None:
        if isinstance(value, type) or not (value is None or callable(value)):
            raise TypeError(f"'surrogate' was {value!r}; it must be None or a function, such as surrogate.ATan()")
        # a module becomes a child, and anything else an attribute: the other of the two must not stay
        self._modules.pop("_surrogate", None)
        self._surrogate = value

    @property
    def detach_reset(self) -> bool:
        """Whether the reset of the voltage is left out of the gradient of the spike that made it.

        Raises:
            TypeError: if the new value is not a bool.
        """
        return self.__dict__.get("_detach_reset", False)

    @detach_reset.setter
    def detach_reset(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"'detach_reset' was {value!r}; it must be a bool")
        self._detach_reset = value
