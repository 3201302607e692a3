"""What the neurons of this package share: a step is one op, and a class names its model and its parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from ... import ops, reference
from ...state._check import less, nonnegative, nonzero, step
from ..base import InfernoNeuron
from ._constants import Constants
from ._inputs import like_state
from ._program import enter
from ._state import records
from .mixins import BatchReduction, SpikeRefractoryMixin, VoltageMixin, _AdaptationMixin, fused_reduction


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
        """The parameters of the model, but for ``dt`` and ``refrac_t``, from attributes of this module alone.

        Steps read them again once an attribute has been set.
        """

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__["_packed_steps"] = {}
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self.__dict__["_packed_steps"] = {}
        super().__delattr__(name)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_packed_steps": {}}

    def _pack(self, reduction: str | None, refrac_lock: bool, parameters: dict[str, float]) -> None:
        """Keeps the numbers of a step for the next one, if there is a kernel that takes them."""
        if type(refrac_lock) is not bool:
            return
        how = ops.neuron.pack_step(self._model, reduction, refrac_lock, parameters)
        if how is not None:
            self._packed_steps[reduction, refrac_lock] = how

    def _parameters_of_step(self) -> dict[str, float]:
        parameters = self._dynamics()
        parameters["dt"] = self.step_time
        parameters["refrac_t"] = refrac_t = self.refrac_t
        if refrac_t.__class__ is not float and isinstance(refrac_t, torch.Tensor):
            raise TypeError("'refrac_t' is a Tensor, it must be a number")
        return parameters

    def _unfused_parameters(self) -> list[str]:
        """Names of the parameters with which the step runs in torch, since they are tensors."""
        return [name for name, value in self._dynamics().items() if isinstance(value, torch.Tensor)]

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
            ValueError: if ``inputs``, or a parameter that is a tensor, does not broadcast to ``(B, *shape)``.
            TypeError: if ``inputs`` is neither a tensor nor a number, or its dtype does not convert to that of the
                state without loss; if ``refrac_t`` is a tensor.
            RuntimeError: if a parameter is a tensor and the backend is set to ``"native"``; or if autograd is to record
                a step although one is being captured in a CUDA graph, or was.
        """
        buffers = self._buffers
        voltage, refrac = buffers["_voltage__data"], buffers["_refrac__data"]
        how = self._packed_steps.get((None, refrac_lock))
        if how is not None and type(inputs) is torch.Tensor and not self._state_read:
            spikes = ops.neuron.step_packed(voltage, refrac, None, inputs, None, False, how)
            if spikes is not None:
                return spikes
        if not isinstance(inputs, torch.Tensor) or inputs.shape != voltage.shape or inputs.dtype != voltage.dtype:
            inputs = like_state(inputs, voltage)
        parameters = self._parameters_of_step()
        self._pack(None, refrac_lock, parameters)
        rebind = self._must_rebind(voltage, records(inputs, parameters, voltage, refrac), self._state_read)
        result = (ops.neuron_step if rebind else ops.neuron_step_)(
            self._model,
            voltage,
            refrac,
            inputs,
            refrac_lock=refrac_lock,
            **parameters,
        )
        if not rebind:
            return result
        self._rebind(result[0], result[1])
        return result[2]

    def _enter(
        self, program: ops.Program, inputs: ops.Operand, spikes: ops.Operand, refrac_lock: bool = True, **kwargs: Any
    ) -> ops.Operand | None:
        """A step as an instruction, see :func:`._program.enter`; keyword arguments are those of :meth:`forward`."""
        return enter(self, program, inputs, spikes, refrac_lock)


class AdaptiveNeuron(_AdaptationMixin, FusedNeuron):
    """Neurons of which each has ``K`` adaptations, shared by the samples of a batch.

    The constants of the adaptations are buffers, read at every step, and carry no gradients. On a GPU, what is written
    to them through ``.data`` need not be seen.

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
        if keep_adaptations:
            self._cut_adaptation()
        else:
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
            ValueError: if ``inputs``, or a parameter that is a tensor, does not broadcast to ``(B, *shape)``, or
                ``batch_reduction`` returns another shape.
            TypeError: if ``inputs`` is neither a tensor nor a number, or its dtype does not convert to that of the
                state without loss; if ``refrac_t`` is a tensor; if ``batch_reduction`` returns no
                tensor.
            RuntimeError: if a parameter is a tensor and the backend is set to ``"native"``; or if autograd is to record
                a step although one is being captured in a CUDA graph, or was.
        """
        buffers = self._buffers
        voltage, refrac, adaptation = buffers["_voltage__data"], buffers["_refrac__data"], buffers[self._adaptation]
        adapt = self.training if adapt is None else adapt
        reduction = fused_reduction(self._batch_reduction) if adapt else None
        constants = self._constants.get(
            self._make_constants, self.step_time, voltage.dtype, [buffers[name] for name in self._sources]
        )
        how = self._packed_steps.get((reduction, refrac_lock)) if reduction or not adapt else None
        if how is not None and type(inputs) is torch.Tensor and not (self._state_read or self._adaptation_read):
            spikes = ops.neuron.step_packed(voltage, refrac, adaptation, inputs, constants, adapt, how)
            if spikes is not None:
                return spikes
        if not isinstance(inputs, torch.Tensor) or inputs.shape != voltage.shape or inputs.dtype != voltage.dtype:
            inputs = like_state(inputs, voltage)
        parameters = self._parameters_of_step()
        self._pack(reduction, refrac_lock, parameters)
        graph = records(inputs, parameters, voltage, refrac, adaptation)
        if adapt and reduction is None:
            return self._step_reducing(inputs, constants, refrac_lock, parameters, graph)
        rebind = self._must_rebind(voltage, graph, self._state_read or (adapt and self._adaptation_read))
        result = (ops.neuron_step if rebind else ops.neuron_step_)(
            self._model,
            voltage,
            refrac,
            inputs,
            refrac_lock=refrac_lock,
            adaptation=adaptation,
            constants=constants,
            reduction=reduction,
            **parameters,
        )
        if not rebind:
            return result
        self._rebind(result[0], result[1])
        if reduction is not None:
            self._store_adaptation(result[3])
        return result[2]

    def _enter(
        self,
        program: ops.Program,
        inputs: ops.Operand,
        spikes: ops.Operand,
        adapt: bool | None = None,
        refrac_lock: bool = True,
        **kwargs: Any,
    ) -> ops.Operand | None:
        """A step as an instruction, see :func:`._program.enter`; keyword arguments are those of :meth:`forward`."""
        adapt = self.training if adapt is None else adapt
        reduction = fused_reduction(self._batch_reduction) if adapt else None
        if adapt and reduction is None:
            return None
        held = self._buffers[self._adaptation]
        if adapt and not held.requires_grad and self._must_rebind(held, False, self._adaptation_read):
            self._store_adaptation(held.clone())
        adaptation = self._buffers[self._adaptation].flatten(0, -2)
        constants = self._constants.get(
            self._make_constants, self.step_time, adaptation.dtype, [self._buffers[name] for name in self._sources]
        )
        return enter(
            self,
            program,
            inputs,
            spikes,
            refrac_lock,
            adaptation=adaptation,
            constants=constants,
            reduction=reduction,
        )

    def _step_reducing(
        self,
        inputs: torch.Tensor,
        constants: torch.Tensor,
        refrac_lock: bool,
        parameters: dict[str, float],
        graph: bool,
    ) -> torch.Tensor:
        """A step that reduces the adaptations in torch; nothing is changed before that has worked."""
        buffers = self._buffers
        old, dtype = buffers[self._adaptation], constants.dtype
        voltage, refrac, spikes, _ = ops.neuron_step(
            self._model,
            buffers["_voltage__data"],
            buffers["_refrac__data"],
            inputs,
            refrac_lock=refrac_lock,
            adaptation=old,
            constants=constants,
            **parameters,
        )
        samples = reference.adapt_samples(
            self._model,
            old.to(dtype),
            voltage.to(dtype),
            refrac,
            spikes,
            rest_v=parameters["rest_v"],
            constants=constants,
            refrac_lock=refrac_lock,
        )
        moved = self._reduced(samples, old)
        self._must_rebind(voltage, graph or moved.requires_grad, True)
        if self._state_captured:
            buffers["_voltage__data"].copy_(voltage)
            buffers["_refrac__data"].copy_(refrac)
        else:
            self._rebind(voltage, refrac)
        self._store_adaptation(moved)
        return spikes


def _floats(name: str, value: float | Iterable[float]) -> list[float]:
    values = [float(v) for v in value] if isinstance(value, Iterable) else [float(value)]
    if not values:
        raise ValueError(f"'{name}' is empty, it must be a number or hold at least one")
    return values


def each(check, name: str, value: float | Iterable[float]) -> list[float]:
    """Applies a check to every number that an adaptation parameter holds."""
    return [check(name, number) for number in _floats(name, value)]
