"""Linear connections."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from ...state import RecordTensor, VirtualTensor, _check
from ..base import Connection, Synapse, SynapseConstructor
from ..synapses import DelayedCurrent
from ._plan import chunked_sum, fused_sum, fuses
from .mixins import WeightBiasDelayMixin, check_numbers

Init = Callable[[torch.Tensor], torch.Tensor]


class LinearDense(WeightBiasDelayMixin, Connection):
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
        in_shape, out_shape = _check.shape("in_shape", in_shape), _check.shape("out_shape", out_shape)
        step_time = _check.step("step_time", step_time)
        delay = None if delay is None else _check.span("delay", delay)
        batch_size = _check.size("batch_size", batch_size)
        inputs, outputs = math.prod(in_shape), math.prod(out_shape)
        Connection.__init__(self, synapse((inputs,), step_time, 0.0 if delay is None else delay, batch_size))
        self.in_shape = in_shape
        self.out_shape = out_shape
        WeightBiasDelayMixin.__init__(
            self,
            torch.rand(outputs, inputs),
            torch.rand(outputs) if bias else None,
            None if delay is None else torch.zeros(outputs, inputs),
        )
        if weight_init is not None:
            self.weight = weight_init(self.weight)
        if bias and bias_init is not None:
            self.bias = bias_init(self.bias)
        if delay is not None and delay_init is not None:
            self.delay = delay_init(self.delay)

    @property
    def _ops(self) -> tuple[str, ...]:
        return ("delayed_dense",) if self.delayedby and fuses(self.synapse_) else ()

    @property
    def inshape(self) -> tuple[int, ...]:
        """Shape of the input without the batch dimension."""
        return self.in_shape

    @property
    def outshape(self) -> tuple[int, ...]:
        """Shape of the output without the batch dimension."""
        return self.out_shape

    @property
    def selector(self) -> torch.Tensor:
        """Delays in ms, ``(B, I, O)``, an expanded view; zeros for a connection without delays."""
        delay = self._parameters.get("delay_")
        if delay is None:
            delay = torch.zeros_like(self.weight_, requires_grad=False)
        return delay.t().expand(self.batchsz, -1, -1)

    def like_input(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes data like synaptic input to the shape of the input.

        Args:
            data: ``(B, I)``; or ``(B, I, O)``, like what :attr:`syncurrent` is with delays. The values that the
                outputs see are averaged then, and bool is true where any of them is.

        Returns:
            ``(B, *in_shape)``.
        """
        if data.ndim == 3:
            data = data.mean(2) if data.is_floating_point() else data.double().mean(2).to(data.dtype)
        return data.reshape(-1, *self.in_shape)

    def like_bias(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(O, 1)`` to ``(O,)``."""
        return data.squeeze(1)

    def like_synaptic(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, *in_shape)`` to ``(B, I)``."""
        return data if data.ndim == 2 else data.reshape(data.shape[0], -1)

    def postsyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, *out_shape)`` to ``(B, O, 1, 1)``."""
        return data.reshape(data.shape[0], -1, 1, 1)

    def presyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, I)`` to ``(B, 1, I, 1)``, or ``(B, I, O)`` to ``(B, O, I, 1)``."""
        if data.ndim == 2:
            return data[:, None, :, None]
        return data.transpose(1, 2).unsqueeze(-1)

    def forward(self, *inputs: torch.Tensor, **kwargs) -> torch.Tensor:
        """Simulates one step.

        With delays, synapses of this package are looked up and summed by one op; others through their ``current_at``,
        for a few outputs at a time.

        Args:
            *inputs: tensors of shape ``(B, *in_shape)`` for the synapse.
            **kwargs: handed to the synapse.

        Returns:
            currents into the next neurons, ``(B, *out_shape)``, in nA. Differentiable in the input, weights and biases.

        Raises:
            ValueError: if a delay is NaN, or as the synapse does. The state is left alone then.
            TypeError: if weights, biases and currents have different dtypes, or as the synapse does.
            RuntimeError: if a gradient with respect to the delays would be needed.
        """
        synapse = self.synapse_
        data = [self.like_synaptic(x) for x in inputs]
        weight = self.weight_
        if not self.delayedby:
            self._check_step(synapse)
            out = F.linear(synapse(*data, **kwargs), weight, self.bias)
        elif fuses(synapse):
            delay = self.delay_
            if delay.requires_grad and torch.is_grad_enabled():
                raise RuntimeError("there are no gradients with respect to 'delay', call delay.requires_grad_(False)")
            how = synapse.delayed_current()
            self._check_step(synapse, how)
            plan = self._plans.get(delay, how)
            synapse(*data, **kwargs)
            out = fused_sum(how, weight, self.bias, plan)
        else:
            self._check_step(synapse)
            check_numbers(self.delay_)
            synapse(*data, **kwargs)
            out = chunked_sum(synapse, weight, self.bias, self.selector)
        return out.view(-1, *self.out_shape)

    def _check_step(self, synapse: Synapse, how: DelayedCurrent | None = None) -> None:
        """What would make the sum fail is found here, before the synapse advances."""
        weight, bias = self._parameters["weight_"], self._parameters.get("bias_")
        handle = synapse.__dict__.get("current_") if how is None else how.record
        current = weight.dtype
        if isinstance(handle, VirtualTensor):
            current = handle.dtype
        elif isinstance(handle, RecordTensor):
            recorded = getattr(handle.value, "dtype", current)
            # the fused sum takes recorded spikes in the dtype of the weights
            current = current if how is not None and recorded == torch.bool else recorded
        if current != weight.dtype or (bias is not None and bias.dtype != weight.dtype):
            also = "" if bias is None else f", 'bias' {bias.dtype}"
            raise TypeError(
                f"'weight' has the dtype {weight.dtype}{also}, the currents of the synapse {current}: they must agree"
            )
