"""What the neurons of this package share: a step is one op, and a class names its model and its parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch

from ... import ops, reference
from ...ops.layer_step import NeuronNumbers
from ...ops.neuron_run import run_problem
from ...state._check import less, nonnegative, nonzero, step
from ...state._replay import check_may_step
from .._coverage import NeuronSequence, covers
from ..base import InfernoNeuron
from ._inputs import like_state, like_states
from ._program import enter
from ._state import records
from ._surrogate import SpikeGradient, SurrogateMixin
from .mixins import SpikeRefractoryMixin, VoltageMixin


class FusedNeuron(SurrogateMixin, VoltageMixin, SpikeRefractoryMixin, InfernoNeuron):
    """Neurons whose step is one :func:`~inferno_cuda.ops.neuron_step`, or with a surrogate one
    :func:`~inferno_cuda.ops.neuron_run`.

    A subclass names its model in ``_model``, and what the op needs to know in :meth:`_dynamics`.

    Args:
        shape: shape of the group without the batch dimension.
        step_time: length of a simulation step, in ms.
        rest_v: resting potential, in mV.
        refrac_t: absolute refractory period, in ms.
        resistance: membrane resistance, in MOhm.
        batch_size: number of samples simulated side by side.
        surrogate: what stands for the derivative of a spike; None for spikes without one.
        detach_reset: whether the reset is left out of that gradient.
    """

    _model: str

    def __init__(
        self,
        shape: Sequence[int] | int,
        step_time: float,
        rest_v: float,
        refrac_t: float,
        resistance: float,
        batch_size: int,
        surrogate: SpikeGradient | None,
        detach_reset: bool,
    ) -> None:
        InfernoNeuron.__init__(self, shape, batch_size)
        SurrogateMixin.__init__(self, surrogate, detach_reset)
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
        if type(refrac_lock) is not bool or self.surrogate is not None:
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

    @property
    def _ops(self) -> tuple[str, ...]:
        return ("neuron_step",) if self.surrogate is None else ("neuron_run",)

    def _why_torch(self) -> str:
        """What a step has that no kernel takes."""
        parameters = self._dynamics()
        if self.surrogate is not None:
            voltage = self._buffers["_voltage__data"]
            return run_problem(voltage, self.surrogate, parameters)
        tensors = [name for name, value in parameters.items() if isinstance(value, torch.Tensor)]
        return f"parameters that are tensors run in torch: {', '.join(tensors)}" if tensors else ""

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

        Gradients reach ``inputs``, earlier voltages and parameters that are tensors. Spikes have one with a
        :attr:`surrogate`.

        Args:
            inputs: input currents, ``(B, *shape)`` or broadcastable to it, or a number, in nA.
            refrac_lock: whether the voltage stands still during the refractory period; otherwise it integrates
                without input.

        Returns:
            the spikes of this step, ``(B, *shape)``, bool; with a surrogate 0 and 1 in the dtype of the state.

        Raises:
            ValueError: if ``inputs``, or a parameter that is a tensor, does not broadcast to ``(B, *shape)``.
            TypeError: if ``inputs`` is neither a tensor nor a number, or its dtype does not convert to that of the
                state without loss; if ``refrac_t`` is a tensor.
            RuntimeError: if the backend is set to ``"native"`` and a parameter is a tensor, or the surrogate has no
                kernel; or if autograd is to record
                a step although one is being captured in a CUDA graph, or was.
        """
        check_may_step()
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
        graph = records(inputs, parameters, voltage, refrac)
        return self._step(inputs, parameters, graph, self._state_read, refrac_lock=refrac_lock)

    def _packed_step(self) -> NeuronNumbers | None:
        """A step as a part of one call for a layer; None where it has to be a call."""
        how = self._packed_steps.get((None, True))
        voltage, refrac = self._buffers["_voltage__data"], self._buffers["_refrac__data"]
        if how is None or self._state_read or voltage.requires_grad or refrac.requires_grad:
            return None
        return NeuronNumbers(voltage, refrac, None, None, False, how)

    def _enter(
        self, program: ops.Program, inputs: ops.Operand, spikes: ops.Operand, refrac_lock: bool = True, **kwargs: Any
    ) -> ops.Operand | None:
        """A step as an instruction, see :func:`._program.enter`; keyword arguments are those of :meth:`forward`."""
        return enter(self, program, inputs, spikes, refrac_lock)

    def _step(
        self, inputs: torch.Tensor, parameters: dict[str, Any], graph: bool, read: bool, **options: Any
    ) -> torch.Tensor:
        """One step, in place unless somebody could notice.

        Args:
            inputs: ``(B, *shape)``.
            parameters: of the step.
            graph: whether autograd records the step.
            read: whether a property handed out what a step writes.
            **options: further arguments of the op.
        """
        voltage, refrac = self._buffers["_voltage__data"], self._buffers["_refrac__data"]
        rebind, surrogate = self._must_rebind(voltage, graph, read), self.surrogate
        # numbers alone, if there is a surrogate, since tensors have a kernel only in runs
        if not rebind and (surrogate is None or not any(isinstance(p, torch.Tensor) for p in parameters.values())):
            spikes = ops.neuron_step_(self._model, voltage, refrac, inputs, **options, **parameters)
            return spikes if surrogate is None else spikes.to(voltage.dtype)
        voltage, refrac, spikes, adaptation = self._stepped(inputs, parameters, **options)
        self._replace_state(voltage, refrac)
        if adaptation is not None:
            self._store_adaptation(adaptation)
        return spikes

    def _stepped(self, inputs: torch.Tensor, parameters: dict[str, Any], **options: Any) -> tuple:
        """What a step makes of the state, which it leaves alone: ``(voltage, refrac, spikes, adaptation)``."""
        state = self._buffers["_voltage__data"], self._buffers["_refrac__data"]
        if self.surrogate is None:
            return ops.neuron_step(self._model, *state, inputs, **options, **parameters)
        run = self._ran(inputs.unsqueeze(0), parameters, **options)
        return run.voltage, run.refrac, run.spikes.squeeze(0), run.adaptation

    def _ran(self, inputs: torch.Tensor, parameters: dict[str, Any], **options: Any) -> reference.NeuronRun:
        """What a sequence of steps makes of the state, which it leaves alone."""
        return ops.neuron_run(
            self._model,
            self._buffers["_voltage__data"],
            self._buffers["_refrac__data"],
            inputs,
            surrogate=self.surrogate,
            detach_reset=self.detach_reset,
            **options,
            **parameters,
        )

    def _run_sequence(
        self, inputs: torch.Tensor, record: tuple[str, ...] = (), refrac_lock: bool = True, **kwargs
    ) -> NeuronSequence | None:
        """As many steps as ``inputs`` has, at once; None if these must be single calls.

        Args:
            inputs: input currents, ``(T, B, *shape)``, or those of a step broadcastable to ``(B, *shape)``, in nA.
            record: any of "voltage" and "refrac".
            refrac_lock: as for :meth:`forward`.
        """
        if not self._runs_sequence(record):
            return None
        return self._run_steps(inputs, record, (), refrac_lock=refrac_lock)

    def _runs_sequence(self, record: tuple[str, ...]) -> bool:
        return covers(self, "_run_sequence") and set(record) <= {"voltage", "refrac"}

    def _run_steps(
        self, inputs: torch.Tensor, record: tuple[str, ...], differentiable: tuple[torch.Tensor, ...], **options: Any
    ) -> NeuronSequence:
        """The steps of a sequence. ``differentiable``: what autograd may know besides inputs, parameters and state."""
        voltage, refrac = self._buffers["_voltage__data"], self._buffers["_refrac__data"]
        check_may_step()
        inputs = like_states(inputs, voltage)
        parameters = self._parameters_of_step()
        self._must_rebind(voltage, records(inputs, parameters, voltage, refrac, *differentiable), True)
        run = self._ran(inputs, parameters, record=record, **options)
        if len(inputs):
            self._replace_state(run.voltage, run.refrac)
            if run.adaptation is not None:
                self._store_adaptation(run.adaptation)
        recorded = {"voltage": run.voltages, "refrac": run.refracs}
        return NeuronSequence(run.spikes, {name: recorded[name] for name in record})
