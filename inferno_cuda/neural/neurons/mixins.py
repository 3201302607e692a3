"""State of neurons, and who may overwrite it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ...state import ShapedTensor
from ._inputs import like_state

BatchReduction = Callable[[torch.Tensor, int], torch.Tensor]


class StateMixin:
    """Decides whether a step may overwrite the state or has to leave it and rebind the attributes.

    A step works in place, except where somebody could notice: an autograd graph needs the old values, or a property
    handed the tensor out. Once a step was captured in a CUDA graph it always works in place, as the replays do.
    """

    _state_read = False
    _state_captured = False

    def _expose(self, handle: ShapedTensor) -> torch.Tensor:
        self.__dict__["_state_read"] = True
        return handle.value

    @staticmethod
    def _set(handle: ShapedTensor, value: torch.Tensor | float, name: str) -> None:
        state = handle.value
        value = like_state(value, state, name)
        if value.device != state.device:
            raise ValueError(f"'{name}' is on the device {value.device}, it must be on {state.device}")
        handle.value = value

    def _must_rebind(self, *tensors: torch.Tensor) -> bool:
        for tensor in tensors:
            if tensor.requires_grad:
                return True
        if tensors[0].is_cuda and torch.cuda.is_current_stream_capturing():
            self.__dict__["_state_captured"] = True
        return self._state_read and not self._state_captured

    def _rebind(self, voltage: torch.Tensor, refrac: torch.Tensor) -> None:
        self.voltage_._assign(voltage)
        self.refrac_._assign(refrac)
        self.__dict__["_state_read"] = False

    def _reset_state(self, voltage: float, refrac: float) -> None:
        """Fills the state. Gradients do not pass."""
        old = self.voltage_.value, self.refrac_.value
        if self._must_rebind(*old):
            self._rebind(torch.full_like(old[0], voltage), torch.full_like(old[1], refrac))
        else:
            old[0].fill_(voltage)
            old[1].fill_(refrac)


class VoltageMixin(StateMixin):
    """Membrane voltage, held by the handle ``voltage_``.

    Args:
        data: initial voltages, ``(B, *shape)``, in mV.
    """

    def __init__(self, data: torch.Tensor) -> None:
        ShapedTensor.create(self, "voltage_", data)
        self.add_batched("voltage_")

    @property
    def voltage(self) -> torch.Tensor:
        """Membrane voltages, ``(B, *shape)``, in mV. Setting copies the values, broadcast to that shape.

        What was read keeps its values over later steps, and writing to it before the next step changes the state.

        Raises:
            TypeError: if the new value is neither a tensor nor a number, or does not convert without loss to the dtype
                of the state.
            ValueError: if it does not broadcast to ``(B, *shape)``, or lies on another device.
        """
        return self._expose(self.voltage_)

    @voltage.setter
    def voltage(self, value: torch.Tensor) -> None:
        self._set(self.voltage_, value, "voltage")


class RefractoryMixin(StateMixin):
    """What is left of the refractory periods, held by the handle ``refrac_``.

    Args:
        data: initial refractory periods, ``(B, *shape)``, in ms.
    """

    def __init__(self, data: torch.Tensor) -> None:
        ShapedTensor.create(self, "refrac_", data)
        self.add_batched("refrac_")

    @property
    def refrac(self) -> torch.Tensor:
        """Remaining refractory periods, ``(B, *shape)``, in ms. Setting copies the values, broadcast to that shape.

        What was read keeps its values over later steps, and writing to it before the next step changes the state.

        Raises:
            TypeError: if the new value is neither a tensor nor a number, or does not convert without loss to the dtype
                of the state.
            ValueError: if it does not broadcast to ``(B, *shape)``, or lies on another device.
        """
        return self._expose(self.refrac_)

    @refrac.setter
    def refrac(self, value: torch.Tensor) -> None:
        self._set(self.refrac_, value, "refrac")


class SpikeRefractoryMixin(RefractoryMixin):
    """Spikes that are read off the refractory periods: a neuron fired if its whole period is still to come.

    For a refractory time of zero that would be every neuron, so a step marks spikes with ``-0.0`` then.

    Args:
        refrac: initial refractory periods, ``(B, *shape)``, in ms.
        absrefrac: name of the attribute with the absolute refractory time, in ms.
    """

    def __init__(self, refrac: torch.Tensor, absrefrac: str) -> None:
        RefractoryMixin.__init__(self, refrac)
        self.__absrefrac = absrefrac

    @property
    def spike(self) -> torch.Tensor:
        """Which neurons fired in the last step, ``(B, *shape)``, bool."""
        absrefrac, refrac = getattr(self, self.__absrefrac), self.refrac_.value
        if absrefrac == 0:
            return torch.signbit(refrac)
        # not exactly equal once the state was cast, but farther off by a whole step after any countdown
        slack = min(1e-3 * self.dt, absrefrac / 2)
        return (refrac >= absrefrac - slack) & (refrac <= absrefrac + slack)


class _AdaptationMixin(StateMixin):
    """Adaptations, shared by the samples of a batch, in a buffer of the name ``_adaptation``."""

    _adaptation: str

    def __init__(self, data: torch.Tensor, batch_reduction: BatchReduction | None) -> None:
        self.register_buffer(self._adaptation, data)
        self._batch_reduction = torch.mean if batch_reduction is None else batch_reduction

    def _read_adaptation(self) -> torch.Tensor:
        self.__dict__["_state_read"] = True
        return self._buffers[self._adaptation]

    def _write_adaptation(self, value: torch.Tensor) -> None:
        old, name = self._buffers[self._adaptation], self._adaptation.rstrip("_")
        if isinstance(value, torch.Tensor) and value.shape[1:] == old.shape:
            value = self._batch_reduction(value, 0)
        value = like_state(value, old, name)
        if value.device != old.device:
            raise ValueError(f"'{name}' is on the device {value.device}, it must be on {old.device}")
        self._buffers[self._adaptation] = value.clone()

    def _reset_adaptation(self) -> None:
        """Fills the adaptations with zeros. Gradients do not pass."""
        old = self._buffers[self._adaptation]
        if self._must_rebind(old):
            self._buffers[self._adaptation] = torch.zeros_like(old)
        else:
            old.zero_()


class AdaptiveThresholdMixin(_AdaptationMixin):
    """Adaptations of the firing threshold, in the buffer ``threshold_adaptation_``.

    Args:
        data: initial adaptations, ``(*shape, K)``, in mV.
        batch_reduction: called as ``batch_reduction(values, 0)`` to make one adaptation of those of the samples; the
            mean if None.
    """

    _adaptation = "threshold_adaptation_"

    @property
    def threshold_adaptation(self) -> torch.Tensor:
        """Adaptations of the threshold, ``(*shape, K)``, in mV.

        Setting copies the values. ``(B, *shape, K)`` are reduced over the batch first.

        Raises:
            TypeError: if the new value is neither a tensor nor a number, or does not convert without loss to the dtype
                of the state.
            ValueError: if its shape fits neither, or it lies on another device.
        """
        return self._read_adaptation()

    @threshold_adaptation.setter
    def threshold_adaptation(self, value: torch.Tensor) -> None:
        self._write_adaptation(value)


class AdaptiveCurrentMixin(_AdaptationMixin):
    """Adaptations of the input current, in the buffer ``current_adaptation_``.

    Args:
        data: initial adaptations, ``(*shape, K)``, in nA.
        batch_reduction: called as ``batch_reduction(values, 0)`` to make one adaptation of those of the samples; the
            mean if None.
    """

    _adaptation = "current_adaptation_"

    @property
    def current_adaptation(self) -> torch.Tensor:
        """Adaptations of the input current, ``(*shape, K)``, in nA.

        Setting copies the values. ``(B, *shape, K)`` are reduced over the batch first.

        Raises:
            TypeError: if the new value is neither a tensor nor a number, or does not convert without loss to the dtype
                of the state.
            ValueError: if its shape fits neither, or it lies on another device.
        """
        return self._read_adaptation()

    @current_adaptation.setter
    def current_adaptation(self, value: torch.Tensor) -> None:
        self._write_adaptation(value)
