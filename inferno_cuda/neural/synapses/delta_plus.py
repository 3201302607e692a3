"""Synapses whose current lasts one step, and into which other currents can be injected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from ...ops import Operand, Program
from ...ops.layer_step import SynapseNumbers
from ...state._check import nonzero
from ..base import InfernoSynapse, SynapseConstructor
from ._construct import constructor
from ._lookup import current_mode
from ._program import enter
from ._sequence import Series, sequence
from ._step import packed, step
from .mixins import SpikeCurrentMixin


class DeltaPlusCurrent(SpikeCurrentMixin, InfernoSynapse):
    r"""Synapses that deliver the charge of spikes within their step, and take other currents besides.

    .. math::

        I(t) = \frac{Q}{\Delta t} s(t) + \sum_k I_k(t)

    Other than with :class:`DeltaCurrent`, the number of spikes :math:`s` counts and not only that it is not zero, and
    the currents are recorded, so that delays reach the injected currents :math:`I_k` too.

    Delays out of ``[0, delay]`` give the overbound values, which silence the synapse by default, however small the
    excess; pass None to clamp delays instead.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        spike_charge: charge of a spike :math:`Q`, in pC.
        delay: longest delay that can be looked up, in ms.
        interp_mode: which sample is taken between two, ``"previous"`` or ``"nearest"``; or ``"linear"``, with which a
            current between them is a blend, delays can be learned, and the spike is the previous one.
        interp_tol: how far from a sample a delay still counts as that sample's, in ms.
        current_overbound: current for delays out of range, in nA, or None.
        spike_overbound: spike for delays out of range, or None.
        batch_size: number of samples simulated side by side.
        inplace: whether histories are written in place even where that cuts an autograd graph.

    Raises:
        ValueError: if ``spike_charge`` is zero, ``step_time`` is not positive, ``delay`` or ``interp_tol`` is negative,
            or a size is not a positive integer.
        RuntimeError: if ``interp_mode`` is unknown.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import DeltaPlusCurrent
        >>> synapse = DeltaPlusCurrent(2, 1.0, spike_charge=5.0)
        >>> synapse(torch.tensor([[True, False]]), 0.25, torch.tensor([[0.0, 1.0]]))  # two injected currents, nA
        tensor([[5.2500, 1.2500]])
    """

    _ops = ("synapse_step", "history_gather")

    def __init__(
        self,
        shape: Sequence[int] | int,
        step_time: float,
        *,
        spike_charge: float,
        delay: float = 0.0,
        interp_mode: Literal["nearest", "previous", "linear"] = "previous",
        interp_tol: float = 0.0,
        current_overbound: float | None = 0.0,
        spike_overbound: bool | None = False,
        batch_size: int = 1,
        inplace: bool = False,
    ) -> None:
        interp_mode, spike_mode = current_mode("interp_mode", interp_mode)
        InfernoSynapse.__init__(self, shape, step_time, delay, batch_size, inplace)
        self.spike_charge = nonzero("spike_charge", spike_charge)
        SpikeCurrentMixin.__init__(
            self,
            torch.zeros(self.batchedshape),
            torch.zeros(self.batchedshape, dtype=torch.bool),
            interp_mode,
            spike_mode,
            current_overbound,
            spike_overbound,
            interp_tol,
        )

    @classmethod
    def partialconstructor(
        cls,
        spike_charge: float,
        interp_mode: Literal["nearest", "previous", "linear"] = "previous",
        interp_tol: float = 0.0,
        current_overbound: float | None = 0.0,
        spike_overbound: bool | None = False,
        inplace: bool = False,
    ) -> SynapseConstructor:
        """Fixes the hyperparameters (see the class) and returns a constructor with the common signature."""
        return constructor(
            cls,
            spike_charge=spike_charge,
            interp_mode=interp_mode,
            interp_tol=interp_tol,
            current_overbound=current_overbound,
            spike_overbound=spike_overbound,
            inplace=inplace,
        )

    def clear(self, **kwargs) -> None:
        """Forgets all spikes and currents. Cuts autograd graphs."""
        self.current_.reset(0.0)
        self.spike_.reset(False)

    def forward(self, *inputs: torch.Tensor | float, **kwargs) -> torch.Tensor:
        """Simulates one step. Gradients reach the inputs through the current, not through the recorded spike.

        Args:
            *inputs: first the number of spikes, ``(B, *shape)``; where it is not zero a spike is recorded. Then any
                number of currents in nA that broadcast to that shape, added in this order.

        Returns:
            the currents after this step, ``(B, *shape)``, in nA.

        Raises:
            TypeError: if there is no input, or one is not real.
            ValueError: if a shape or device does not fit the state's.
        """
        if not inputs:
            raise TypeError("DeltaPlusCurrent takes the spikes, and then currents; 'inputs' is empty")
        return step(self, "delta_plus", inputs, (self.current_,), gain=self.spike_charge / self.dt)

    def _packed_step(self, x: torch.Tensor) -> SynapseNumbers | None:
        """A step as a part of one call for a layer, see :func:`._step.packed`."""
        return packed(self, x, "delta_plus", (self.current_,), gain=self.spike_charge / self.dt)

    def _sequence(self, inputs: tuple[torch.Tensor, ...], past: bool) -> tuple[torch.Tensor, Series] | None:
        """T steps at once, see :func:`._sequence.sequence`."""
        return sequence(self, "delta_plus", inputs, past, (self.current_,), gain=self.spike_charge / self.dt)

    def _enter(self, program: Program, inputs: Operand) -> Operand | None:
        """A step as an instruction, see :func:`._program.enter`."""
        return enter(self, program, "delta_plus", inputs, (self.current_,), gain=self.spike_charge / self.dt)
