"""Reducers that keep traces: values that jump at events and decay in between."""

from __future__ import annotations

import math
from typing import Any

import torch

from ... import ops, reference
from ...functional import interp_expdecay
from ...ops.trace import trace_push_plain
from ...state import RecordTensor
from ...state import _check as check
from ...types import OneToOne
from .base import FoldReducer

Number = int | float


class _TraceReducer(FoldReducer):
    """What traces have in common: their decay, and a step that computes and records at once.

    A subclass names its ``_kind`` and says in ``_events`` what the op takes for its observations.
    """

    _ops = ("trace_push", "history_gather")
    _kind: str

    def __init__(
        self,
        step_time: float,
        time_constant: float,
        amplitude: Number,
        duration: float,
        inclusive: bool,
        inplace: bool,
    ) -> None:
        FoldReducer.__init__(self, step_time, duration, inclusive, inplace, 0)
        self.time_constant = check.positive("time_constant", time_constant)
        self.decay = math.exp(-self.dt / self.time_constant)
        self.amplitude = amplitude
        check.finite("amplitude", amplitude)

    @property
    def dt(self) -> float:
        """Time between observations, > 0 ms; the decay follows it. A change keeps the newest states."""
        return self._step_time

    @dt.setter
    def dt(self, value: float) -> None:
        FoldReducer.dt.fset(self, value)
        self.decay = math.exp(-self.dt / self.time_constant)

    def _events(self, obs: torch.Tensor, *args: torch.Tensor) -> tuple[Any, ...]:
        """Target, tolerance, scale and mask, as the op takes them."""
        raise NotImplementedError(f"{type(self).__name__} must implement the method '_events'")

    def _how(self, target: Any, tolerance: Any, scale: Any, mask: Any) -> dict[str, Any]:
        return {
            "kind": self._kind,
            "decay": self.decay,
            "amplitude": self.amplitude,
            "target": target,
            "tolerance": tolerance,
            "scale": scale,
            "mask": mask,
        }

    def _fold(self, obs: torch.Tensor, args: tuple[torch.Tensor, ...], state: torch.Tensor | None) -> torch.Tensor:
        if state is None:
            state = torch.zeros(obs.shape, dtype=self.data.dtype, device=obs.device)
        return reference.trace_step(state, obs, **self._how(*self._events(obs, *args)))

    def interpolate(
        self, prev_data: torch.Tensor, next_data: torch.Tensor, sample_at: torch.Tensor, step_time: float
    ) -> torch.Tensor:
        """What is left of the state before; arguments as for :meth:`FoldReducer.interpolate`."""
        return interp_expdecay(prev_data, next_data, sample_at, step_time, time_constant=self.time_constant)

    def _interpolation(self) -> dict[str, Any]:
        if type(self).interpolate is not _TraceReducer.interpolate:
            return FoldReducer._interpolation(self)
        return {"interp": interp_expdecay, "interp_kwargs": {"time_constant": self.time_constant}}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # a subclass with a step of its own in parts is stepped in these parts
        own = cls.fold.__module__ != __name__ or cls.push is not FoldReducer.push or cls.peek is not FoldReducer.peek
        cls._at_once = not own

    def _step(self, record: RecordTensor, obs: torch.Tensor, how: dict[str, Any]) -> None:
        data = record._data
        if record._in_place(data, obs, self._inplace):
            obs = obs.detach() if obs.requires_grad else obs
            ops.trace_push_(record._writable(), record._pointer_tensor, obs, **how)
            return
        # the graph keeps the slot, and the pointer moves on
        record._assign(record._laid_out(ops.trace_push(data, record._pointer_tensor.clone(), obs, **how)))
        record._advance(1)

    def forward(self, *inputs: torch.Tensor, **kwargs: Any) -> None:
        """Fold an observation into the trace, and record it."""
        record, data, extras = self.data_, self._buffers["_data__data"], self._extras
        obs = inputs[0]
        if extras["_initial"] or not self._at_once:
            FoldReducer.forward(self, *inputs, **kwargs)
            return
        target, tolerance, scale, mask = self._events(*inputs)
        if not (record._held or data.requires_grad or obs.requires_grad) and trace_push_plain(
            data,
            extras["_data__pointer"],
            obs,
            mask,
            self._kind,
            self.decay,
            self.amplitude,
            target,
            tolerance,
            scale,
        ):
            return
        if obs.shape != data.shape[1:]:
            FoldReducer.forward(self, *inputs, **kwargs)
            return
        self._follow(obs)
        self._step(record, obs, self._how(target, tolerance, scale, mask))


class _TargetTraceReducer(_TraceReducer):
    def __init__(
        self,
        step_time: float,
        time_constant: float,
        amplitude: Number,
        target: Number | bool,
        tolerance: Number | None = None,
        *,
        duration: float = 0.0,
        inclusive: bool = False,
        inplace: bool = False,
    ) -> None:
        _TraceReducer.__init__(self, step_time, time_constant, amplitude, duration, inclusive, inplace)
        self.target = target
        self.tolerance = None if tolerance is None else check.positive("tolerance", tolerance)

    def _events(self, obs: torch.Tensor) -> tuple[Any, ...]:
        return self.target, self.tolerance, None, None

    def fold(self, obs: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        """The trace after an observation, of the shape of both; ``state`` is None before the first one."""
        return self._fold(obs, (), state)


class NearestTraceReducer(_TargetTraceReducer):
    r"""A trace of the last event: :math:`x \leftarrow A` at an event, else :math:`x\,e^{-\Delta t / \tau}`.

    An event is an observation, cast to the dtype of the trace, that equals the target or lies within the tolerance.

    Args:
        step_time: time between observations, :math:`\Delta t` > 0 ms.
        time_constant: of the decay, :math:`\tau` > 0 ms.
        amplitude: the trace at an event, :math:`A`.
        target: what an event is.
        tolerance: how far from the target an event may be, > 0; None: not at all.
        duration: length of the history, >= 0 ms.
        inclusive: whether both ends of the duration are recorded.
        inplace: whether the history is written in place even where that cuts an autograd graph.

    Raises:
        ValueError: a number is out of range.
    """

    _kind = "nearest"


class CumulativeTraceReducer(_TargetTraceReducer):
    r"""A trace of all events: :math:`x \leftarrow x\,e^{-\Delta t / \tau}`, plus :math:`A` at an event.

    An event is an observation, cast to the dtype of the trace, that equals the target or lies within the tolerance.

    Args:
        step_time: time between observations, :math:`\Delta t` > 0 ms.
        time_constant: of the decay, :math:`\tau` > 0 ms.
        amplitude: what an event adds, :math:`A`.
        target: what an event is.
        tolerance: how far from the target an event may be, > 0; None: not at all.
        duration: length of the history, >= 0 ms.
        inclusive: whether both ends of the duration are recorded.
        inplace: whether the history is written in place even where that cuts an autograd graph.

    Raises:
        ValueError: a number is out of range.

    Example:
        >>> import torch
        >>> from inferno_cuda.observe import CumulativeTraceReducer
        >>> trace = CumulativeTraceReducer(1.0, 20.0, amplitude=1.0, target=True, duration=5.0)
        >>> for spikes in ([True, False], [True, True], [False, False]):
        ...     trace(torch.tensor(spikes))
        >>> trace.peek()
        tensor([1.8561, 0.9512])
        >>> trace.view(1.0)  # 1 ms ago
        tensor([1.9512, 1.0000])
    """

    _kind = "cumulative"


class _ScaledTraceReducer(_TraceReducer):
    def __init__(
        self,
        step_time: float,
        time_constant: float,
        amplitude: Number,
        scale: Number,
        criterion: OneToOne[torch.Tensor],
        *,
        duration: float = 0.0,
        inclusive: bool = False,
        inplace: bool = False,
    ) -> None:
        _TraceReducer.__init__(self, step_time, time_constant, float(amplitude), duration, inclusive, inplace)
        check.finite("scale", scale)
        self.scale = scale
        self.criterion = criterion

    def _events(self, obs: torch.Tensor) -> tuple[Any, ...]:
        return None, None, self.scale, _bool(self.criterion(obs))

    def fold(self, obs: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        """The trace after an observation, of the shape of both; ``state`` is None before the first one."""
        return self._fold(obs, (), state)


class ScaledNearestTraceReducer(_ScaledTraceReducer):
    r"""A trace of the last event, scaled: :math:`x \leftarrow s h + A` at one, else :math:`x\,e^{-\Delta t / \tau}`.

    Args:
        step_time: time between observations, :math:`\Delta t` > 0 ms.
        time_constant: of the decay, :math:`\tau` > 0 ms.
        amplitude: constant part of the trace at an event, :math:`A`.
        scale: factor of the observation :math:`h`, :math:`s`.
        criterion: from an observation to a bool tensor of its shape: where it is an event.
        duration: length of the history, >= 0 ms.
        inclusive: whether both ends of the duration are recorded.
        inplace: whether the history is written in place even where that cuts an autograd graph.

    Raises:
        ValueError: a number is out of range.
    """

    _kind = "nearest"


class ScaledCumulativeTraceReducer(_ScaledTraceReducer):
    r"""A trace of all events, scaled: :math:`x \leftarrow x\,e^{-\Delta t / \tau}`, plus :math:`s h + A` at an event.

    Args:
        step_time: time between observations, :math:`\Delta t` > 0 ms.
        time_constant: of the decay, :math:`\tau` > 0 ms.
        amplitude: constant part of what an event adds, :math:`A`.
        scale: factor of the observation :math:`h`, :math:`s`.
        criterion: from an observation to a bool tensor of its shape: where it is an event.
        duration: length of the history, >= 0 ms.
        inclusive: whether both ends of the duration are recorded.
        inplace: whether the history is written in place even where that cuts an autograd graph.

    Raises:
        ValueError: a number is out of range.
    """

    _kind = "cumulative"


class _ConditionalTraceReducer(_TraceReducer):
    def __init__(
        self,
        step_time: float,
        time_constant: float,
        amplitude: Number,
        scale: Number,
        *,
        duration: float = 0.0,
        inclusive: bool = False,
        inplace: bool = False,
    ) -> None:
        _TraceReducer.__init__(self, step_time, time_constant, float(amplitude), duration, inclusive, inplace)
        check.finite("scale", scale)
        self.scale = scale

    def _events(self, obs: torch.Tensor, cond: torch.Tensor) -> tuple[Any, ...]:
        return None, None, self.scale, _bool(cond)

    def fold(self, obs: torch.Tensor, cond: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        """The trace after an observation, which is an event where ``cond`` says so; all of one shape.

        ``state`` is None before the first observation.
        """
        return self._fold(obs, (cond,), state)


class ConditionalNearestTraceReducer(_ConditionalTraceReducer):
    r"""A trace of the last event, scaled; called with observations, and where these are events.

    :math:`x \leftarrow s h + A` at an event, else :math:`x\,e^{-\Delta t / \tau}`.

    Args:
        step_time: time between observations, :math:`\Delta t` > 0 ms.
        time_constant: of the decay, :math:`\tau` > 0 ms.
        amplitude: constant part of the trace at an event, :math:`A`.
        scale: factor of the observation :math:`h`, :math:`s`.
        duration: length of the history, >= 0 ms.
        inclusive: whether both ends of the duration are recorded.
        inplace: whether the history is written in place even where that cuts an autograd graph.

    Raises:
        ValueError: a number is out of range.
    """

    _kind = "nearest"


class ConditionalCumulativeTraceReducer(_ConditionalTraceReducer):
    r"""A trace of all events, scaled; called with observations, and where these are events.

    :math:`x \leftarrow x\,e^{-\Delta t / \tau}`, plus :math:`s h + A` at an event.

    Args:
        step_time: time between observations, :math:`\Delta t` > 0 ms.
        time_constant: of the decay, :math:`\tau` > 0 ms.
        amplitude: constant part of what an event adds, :math:`A`.
        scale: factor of the observation :math:`h`, :math:`s`.
        duration: length of the history, >= 0 ms.
        inclusive: whether both ends of the duration are recorded.
        inplace: whether the history is written in place even where that cuts an autograd graph.

    Raises:
        ValueError: a number is out of range.
    """

    _kind = "cumulative"


def _bool(mask: torch.Tensor) -> torch.Tensor:
    return mask if mask.dtype == torch.bool else mask != 0
