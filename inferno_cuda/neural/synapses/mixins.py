"""What synapses record, and how it is read: present values, values of the past, and for fused connections."""

from __future__ import annotations

import torch

from ...state import RecordTensor, VirtualTensor
from ...state._check import nonnegative
from ..base import InfernoSynapse
from ._lookup import (
    DelayedCurrent,
    current_mode,
    look_up,
    look_up_blended,
    look_up_fused,
    number,
    outside,
    spike_mode,
)


def add_record(synapse: InfernoSynapse, name: str, value: torch.Tensor) -> None:
    """Gives a synapse a history of ``value``, ``(B, *shape)``, that follows its batch size, step time and delay."""
    RecordTensor.create(synapse, name, synapse.dt, synapse.delay, value, inclusive=True, batch_innermost=True)
    synapse.add_batched(name)
    synapse.add_delayed(name)


class CurrentMixin:
    """Currents that are recorded by ``current_``.

    Args:
        currents: initial currents, ``(B, *shape)``, in nA.
        mode: interpolation between recorded currents: previous, next, nearest, linear or expdecay.
        overbound: current for delays out of range, in nA; None clamps the delays.
        tolerance: how far from a sample a delay still counts as that sample's, in ms.
        time_constant: name of the attribute with the time constant of the mode expdecay, in ms, read at every lookup.

    Raises:
        ValueError: if ``tolerance`` is negative.
    """

    def __init__(
        self,
        currents: torch.Tensor,
        mode: str,
        overbound: float | None,
        tolerance: float,
        time_constant: str | None = None,
    ) -> None:
        self.__mode = mode
        self.__overbound = None if overbound is None else float(overbound)
        self.__tolerance = nonnegative("tolerance", tolerance)
        self.__time_constant = time_constant
        add_record(self, "current_", currents)

    @property
    def current(self) -> torch.Tensor:
        """Present currents, ``(B, *shape)``, in nA; a copy. Setting it pushes onto the history."""
        return self.current_.peek()

    @current.setter
    def current(self, value: torch.Tensor) -> None:
        self.current_.push(value, self.inplace)

    def delayed_current(self) -> DelayedCurrent:
        """How :meth:`current_at` works, for connections that fuse it."""
        name = self.__time_constant
        constant = None if name is None else number(name, getattr(self, name))
        return DelayedCurrent(self.current_, self.__mode, constant, self.__tolerance, self.__overbound, 1.0)

    def current_at(self, selector: torch.Tensor) -> torch.Tensor:
        """Currents of the past, in nA.

        Args:
            selector: how long ago, in ms, ``(B, *shape)`` or ``(B, *shape, D)``.

        Returns:
            the currents, shaped like ``selector``; the overbound value where a delay is out of range.
        """
        how = CurrentMixin.delayed_current(self)
        return look_up(how.record, selector, how.mode, how.tolerance, how.overbound, how.time_constant)


class SpikeMixin:
    """Input spikes that are recorded by ``spike_``.

    Args:
        spikes: initial spikes, ``(B, *shape)``, bool.
        mode: which recorded spike is taken between two samples: previous or nearest.
        overbound: value for delays out of range; None clamps the delays.
        tolerance: how far from a sample a delay still counts as that sample's, in ms.

    Raises:
        RuntimeError: if ``mode`` is none of those.
        ValueError: if ``tolerance`` is negative.
    """

    def __init__(self, spikes: torch.Tensor, mode: str, overbound: bool | None, tolerance: float) -> None:
        self.__mode = spike_mode("mode", mode)
        self.__overbound = None if overbound is None else bool(overbound)
        self.__tolerance = nonnegative("tolerance", tolerance)
        add_record(self, "spike_", spikes)

    @property
    def spike(self) -> torch.Tensor:
        """Present input spikes, ``(B, *shape)``, bool; a copy. Setting it pushes onto the history."""
        return self.spike_.peek()

    @spike.setter
    def spike(self, value: torch.Tensor) -> None:
        self._drop_spike_graph()
        self.spike_.push(value.bool(), self.inplace)

    def delayed_spike(self) -> DelayedCurrent:
        """How :meth:`spike_at` works, for learning rules that read what was sent at the delays."""
        over = None if self.__overbound is None else float(self.__overbound)
        return DelayedCurrent(self.spike_, self.__mode, None, self.__tolerance, over, 1.0)

    def spike_at(self, selector: torch.Tensor) -> torch.Tensor:
        """Input spikes of the past.

        Args:
            selector: how long ago, in ms, ``(B, *shape)`` or ``(B, *shape, D)``.

        Returns:
            the spikes, shaped like ``selector``, bool; the overbound value where a delay is out of range.
        """
        return look_up(self.spike_, selector, self.__mode, self.__tolerance, self.__overbound)


class SpikeCurrentMixin(CurrentMixin, SpikeMixin):
    """Currents and input spikes that are both recorded.

    Args:
        currents: initial currents, ``(B, *shape)``, in nA.
        spikes: initial spikes, ``(B, *shape)``, bool.
        current_mode: interpolation between recorded currents.
        spike_mode: interpolation between recorded spikes, previous or nearest.
        current_overbound: current for delays out of range, in nA; None clamps the delays.
        spike_overbound: spike for delays out of range; None clamps the delays.
        tolerance: how far from a sample a delay still counts as that sample's, in ms.
        time_constant: name of the attribute with the time constant of the mode expdecay, in ms.
    """

    def __init__(
        self,
        currents: torch.Tensor,
        spikes: torch.Tensor,
        current_mode: str,
        spike_mode: str,
        current_overbound: float | None,
        spike_overbound: bool | None,
        tolerance: float,
        time_constant: str | None = None,
    ) -> None:
        CurrentMixin.__init__(self, currents, current_mode, current_overbound, tolerance, time_constant)
        SpikeMixin.__init__(self, spikes, spike_mode, spike_overbound, tolerance)


class SpikeDerivedCurrentMixin(SpikeMixin):
    """Input spikes that are recorded, and currents computed from them: each spike stands for one current.

    A class that uses this provides the method ``spike_current()``, the current of one spike in nA.

    Args:
        spikes: initial spikes, ``(B, *shape)``, bool.
        mode: which recorded spike is taken between two samples: previous or nearest; linear blends the currents.
        current_overbound: current for delays out of range, in nA; None clamps the delays.
        spike_overbound: spike for delays out of range; None clamps the delays.
        tolerance: how far from a sample a delay still counts as that sample's, in ms.
    """

    def __init__(
        self,
        spikes: torch.Tensor,
        mode: str,
        current_overbound: float | None,
        spike_overbound: bool | None,
        tolerance: float,
    ) -> None:
        self.__mode, of_spikes = current_mode("mode", mode)
        SpikeMixin.__init__(self, spikes, of_spikes, spike_overbound, tolerance)
        self.__overbound = None if current_overbound is None else float(current_overbound)
        self.__tolerance = float(tolerance)
        VirtualTensor.create(self, "current_", "_derived_current")

    def _derived_current(self, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return self._to_current(self.spike)

    def _to_current(self, spikes: torch.Tensor) -> torch.Tensor:
        dtype, current = self._buffers["_current__ref"].dtype, self.spike_current()
        # multiplication by a number takes bool to the default dtype by itself
        return spikes * current if dtype == torch.get_default_dtype() else spikes.to(dtype) * current

    @property
    def current(self) -> torch.Tensor:
        """Present currents, ``(B, *shape)``, in nA, computed from the spikes. Setting it has no effect."""
        return self.current_.value

    @current.setter
    def current(self, value: torch.Tensor) -> None:
        pass

    def delayed_current(self) -> DelayedCurrent:
        """How :meth:`current_at` works, for connections that fuse it."""
        return DelayedCurrent(self.spike_, self.__mode, None, self.__tolerance, self.__overbound, self.spike_current())

    def current_at(self, selector: torch.Tensor) -> torch.Tensor:
        """Currents of the past, in nA.

        Args:
            selector: how long ago, in ms, ``(B, *shape)`` or ``(B, *shape, D)``.

        Returns:
            the currents, shaped like ``selector``; the overbound value where a delay is out of range.
        """
        how = SpikeDerivedCurrentMixin.delayed_current(self)
        if how.mode == "linear":
            return look_up_blended(how, selector, self._buffers["_current__ref"].dtype)
        currents = look_up_fused(how, selector, self._buffers["_current__ref"].dtype)
        if currents is not None:
            return currents
        over = how.overbound
        currents = self._to_current(look_up(how.record, selector, how.mode, how.tolerance, None if over is None else 0))
        if over is None:
            return currents
        return currents.masked_fill(outside(how.record, selector, how.tolerance), over)


class CurrentDerivedSpikeMixin(CurrentMixin):
    """Currents that are recorded, and input spikes computed from them.

    A class that uses this provides the method ``to_spikes(currents)``, from currents in nA to spikes of their shape.

    Args:
        currents: initial currents, ``(B, *shape)``, in nA.
        mode: interpolation between recorded currents, also of those that past spikes are computed from.
        current_overbound: current for delays out of range, in nA; None clamps the delays.
        spike_overbound: spike for delays out of range; None clamps the delays.
        tolerance: how far from a sample a delay still counts as that sample's, in ms.
        time_constant: name of the attribute with the time constant of the mode expdecay, in ms.
    """

    def __init__(
        self,
        currents: torch.Tensor,
        mode: str,
        current_overbound: float | None,
        spike_overbound: bool | None,
        tolerance: float,
        time_constant: str | None = None,
    ) -> None:
        CurrentMixin.__init__(self, currents, mode, current_overbound, tolerance, time_constant)
        self.__overbound = None if spike_overbound is None else bool(spike_overbound)
        VirtualTensor.create(self, "spike_", "_derived_spike", dtype=torch.bool)

    def _derived_spike(self, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return self.to_spikes(self.current)

    @property
    def spike(self) -> torch.Tensor:
        """Present input spikes, ``(B, *shape)``, bool, computed from the currents. Setting it has no effect."""
        return self.spike_.value

    @spike.setter
    def spike(self, value: torch.Tensor) -> None:
        pass

    def spike_at(self, selector: torch.Tensor) -> torch.Tensor:
        """Input spikes of the past.

        Args:
            selector: how long ago, in ms, ``(B, *shape)`` or ``(B, *shape, D)``.

        Returns:
            the spikes, shaped like ``selector``, bool; the overbound value where a delay is out of range.
        """
        how, over = CurrentMixin.delayed_current(self), self.__overbound
        spikes = self.to_spikes(look_up(how.record, selector, how.mode, how.tolerance, None, how.time_constant)).bool()
        return spikes if over is None else spikes.masked_fill(outside(how.record, selector, how.tolerance), over)
