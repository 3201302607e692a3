"""RecordTensor: the last observations of a tensor."""

from __future__ import annotations

from typing import Any

import torch

from .. import ops
from ..functional import Extrapolation, Interpolation, extrap_nearest, interp_nearest
from . import _check, _lookup
from ._ring import Ring
from .shaped import ignored


class RecordTensor(Ring):
    """The last ``recordsz`` observations, kept by ``owner`` as ``_{name}_data`` of shape ``(N, *obs)``.

    ``pointer`` is the slot that is written next. Offset k is the slot k before it: 1 is the newest observation, N
    (or 0) the oldest. Whatever is read, ``value`` excepted, is a copy that later writes do not change. Writes happen
    in place unless an autograd graph needs the former values; then they rebind the data.

    Args:
        owner: object that holds the data.
        name: identifier from which the attribute names are derived.
        step_time: time between observations, > 0 ms.
        duration: length of the history, >= 0 ms.
        value: one observation, which fills the record at first; or None, or an empty or uninitialized tensor.
        constraints: sizes by dimension of an observation.
        persist_data, persist_constraints, persist_temporal: what is in the owner's state_dict, besides the pointer.
        strict, live: as for ``ShapedTensor``.
        inclusive: if both ends of the duration are recorded, which takes one more slot.
        batch_innermost: if the first dimension of an observation is the innermost in memory, where there is more than
            one slot.

    Raises:
        TypeError, ValueError: ``name`` is not an identifier, or a time is out of range.
        RuntimeError: ``value`` does not meet ``constraints``.

    Example:
        >>> import torch
        >>> from inferno_cuda import Module, RecordTensor, functional
        >>> owner = Module()
        >>> RecordTensor.create(owner, "trace", step_time=1.0, duration=3.0, value=torch.zeros(2), inclusive=True)
        >>> for step in range(6):
        ...     owner.trace.push(torch.tensor([step, 10.0 * step]))
        >>> owner.trace.peek(), owner.trace.recordsz
        (tensor([ 5., 50.]), 4)
        >>> owner.trace.select(torch.tensor([1.0, 2.5]), functional.interp_linear)  # 1 and 2.5 ms ago, an element each
        tensor([ 4., 25.])
        >>> sorted(owner.state_dict())
        ['_extra_state', '_trace_data']
    """

    def _like_obs(self, name: str, tensor: torch.Tensor, data: torch.Tensor) -> None:
        if tensor.shape != data.shape[1:]:
            _check.same_shape(name, tensor, data.shape[1:], "a stored observation")

    def _at(self, data: torch.Tensor, offset: int) -> torch.Tensor:
        found = self._slot(data, offset)
        return found.clone() if _lookup.readable(data) else found

    def _slot(self, data: torch.Tensor, offset: int) -> torch.Tensor:
        # a view where the host knows the pointer, else a copy
        count = data.shape[0]
        if _lookup.readable(data):
            return data.select(0, (self._pointer_tensor.item() - offset) % count if count > 1 else 0)
        slot = (self._pointer_tensor - offset).remainder(count)
        return data.index_select(0, slot.reshape(1)).squeeze(0)

    def _newest(self) -> torch.Tensor:
        """The newest observation, to be used up before the next write: it may be a view."""
        return self._slot(self._data, 1)

    # -- one observation ----------------------------------------------------------------------------------------------

    @property
    def latest(self) -> torch.Tensor | None:
        """The newest observation. Assigning pushes, deleting moves the pointer back by one."""
        return self.peek()

    @latest.setter
    def latest(self, value: torch.Tensor) -> None:
        self.push(value)

    @latest.deleter
    def latest(self) -> None:
        self._advance(-1)

    def peek(self) -> torch.Tensor | None:
        """The newest observation; None without storage."""
        data = self._data
        return None if ignored(data) else self._at(data, 1)

    def pop(self) -> torch.Tensor | None:
        """The newest observation, and the pointer moves back by one; None without storage. Nothing is erased."""
        data = self._data
        if ignored(data):
            return None
        self._advance(-1)
        return self._at(data, 0)

    def push(self, obs: torch.Tensor, inplace: bool = False) -> None:
        """Add an observation, cast to the storage's dtype, in place of the oldest.

        Without storage this makes it, for the shape and on the device of ``obs``. ``inplace`` writes in place even
        if a graph is cut by that.

        Raises:
            ValueError: ``obs`` has not the shape of an observation.
        """
        data = self._data
        if ignored(data):
            data = self.initialize(obs.shape, device=obs.device)
        else:
            self._like_obs("obs", obs, data)
        if obs.dtype != data.dtype:
            obs = obs.to(data.dtype)
        if self._in_place(data, obs, inplace):
            ops.history_push_(self._writable(), self._pointer_tensor, obs.detach() if obs.requires_grad else obs)
        else:
            # the graph keeps the slot, and the pointer moves on
            self._assign(self._laid_out(ops.history_push(data, self._pointer_tensor.clone(), obs)))
            self._advance(1)

    def push_sequence(self, obs: torch.Tensor, inplace: bool = False) -> None:
        """Add T observations, ``(T, *obs)`` with the oldest first, as T calls of :meth:`push` do.

        The last N are written and the pointer moves on by T.

        Raises:
            ValueError: ``obs`` has not the shape of observations.
        """
        if obs.ndim == 0:
            raise ValueError("'obs' of shape () must have the shape (T, *obs) of observations")
        self._push_last(obs[max(0, obs.shape[0] - self.recordsz) :], obs.shape[0], inplace)

    def _push_last(self, obs: torch.Tensor, steps: int, inplace: bool = False) -> None:
        """:meth:`push_sequence` of ``steps`` observations, of which these are the last, at most N."""
        data = self._data
        if ignored(data) and steps:
            data = self.initialize(obs.shape[1:], device=obs.device)
        if not ignored(data) and obs.shape[1:] != data.shape[1:]:
            _check.same_shape("obs", obs[:1].squeeze(0), data.shape[1:], "a stored observation")
        if steps:
            self._store(self._slots(data, len(obs) - steps, len(obs)), obs, inplace)
            self._advance(steps)

    def _all_but_oldest(self) -> torch.Tensor:
        """All but the oldest observation, ``(N - 1, *obs)``, the newest last; a copy."""
        data = self._data
        return data.index_select(0, self._slots(data, data.shape[0] - 1, data.shape[0] - 1))

    def read(self, offset: int = 1) -> torch.Tensor:
        """The observation at ``offset``, counted modulo N. RuntimeError without storage."""
        return self._at(self._initialized("read from"), int(offset))

    def write(self, obs: torch.Tensor, offset: int = 0, inplace: bool = False) -> None:
        """Replace the observation at ``offset``, counted modulo N; the pointer stays.

        Raises:
            RuntimeError: there is no storage.
            ValueError: ``obs`` has not the shape of an observation.
        """
        data = self._initialized("write to")
        self._like_obs("obs", obs, data)
        self._store(self._slots(data, int(offset), 1), obs.unsqueeze(0), inplace)

    # -- ranges -------------------------------------------------------------------------------------------------------

    def _slots(self, data: torch.Tensor, first: int | torch.Tensor, length: int) -> torch.Tensor:
        """``length`` slots from offset ``first`` on, towards newer ones: ``[length]``, or ``[length, *obs]``."""
        ahead = torch.arange(length, device=data.device)
        if isinstance(first, torch.Tensor):
            ahead = ahead.view(-1, *(1 for _ in first.shape))
        return (ahead + (self._origin(data) - first)) % data.shape[0]

    def _range(self, data: torch.Tensor, length: int, offset: int | torch.Tensor, forward: bool) -> torch.Tensor:
        if length > data.shape[0]:
            raise ValueError(f"'length' ({length}) must be at most the {data.shape[0]} stored observations")
        if isinstance(offset, torch.Tensor):
            self._like_obs("offset", offset, data)
            offset = offset.to(data.device, torch.int64)
        else:
            offset = int(offset)
        return self._slots(data, offset if forward else offset + length - 1, length)

    def readrange(self, length: int, offset: int | torch.Tensor = 1, forward: bool = False) -> torch.Tensor:
        """``length`` observations, oldest first, stacked along the last dimension: ``(*obs, length)``.

        Args:
            length: number of observations, 0 to N.
            offset: of the last observation or, if ``forward``, of the first; a tensor like an observation gives each
                element its own.

        Raises:
            RuntimeError: there is no storage.
            ValueError: ``length`` is out of range, or ``offset`` has not the shape of an observation.
        """
        data = self._initialized("read from")
        length = _check.nonnegative("length", _check.integer("length", length), int)
        slots = self._range(data, length, offset, forward)
        taken = data.gather(0, slots) if isinstance(offset, torch.Tensor) else data.index_select(0, slots)
        return taken.movedim(0, -1)

    def writerange(
        self, obs: torch.Tensor, offset: int | torch.Tensor = 0, forward: bool = False, inplace: bool = False
    ) -> None:
        """Replace several observations, given oldest first as ``(*obs, length)`` and cast to the storage's dtype.

        ``offset`` and ``forward`` are those of :meth:`readrange`. The pointer stays.

        Raises:
            RuntimeError: there is no storage.
            ValueError: the shapes are wrong, or there are more than N observations.
        """
        data = self._initialized("write to")
        if obs.shape[:-1] != data.shape[1:] or obs.ndim == 0:
            wanted = (*data.shape[1:], "length")
            raise ValueError(f"shape of 'obs' {tuple(obs.shape)} must be {wanted}, observations stacked along the last")
        slots = self._range(data, obs.shape[-1], offset, forward)
        self._store(slots, obs.movedim(-1, 0), inplace)

    # -- times --------------------------------------------------------------------------------------------------------

    def _where(
        self, data: torch.Tensor, time: float | torch.Tensor, offset: int, tolerance: float
    ) -> tuple[float | torch.Tensor, dict[str, Any]]:
        """``time`` as a float or floating tensor in range, and how to locate it."""
        age = _lookup.max_age(data.shape[0], offset)
        if not isinstance(time, torch.Tensor):
            time = float(time)
        elif not time.is_floating_point():
            time = time.to(torch.get_default_dtype())
        step_time = self.dt
        _lookup.check_time(time, step_time * age, tolerance)
        return time, {"step_time": step_time, "limit": step_time * age, "age": age, "tolerance": tolerance}

    def select(
        self,
        time: float | torch.Tensor,
        interp: Interpolation | None = None,
        *,
        tolerance: float = 1e-6,
        offset: int = 1,
        interp_kwargs: dict[str, Any] | None = None,
    ) -> torch.Tensor:
        """What was observed ``time`` ms before the observation at ``offset``, interpolated between observations.

        Args:
            time: ms; a number, or a tensor ``(*obs)`` or ``(*obs, D)`` with one or D times for each element.
            interp: between the observations around a time that is not on the grid; ``interp_nearest`` if None.
            tolerance: distance from the grid, in ms, up to which a time is on it.
            offset: of time 0.
            interp_kwargs: for ``interp``.

        Returns:
            ``(*obs)`` for a number, otherwise of the shape of ``time``.

        Raises:
            RuntimeError: there is no storage.
            ValueError: ``time`` has a wrong number of dimensions, or reaches past the oldest observation, or is
                negative or NaN. Off the CPU, values out of range stop the device instead.
        """
        data = self._initialized("select from")
        interp = interp_nearest if interp is None else interp
        kwargs, offset = interp_kwargs or {}, int(offset)
        if isinstance(time, torch.Tensor) and time.ndim not in (data.ndim - 1, data.ndim):
            raise ValueError(f"'time' of {time.ndim} dimensions must have {data.ndim - 1} or {data.ndim}")
        time, grid = self._where(data, time, offset, tolerance)
        if not isinstance(time, torch.Tensor):
            return self._select_number(data, time, grid, interp, kwargs, offset)

        observed = data.ndim - 1
        for dim, size in enumerate(time.shape[:observed], 1):
            data = data.narrow(dim, 0, size) if size < data.shape[dim] else data
        if time.shape[:observed] != data.shape[1:]:
            raise ValueError(f"shape of 'time' {tuple(time.shape)} must begin with {tuple(data.shape[1:])}")
        mode, constant = _lookup.gather_mode(interp, kwargs, data)
        if mode is not None:
            return ops.history_gather(
                data,
                self._pointer_tensor,
                time,
                dt=grid["step_time"],
                mode=mode,
                time_constant=constant,
                tolerance=tolerance,
                offset=offset,
                max_time=grid["limit"],
            )
        return self._select_each(data, time, grid, interp, kwargs, offset)

    def _select_number(
        self,
        data: torch.Tensor,
        time: float,
        grid: dict[str, Any],
        interp: Interpolation,
        kwargs: dict[str, Any],
        offset: int,
    ) -> torch.Tensor:
        older, newer, sample_at = _lookup.locate(time, **grid)
        prev = self._at(data, offset + older)
        if older == newer:
            return prev
        dtype = data.dtype if data.is_floating_point() else torch.get_default_dtype()
        elapsed = torch.full(prev.shape, sample_at, dtype=dtype, device=data.device)
        return interp(prev, self._at(data, offset + newer), elapsed, grid["step_time"], **kwargs)

    def _select_each(
        self,
        data: torch.Tensor,
        time: torch.Tensor,
        grid: dict[str, Any],
        interp: Interpolation,
        kwargs: dict[str, Any],
        offset: int,
    ) -> torch.Tensor:
        single = time.ndim < data.ndim
        at = _lookup.locate(time.unsqueeze(0) if single else time.movedim(-1, 0), **grid)
        origin = self._origin(data) - offset
        prev = data.gather(0, (origin - at.older) % data.shape[0])
        newer = data.gather(0, (origin - at.newer) % data.shape[0])
        found = interp(prev, newer, at.sample_at, grid["step_time"], **kwargs)
        found = torch.where(at.older == at.newer, prev, found)
        return found.squeeze(0) if single else found.movedim(0, -1)

    def insert(
        self,
        obs: torch.Tensor,
        time: float | torch.Tensor,
        extrap: Extrapolation | None = None,
        *,
        tolerance: float = 1e-6,
        offset: int = 0,
        inplace: bool = False,
        extrap_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Record what was observed ``time`` ms before the slot at ``offset``: the inverse of :meth:`select`.

        A time on the grid replaces the observation there; another one replaces both around it with what ``extrap``
        (``extrap_nearest`` if None) makes of them.

        Args:
            obs: like an observation.
            time: ms; a number, or a tensor like an observation.
            extrap: from the value and the observations around it to what these become.
            tolerance: distance from the grid, in ms, up to which a time is on it.
            offset: of time 0; by default the slot that is written next.
            inplace: write in place even if a graph is cut by that.
            extrap_kwargs: for ``extrap``.

        Raises:
            RuntimeError: there is no storage.
            ValueError: ``obs`` or ``time`` has a wrong shape or ``time`` a wrong value, as for :meth:`select`.
        """
        data = self._initialized("insert into")
        extrap = extrap_nearest if extrap is None else extrap
        kwargs, offset = extrap_kwargs or {}, int(offset)
        self._like_obs("obs", obs, data)
        if isinstance(time, torch.Tensor):
            self._like_obs("time", time, data)
        time, grid = self._where(data, time, offset, tolerance)
        dt = grid["step_time"]
        if isinstance(time, torch.Tensor):
            at = _lookup.locate(time.unsqueeze(0), **grid)
            origin = self._origin(data) - offset
            slots = [(origin - steps) % data.shape[0] for steps in (at.older, at.newer)]
            ends = extrap(obs.unsqueeze(0), at.sample_at, *(data.gather(0, slot) for slot in slots), dt, **kwargs)
            for slot, end in zip(slots, ends, strict=True):
                self._store(slot, torch.where(at.older == at.newer, obs.to(data.dtype), end.to(data.dtype)), inplace)
            return
        older, newer, sample_at = _lookup.locate(time, **grid)
        if older == newer:
            self._store(self._slots(data, offset + older, 1), obs.unsqueeze(0), inplace)
            return
        elapsed = torch.full_like(obs, sample_at, dtype=None if obs.is_floating_point() else torch.get_default_dtype())
        ends = extrap(obs, elapsed, self._at(data, offset + older), self._at(data, offset + newer), dt, **kwargs)
        self._store(self._slots(data, offset + older, 2), torch.stack([end.to(data.dtype) for end in ends]), inplace)
