"""Synapses whose current lasts one step."""

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
from .mixins import SpikeDerivedCurrentMixin


class DeltaCurrent(SpikeDerivedCurrentMixin, InfernoSynapse):
    r"""Synapses that deliver the charge of a spike within the step of the spike.

    .. math::

        I(t) = \frac{Q}{\Delta t} \text{ if there is an input spike at } t \text{, else } 0

    Delays out of ``[0, delay]`` give the overbound values, which silence the synapse by default, however small the
    excess; pass None to clamp delays instead.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        spike_charge: charge of a spike :math:`Q`, in pC.
        delay: longest delay that can be looked up, in ms.
        interp_mode: which spike is taken between two samples, ``"previous"`` or ``"nearest"``; or ``"linear"``, with
            which a current between them is a blend, delays can be learned, and the spike is the previous one.
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
        >>> from inferno_cuda.neural import DeltaCurrent
        >>> synapse = DeltaCurrent(1, 1.0, spike_charge=5.0, delay=2.0)
        >>> [round(synapse(torch.tensor([[spike]])).item(), 3) for spike in (True, False, False)]  # nA
        [5.0, 0.0, 0.0]
        >>> synapse.current_at(torch.tensor([[2.0]]))  # 2 ms ago
        tensor([[5.]])
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
        interp_mode, _ = current_mode("interp_mode", interp_mode)
        InfernoSynapse.__init__(self, shape, step_time, delay, batch_size, inplace)
        self.spike_charge = nonzero("spike_charge", spike_charge)
        spikes = torch.zeros(self.batchedshape, dtype=torch.bool)
        SpikeDerivedCurrentMixin.__init__(self, spikes, interp_mode, current_overbound, spike_overbound, interp_tol)

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

    def spike_current(self) -> float:
        """Current of one spike, in nA."""
        return self.spike_charge / self.dt

    def clear(self, **kwargs) -> None:
        """Forgets all spikes."""
        self._drop_spike_graph()
        self.spike_.reset(False)

    def forward(self, *inputs: torch.Tensor, **kwargs) -> torch.Tensor:
        """Simulates one step. Gradients reach the input as if its magnitude counted.

        Recorded spikes are bool and have none; connections with delays keep them beside the record.

        Args:
            *inputs: one tensor, ``(B, *shape)``; where it is not zero there is a spike.

        Returns:
            the currents after this step, ``(B, *shape)``, in nA.

        Raises:
            TypeError: if there is not exactly one tensor.
            ValueError: if its shape or device differs from the state's.
        """
        return step(self, "delta", inputs, gain=self.spike_charge / self.dt, dtype=self._buffers["_current__ref"].dtype)

    def _packed_step(self, x: torch.Tensor) -> SynapseNumbers | None:
        """A step as a part of one call for a layer, see :func:`._step.packed`."""
        dtype = self._buffers["_current__ref"].dtype
        return packed(self, x, "delta", gain=self.spike_charge / self.dt, dtype=dtype)

    def _sequence(self, inputs: tuple[torch.Tensor, ...], past: bool) -> tuple[torch.Tensor, Series] | None:
        """T steps at once, see :func:`._sequence.sequence`."""
        dtype = self._buffers["_current__ref"].dtype
        return sequence(self, "delta", inputs, past, gain=self.spike_charge / self.dt, dtype=dtype)

    def _enter(self, program: Program, inputs: Operand) -> Operand | None:
        """A step as an instruction, see :func:`._program.enter`."""
        dtype = self._buffers["_current__ref"].dtype
        return enter(self, program, "delta", inputs, gain=self.spike_charge / self.dt, dtype=dtype)
