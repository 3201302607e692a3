"""Traces of the eligibility of each weight of each sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .. import ops
from ..core import trace_cumulative_value
from ..functional import interp_expdecay
from ..neural import Connection, Conv2D
from ..observe import FoldReducer, Monitor, MultiStateMonitor
from ..observe._weak import Weak
from ..ops.backend import runs_native
from ..state._check import positive
from ._arrivals import Arriving
from ._sent import Sent, has_correlations
from ._terms import Product


class Reshape:
    """A method of a module, which it does not keep alive: called for the method, as :class:`weakref.WeakMethod` is.

    Can be copied and pickled together with the module.

    Args:
        method: the method.
    """

    def __init__(self, method: Callable[[Tensor], Tensor]) -> None:
        self._owner = Weak(method.__self__)
        self._name = method.__name__

    def __call__(self) -> Callable[[Tensor], Tensor] | None:
        owner = self._owner()
        return None if owner is None else getattr(owner, self._name)


class EligibilityTraceReducer(FoldReducer):
    r"""Trace of products of what two monitors record, ``(B, *weight)``.

    .. math::

        z(t) = z(t - \Delta t) \, e^{-\Delta t / \tau} + \frac{a(t) \, b(t)}{\tau}

    Args:
        step_time: length of a step :math:`\Delta t`, in ms.
        time_constant: of the trace, :math:`\tau`, in ms.
        obs_reshape: called for the method that brings the first observation to ``(B, <broadcastable with weight>, L)``,
            such as a :class:`weakref.WeakMethod` of a connection's ``presyn_receptive``.
        cond_reshape: that for the second observation.
        duration: how long the trace is kept, in ms.
        inclusive: whether what is ``duration`` old is kept too.

    Raises:
        ValueError: if ``step_time`` or ``time_constant`` is not positive, or ``duration`` is negative.
    """

    def __init__(
        self,
        step_time: float,
        time_constant: float,
        *,
        obs_reshape: Callable[[], Callable[[Tensor], Tensor]],
        cond_reshape: Callable[[], Callable[[Tensor], Tensor]],
        duration: float = 0.0,
        inclusive: bool = True,
    ) -> None:
        FoldReducer.__init__(self, step_time, duration, inclusive, 0)
        self.time_constant = positive("time_constant", time_constant)
        self.decay = math.exp(-self.dt / self.time_constant)
        self.scale = 1 / self.time_constant
        self.obs_reshape = obs_reshape
        self.cond_reshape = cond_reshape

    @property
    def dt(self) -> float:
        """Length of a step, in ms. Setting it changes the decay."""
        return FoldReducer.dt.fget(self)

    @dt.setter
    def dt(self, value: float) -> None:
        FoldReducer.dt.fset(self, value)
        self.decay = math.exp(-self.dt / self.time_constant)

    def present(self) -> Tensor:
        """The newest trace, to be used up before the next step.

        Raises:
            RuntimeError: if nothing has been recorded.
        """
        if self._initial:
            raise RuntimeError("nothing has been recorded yet: step the layer, with it and the trainer in training")
        return self.data_._newest()

    def _sides(self, obs: Tensor | Sent, cond: Tensor | Sent) -> tuple[Connection, Tensor, Tensor | Sent] | None:
        """The connection, what is of its outputs and what is of its inputs; None if no kernel takes these."""
        reshapes = (self.obs_reshape, self.cond_reshape)
        if type(self) is not EligibilityTraceReducer or not all(isinstance(r, Reshape) for r in reshapes):
            return None
        sides = {reshape._name: side for reshape, side in zip(reshapes, (obs, cond), strict=True)}
        post, pre, connection = sides.get("postsyn_receptive"), sides.get("presyn_receptive"), reshapes[0]._owner()
        if not has_correlations(connection) or not isinstance(post, Tensor) or self.data_.recordsz != 1:
            return None
        if post.requires_grad or post.dtype != self.data.dtype or not runs_native(post, "eligibility_step"):
            return None
        if isinstance(pre, Tensor) and (pre.ndim != 2 or isinstance(connection, Conv2D) or pre.dtype != post.dtype):
            return None
        return connection, post, pre

    def _step(self, obs: Tensor | Sent, cond: Tensor | Sent) -> None:
        """A step of two recordings, in one pass where there is a kernel for it."""
        sides = self._sides(obs, cond)
        if sides is None:
            self(*(side.gathered() if isinstance(side, Sent) else side for side in (obs, cond)))
            return
        connection, post, pre = sides
        arguments = (pre.ring, pre.pointer, pre.plan) if isinstance(pre, Sent) else (pre,)
        scale = self.scale * (pre.scale if isinstance(pre, Sent) else 1.0)
        if self._initial and self.data_.ignored:
            self.data_.initialize((len(post), *connection._held("weight_").shape), device=post.device)
        geometry = connection._geometry() if isinstance(connection, Conv2D) else {}
        post = post if geometry else post.flatten(1)
        ops.eligibility_step_(self.data_._writable()[0], post, *arguments, decay=self.decay, scale=scale, **geometry)
        self._initial = False

    def fold(self, obs: Tensor, cond: Tensor, state: Tensor | None) -> Tensor:
        """The trace with the product of two observations added."""
        dtype = torch.promote_types(obs.dtype, cond.dtype)
        term = Product(self.obs_reshape()(obs).to(dtype), self.cond_reshape()(cond).to(dtype)).per_sample()
        return trace_cumulative_value(term, state, decay=self.decay, scale=self.scale)

    def interpolate(self, prev_data: Tensor, next_data: Tensor, sample_at: Tensor, step_time: float) -> Tensor:
        """The trace between two steps, which decays from the earlier one."""
        return interp_expdecay(prev_data, next_data, sample_at, step_time, time_constant=self.time_constant)


class Sources:
    """Monitors that another one reads, and does not keep alive. Can be copied and pickled together with them.

    Args:
        *monitors: the monitors.
    """

    def __init__(self, *monitors: Monitor) -> None:
        self._monitors = tuple(map(Weak, monitors))

    def newest(self) -> list[Tensor | Sent] | None:
        """The newest records, in order; None unless all of them still record, and have."""
        monitors = [monitor() for monitor in self._monitors]
        if not all(monitor is not None and monitor.registered for monitor in monitors):
            return None
        records = [_newest(monitor) for monitor in monitors]
        return None if any(record is None for record in records) else records


class EligibilityMonitor(MultiStateMonitor):
    """Observes the newest of two other monitors, without making what arrives where nothing needs it.

    It runs after those that it reads, which are prepended, and reads nothing of the layer itself.

    Args:
        reducer: the trace.
        sources: the two monitors.
        module: whose calls are hooked.
    """

    def __init__(self, reducer: EligibilityTraceReducer, sources: Sources, module: nn.Module) -> None:
        MultiStateMonitor.__init__(self, reducer, "", (), module, eval_update=False, prepend=False)
        self._sources = sources

    def _monitor_call(self, module: nn.Module, *args: Any) -> None:
        newest = self._sources.newest()
        if newest is not None:
            self._modules["reducer_"]._step(*newest)


def _newest(monitor: Monitor) -> Tensor | Sent | None:
    reducer = monitor.reducer
    sent = reducer.sent() if isinstance(reducer, Arriving) else None
    return monitor.latest if sent is None else sent
