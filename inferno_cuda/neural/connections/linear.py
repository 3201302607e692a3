"""Linear connections: all to all, and all to all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ... import ops
from ...ops.layer_step import SumNumbers
from ...ops.linear import DenseGraph, dense_sum
from ..base import SynapseConstructor
from ._base import Init, WeightedConnection, average, sizes
from ._plan import chunks
from ._program import enter


class MatrixConnection(WeightedConnection):
    """A connection with a matrix of weights; the synapse has the shape ``(I,)``, weights and delays ``(O, I)``.

    What it needs beside ``WeightedConnection`` are ``inshape`` and ``outshape``.
    """

    _fused_op = "delayed_dense"

    @property
    def selector(self) -> torch.Tensor:
        """Delays in ms, ``(B, I, O)``, an expanded view; zeros for a connection without delays."""
        return self._delays().t().expand(self.batchsz, -1, -1)

    def like_input(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes data like synaptic input to the shape of the input.

        Args:
            data: ``(B, I)``; or ``(B, I, O)``, like what ``syncurrent`` is with delays. The values that the
                outputs see are averaged then, and bool is true where any of them is.

        Returns:
            ``(B, *inshape)``.
        """
        return (average(data, 2) if data.ndim == 3 else data).reshape(-1, *self.inshape)

    def like_bias(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(O, 1)`` to ``(O,)``."""
        return data.squeeze(1)

    def like_synaptic(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, *inshape)`` to ``(B, I)``."""
        return data if data.ndim == 2 else data.reshape(data.shape[0], -1)

    def postsyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, *outshape)`` to ``(B, O, 1, 1)``."""
        return data.reshape(data.shape[0], -1, 1, 1)

    def presyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, I)`` to ``(B, 1, I, 1)``, or ``(B, I, O)`` to ``(B, O, I, 1)``."""
        if data.ndim == 2:
            return data[:, None, :, None]
        return data.transpose(1, 2).unsqueeze(-1)

    def _undelayed(self, current: torch.Tensor) -> torch.Tensor:
        return dense_sum(current, self._learned(self._held("weight_")), self.bias)

    def _undelayed_graph(self, current: torch.Tensor) -> torch.Tensor:
        return DenseGraph.apply(current, self._learned(self._held("weight_")), self.bias)

    def _delayed(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return ops.delayed_dense(*args, **kwargs)

    def _packed_sum(self) -> SumNumbers | None:
        """See :meth:`WeightedConnection._packed`."""
        return self._packed("dense")

    def _enter(self, program: ops.Program, inputs: ops.Operand) -> ops.Operand | None:
        """A step as instructions, see :func:`._program.enter`."""
        return enter(self, program, inputs, program.linear)

    def _delayed_run(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return ops.delayed_dense_run(*args, **kwargs)

    def _looked_up(self) -> torch.Tensor:
        selector, weight, synapse = self.selector, self._learned(self._held("weight_")), self.synapse_
        batch, inputs, outputs = selector.shape
        out = torch.cat(
            [
                torch.einsum("bio,oi->bo", synapse.current_at(selector[..., some]), weight[some])
                for some in chunks(batch * inputs, outputs)
            ],
            1,
        )
        return out if self.bias is None else out + self.bias


class LinearDense(MatrixConnection):
    r"""Every input is connected to every output.

    .. math::

        y_o(t) = b_o + \sum_i W_{oi} \, I_i(t - d_{oi})

    where :math:`I_i` is the current of synapse :math:`i`. The synapses have the shape ``(I,)``, weights and delays
    ``(O, I)``, biases ``(O,)``, with ``I`` and ``O`` the numbers of inputs and outputs. A delay of 0 is the current of
    the present step, one of :math:`k \Delta t` that of ``k`` steps ago.

    Args:
        in_shape: shape of the input without the batch dimension.
        out_shape: shape of the output without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        synapse: constructor of the synapse, called as ``(shape, step_time, delay, batch_size)``.
        bias: whether there are biases.
        delay: longest delay, in ms, or None for no delays.
        batch_size: number of samples simulated side by side.
        weight_init: makes the initial weights from uniform ones in [0, 1).
        bias_init: makes the initial biases from uniform ones in [0, 1).
        delay_init: makes the initial delays from zeros.

    Raises:
        ValueError: if a size is not a positive integer, ``step_time`` is not positive, ``delay`` is negative, or an
            initial value has the wrong shape or is a negative or NaN delay.
        TypeError: if ``synapse`` does not make a :class:`~inferno_cuda.neural.Synapse`.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import DeltaCurrent, LinearDense
        >>> synapse = DeltaCurrent.partialconstructor(spike_charge=1.0)
        >>> connection = LinearDense(2, 3, 1.0, synapse=synapse, delay=5.0, weight_init=torch.ones_like)
        >>> connection.delay = torch.tensor([[0.0, 1.0], [2.0, 2.0], [9.0, 5.0]])  # ms; 9 is out of range
        >>> for step in range(3):  # one spike at both inputs, in step 0
        ...     print(connection(torch.full((1, 2), step == 0)))
        tensor([[1., 0., 0.]])
        tensor([[1., 0., 0.]])
        tensor([[0., 2., 0.]])
    """

    def __init__(
        self,
        in_shape: Sequence[int] | int,
        out_shape: Sequence[int] | int,
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
        in_shape, inputs = sizes("in_shape", in_shape)
        out_shape, outputs = sizes("out_shape", out_shape)
        WeightedConnection.__init__(
            self,
            (inputs,),
            (outputs, inputs),
            step_time,
            synapse=synapse,
            bias=bias,
            delay=delay,
            batch_size=batch_size,
            weight_init=weight_init,
            bias_init=bias_init,
            delay_init=delay_init,
        )
        self.in_shape = in_shape
        self.out_shape = out_shape

    @property
    def inshape(self) -> tuple[int, ...]:
        """Shape of the input without the batch dimension."""
        return self.in_shape

    @property
    def outshape(self) -> tuple[int, ...]:
        """Shape of the output without the batch dimension."""
        return self.out_shape


class LinearLateral(MatrixConnection):
    r"""Every input is connected to every output but that of its own number.

    .. math::

        y_o(t) = b_o + \sum_{i \ne o} W_{oi} \, I_i(t - d_{oi})

    The synapses have the shape ``(n,)``, weights and delays ``(n, n)`` with a diagonal of zeros, biases ``(n,)``, with
    ``n`` the number of inputs, which is that of outputs. Whatever is assigned, loaded or applied by an
    :class:`~inferno_cuda.neural.Updater`, the diagonal of weights and delays is set to zero; the buffer ``mask``, ``(n,
    n)``, is 0 there and 1 elsewhere. Writes to the parameters' memory do not pass through it; but no gradient reaches
    the diagonal, so that optimizers leave it at zero.

    Args:
        shape: shape of the input and of the output without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        synapse, bias, delay, batch_size, weight_init, bias_init, delay_init: as for :class:`LinearDense`.

    Raises:
        ValueError, TypeError: as :class:`LinearDense`.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import DeltaCurrent, LinearLateral
        >>> synapse = DeltaCurrent.partialconstructor(spike_charge=1.0)
        >>> connection = LinearLateral(3, 1.0, synapse=synapse, weight_init=torch.ones_like)
        >>> connection(torch.tensor([[True, False, False]]))
        tensor([[0., 1., 1.]])
    """

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
            (size, size),
            step_time,
            synapse=synapse,
            bias=bias,
            delay=delay,
            batch_size=batch_size,
            weight_init=weight_init,
            bias_init=bias_init,
            delay_init=delay_init,
            mask=1 - torch.eye(size),
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

    def _masked(self, value: torch.Tensor) -> torch.Tensor:
        # not a product: what is masked may be infinite
        return value.masked_fill(self.mask.to(value.device) == 0, 0)

    def _learned(self, values: torch.Tensor) -> torch.Tensor:
        if not (values.requires_grad and torch.is_grad_enabled()):
            return values
        if torch.compiler.is_compiling():
            return torch.diagonal_scatter(values, values.detach().diagonal())  # compilers take no hooks
        view = values.view_as(values)  # copies nothing, however many steps a graph has
        view.register_hook(_off_diagonal)  # which holds nothing: a graph that kept the module would never be freed
        return view

    def _replace(self, name: str, value: torch.Tensor) -> None:
        super()._replace(name, value if name == "bias_" else self._masked(value))

    def _settled_in_place(self, name: str) -> torch.Tensor | None:
        kind, setters = type(self), (LinearLateral.weight, LinearLateral.bias, LinearLateral.delay)
        plain = kind._replace is LinearLateral._replace and getattr(kind, name, None) in setters
        plain = plain and kind._update_parameter is WeightedConnection._update_parameter
        return self._parameters.get(f"{name}_") if plain else None

    @torch.no_grad()
    def _settle(self, name: str) -> None:
        if name != "bias":
            held = self._parameters[f"{name}_"]
            held.masked_fill_(self.mask.to(held.device) == 0, 0)

    def _computed(self, name: str) -> torch.Tensor:
        return super()._computed(name) if name == "bias_" else self._masked(super()._computed(name))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: Mapping[str, Any], *args: Any
    ) -> None:
        for name in ("weight_", "delay_"):
            value = state_dict.get(prefix + name)
            if isinstance(value, torch.Tensor) and value.shape == self.mask.shape:
                # torch hands down a dictionary of its own, which may be changed
                state_dict[prefix + name] = self._masked(value.detach())
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def _off_diagonal(grad: torch.Tensor) -> torch.Tensor:
    return torch.diagonal_scatter(grad, grad.new_zeros(len(grad)))
