"""Synapses whose current rises and decays exponentially."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch

from ...ops import Operand, Program
from ...ops.layer_step import SynapseNumbers
from ...state import RecordTensor
from ...state._check import nonnegative, nonzero, positive
from ..base import InfernoSynapse, SynapseConstructor
from ._construct import constructor
from ._lookup import DelayedCurrent, look_up, look_up_fused, number, spike_mode
from ._program import enter
from ._sequence import Series, sequence
from ._step import packed, step
from .mixins import SpikeMixin, add_record


class DoubleExponentialCurrent(SpikeMixin, InfernoSynapse):
    r"""Synapses whose current rises after a spike and then decays, as the difference of two exponentials.

    .. math::

        I(t) &= I_+(t) - I_-(t) \\
        I_+(t + \Delta t) &= I_+(t) e^{-\Delta t / \tau_d} + \frac{Q}{\tau_d - \tau_r} s(t + \Delta t) \\
        I_-(t + \Delta t) &= I_-(t) e^{-\Delta t / \tau_r} + \frac{Q}{\tau_d - \tau_r} s(t + \Delta t)

    which is exact for spikes :math:`s` on the time grid, and delivers the charge :math:`Q` of a spike in all (Gerstner,
    Kistler, Naud and Paninski, Neuronal Dynamics, Cambridge 2014, section 3.1). Both parts are recorded, by
    ``pos_current_`` and ``neg_current_``. Between steps each decays with its present time constant. ``spike_charge``,
    ``tc_decay`` and ``tc_rise`` are attributes that are read at every step.

    Delays out of ``[0, delay]`` give the overbound values, which silence the synapse by default, however small the
    excess; pass None to clamp delays instead. ``current_overbound`` is the value of the whole current, and that of
    either part where the parts are looked up themselves.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        spike_charge: charge of a spike :math:`Q`, in pC.
        tc_decay: time constant of the decay :math:`\tau_d`, in ms.
        tc_rise: time constant of the rise :math:`\tau_r`, in ms, below that of the decay.
        delay: longest delay that can be looked up, in ms.
        spike_interp_mode: which spike is taken between two samples, ``"previous"`` or ``"nearest"``.
        interp_tol: how far from a sample a delay still counts as that sample's, in ms.
        current_overbound: current for delays out of range, in nA, or None.
        spike_overbound: spike for delays out of range, or None.
        batch_size: number of samples simulated side by side.
        inplace: whether histories are written in place even where that cuts an autograd graph.

    Raises:
        ValueError: if ``spike_charge`` is zero, ``step_time`` or a time constant is not positive, ``tc_decay`` is not
            greater than ``tc_rise``, ``delay`` or ``interp_tol`` is negative, or a size is not a positive integer.
        RuntimeError: if ``spike_interp_mode`` is unknown.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import DoubleExponentialCurrent
        >>> synapse = DoubleExponentialCurrent(1, 1.0, spike_charge=5.0, tc_decay=5.0, tc_rise=1.0, delay=2.0)
        >>> [round(synapse(torch.tensor([[spike]])).item(), 3) for spike in (True, False, False)]  # nA
        [0.0, 0.564, 0.669]
        >>> synapse.current_at(torch.tensor([[2.0]]))  # 2 ms ago
        tensor([[0.]])
    """

    _ops = ("synapse_step", "history_gather")

    def __init__(
        self,
        shape: Sequence[int] | int,
        step_time: float,
        *,
        spike_charge: float,
        tc_decay: float,
        tc_rise: float,
        delay: float = 0.0,
        spike_interp_mode: Literal["nearest", "previous"] = "previous",
        interp_tol: float = 0.0,
        current_overbound: float | None = 0.0,
        spike_overbound: bool | None = False,
        batch_size: int = 1,
        inplace: bool = False,
    ) -> None:
        spike_interp_mode = spike_mode("spike_interp_mode", spike_interp_mode)
        InfernoSynapse.__init__(self, shape, step_time, delay, batch_size, inplace)
        self.spike_charge = nonzero("spike_charge", spike_charge)
        self.tc_decay = positive("tc_decay", tc_decay)
        self.tc_rise = positive("tc_rise", tc_rise)
        if self.tc_decay <= self.tc_rise:
            raise ValueError(f"'tc_decay' ({self.tc_decay}) must be greater than 'tc_rise' ({self.tc_rise})")
        self.__overbound = None if current_overbound is None else float(current_overbound)
        self.__tolerance = nonnegative("interp_tol", interp_tol)
        spikes = torch.zeros(self.batchedshape, dtype=torch.bool)
        SpikeMixin.__init__(self, spikes, spike_interp_mode, spike_overbound, interp_tol)
        add_record(self, "pos_current_", torch.zeros(self.batchedshape))
        add_record(self, "neg_current_", torch.zeros(self.batchedshape))

    @classmethod
    def partialconstructor(
        cls,
        spike_charge: float,
        tc_decay: float,
        tc_rise: float,
        spike_interp_mode: Literal["nearest", "previous"] = "previous",
        interp_tol: float = 0.0,
        current_overbound: float | None = 0.0,
        spike_overbound: bool | None = False,
        inplace: bool = False,
    ) -> SynapseConstructor:
        """Fixes the hyperparameters (see the class) and returns a constructor with the common signature."""
        return constructor(
            cls,
            spike_charge=spike_charge,
            tc_decay=tc_decay,
            tc_rise=tc_rise,
            spike_interp_mode=spike_interp_mode,
            interp_tol=interp_tol,
            current_overbound=current_overbound,
            spike_overbound=spike_overbound,
            inplace=inplace,
        )

    @property
    def pos_current(self) -> torch.Tensor:
        """The part that is added, ``(B, *shape)``, in nA; a copy. Setting it pushes onto its history."""
        return self.pos_current_.peek()

    @pos_current.setter
    def pos_current(self, value: torch.Tensor) -> None:
        self.pos_current_.push(value, self.inplace)

    @property
    def neg_current(self) -> torch.Tensor:
        """The part that is subtracted, ``(B, *shape)``, in nA; a copy. Setting it pushes onto its history."""
        return self.neg_current_.peek()

    @neg_current.setter
    def neg_current(self, value: torch.Tensor) -> None:
        self.neg_current_.push(value, self.inplace)

    @property
    def current(self) -> torch.Tensor:
        """Present currents, ``(B, *shape)``, in nA. Setting them has no effect."""
        return self.pos_current_.peek() - self.neg_current_.peek()

    @current.setter
    def current(self, value: torch.Tensor) -> None:
        pass

    def _part(
        self, record: RecordTensor, time_constant: float, overbound: float | None, minus: DelayedCurrent | None = None
    ) -> DelayedCurrent:
        return DelayedCurrent(record, "expdecay", time_constant, self.__tolerance, overbound, 1.0, minus)

    def delayed_current(self) -> DelayedCurrent:
        """How :meth:`current_at` works, for connections that fuse it."""
        over = self.__overbound
        # out of range the difference is to be the overbound value, so nothing is subtracted from it
        minus = self._part(self.neg_current_, number("tc_rise", self.tc_rise), None if over is None else 0.0)
        return self._part(self.pos_current_, number("tc_decay", self.tc_decay), over, minus)

    def current_at(self, selector: torch.Tensor) -> torch.Tensor:
        """Currents of the past, in nA.

        Args:
            selector: how long ago, in ms, ``(B, *shape)`` or ``(B, *shape, D)``.

        Returns:
            the currents, shaped like ``selector``; the overbound value where a delay is out of range.
        """
        how = DoubleExponentialCurrent.delayed_current(self)
        currents = look_up_fused(how, selector)
        return _look_up(how, selector) - _look_up(how.minus, selector) if currents is None else currents

    def pos_current_at(self, selector: torch.Tensor) -> torch.Tensor:
        """The part of past currents that is added, in nA; arguments and result as for :meth:`current_at`."""
        return _look_up(self._part(self.pos_current_, number("tc_decay", self.tc_decay), self.__overbound), selector)

    def neg_current_at(self, selector: torch.Tensor) -> torch.Tensor:
        """The part of past currents that is subtracted, in nA; arguments and result as for :meth:`current_at`."""
        return _look_up(self._part(self.neg_current_, number("tc_rise", self.tc_rise), self.__overbound), selector)

    def clear(self, **kwargs) -> None:
        """Forgets all spikes and currents. Cuts autograd graphs."""
        self.spike_.reset(False)
        self.pos_current_.reset(0.0)
        self.neg_current_.reset(0.0)

    def forward(self, *inputs: torch.Tensor, **kwargs) -> torch.Tensor:
        """Simulates one step. Gradients reach the input through the current, not through the recorded spike.

        Args:
            *inputs: one tensor, ``(B, *shape)``, the number of spikes; where it is not zero a spike is recorded.

        Returns:
            the currents after this step, ``(B, *shape)``, in nA.

        Raises:
            TypeError: if there is not exactly one tensor.
            ValueError: if its shape or device differs from the state's.
        """
        gain, decay = self._filter()
        return step(
            self, "double_exponential", inputs, (self.pos_current_, self.neg_current_), gain=gain, decay=decay
        )

    def _packed_step(self, x: torch.Tensor) -> SynapseNumbers | None:
        """A step as a part of one call for a layer, see :func:`._step.packed`."""
        (gain, decay), records = self._filter(), (self.pos_current_, self.neg_current_)
        return packed(self, x, "double_exponential", records, gain=gain, decay=decay)

    def _sequence(self, inputs: tuple[torch.Tensor, ...], past: bool) -> tuple[torch.Tensor, Series] | None:
        """T steps at once, see :func:`._sequence.sequence`."""
        (gain, decay), records = self._filter(), (self.pos_current_, self.neg_current_)
        return sequence(self, "double_exponential", inputs, past, records, gain=gain, decay=decay)

    def _enter(self, program: Program, inputs: Operand) -> Operand | None:
        """A step as an instruction, see :func:`._program.enter`."""
        (gain, decay), records = self._filter(), (self.pos_current_, self.neg_current_)
        return enter(self, program, "double_exponential", inputs, records, gain=gain, decay=decay)

    def _filter(self) -> tuple[float, tuple[float, float]]:
        """The current of one spike, in nA, and what a step leaves of each part."""
        tc_decay, tc_rise, dt = number("tc_decay", self.tc_decay), number("tc_rise", self.tc_rise), self.dt
        return self.spike_charge / (tc_decay - tc_rise), (math.exp(-dt / tc_decay), math.exp(-dt / tc_rise))


def _look_up(how: DelayedCurrent, selector: torch.Tensor) -> torch.Tensor:
    return look_up(how.record, selector, how.mode, how.tolerance, how.overbound, how.time_constant)
