"""Connections of one input to one output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ... import ops
from ...ops.layer_step import SumNumbers
from ..base import SynapseConstructor
from ._base import Init, WeightedConnection, average, sizes
from ._program import enter


class LinearDirect(WeightedConnection):
    r"""Every input is connected to the output of its own number.

    .. math::

        y_o(t) = b_o + W_o \, I_o(t - d_o)

    where :math:`I_o` is the current of synapse :math:`o`. The synapses, weights, delays and biases have the shape
    ``(n,)``, with ``n`` the number of inputs, which is that of outputs. A delay of 0 is the current of the present
    step, one of :math:`k \Delta t` that of ``k`` steps ago.

    Args:
        shape: shape of the input and of the output without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        synapse, bias, delay, batch_size, weight_init, bias_init, delay_init: as for
            :class:`~inferno_cuda.neural.LinearDense`.

    Raises:
        ValueError, TypeError: as :class:`~inferno_cuda.neural.LinearDense`.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import DeltaCurrent, LinearDirect
        >>> synapse = DeltaCurrent.partialconstructor(spike_charge=1.0)
        >>> connection = LinearDirect(3, 1.0, synapse=synapse, weight_init=lambda weight: torch.arange(3.0))
        >>> connection(torch.tensor([[True, True, True]]))
        tensor([[0., 1., 2.]])
    """

    _fused_op = "delayed_direct"

    def __init__(
        self,
        shape: Sequence[int] | int,
        step_time: float,
        *,
        synapse: SynapseConstructor,
        bias: bool = False,
        delay: float | None = None,
        batch_size: int = 1,
        weight_init: Init | None = None,
        bias_init: Init | None = None,
        delay_init: Init | None = None,
    ) -> None:
        shape, size = sizes("shape", shape)
        WeightedConnection.__init__(
            self,
            (size,),
            (size,),
            step_time,
            synapse=synapse,
            bias=bias,
            delay=delay,
            batch_size=batch_size,
            weight_init=weight_init,
            bias_init=bias_init,
            delay_init=delay_init,
        )
        self.shape = shape

    @property
    def inshape(self) -> tuple[int, ...]:
        """Shape of the input without the batch dimension."""
        return self.shape

    @property
    def outshape(self) -> tuple[int, ...]:
        """Shape of the output without the batch dimension."""
        return self.shape

    @property
    def selector(self) -> torch.Tensor:
        """Delays in ms, ``(B, n, 1)``, an expanded view; zeros for a connection without delays."""
        return self._delays().unsqueeze(1).expand(self.batchsz, -1, -1)

    def like_input(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes data like synaptic input, ``(B, n)`` or ``(B, n, 1)``, to ``(B, *shape)``."""
        return (average(data, 2) if data.ndim == 3 else data).reshape(-1, *self.shape)

    def like_bias(self, data: torch.Tensor) -> torch.Tensor:
        """``(n,)``, as it is."""
        return data

    def like_synaptic(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, *shape)`` to ``(B, n)``."""
        return data if data.ndim == 2 else data.reshape(data.shape[0], -1)

    def postsyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, *shape)`` to ``(B, n, 1)``."""
        return data.reshape(data.shape[0], -1, 1)

    def presyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, n)`` or ``(B, n, 1)`` to ``(B, n, 1)``."""
        return data.unsqueeze(2) if data.ndim == 2 else data

    def _undelayed(self, current: torch.Tensor) -> torch.Tensor:
        # the product and the sum are rounded, as in the delayed sum, and the result once more to a half type
        weight, bias = self.weight_, self.bias
        if weight.dtype.itemsize < 4:
            out = current.float() * weight.float()
            return (out if bias is None else out.add_(bias.float())).to(weight.dtype)
        out = current * weight
        return out if bias is None else out.add_(bias)

    def _delayed(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return ops.delayed_direct(*args, **kwargs)

    def _packed_sum(self) -> SumNumbers | None:
        """See :meth:`WeightedConnection._packed`."""
        return self._packed("direct")

    def _enter(self, program: ops.Program, inputs: ops.Operand) -> ops.Operand | None:
        """A step as instructions, see :func:`._program.enter`."""
        return enter(self, program, inputs, program.product)

    def _delayed_run(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return ops.delayed_direct_run(*args, **kwargs)

    def _looked_up(self) -> torch.Tensor:
        return self._undelayed(self.synapse_.current_at(self.selector).squeeze(2))
