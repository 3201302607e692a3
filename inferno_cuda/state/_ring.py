"""Ring: the storage, pointer and timing of a record."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, UninitializedTensorMixin

from . import _check, _lookup
from ._handle import normal
from .module import Module
from .shaped import ShapedTensor, _own, ignored

RecordTensorAttributes = namedtuple(
    "RecordTensorAttributes", ["data", "constraints", "dt", "duration", "inclusive", "pointer"]
)


def capturing(data: torch.Tensor) -> bool:
    """Whether what is done to ``data`` now is captured in a CUDA graph instead of being run."""
    return data.is_cuda and torch.cuda.is_current_stream_capturing()


class Ring(ShapedTensor):
    """Storage of shape (N, *obs), written round and round; see ``RecordTensor``, which is built on this."""

    LinkedAttributes = RecordTensorAttributes

    def __init__(
        self,
        owner: Any,
        name: str,
        step_time: float,
        duration: float,
        value: torch.Tensor | nn.Parameter | None,
        constraints: Mapping[int, int] | None = None,
        persist_data: bool = True,
        persist_constraints: bool = False,
        persist_temporal: bool = False,
        strict: bool = True,
        live: bool = False,
        inclusive: bool = False,
        batch_innermost: bool = False,
    ) -> None:
        super(ShapedTensor, self).__init__(owner, name)
        step_time = _check.step("step_time", step_time)
        duration = _check.span("duration", duration)
        self._attributes = self.LinkedAttributes(*(f"_{name}_{field}" for field in RecordTensorAttributes._fields))
        self._held = False
        self._batch_innermost = bool(batch_innermost)

        count = _lookup.slots(duration, step_time, inclusive)
        sizes = {0: count, **{dim + (dim >= 0): size for dim, size in (constraints or {}).items()}}
        storage = value
        if not ignored(value):
            observed = value.data if isinstance(value, nn.Parameter) else value
            storage = self._laid_out(observed.repeat(count, *(1 for _ in observed.shape)))
        self._adopt(owner, value, storage, sizes, persist_data, persist_constraints, strict, live)
        self._keep(owner, self._attributes.dt, step_time, persist_temporal)
        self._keep(owner, self._attributes.duration, duration, persist_temporal)
        self._keep(owner, self._attributes.inclusive, bool(inclusive), persist_temporal)
        self._place_pointer(torch.zeros((), dtype=torch.int64, device=None if value is None else value.device))

    # -- pointer ------------------------------------------------------------------------------------------------------

    def _place_pointer(self, pointer: torch.Tensor) -> None:
        owner, pointer = self._living_owner(), normal(pointer)
        if isinstance(owner, Module):
            owner._register_counter(self._attributes.pointer, pointer)
        else:
            setattr(owner, self._attributes.pointer, pointer)

    @property
    def _pointer_tensor(self) -> torch.Tensor:
        """The slot written next: int64, shape (), on the device of the data, moved in place only."""
        owner = self._living_owner()
        if isinstance(owner, Module):
            pointer = owner._extras[self._attributes.pointer]
        else:
            pointer = getattr(owner, self._attributes.pointer)
        data = self._data
        if data is not None and data.device != pointer.device:
            self._place_pointer(pointer.to(data.device))
            return self._pointer_tensor
        return pointer

    def _origin(self, data: torch.Tensor) -> int | torch.Tensor:
        """The pointer to compute slots with: a number where reading it is free, else the tensor."""
        return self._pointer_tensor.item() if _lookup.readable(data) else self._pointer_tensor

    @property
    def pointer(self) -> int:
        """The slot that is written next. Reading it waits for the device."""
        return int(self._pointer_tensor)

    def incr(self, pos: int = 1) -> int:
        """Move the pointer forward by ``pos`` slots and return it. RuntimeError without storage."""
        self._advance(int(pos))
        return self.pointer

    def decr(self, pos: int = 1) -> int:
        """Move the pointer backward by ``pos`` slots and return it. RuntimeError without storage."""
        self._advance(-int(pos))
        return self.pointer

    def _advance(self, pos: int) -> None:
        data = self._initialized("move the pointer of")
        self._pointer_tensor.add_(pos).remainder_(data.shape[0])

    def _check_extras(self, extras: Mapping[str, Any]) -> None:
        names = self._attributes
        dt = _check.step("dt", extras.get(names.dt, self.dt))
        duration = _check.span("duration", extras.get(names.duration, self.duration))
        _lookup.slots(duration, dt, extras.get(names.inclusive, self.inclusive))

    def _loaded(self) -> None:
        if not self.ignored:
            self._pointer_tensor.remainder_(self._data.shape[0])
        self._constraints = {**self._constraints, 0: self.recordsz}

    # -- storage ------------------------------------------------------------------------------------------------------

    def _initialized(self, action: str) -> torch.Tensor:
        data = self._data
        if ignored(data):
            raise RuntimeError(f"cannot {action} '{self._name}', its storage is uninitialized")
        return data

    def _laid_out(self, data: torch.Tensor) -> torch.Tensor:
        """``data`` of shape (N, B, *rest), in memory [N][*rest][B] if the batch is to be innermost.

        A single slot stays as it is: nothing is looked up in its past, which is what that layout is for.
        """
        if not self._batch_innermost or data.ndim <= 2:
            return data
        return data.movedim(1, -1).contiguous().movedim(-1, 1) if data.shape[0] > 1 else data.contiguous()

    def _assign(self, value: torch.Tensor | None) -> None:
        self._held = False
        super()._assign(value)

    def hold(self) -> None:
        """Promise that the values stored now are not changed: the next write in place copies the storage first.

        For whoever hands the storage itself to an autograd graph. The copy cannot be captured in a CUDA graph: there,
        the write raises RuntimeError.
        """
        self._held = True

    def _writable(self) -> torch.Tensor:
        if self._held:
            if capturing(self._data):
                raise RuntimeError(
                    f"an autograd graph keeps the values of '{self._name}', and every replay of a CUDA graph would "
                    "start from a copy of them: run a step without a gradient before one is captured"
                )
            self._assign(self._data.detach().clone())
        return self._data.detach() if self._data.requires_grad else self._data

    def _target(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Storage and pointer for an op that writes both in place."""
        return self._writable(), self._pointer_tensor

    def _in_place(self, data: torch.Tensor, obs: torch.Tensor, inplace: bool) -> bool:
        """If a write may change the storage: it was asked for, or no graph needs the former values."""
        return inplace or not (data.requires_grad or (obs.requires_grad and torch.is_grad_enabled()))

    def _store(self, index: torch.Tensor, values: torch.Tensor, inplace: bool) -> None:
        """Write ``values`` [K, *obs] to slots ``index`` [K], or to [K, *obs] slots of its own per element."""
        data = self._data
        values = values.to(data.dtype)
        method = "index_copy" if index.ndim == 1 and data.ndim != 1 else "scatter"
        if self._in_place(data, values, inplace):
            getattr(self._writable(), method + "_")(0, index, values.detach())
        else:
            self._assign(self._laid_out(getattr(data, method)(0, index, values)))

    def initialize(
        self,
        shape: tuple[int, ...],
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        fill: Any = 0,
    ) -> torch.Tensor | nn.Parameter:
        """Make storage for observations of ``shape``, filled; device and dtype stay unless given."""
        data = self._data
        like = data if data is not None else torch.empty(0)
        full = torch.full(
            (self.recordsz, *shape), fill, dtype=dtype or like.dtype, device=like.device if device is None else device
        )
        self._assign(self._laid_out(full))
        self._pointer_tensor.zero_()
        return self._data

    def deinitialize(self, use_uninitialized: bool = False) -> torch.Tensor | nn.Parameter:
        """Drop the storage and leave an empty tensor of its dtype and device, or an uninitialized one."""
        data = self._data
        like = {} if data is None else {"device": data.device, "dtype": data.dtype}
        if not use_uninitialized:
            if isinstance(data, UninitializedParameter):
                self._assign(nn.Parameter(torch.empty(0, **like), data.requires_grad))
            else:
                self._assign(torch.empty(0, **like))
        elif isinstance(data, nn.Parameter):
            self._assign(UninitializedParameter(requires_grad=data.requires_grad, **like))
        else:
            self._assign(UninitializedBuffer(requires_grad=False, **like))
        self._pointer_tensor.zero_()
        return self._data

    def align(self, index: int = 0) -> None:
        """Move the observations round so that the oldest is in slot ``index``, in [-N, N), which becomes the pointer.

        Raises:
            RuntimeError: there is no storage.
            ValueError: ``index`` is out of range.
        """
        data = self._initialized("align")
        count, index = data.shape[0], _check.integer("index", index)
        if not -count <= index < count:
            raise ValueError(f"'index' ({index}) must be on the interval [{-count}, {count}), 'recordsz' is {count}")
        index %= count
        origin = self._origin(data)
        if isinstance(origin, int) and origin == index:
            return
        order = (torch.arange(count, device=data.device) + (origin - index)) % count
        turned = data.index_select(0, order)
        if self._in_place(data, data, isinstance(data, nn.Parameter)):
            self._writable().copy_(turned)
        else:
            self._assign(self._laid_out(turned))
        self._pointer_tensor.fill_(index)

    def reset(self, fill: Any | None = 0) -> None:
        """Fill the storage and set the pointer to 0; with None, only align to slot 0.

        Gradients do not pass a reset that fills.
        """
        if fill is None:
            if not self.ignored:
                self.align(0)
            return
        data = self._data
        if not ignored(data):
            if data.requires_grad and not isinstance(data, nn.Parameter):
                self._assign(torch.full_like(data, fill))
            else:
                self._writable().fill_(fill)
        self._pointer_tensor.zero_()

    @property
    def value(self) -> torch.Tensor | nn.Parameter | None:
        """The storage itself, of shape (N, *obs), which writes in place change.

        Assigning stores a copy and leaves the pointer. Assigning None or an empty tensor, or deleting, drops the
        storage.
        """
        return self._data

    @value.setter
    def value(self, value: torch.Tensor | nn.Parameter | None) -> None:
        self._test_new(value)
        if value is None:
            self.deinitialize()
        elif ignored(value) and not isinstance(value, UninitializedTensorMixin):
            self._assign(_own(value))
            self._pointer_tensor.zero_()
        elif ignored(value):
            self.deinitialize(True)
        else:
            if value.ndim == 0:
                raise ValueError("'value' of shape () must have the shape of stored observations, (N, *obs)")
            self._assign(_own(value) if isinstance(value, nn.Parameter) else self._laid_out(_own(value)))
            self._pointer_tensor.remainder_(value.shape[0])

    @value.deleter
    def value(self) -> None:
        self.deinitialize()

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of an observation; None without storage."""
        data = self._data
        return None if ignored(data) else tuple(data.shape[1:])

    @property
    def constraints(self) -> dict[int, int]:
        """A copy of the constraints on an observation: size by dimension."""
        return {dim - (dim >= 0): size for dim, size in self._constraints.items() if dim != 0}

    def reconstrain(self, dim: int, size: int | None) -> torch.Tensor | nn.Parameter | None:
        """:meth:`ShapedTensor.reconstrain` for dimension ``dim`` of an observation; aligns to slot 0."""
        dim = _check.integer("dim", dim)
        return self._reshape(dim + (dim >= 0), size)

    def _reshape(self, dim: int, size: int | None) -> torch.Tensor | nn.Parameter | None:
        if not self.ignored:
            self.align(0)
        before = self._data
        super().reconstrain(dim, size)
        data = self._data
        if not ignored(data) and (data is not before or isinstance(data, nn.Parameter)):
            self._assign(self._laid_out(data.data if isinstance(data, nn.Parameter) else data))
        return self._data

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def recordsz(self) -> int:
        """Number of observations stored, N: the steps in the duration, one more if inclusive, at least 1."""
        return _lookup.slots(self.duration, self.dt, self.inclusive)

    @property
    def dt(self) -> float:
        """Time between observations, in ms. A change keeps the newest observations, and inserts zeros as oldest.

        Raises ValueError unless positive and finite.
        """
        return self._get(self._attributes.dt)

    def _times(self) -> tuple[float, float, bool]:
        """``dt``, ``duration`` and ``inclusive``, which give the number of slots."""
        held, names = getattr(self._ref(), "__dict__", {}), self._attributes
        try:
            return held[names.dt], held[names.duration], held[names.inclusive]
        except KeyError:
            return self.dt, self.duration, self.inclusive

    @dt.setter
    def dt(self, value: float) -> None:
        self._retime(self._attributes.dt, _check.step("dt", value))

    @property
    def duration(self) -> float:
        """Length of the history, in ms. A change acts like one of ``dt``. Raises ValueError if negative or infinite."""
        return self._get(self._attributes.duration)

    @duration.setter
    def duration(self, value: float) -> None:
        self._retime(self._attributes.duration, _check.span("duration", value))

    @property
    def inclusive(self) -> bool:
        """If both ends of the duration are recorded. A change acts like one of ``dt``."""
        return self._get(self._attributes.inclusive)

    @inclusive.setter
    def inclusive(self, value: bool) -> None:
        self._retime(self._attributes.inclusive, bool(value))

    @torch.no_grad()
    def _retime(self, attribute: str, value: float | bool) -> None:
        names = self._attributes
        changed = {names.dt: self.dt, names.duration: self.duration, names.inclusive: self.inclusive, attribute: value}
        count = _lookup.slots(*(changed[name] for name in (names.duration, names.dt, names.inclusive)))
        if count != self.recordsz:
            self._reshape(0, count)
        # last, so that a failure leaves a record that fits its times
        setattr(self._living_owner(), attribute, value)
