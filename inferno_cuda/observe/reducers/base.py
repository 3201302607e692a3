"""What all reducers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch

from ...state import Module, RecordTensor
from ...state import _check as check
from ...state.shaped import ignored


class Reducer(Module, ABC):
    """Keeps what is wanted of a series of observations; called with every one of them."""

    def __init__(self) -> None:
        Module.__init__(self)

    @property
    def latest(self) -> torch.Tensor | None:
        """The present state, as :meth:`peek` without arguments gives it."""
        return self.peek()

    @abstractmethod
    def clear(self, **kwargs: Any) -> None:
        """Forget all observations."""
        raise NotImplementedError(f"{type(self).__name__}(Reducer) must implement the method 'clear'")

    @abstractmethod
    def view(self, *args: Any, **kwargs: Any) -> torch.Tensor | None:
        """The state at a time in the past."""
        raise NotImplementedError(f"{type(self).__name__}(Reducer) must implement the method 'view'")

    @abstractmethod
    def dump(self, *args: Any, **kwargs: Any) -> torch.Tensor | None:
        """All states that are kept."""
        raise NotImplementedError(f"{type(self).__name__}(Reducer) must implement the method 'dump'")

    @abstractmethod
    def peek(self, *args: Any, **kwargs: Any) -> torch.Tensor | None:
        """The present state."""
        raise NotImplementedError(f"{type(self).__name__}(Reducer) must implement the method 'peek'")

    @abstractmethod
    def push(self, inputs: torch.Tensor, **kwargs: Any) -> None:
        """Take over a new state."""
        raise NotImplementedError(f"{type(self).__name__}(Reducer) must implement the method 'push'")

    def forward(self, *inputs: torch.Tensor, **kwargs: Any) -> None:
        """Take in an observation."""
        raise NotImplementedError(f"{type(self).__name__}(Reducer) must implement the method 'forward'")


class RecordReducer(Reducer, ABC):
    """A reducer that keeps its states in :class:`~inferno_cuda.RecordTensor` attributes, all of the same times.

    Args:
        step_time: time between observations, > 0 ms.
        duration: length of the history, >= 0 ms.
        inclusive: whether both ends of the duration are recorded, which takes one more slot.
        inplace: whether histories are written in place even where that cuts an autograd graph.

    Raises:
        ValueError: a time is out of range.
    """

    def __init__(self, step_time: float, duration: float, inclusive: bool = False, inplace: bool = False) -> None:
        Reducer.__init__(self)
        self._step_time = check.step("step_time", step_time)
        self._duration = check.span("duration", duration)
        self._inclusive = bool(inclusive)
        self._inplace = bool(inplace)
        self._records: list[str] = []

    def add_record(self, *attr: str) -> None:
        """Give attributes, which are records, the times of this reducer, now and when these change.

        Raises:
            RuntimeError: there is no such attribute.
            TypeError: it is not a :class:`~inferno_cuda.RecordTensor`.
        """
        for name in attr:
            if not hasattr(self, name):
                raise RuntimeError(f"'attr' names '{name}', which is not an attribute")
            record = getattr(self, name)
            if not isinstance(record, RecordTensor):
                raise TypeError(f"attribute '{name}' must be a RecordTensor, but is of type {type(record).__name__}")
            record.dt, record.duration, record.inclusive = self._step_time, self._duration, self._inclusive
            if name not in self._records:
                self._records.append(name)

    def _retime(self, attribute: str, value: float) -> None:
        for name in self._records:
            setattr(getattr(self, name), attribute, value)

    @property
    def dt(self) -> float:
        """Time between observations, > 0 ms. A change of the number of slots keeps the newest states."""
        return self._step_time

    @dt.setter
    def dt(self, value: float) -> None:
        value = check.step("dt", value)
        if value != self._step_time:
            self._retime("dt", value)
            self._step_time = value

    @property
    def duration(self) -> float:
        """Length of the history, >= 0 ms. A change of the number of slots keeps the newest states."""
        return self._duration

    @duration.setter
    def duration(self, value: float) -> None:
        value = check.span("duration", value)
        if value != self._duration:
            self._retime("duration", value)
            self._duration = value

    @property
    def inplace(self) -> bool:
        """Whether histories are written in place even where that cuts an autograd graph."""
        return self._inplace

    @inplace.setter
    def inplace(self, value: bool) -> None:
        self._inplace = bool(value)


class FoldReducer(RecordReducer, ABC):
    """A reducer whose next state follows from the last one and an observation; it keeps one record, ``data_``.

    The record has no storage before the first observation, whose fold gives it its shape. It keeps its dtype, at first
    torch's default one, whatever is observed.

    Args:
        step_time: time between observations, > 0 ms.
        duration: length of the history, >= 0 ms.
        inclusive: whether both ends of the duration are recorded, which takes one more slot.
        inplace: whether the history is written in place even where that cuts an autograd graph.
        fill: the state at times before the first observation.

    Raises:
        ValueError: a time is out of range.
    """

    _ops = ("history_push", "history_gather")

    def __init__(
        self, step_time: float, duration: float, inclusive: bool = False, inplace: bool = False, fill: Any = 0
    ) -> None:
        RecordReducer.__init__(self, step_time, duration, inclusive, inplace)
        RecordTensor.create(self, "data_", self._step_time, self._duration, torch.empty(0), inclusive=inclusive)
        self.add_record("data_")
        self.register_extra("_initial", True)
        self._fill = fill
        self._placed = True

    @property
    def data(self) -> torch.Tensor:
        """The storage, ``(N, *state)``, in the order of its slots; see :meth:`dump` for that of time.

        Assigning keeps a copy. Raises RuntimeError unless the shape stays.
        """
        return self.data_.value

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        present = tuple(self.data_.value.shape)
        if tuple(value.shape) != present:
            raise RuntimeError(f"'data' of shape {tuple(value.shape)} must keep the shape {present}")
        self.data_.value = value

    def _retime(self, attribute: str, value: float) -> None:
        before = self.data_.recordsz
        RecordReducer._retime(self, attribute, value)
        added = self.data_.recordsz - before
        if added > 0 and not self.data_.ignored and self._fill != 0:
            # a longer record begins with zeros, which may mean something else than nothing observed
            with torch.no_grad():
                self.data_._writable()[:added] = self._fill

    def clear(self, keepshape: bool = False, **kwargs: Any) -> None:
        """Forget all observations.

        Args:
            keepshape: keep the storage, filled, instead of dropping it.
        """
        if keepshape:
            self.data_.reset(self._fill)
        else:
            self.data_.deinitialize(False)
        self._initial = True

    @abstractmethod
    def fold(self, *args: torch.Tensor | None) -> torch.Tensor:
        """The next state.

        Args:
            *args: the observation, or several, and last the present state, which is None before the first observation.
        """
        raise NotImplementedError(f"{type(self).__name__}(FoldReducer) must implement the method 'fold'")

    @abstractmethod
    def interpolate(
        self, prev_data: torch.Tensor, next_data: torch.Tensor, sample_at: torch.Tensor, step_time: float
    ) -> torch.Tensor:
        """The state between two that were recorded.

        Args:
            prev_data: the state before the time.
            next_data: the state after it.
            sample_at: time since ``prev_data``, ms.
            step_time: time between the two, ms.
        """
        raise NotImplementedError(f"{type(self).__name__}(FoldReducer) must implement the method 'interpolate'")

    def _interpolation(self) -> dict[str, Any]:
        """How :meth:`view` interpolates, as arguments of the record's ``select``."""
        return {"interp": self.interpolate}

    def view(self, time: float | torch.Tensor, tolerance: float = 1e-7) -> torch.Tensor | None:
        """The state at times in the past, interpolated; None before the first observation.

        Args:
            time: how long ago, ms: a number, or ``(*state)`` or ``(*state, D)``, one or D times for each element.
            tolerance: distance from a recorded state within which a time counts as that of the state, ms.

        Returns:
            ``(*state)`` for a number, otherwise of the shape of ``time``.

        Raises:
            ValueError: a time is out of range, or ``time`` has a wrong shape.
        """
        if self._initial:
            return None
        return self.data_.select(time, tolerance=tolerance, **self._interpolation())

    def dump(self, **kwargs: Any) -> torch.Tensor | None:
        """All states that are kept, ``(N, *state)``, the newest first; None before the first observation."""
        if self._initial:
            return None
        self.data_.align(0)
        return self.data_.value.flip(0)

    def peek(self, **kwargs: Any) -> torch.Tensor | None:
        """The present state; None before the first observation."""
        return None if self._initial else self.data_.peek()

    def push(self, inputs: torch.Tensor, **kwargs: Any) -> None:
        """Record a state, cast to the dtype of the record.

        Raises:
            ValueError: it has not the shape of the states before it.
        """
        self.data_.push(inputs, inplace=self._inplace)

    def forward(self, *inputs: torch.Tensor, **kwargs: Any) -> None:
        """Fold an observation, or several that belong together, into the state, and record it."""
        if not self._initial:
            self._follow(inputs[0])
            self.push(self.fold(*inputs, self.peek()))
            return
        state = self.fold(*inputs, None)
        if self.data_.ignored:
            self.data_.initialize(state.shape, device=state.device, fill=self._fill)
        self.push(state)
        self._initial = False

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        self._take_shape(state_dict.get(prefix + self.data_.attributes.data))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _take_shape(self, saved: Any) -> None:
        """Make storage for a state that is about to be loaded, or drop it for one that was saved without any."""
        if not isinstance(saved, torch.Tensor):
            return
        if ignored(saved):
            self.data_.deinitialize(False)
        elif self.data_.ignored and saved.ndim >= 1 and saved.shape[0] == self.data_.recordsz:
            self.data_.initialize(saved.shape[1:], fill=self._fill)
            self._placed = False

    def _follow(self, obs: torch.Tensor) -> None:
        """Move a state that was loaded before anything was observed to where the first observation is."""
        if not self._placed:
            self._placed = True
            self.to(obs.device)
