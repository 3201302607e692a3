"""Shape, batch and delay bookkeeping shared by neurons and synapses."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..state import RecordTensor, ShapedTensor, _check
from ..state._check import span, step


def _handles(owner: object, names: tuple[str, ...], kind: type) -> list:
    """Looks up state handles by attribute name, all of them before any is touched."""
    found = []
    for name in names:
        if not hasattr(owner, name):
            raise RuntimeError(f"{type(owner).__name__} has no attribute '{name}'")
        handle = getattr(owner, name)
        if not isinstance(handle, kind):
            raise TypeError(f"attribute '{name}' is a {type(handle).__name__}, it must be a {kind.__name__}")
        found.append(handle)
    return found


class BatchMixin:
    """State whose dimension 0 (after the time dimension of records) is the batch.

    Args:
        batch_size: number of samples simulated side by side.

    Raises:
        ValueError: if ``batch_size`` is not a positive integer.
    """

    def __init__(self, batch_size: int) -> None:
        self.__batch_size = _check.size("batch_size", batch_size)
        self.__batched: list[str] = []

    def add_batched(self, *attr: str) -> None:
        """Ties the batch dimension of state handles to :attr:`batchsz`.

        Args:
            *attr: names of :class:`~inferno_cuda.ShapedTensor` attributes of this object.

        Raises:
            RuntimeError: if an attribute does not exist.
            TypeError: if an attribute is not a :class:`~inferno_cuda.ShapedTensor`.
        """
        for name, handle in zip(attr, _handles(self, attr, ShapedTensor), strict=True):
            handle.reconstrain(0, self.__batch_size)
            if name not in self.__batched:
                self.__batched.append(name)

    def _batched_buffers(self) -> dict[str, int]:
        """Names of the buffers with a batch dimension, and which one it is."""
        handles = [getattr(self, name) for name in self.__batched]
        return {handle._data_name: int(isinstance(handle, RecordTensor)) for handle in handles}

    def _read_batchsz(self) -> int:
        # what a property of a subclass calls: compilers do not trace properties of super()
        return self.__batch_size

    @property
    def batchsz(self) -> int:
        """Batch size. Setting it keeps the last samples and puts zeros in front of them when it grows.

        Raises:
            ValueError: if the new value is not a positive integer.
        """
        return self._read_batchsz()

    @batchsz.setter
    def batchsz(self, value: int) -> None:
        value = _check.size("batchsz", value)
        if value != self.__batch_size:
            for name in self.__batched:
                getattr(self, name).reconstrain(0, value)
            self.__batch_size = value


class ShapeMixin:
    """A group with a fixed shape.

    Args:
        shape: shape of the group without the batch dimension.

    Raises:
        ValueError: if a size is not a positive integer.
    """

    def __init__(self, shape: Sequence[int] | int) -> None:
        self.__shape = _check.shape("shape", shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the group without the batch dimension."""
        return self.__shape

    @property
    def count(self) -> int:
        """Number of elements in the group."""
        return math.prod(self.__shape)


class BatchShapeMixin(ShapeMixin, BatchMixin):
    """A group with a fixed shape and a batch size.

    Args:
        shape: shape of the group without the batch dimension.
        batch_size: number of samples simulated side by side.
    """

    def __init__(self, shape: Sequence[int] | int, batch_size: int) -> None:
        ShapeMixin.__init__(self, shape)
        BatchMixin.__init__(self, batch_size)

    @property
    def batchedshape(self) -> tuple[int, ...]:
        """Shape of the group with the batch dimension in front."""
        return (self.batchsz, *self.shape)


class DelayedMixin:
    """Records which all share one step time and one history length.

    Args:
        step_time: length of a simulation step, in ms.
        delay: longest delay that can be looked up, in ms.

    Raises:
        ValueError: if ``step_time`` is not positive and finite, or ``delay`` is negative or infinite.
    """

    def __init__(self, step_time: float, delay: float) -> None:
        self.__step_time = step("step_time", step_time)
        self.__delay = span("delay", delay)
        self.__delayed: list[str] = []

    def add_delayed(self, *attr: str) -> None:
        """Ties the time axis of records to :attr:`dt` and :attr:`delay`.

        Args:
            *attr: names of :class:`~inferno_cuda.RecordTensor` attributes of this object.

        Raises:
            RuntimeError: if an attribute does not exist.
            TypeError: if an attribute is not a :class:`~inferno_cuda.RecordTensor`.
        """
        for name, record in zip(attr, _handles(self, attr, RecordTensor), strict=True):
            record.dt = self.__step_time
            record.duration = self.__delay
            record.inclusive = True
            if name not in self.__delayed:
                self.__delayed.append(name)

    def _read_dt(self) -> float:
        # as _read_batchsz
        return self.__step_time

    @property
    def dt(self) -> float:
        """Length of a simulation step, in ms. Setting it resizes every record.

        Raises:
            ValueError: if the new value is not positive and finite.
        """
        return self._read_dt()

    @dt.setter
    def dt(self, value: float) -> None:
        value = step("dt", value)
        if value != self.__step_time:
            for name in self.__delayed:
                getattr(self, name).dt = value
            self.__step_time = value

    def _read_delay(self) -> float:
        # as _read_batchsz
        return self.__delay

    @property
    def delay(self) -> float:
        """Longest delay that can be looked up, in ms. Setting it resizes every record.

        Raises:
            ValueError: if the new value is negative or infinite.
        """
        return self._read_delay()

    @delay.setter
    def delay(self, value: float) -> None:
        value = span("delay", value)
        if value != self.__delay:
            for name in self.__delayed:
                getattr(self, name).duration = value
            self.__delay = value
