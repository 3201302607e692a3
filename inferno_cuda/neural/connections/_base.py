"""What connections share: the parameters, the step, and how the delayed currents are summed."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from ... import ops
from ...ops.common import pack
from ...ops.layer_step import SumNumbers
from ...state import RecordTensor, VirtualTensor, _check
from ...state._replay import check_may_step
from .._coverage import covers
from ..base import Connection, Synapse, SynapseConstructor
from ..synapses import DelayedCurrent
from ._plan import check_differentiable, differentiable, fused_run, fused_sum, fuses
from .mixins import WeightBiasDelayMixin, check_numbers

Init = Callable[[torch.Tensor], torch.Tensor]
LookedUp = list[tuple[DelayedCurrent, ops.DelayPlan]]


class WeightedConnection(WeightBiasDelayMixin, Connection):
    """A connection whose outputs are weighted sums of synaptic currents. A subclass names the op and the shapes.

    Args:
        synapse_shape: shape of the synapse.
        weight_shape: shape of weights and delays; the first size is that of the biases.
        step_time: length of a simulation step, in ms.
        synapse: constructor of the synapse, called as ``(shape, step_time, delay, batch_size)``.
        bias: whether there are biases.
        delay: longest delay, in ms, or None for no delays.
        batch_size: number of samples simulated side by side.
        weight_init: makes the initial weights from uniform ones in [0, 1).
        bias_init: makes the initial biases from uniform ones in [0, 1).
        delay_init: makes the initial delays from zeros.
        mask: 0 where weights and delays are to stay 0, otherwise 1; becomes the buffer ``mask``. None: 1 everywhere.
        biases: number of biases; None for the first size of ``weight_shape``.

    Raises:
        ValueError: if ``step_time`` is not positive, ``delay`` is negative, ``batch_size`` is not a positive integer,
            or an initial value has the wrong shape or is a negative or NaN delay.
        TypeError: if ``synapse`` does not make a :class:`~inferno_cuda.neural.Synapse`.
    """

    _fused_op: str
    _has_correlations = True  # the ops of learning rules, such as correlate_dense, know its arrangement of synapses

    def __init__(
        self,
        synapse_shape: tuple[int, ...],
        weight_shape: tuple[int, ...],
        step_time: float,
        *,
        synapse: SynapseConstructor,
        bias: bool,
        delay: float | None,
        batch_size: int,
        weight_init: Init | None,
        bias_init: Init | None,
        delay_init: Init | None,
        mask: torch.Tensor | None = None,
        biases: int | None = None,
    ) -> None:
        step_time = _check.step("step_time", step_time)
        delay = None if delay is None else _check.span("delay", delay)
        batch_size = _check.size("batch_size", batch_size)
        if isinstance(synapse, type | torch.nn.Module) or not callable(synapse):
            name = synapse.__name__ if isinstance(synapse, type) else type(synapse).__name__
            raise TypeError(
                f"'synapse' is {synapse if synapse is None else name}, it must be a function that makes one, such as "
                "DeltaCurrent.partialconstructor(spike_charge=1.0)"
            )
        Connection.__init__(self, synapse(synapse_shape, step_time, 0.0 if delay is None else delay, batch_size))
        weight = torch.rand(weight_shape)
        if mask is not None:
            self.register_buffer("mask", mask, persistent=False)
            weight = weight * mask
        WeightBiasDelayMixin.__init__(
            self,
            weight,
            torch.rand(weight_shape[0] if biases is None else biases) if bias else None,
            None if delay is None else torch.zeros(weight_shape),
        )
        if weight_init is not None:
            self.weight = weight_init(self.weight)
        if bias and bias_init is not None:
            self.bias = bias_init(self.bias)
        if delay is not None and delay_init is not None:
            self.delay = delay_init(self.delay)

    @property
    def delayedby(self) -> float | None:
        """Longest delay of the synapse, in ms, or None for a connection without delays."""
        if self._parameters.get("delay_") is None and not self._is_computed("delay_"):
            return None
        return self._modules["synapse_"].delay

    @property
    def _ops(self) -> tuple[str, ...]:
        return (self._fused_op,) if self.delayedby and fuses(self.synapse_) else ()

    def _delays(self) -> torch.Tensor:
        """The delays, zeros for a connection without any."""
        delay = self._held("delay_")
        return torch.zeros_like(self._held("weight_"), requires_grad=False) if delay is None else delay

    def _learned(self, values: torch.Tensor) -> torch.Tensor:
        """Weights or delays as the sums take them: the same values, with a gradient to those that may change."""
        return values

    @abstractmethod
    def _undelayed(self, current: torch.Tensor) -> torch.Tensor:
        """The outputs from the present currents of the synapse."""

    def _undelayed_graph(self, current: torch.Tensor) -> torch.Tensor:
        """Something with the shape and the gradients of the outputs, where their values do not count."""
        return self._undelayed(current)

    @abstractmethod
    def _delayed(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The outputs from a record: the op, called as ``(data, pointer, weight, plan, bias=, scale=)``."""

    @abstractmethod
    def _delayed_run(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The outputs of a sequence: the op, called as ``(series, weight, delay, plan=, bias=, scale=, ...)``."""

    @abstractmethod
    def _looked_up(self) -> torch.Tensor:
        """The outputs through the ``current_at`` of a synapse that does not fuse, in parts."""

    def forward(self, *inputs: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Simulates one step.

        With delays, synapses of this package are looked up and summed by one op; others through their ``current_at``,
        in parts.

        Args:
            *inputs: what the synapse takes: first the spikes, ``(B, *inshape)``. Then, where the synapse takes currents
                in nA, numbers or tensors that broadcast to that shape.
            **kwargs: handed to the synapse.

        Returns:
            currents into the next neurons, ``(B, *outshape)``, in nA. Differentiable in the input, weights and biases,
            and in delays that require a gradient, which are brought back into their range first.

        Raises:
            ValueError: if a delay is NaN, or as the synapse does. The state is left alone then.
            TypeError: if weights, biases and currents have different dtypes, or as the synapse does.
            RuntimeError: if the delays require a gradient, and the synapse's interpolation has none; or the input
                requires one, and a synapse that records spikes as bool has hooks or is a subclass with its own steps.
        """
        synapse = self._modules["synapse_"]
        data = self._brought(inputs)
        if not self.delayedby:
            self._check_step(self._present_dtype(synapse))
            out = self._undelayed(synapse(*data, **kwargs))
        elif fuses(synapse):
            out = self._fused_step(synapse, data, kwargs)
        else:
            self._check_step(self._present_dtype(synapse))
            check_numbers(self.delay_)
            synapse(*data, **kwargs)
            out = self._looked_up()
        return out.view(-1, *self.outshape)

    def _brought(self, inputs: tuple[torch.Tensor | float, ...]) -> list[torch.Tensor | float]:
        """Inputs as the synapse takes them; what is not a tensor is for the synapse to judge."""
        data = [self._to_synapse(x) if isinstance(x, torch.Tensor) else x for x in inputs[:1]]
        return data if len(inputs) == 1 else data + [self._injected(x) for x in inputs[1:]]

    def _injected(self, data: torch.Tensor | float) -> torch.Tensor | float:
        if not isinstance(data, torch.Tensor):
            return data
        shape = (self.synapse_.batchsz, *self.inshape)
        if data.shape != shape and _broadcasts(data.shape, shape):
            data = data.expand(shape)
        # other shapes may be those of the synapse, which checks them
        return self._to_synapse(data) if data.shape == shape else data

    def _to_synapse(self, data: torch.Tensor) -> torch.Tensor:
        """An input as the synapse takes it; one without a batch as it is, so that the synapse refuses its own shape."""
        if data.ndim == 0 or (data.ndim == 1 and math.prod(self.inshape) > 1):
            return data
        return self.like_synaptic(data)

    def _fused_step(self, synapse: Synapse, data: list[torch.Tensor], kwargs: dict[str, Any]) -> torch.Tensor:
        looked_up = self._planned(synapse)
        if self._drops_gradients(synapse, data, looked_up[0][0]):
            return self._step_with_graph(synapse, data, kwargs, looked_up)
        synapse(*data, **kwargs)
        weight, (how, plan) = self._learned(self._held("weight_")), looked_up[0]
        out = fused_sum(self._delayed, how, weight, self._held("bias_"), plan)
        for part, plan in looked_up[1:]:
            out = out - fused_sum(self._delayed, part, weight, None, plan)
        return out

    @staticmethod
    def _drops_gradients(synapse: Synapse, data: list[torch.Tensor | float], how: DelayedCurrent) -> bool:
        """Whether what is looked up was recorded as bool, and gradients are to reach the spikes that led to it."""
        if not torch.is_grad_enabled() or getattr(how.record.value, "dtype", None) != torch.bool:
            return False
        graph = any(isinstance(x, torch.Tensor) and x.requires_grad for x in data)
        return graph or getattr(synapse, "_spike_graph", None) is not None

    def _step_with_graph(
        self, synapse: Synapse, data: list[torch.Tensor | float], kwargs: dict[str, Any], looked_up: LookedUp
    ) -> torch.Tensor:
        """A step as a sequence of one, which keeps beside the recorded spikes what they are differentiable in.

        Raises:
            RuntimeError: the synapse does not run sequences.
        """
        steps = [x.unsqueeze(0) if isinstance(x, torch.Tensor) else x for x in data]
        made = None if kwargs else synapse._sequence(tuple(steps), True)
        if made is None:
            raise RuntimeError(
                f"the input requires a gradient, which the spikes recorded by {type(synapse).__name__} drop where "
                "hooks or a subclass see its steps: pass it detached, or take a synapse that records currents, such as "
                "DeltaPlusCurrent"
            )
        return self._summed(looked_up, made[1]).squeeze(0)

    def _planned(self, synapse: Synapse) -> LookedUp:
        """What is looked up, first what is added, then what is subtracted. The state is left alone."""
        check_may_step()
        delay, how = self._held("delay_"), synapse.delayed_current()
        minus = how.minus
        for part in (how,) if minus is None else (how, minus):
            self._check_step(self._recorded_dtype(part))
            if delay.requires_grad:
                check_differentiable(delay, part, synapse)
        if delay.requires_grad or self._delays_learned:
            self._project_delays()
        learned = self._learned(delay)
        looked_up = [(how, differentiable(self._plans.get(delay, how), learned, how))]
        if minus is not None:
            looked_up.append((minus, differentiable(self._minus_plans.get(delay, minus), learned, minus)))
        return looked_up

    def _run_sequence(self, *inputs: torch.Tensor) -> torch.Tensor | None:
        """T steps at once: inputs ``(T, B, *inshape)``, outputs ``(T, B, *outshape)``.

        None, with nothing changed, where only single steps will do: hooks watch them, a subclass has its own, or the
        synapse does not run sequences or is looked up in parts.

        Raises:
            ValueError, TypeError, RuntimeError: as :meth:`forward`.
        """
        return self._in_one_go(inputs, self._undelayed) if covers(self, "_run_sequence") else None

    def _run_known(self, *inputs: torch.Tensor) -> torch.Tensor | None:
        """As :meth:`_run_sequence` where somebody has the outputs already: of these here, the graph alone counts."""
        return self._in_one_go(inputs, self._undelayed_graph) if covers(self, "_run_known") else None

    def _in_one_go(
        self, inputs: tuple[torch.Tensor, ...], undelayed: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor | None:
        synapse = self.synapse_
        if not inputs or (self.delayedby and not fuses(synapse)):
            return None
        data = self._brought_steps(inputs)
        if self.delayedby:
            out = self._delayed_sequence(synapse, data)
        else:
            self._check_step(self._present_dtype(synapse))
            made = synapse._sequence(data, False)
            out = None if made is None else undelayed(made[0].flatten(0, 1))
        return None if out is None else out.view(inputs[0].shape[0], *self.batched_outshape)

    def _delayed_sequence(self, synapse: Synapse, data: tuple[torch.Tensor | float, ...]) -> torch.Tensor | None:
        looked_up = self._planned(synapse)
        made = synapse._sequence(data, True)
        return None if made is None else self._summed(looked_up, made[1])

    def _summed(self, looked_up: LookedUp, every: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """The outputs of every step from a series for each part that is looked up."""
        out, weight, delay = None, self._learned(self._held("weight_")), self._learned(self._held("delay_"))
        for (part, plan), series in zip(looked_up, every, strict=True):
            bias = self.bias if out is None else None
            current = fused_run(self._delayed_run, part, series, weight, bias, delay, plan)
            out = current if out is None else out - current
        return out

    def _brought_steps(self, inputs: tuple[torch.Tensor | float, ...]) -> tuple[torch.Tensor | float, ...]:
        """Inputs with the steps in front as the synapse takes them."""
        data = [self._steps_to_synapse(x) if isinstance(x, torch.Tensor) else x for x in inputs[:1]]
        for x in inputs[1:]:
            if isinstance(x, torch.Tensor) and x.ndim > 0 and _broadcasts(x.shape[1:], self.batched_inshape):
                missing = (1,) * (len(self.inshape) + 2 - x.ndim)
                x = x.reshape(*x.shape[:1], *missing, *x.shape[1:]).expand(-1, *self.batched_inshape)
                x = self._steps_to_synapse(x)
            data.append(x)
        return tuple(data)

    def _steps_to_synapse(self, x: torch.Tensor) -> torch.Tensor:
        if x.ndim < 3 or not x.numel():
            return x.reshape(*x.shape[:2], *self.synapse_.shape) if x.shape[2:] == self.inshape else x
        return self._to_synapse(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def _present_dtype(self, synapse: Synapse) -> torch.dtype:
        """The dtype of the currents that a step of the synapse gives; that of the weights where it cannot be told."""
        handle = synapse.__dict__.get("current_")
        if isinstance(handle, VirtualTensor):
            return handle.dtype
        if isinstance(handle, RecordTensor):
            return getattr(handle.value, "dtype", self.weight_.dtype)
        return self.weight_.dtype

    def _recorded_dtype(self, how: DelayedCurrent) -> torch.dtype:
        """The dtype of the currents that a fused sum finds; it takes recorded spikes in the dtype of the weights."""
        weight = self._held("weight_").dtype
        recorded = getattr(how.record.value, "dtype", weight)
        return weight if recorded == torch.bool else recorded

    def _packed(self, map: str) -> SumNumbers | None:
        """The sum as a part of one call for a layer; None where it has to be a call."""
        own = self.__dict__
        parameters = own["_parameters"]
        weight, bias, delay = parameters.get("weight_"), parameters.get("bias_"), parameters.get("delay_")
        computed = "bias_" in own or "delay_" in own or "parametrizations" in own["_modules"]  # pruned, or the like
        if weight is None or computed:
            return None
        if torch.is_grad_enabled() and (weight.requires_grad or (bias is not None and bias.requires_grad)):
            return None
        if delay is not None:
            return self._packed_delayed(f"delayed_{map}", delay, SumNumbers(map, weight, bias))
        return SumNumbers(map, weight, bias)

    def _packed_delayed(self, map: str, delay: torch.Tensor, sum: SumNumbers) -> SumNumbers | None:
        synapse = self._modules["synapse_"]
        if delay.requires_grad or self._delays_learned or not self.delayedby or not fuses(synapse):
            return None
        how = synapse.delayed_current()
        own = synapse.__dict__
        currents = own.get("current_")
        summed = currents if isinstance(currents, RecordTensor) else own.get("spike_")
        if how.minus is not None or how.record is not summed or own.get("_spike_graph") is not None:
            return None
        plan = self._plans.get(delay, how)
        if plan.slope is not None or plan.slots != summed._data.shape[0]:
            return None
        packed = _packed_numbers(plan.linear, float(how.scale), plan.overbound)
        return SumNumbers(map, sum.weight, sum.bias, plan.slot, plan.factor, packed)

    def _check_step(self, current: torch.dtype) -> None:
        """What would make the sum fail is found here, before the synapse advances."""
        weight, bias = self._held("weight_"), self._held("bias_")
        if current != weight.dtype or (bias is not None and bias.dtype != weight.dtype):
            also = "" if bias is None else f", 'bias' {bias.dtype}"
            raise TypeError(
                f"'weight' has the dtype {weight.dtype}{also}, the currents of the synapse {current}: they must agree"
            )


@lru_cache(maxsize=256)
def _packed_numbers(linear: bool, scale: float, overbound: float) -> torch.Tensor:
    """What a delayed sum takes beside the tensors of its plan, see :class:`SumNumbers`."""
    return pack((float(linear), scale, overbound))


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether a tensor of ``shape`` expands to the shape ``to``."""
    beside = zip(reversed(shape), reversed(to), strict=False)
    return len(shape) <= len(to) and all(size in (1, wanted) for size, wanted in beside)


def sizes(name: str, value: Any) -> tuple[tuple[int, ...], int]:
    """A shape argument, and how many elements it has."""
    shape = _check.shape(name, value)
    return shape, math.prod(shape)


def average(data: torch.Tensor, dim: int) -> torch.Tensor:
    """The mean along a dimension in the dtype of the data; for bool, whether any is true."""
    if data.is_floating_point():
        return data.mean(dim)
    return data.any(dim) if data.dtype == torch.bool else data.double().mean(dim).to(data.dtype)
