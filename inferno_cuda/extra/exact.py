"""Neurons that fire when they are told to."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..neural import InfernoNeuron
from ..neural.neurons._inputs import like_state
from ..state import ShapedTensor, VirtualTensor
from ..state._check import instance, less, step


class ExactNeuron(InfernoNeuron):
    """Neurons without dynamics: they fire where their input is positive, or where they are told to.

    The voltage is ``thresh_v`` for a neuron that fired in the last step and ``rest_v`` for any other; refractory
    periods are always over. Setting either has no effect.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step, in ms.
        rest_v: membrane voltage of a neuron that did not fire, in mV.
        thresh_v: membrane voltage of a neuron that fired, in mV.
        batch_size: number of samples simulated side by side.

    Raises:
        ValueError: if ``step_time`` is not positive, ``rest_v`` is not less than ``thresh_v``, or a size is not a
            positive integer.
    """

    def __init__(
        self, shape: Sequence[int] | int, step_time: float, *, rest_v: float, thresh_v: float, batch_size: int = 1
    ) -> None:
        InfernoNeuron.__init__(self, shape, batch_size)
        self.step_time = step("step_time", step_time)
        self.thresh_v = float(thresh_v)
        self.rest_v = less("rest_v", rest_v, self.thresh_v, "thresh_v")
        ShapedTensor.create(self, "spike_", torch.zeros(self.batchedshape, dtype=torch.bool))
        self.add_batched("spike_")
        VirtualTensor.create(self, "voltage_", "_derived_voltage")
        VirtualTensor.create(self, "refrac_", "_derived_refrac")

    def _derived_voltage(self, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        spikes = self.spike_.value
        return torch.full(spikes.shape, self.rest_v, dtype=dtype, device=device).masked_fill_(spikes, self.thresh_v)

    def _derived_refrac(self, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return torch.zeros(self.spike_.value.shape, dtype=dtype, device=device)

    @property
    def dt(self) -> float:
        """Length of a simulation step, in ms. Setting it leaves the state alone.

        Raises:
            ValueError: if the new value is not positive and finite.
        """
        return self.step_time

    @dt.setter
    def dt(self, value: float) -> None:
        self.step_time = step("dt", value)

    @property
    def voltage(self) -> torch.Tensor:
        """Membrane voltages, ``(B, *shape)``, in mV, computed from :attr:`spike`. Setting has no effect."""
        return self.voltage_.value

    @voltage.setter
    def voltage(self, value: torch.Tensor) -> None:
        pass

    @property
    def refrac(self) -> torch.Tensor:
        """Remaining refractory periods, ``(B, *shape)``, in ms: zeros. Setting has no effect."""
        return self.refrac_.value

    @refrac.setter
    def refrac(self, value: torch.Tensor) -> None:
        pass

    @property
    def spike(self) -> torch.Tensor:
        """Which neurons fired in the last step, ``(B, *shape)``, bool; a copy."""
        return self.spike_.value.clone()

    def clear(self, **kwargs) -> None:
        """Forgets the spikes of the last step."""
        self.spike_.value.zero_()

    def forward(
        self, inputs: torch.Tensor | float, override: torch.Tensor | None = None, **kwargs
    ) -> torch.Tensor:
        """Simulates one step.

        Args:
            inputs: ``(B, *shape)`` or broadcastable to it, or a number, of any real dtype; positive means a spike.
            override: nonzero means a spike, instead of ``inputs``, which are not looked at then; as many elements as
                ``(B, *shape)`` has.

        Returns:
            the spikes of this step, ``(B, *shape)``, bool.

        Raises:
            ValueError: if ``inputs`` does not broadcast to ``(B, *shape)``, ``override`` has another number of
                elements, or what is used of them lies on another device.
            TypeError: if ``inputs`` is neither a tensor nor a number, or ``override`` is not a tensor.
        """
        state = self.spike_.value
        name, source = ("inputs", inputs) if override is None else ("override", override)
        if isinstance(source, torch.Tensor) and source.device != state.device:
            raise ValueError(f"'{name}' is on the device {source.device}, it must be on {state.device}")
        if override is None:
            spikes = like_state(instance("inputs", inputs, torch.Tensor, int, float) > 0, state)
        elif instance("override", override, torch.Tensor).numel() != state.numel():
            raise ValueError(f"'override' has the shape {tuple(override.shape)}, it must have {state.numel()} elements")
        else:
            spikes = override.reshape(state.shape) != 0
        # a copy, since what is returned is the caller's
        state.copy_(spikes)
        return spikes
