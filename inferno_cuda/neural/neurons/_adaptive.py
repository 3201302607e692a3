"""What neurons share whose threshold or input adapts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import torch

from ... import ops, reference
from ...ops.layer_step import NeuronNumbers
from ...state._replay import check_may_step
from .._coverage import NeuronSequence
from ._constants import Constants
from ._fused import FusedNeuron
from ._inputs import like_state
from ._program import enter
from ._state import records
from .mixins import BatchReduction, _AdaptationMixin, fused_reduction


class AdaptiveNeuron(_AdaptationMixin, FusedNeuron):
    """Neurons of which each has ``K`` adaptations, shared by the samples of a batch.

    The constants of the adaptations are buffers, read at every step, and carry gradients where a tensor ``(K,)`` that
    requires one, such as a parameter, is put in their place. On a GPU, what is written to them through ``.data`` need
    not be seen.

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

        Gradients reach ``inputs``, earlier voltages and adaptations, and parameters that are tensors. Spikes have one
        with a :attr:`surrogate`.

        Args:
            inputs: input currents, ``(B, *shape)`` or broadcastable to it, or a number, in nA.
            adapt: whether the adaptations are updated; None: if the module is in training mode.
            refrac_lock: whether voltage and adaptations stand still during the refractory period; otherwise the voltage
                integrates without input.

        Returns:
            the spikes of this step, ``(B, *shape)``, bool; with a surrogate 0 and 1 in the dtype of the state.

        Raises:
            ValueError: if ``inputs``, or a parameter that is a tensor, does not broadcast to ``(B, *shape)``, or
                ``batch_reduction`` returns another shape.
            TypeError: if ``inputs`` is neither a tensor nor a number, or its dtype does not convert to that of the
                state without loss; if ``refrac_t`` is a tensor; if ``batch_reduction`` returns no
                tensor.
            RuntimeError: if the backend is set to ``"native"`` and a parameter is a tensor, or the surrogate has no
                kernel; or if autograd is to record
                a step although one is being captured in a CUDA graph, or was.
        """
        check_may_step()
        buffers = self._buffers
        voltage, refrac, adaptation = buffers["_voltage__data"], buffers["_refrac__data"], buffers[self._adaptation]
        adapt = self.training if adapt is None else adapt
        reduction = fused_reduction(self._batch_reduction) if adapt else None
        try:
            sources = [buffers[name] for name in self._sources]
        except KeyError:
            # one of them is a parameter
            sources = [getattr(self, name) for name in self._sources]
        constants = self._constants_from(sources, voltage.dtype)
        how = self._packed_steps.get((reduction, refrac_lock)) if reduction or not adapt else None
        if how is not None and type(inputs) is torch.Tensor and not (self._state_read or self._adaptation_read):
            spikes = ops.neuron.step_packed(voltage, refrac, adaptation, inputs, constants, adapt, how)
            if spikes is not None:
                return spikes
        if not isinstance(inputs, torch.Tensor) or inputs.shape != voltage.shape or inputs.dtype != voltage.dtype:
            inputs = like_state(inputs, voltage)
        parameters = self._parameters_of_step()
        self._pack(reduction, refrac_lock, parameters)
        graph = records(inputs, parameters, voltage, refrac, adaptation, constants)
        options = {"refrac_lock": refrac_lock, "adaptation": adaptation, "constants": constants}
        if adapt and reduction is None:
            return self._step_reducing(inputs, parameters, graph, **options)
        read = self._state_read or (adapt and self._adaptation_read)
        return self._step(inputs, parameters, graph, read, reduction=reduction, **options)

    def _packed_step(self) -> NeuronNumbers | None:
        """A step as a part of one call for a layer; None where it has to be a call."""
        buffers, adapt = self._buffers, self.training
        voltage, refrac, adaptation = buffers["_voltage__data"], buffers["_refrac__data"], buffers[self._adaptation]
        reduction = fused_reduction(self._batch_reduction) if adapt else None
        how = self._packed_steps.get((reduction, True)) if reduction or not adapt else None
        if how is None or self._state_read or self._adaptation_read:
            return None
        if voltage.requires_grad or refrac.requires_grad or adaptation.requires_grad:
            return None
        constants = self._plain_constants()
        return None if constants is None else NeuronNumbers(voltage, refrac, adaptation, constants, adapt, how)

    def _plain_constants(self) -> torch.Tensor | None:
        """The constants of a step as a part of one call for a layer; None if what they are of needs a gradient."""
        buffers = self._buffers
        sources = [buffers.get(name) for name in self._sources]
        for source in sources:
            if source is None or source.requires_grad:
                return None
        return self._constants.get(self._make_constants, self.step_time, buffers["_voltage__data"].dtype, sources)

    def _constants_of_step(self, dtype: torch.dtype) -> torch.Tensor:
        """The constants of the adaptations for a state of a dtype; with a gradient to what requires one."""
        return self._constants_from([getattr(self, name) for name in self._sources], dtype)

    def _constants_from(self, sources: list[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
        constants = self._constants.get
        for source in sources:
            if source.requires_grad and torch.is_grad_enabled():
                constants = self._constants.differentiable
        return constants(self._make_constants, self.step_time, dtype, sources)

    def _run_sequence(
        self,
        inputs: torch.Tensor,
        record: tuple[str, ...] = (),
        adapt: bool | None = None,
        refrac_lock: bool = True,
        **kwargs,
    ) -> NeuronSequence | None:
        """As many steps as ``inputs`` has, at once; None if these must be single calls.

        Args:
            inputs: input currents, ``(T, B, *shape)``, or those of a step broadcastable to ``(B, *shape)``, in nA.
            record: any of "voltage" and "refrac".
            adapt, refrac_lock: as for :meth:`forward`.
        """
        adapt = self.training if adapt is None else adapt
        reduction = fused_reduction(self._batch_reduction) if adapt else None
        if (adapt and reduction is None) or not self._runs_sequence(record):
            return None
        adaptation = self._buffers[self._adaptation]
        constants = self._constants_of_step(adaptation.dtype)
        return self._run_steps(
            inputs,
            record,
            (adaptation, constants),
            refrac_lock=refrac_lock,
            adaptation=adaptation,
            constants=constants,
            reduction=reduction,
        )

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
        constants = self._constants_of_step(adaptation.dtype)
        options = {"adaptation": adaptation, "constants": constants, "reduction": reduction}
        return enter(self, program, inputs, spikes, refrac_lock, **options)

    def _step_reducing(
        self, inputs: torch.Tensor, parameters: dict[str, Any], graph: bool, **options: Any
    ) -> torch.Tensor:
        """A step that reduces the adaptations in torch; nothing is changed before that has worked."""
        old, constants = options["adaptation"], options["constants"]
        voltage, refrac, spikes, _ = self._stepped(inputs, parameters, **options)
        samples = reference.adapt_samples(
            self._model,
            old.to(constants.dtype),
            voltage.to(constants.dtype),
            refrac,
            spikes,
            rest_v=parameters["rest_v"],
            constants=constants,
            refrac_lock=options["refrac_lock"],
        )
        moved = self._reduced(samples, old)
        self._must_rebind(voltage, graph or moved.requires_grad, True)
        self._replace_state(voltage, refrac)
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
