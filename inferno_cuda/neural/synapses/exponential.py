"""Synapses whose current decays exponentially."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch

from ...ops import Operand, Program
from ...ops.layer_step import SynapseNumbers
from ...state._check import nonzero, positive
from ..base import InfernoSynapse, SynapseConstructor
from ._construct import constructor
from ._lookup import number, spike_mode
from ._program import enter
from ._sequence import Series, sequence
from ._step import packed, step
from .mixins import SpikeCurrentMixin


class SingleExponentialCurrent(SpikeCurrentMixin, InfernoSynapse):
    r"""Synapses whose current jumps at a spike and decays exponentially.

    .. math::

        I(t + \Delta t) = I(t) e^{-\Delta t / \tau} + \frac{Q}{\tau} s(t + \Delta t)

    which is exact for spikes :math:`s` on the time grid (Gerstner, Kistler, Naud and Paninski, Neuronal Dynamics,
    Cambridge 2014, section 3.1): a spike delivers the charge :math:`Q` in all, and its full jump in its own step.
    Between steps delayed currents decay with the present ``time_constant``. ``spike_charge`` and ``time_constant``
    are attributes that are read at every step.

    Delays out of ``[0, delay]`` give the overbound values, which silence the synapse by default, however small the
    excess; pass None to clamp delays instead.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        spike_charge: charge of a spike :math:`Q`, in pC.
        time_constant: time constant of the decay :math:`\tau`, in ms.
        delay: longest delay that can be looked up, in ms.
        spike_interp_mode: which spike is taken between two samples, ``"previous"`` or ``"nearest"``.
        interp_tol: how far from a sample a delay still counts as that sample's, in ms.
        current_overbound: current for delays out of range, in nA, or None.
        spike_overbound: spike for delays out of range, or None.
        batch_size: number of samples simulated side by side.
        inplace: whether histories are written in place even where that cuts an autograd graph.

    Raises:
        ValueError: if ``spike_charge`` is zero, ``step_time`` or ``time_constant`` is not positive, ``delay`` or
            ``interp_tol`` is negative, or a size is not a positive integer.
        RuntimeError: if ``spike_interp_mode`` is unknown.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import SingleExponentialCurrent
        >>> synapse = SingleExponentialCurrent(1, 1.0, spike_charge=5.0, time_constant=5.0, delay=2.0)
        >>> [round(synapse(torch.tensor([[spike]])).item(), 3) for spike in (True, False, False)]  # nA
        [1.0, 0.819, 0.67]
        >>> synapse.current_at(torch.tensor([[2.0]]))  # 2 ms ago
        tensor([[1.]])
    """

    _ops = ("synapse_step", "history_gather")

    def __init__(
        self,
        shape: Sequence[int] | int,
        step_time: float,
        *,
        spike_charge: float,
        time_constant: float,
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
        self.time_constant = positive("time_constant", time_constant)
        SpikeCurrentMixin.__init__(
            self,
            torch.zeros(self.batchedshape),
            torch.zeros(self.batchedshape, dtype=torch.bool),
            "expdecay",
            spike_interp_mode,
            current_overbound,
            spike_overbound,
            interp_tol,
            "time_constant",
        )

    @classmethod
    def partialconstructor(
        cls,
        spike_charge: float,
        time_constant: float,
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
            time_constant=time_constant,
            spike_interp_mode=spike_interp_mode,
            interp_tol=interp_tol,
            current_overbound=current_overbound,
            spike_overbound=spike_overbound,
            inplace=inplace,
        )

    def clear(self, **kwargs) -> None:
        """Forgets all spikes and currents. Cuts autograd graphs."""
        self.current_.reset(0.0)
        self.spike_.reset(False)

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
        return step(self, "exponential", inputs, (self.current_,), gain=gain, decay=decay)

    def _packed_step(self, x: torch.Tensor) -> SynapseNumbers | None:
        """A step as a part of one call for a layer, see :func:`._step.packed`."""
        gain, decay = self._filter()
        return packed(self, x, "exponential", (self.current_,), gain=gain, decay=decay)

    def _sequence(self, inputs: tuple[torch.Tensor, ...], past: bool) -> tuple[torch.Tensor, Series] | None:
        """T steps at once, see :func:`._sequence.sequence`."""
        gain, decay = self._filter()
        return sequence(self, "exponential", inputs, past, (self.current_,), gain=gain, decay=decay)

    def _enter(self, program: Program, inputs: Operand) -> Operand | None:
        """A step as an instruction, see :func:`._program.enter`."""
        gain, decay = self._filter()
        return enter(self, program, "exponential", inputs, (self.current_,), gain=gain, decay=decay)

    def _filter(self) -> tuple[float, tuple[float]]:
        """The current of one spike, in nA, and what a step leaves of a current."""
        time_constant = number("time_constant", self.time_constant)
        return self.spike_charge / time_constant, (math.exp(-self.dt / time_constant),)
