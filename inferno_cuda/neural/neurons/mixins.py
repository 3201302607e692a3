"""The parts that the state of neurons is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from ... import functional
from ...state import ShapedTensor
from ...state._handle import normal
from ._inputs import like_state
from ._state import StateMixin, overwrite

BatchReduction = Callable[[torch.Tensor, int], torch.Tensor]


# Reductions that the step has built in; others run in torch, after it.
FUSED_REDUCTIONS = (
    (torch.mean, "mean"),
    (torch.sum, "sum"),
    (functional.mean, "mean"),
    (functional.sum, "sum"),
)


def fused_reduction(function: BatchReduction) -> str | None:
    """The name that the op has for a reduction."""
    for known, name in FUSED_REDUCTIONS:
        if function is known:
            return name
    return None


def compute_type(dtype: torch.dtype) -> torch.dtype:
    """The type that states of ``dtype`` are computed in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


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
        refrac, limits = self.refrac_.value, self._spike_limits()
        if limits is None:
            return torch.signbit(refrac)
        return (refrac >= limits[0]) & (refrac <= limits[1])

    def _spike_limits(self) -> tuple[float, float] | None:
        """Between what refractory periods, in ms, a neuron has fired; None if it marks spikes with ``-0.0``."""
        absrefrac = getattr(self, self.__absrefrac)
        if absrefrac == 0:
            return None
        # not exactly equal once the state was cast, but farther off by a whole step after any countdown
        slack = min(1e-3 * self.dt, absrefrac / 2)
        return absrefrac - slack, absrefrac + slack


class _AdaptationMixin(StateMixin):
    """Adaptations, shared by the samples of a batch, in a buffer of the name ``_adaptation``."""

    _adaptation: str

    def __init__(self, data: torch.Tensor, batch_reduction: BatchReduction | None) -> None:
        self.register_buffer(self._adaptation, normal(data))
        self._batch_reduction = torch.mean if batch_reduction is None else batch_reduction

    def __setattr__(self, name: str, value: Any) -> None:
        if name == self._adaptation and type(value) is torch.Tensor and name in self._buffers:
            # steps write in place, what was assigned stays as it is
            self._store_adaptation(value.clone())
        else:
            super().__setattr__(name, value)

    def _state_buffers(self) -> Iterator[tuple[str, torch.Tensor]]:
        yield from super()._state_buffers()
        held = self._buffers.get(self._adaptation)
        if held is not None:
            yield self._adaptation, held

    def _read_adaptation(self) -> torch.Tensor:
        self.__dict__["_adaptation_read"] = True
        return self._buffers[self._adaptation]

    def _write_adaptation(self, value: torch.Tensor) -> None:
        old, name = self._buffers[self._adaptation], self._adaptation.rstrip("_")
        samples = isinstance(value, torch.Tensor) and value.shape[1:] == old.shape
        value = like_state(value, old.expand(value.shape) if samples else old, name)
        if value.device != old.device:
            raise ValueError(f"'{name}' is on the device {value.device}, it must be on {old.device}")
        self._store_adaptation(self._reduced(value.to(compute_type(old.dtype)), old) if samples else value.clone())

    def _reduced(self, samples: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Adaptations ``(B, *shape, K)`` reduced over the batch, and only then rounded to the dtype of ``like``.

        Raises:
            TypeError, ValueError: what ``batch_reduction`` returns is no tensor, or none of ``(*shape, K)``.
        """
        name = "batch_reduction(values, 0)"
        value = like_state(self._batch_reduction(samples, 0), samples[0], name)
        if value.device != like.device:
            raise ValueError(f"'{name}' is on the device {value.device}, it must be on {like.device}")
        # what is stored must be nobody else's
        return value.to(like.dtype, copy=True)

    def _store_adaptation(self, value: torch.Tensor) -> None:
        """Makes a tensor that is nobody else's the adaptations."""
        old = self._buffers[self._adaptation]
        if self._captured(old):
            overwrite(old, value)
        else:
            self._buffers[self._adaptation] = normal(value)
            self.__dict__["_adaptation_read"] = False

    def _cut_adaptation(self) -> None:
        """Leaves behind the graph that the adaptations are part of."""
        old = self._buffers[self._adaptation]
        if old.requires_grad or self.voltage_.value.requires_grad:
            # the graph may need the old tensor
            self._store_adaptation(old.detach().clone())

    def _reset_adaptation(self) -> None:
        """Fills the adaptations with zeros. Gradients do not pass."""
        old = self._buffers[self._adaptation]
        if self._must_rebind(old, old.requires_grad, self._adaptation_read):
            self._store_adaptation(torch.zeros_like(old))
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
