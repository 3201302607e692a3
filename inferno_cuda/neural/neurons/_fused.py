"""What the neurons of this package share: a step is one op, and a class names its model and its parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence

import torch

from ... import ops, reference
from ...state._check import less, nonnegative, nonzero, step
from ..base import InfernoNeuron
from ._constants import Constants
from ._inputs import like_state
from .mixins import BatchReduction, SpikeRefractoryMixin, VoltageMixin, _AdaptationMixin

# Reductions that the step has built in; others run in torch, after it.
FUSED_REDUCTIONS = {torch.mean: "mean", torch.sum: "sum"}


class FusedNeuron(VoltageMixin, SpikeRefractoryMixin, InfernoNeuron):
    """Neurons whose step is one :func:`~inferno_cuda.ops.neuron_step`.

    A subclass names its model in ``_model``, and what the op needs to know in :meth:`_dynamics`.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step, in ms.
        rest_v: resting potential, in mV.
        refrac_t: absolute refractory period, in ms.
        resistance: membrane resistance, in MOhm.
        batch_size: number of samples simulated side by side.
    """

    _ops = ("neuron_step",)
    _model: str

    def __init__(
        self,
        shape: Sequence[int] | int,
        step_time: float,
        rest_v: float,
        refrac_t: float,
        resistance: float,
        batch_size: int,
    ) -> None:
        InfernoNeuron.__init__(self, shape, batch_size)
        self.step_time = step("step_time", step_time)
        self.rest_v = float(rest_v)
        self.refrac_t = nonnegative("refrac_t", refrac_t)
        self.resistance = nonzero("resistance", resistance)
        VoltageMixin.__init__(self, torch.full(self.batchedshape, self.rest_v))
        SpikeRefractoryMixin.__init__(self, torch.zeros(self.batchedshape), "refrac_t")

    def _set_threshold(self, name: str, thresh_v: float, **below: float) -> None:
        """Keeps the threshold, and voltages that must lie below it."""
        thresh_v = float(thresh_v)
        less("rest_v", self.rest_v, thresh_v, name)
        checked = {key: less(key, value, thresh_v, name) for key, value in below.items()}
        self.__dict__.update(checked, **{name: thresh_v})

    @abstractmethod
    def _dynamics(self) -> dict[str, float]:
        """The parameters of the model, but for ``dt`` and ``refrac_t``."""

    @property
    def dt(self) -> float:
        """Length of a simulation step, in ms. Setting it leaves the state alone.

        Raises:
            ValueError: if the new value is not positive and finite.
        """
        return self.step_time

    @dt.setter
    def dt(self, value: float) -> None:
        self.step_time = step("dt", value)

    def clear(self, **kwargs) -> None:
        """Puts every neuron to its resting potential, out of refractoriness. Cuts autograd graphs."""
        self._reset_state(self.rest_v, 0.0)

    def forward(self, inputs: torch.Tensor | float, refrac_lock: bool = True, **kwargs) -> torch.Tensor:
        """Simulates one step.

        Gradients reach ``inputs`` and earlier voltages; spikes are bool and have none.

        Args:
            inputs: input currents, ``(B, *shape)`` or broadcastable to it, or a number, in nA.
            refrac_lock: whether the voltage stands still during the refractory period; otherwise it integrates
                without input.

        Returns:
            the spikes of this step, ``(B, *shape)``, bool.

        Raises:
            ValueError: if ``inputs`` does not broadcast to ``(B, *shape)``.
            TypeError: if ``inputs`` is neither a tensor nor a number, or its dtype does not convert to that of the
                state without loss.
        """
        buffers = self._buffers
        voltage, refrac = buffers["_voltage__data"], buffers["_refrac__data"]
        if not isinstance(inputs, torch.Tensor) or inputs.shape != voltage.shape or inputs.dtype != voltage.dtype:
            inputs = like_state(inputs, voltage)
        rebind = self._must_rebind(inputs, voltage, refrac)
        result = (ops.neuron_step if rebind else ops.neuron_step_)(
            self._model,
            voltage,
            refrac,
            inputs,
            refrac_lock=refrac_lock,
            dt=self.step_time,
            refrac_t=self.refrac_t,
            **self._dynamics(),
        )
        if not rebind:
            return result
        self._rebind(result[0], result[1])
        return result[2]


class AdaptiveNeuron(_AdaptationMixin, FusedNeuron):
    """Neurons of which each has ``K`` adaptations, shared by the samples of a batch.

    A subclass names in ``_sources`` the buffers that :meth:`_make_constants` computes the constants of the adaptations
    from.
    """

    _sources: tuple[str, ...]

    def _init_adaptation(self, batch_reduction: BatchReduction | None, **constants: float | Iterable[float]) -> None:
        """Registers the constants as buffers, ``(K,)``, and the adaptations.

        The last value of a shorter sequence stands for the rest.
        """
        given = {name: _floats(name, value) for name, value in constants.items()}
        kinds = max(map(len, given.values()))
        for name, values in given.items():
            padded = [*values, *[values[-1]] * (kinds - len(values))]
            self.register_buffer(name, torch.tensor(padded, dtype=torch.get_default_dtype()), persistent=False)
        self._constants = Constants()
        _AdaptationMixin.__init__(self, torch.zeros(*self.shape, kinds), batch_reduction)

    @staticmethod
    @abstractmethod
    def _make_constants(dt: float, *sources: torch.Tensor) -> torch.Tensor:
        """The constants that the model's adaptation takes, ``(constants, K)``, in float64."""

    def clear(self, keep_adaptations: bool = True, **kwargs) -> None:
        """Puts every neuron to its resting potential, out of refractoriness. Cuts autograd graphs.

        Args:
            keep_adaptations: whether the adaptations stay; otherwise they become zero.
        """
        if not keep_adaptations:
            self._reset_adaptation()
        self._reset_state(self.rest_v, 0.0)

    def forward(
        self, inputs: torch.Tensor | float, adapt: bool | None = None, refrac_lock: bool = True, **kwargs
    ) -> torch.Tensor:
        """Simulates one step.

        Gradients reach ``inputs``, earlier voltages and adaptations; spikes are bool and have none.

        Args:
            inputs: input currents, ``(B, *shape)`` or broadcastable to it, or a number, in nA.
            adapt: whether the adaptations are updated; None: if the module is in training mode.
            refrac_lock: whether voltage and adaptations stand still during the refractory period; otherwise the voltage
                integrates without input.

        Returns:
            the spikes of this step, ``(B, *shape)``, bool.

        Raises:
            ValueError: if ``inputs`` does not broadcast to ``(B, *shape)``.
            TypeError: if ``inputs`` is neither a tensor nor a number, or its dtype does not convert to that of the
                state without loss.
        """
        buffers = self._buffers
        voltage, refrac, adaptation = buffers["_voltage__data"], buffers["_refrac__data"], buffers[self._adaptation]
        if not isinstance(inputs, torch.Tensor) or inputs.shape != voltage.shape or inputs.dtype != voltage.dtype:
            inputs = like_state(inputs, voltage)
        adapt = self.training if adapt is None else adapt
        reduction = FUSED_REDUCTIONS.get(self._batch_reduction) if adapt else None
        constants = self._constants.get(
            self._make_constants, self.step_time, voltage.dtype, [buffers[name] for name in self._sources]
        )
        rebind = self._must_rebind(inputs, voltage, refrac, adaptation)
        result = (ops.neuron_step if rebind else ops.neuron_step_)(
            self._model,
            voltage,
            refrac,
            inputs,
            refrac_lock=refrac_lock,
            adaptation=adaptation,
            constants=constants,
            reduction=reduction,
            dt=self.step_time,
            refrac_t=self.refrac_t,
            **self._dynamics(),
        )
        if rebind:
            voltage, refrac, result, new_adaptation = result
            self._rebind(voltage, refrac)
            if reduction is not None:
                buffers[self._adaptation] = new_adaptation
        if adapt and reduction is None:
            moved = reference.adapt_samples(
                self._model,
                adaptation,
                voltage,
                refrac,
                result,
                rest_v=self.rest_v,
                constants=constants,
                refrac_lock=refrac_lock,
            )
            self._write_adaptation(moved)
        return result


def _floats(name: str, value: float | Iterable[float]) -> list[float]:
    values = [float(v) for v in value] if isinstance(value, Iterable) else [float(value)]
    if not values:
        raise ValueError(f"'{name}' is empty, it must be a number or hold at least one")
    return values


def each(check, name: str, value: float | Iterable[float]) -> list[float]:
    """Applies a check to every number that an adaptation parameter holds."""
    return [check(name, number) for number in _floats(name, value)]
