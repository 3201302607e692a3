"""What the monitors of a cell read in a step of its layer: each attribute once, and recorded by one call of a kernel.

One call stands for several monitors only where nothing runs between them that could tell: their hooks are next to each
other, nobody watches their reducers, and what they record is spikes, or traces of them, without a gradient.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from ..neural import Connection
from ..neural._coverage import watched
from ..neural.neurons.mixins import SpikeRefractoryMixin
from ..neural.synapses.mixins import SpikeMixin
from ..observe import CumulativeTraceReducer, NearestTraceReducer, PassthroughReducer
from ..observe.monitors.base import as_tuple, is_given, read
from ..ops.trace import Traced, pack_traces, traces_push_plain
from ..state._link import Relay

if TYPE_CHECKING:
    from ._monitors import SpikeMonitor

_TRACES = {CumulativeTraceReducer: "cumulative", NearestTraceReducer: "nearest"}
Path = tuple[str, ...]


class Observed(NamedTuple):
    """Spikes: a bool tensor; or with limits, another one, whose values lie between these where spikes are."""

    tensor: torch.Tensor
    limits: tuple[float, float] | None = None


class Readings:
    """What the monitors of a cell have read in a step of its layer. A copy has read nothing."""

    def __init__(self) -> None:
        self._step: tuple | None = None
        self._values: dict[Path, Any] = {}
        self._waiting: set[int] = set()  # ids of monitors for which this step has been recorded before their turn
        self._layer: weakref.ref | None = None
        self._hooks: tuple[int, ...] = ()
        self._group: list[weakref.ref] = []
        self._numbers: tuple = ()
        self._packed: tuple[torch.Tensor, torch.Tensor] | None = None

    def _starts(self, step: tuple) -> bool:
        """Whether a step is another one than before: in one, hooks are given the same inputs and the same output."""
        held = self._step
        if step[0] and held is not None and held[0] is step[0] and held[1] is step[1]:
            return False
        self._step = step
        self._values.clear()
        self._waiting.clear()
        return True

    def value(self, module: nn.Module, path: Path, step: tuple) -> Any:
        """An attribute; ``step`` is what hooks are given, inputs and output."""
        self._starts(step)
        if path not in self._values:
            self._values[path] = read(module, path)
        return self._values[path]

    def recorded(self, monitor: SpikeMonitor, module: nn.Module, step: tuple) -> bool:
        """Whether what a monitor is to observe in a step has been recorded, together with what others are to."""
        if self._starts(step) and step[0]:
            group = self._together(module)
            if group and group[0] is monitor and self._record(module, group):
                self._waiting.update(map(id, group))
        if id(monitor) not in self._waiting:
            return False
        self._waiting.discard(id(monitor))
        return True

    def _together(self, module: nn.Module) -> list[SpikeMonitor | None]:
        """The monitors with these readings, in the order of their hooks, if they are next to each other."""
        hooks = module._forward_hooks
        if self._hooks != tuple(hooks) or self._layer is None or self._layer() is not module:
            found = [hook._link.hook if isinstance(hook, Relay) else None for hook in hooks.values()]
            ours = [k for k, hook in enumerate(found) if getattr(hook, "readings", None) is self]
            apart = not ours or ours[-1] - ours[0] != len(ours) - 1
            self._group = [] if apart else [weakref.ref(found[k]) for k in ours]
            self._hooks, self._layer = tuple(hooks), weakref.ref(module)
        return [monitor() for monitor in self._group]

    def _record(self, module: nn.Module, group: list[SpikeMonitor | None]) -> bool:
        paths: dict[Path, int] = {}
        data, pointers, numbers = [], [], []
        for monitor in group:
            if monitor is None or not _observes(monitor, module):
                return False
            reducer = monitor._modules["reducer_"]
            traced = _traced(reducer, paths.setdefault(monitor._observed_path, len(paths)))
            if traced is None:
                return False
            data.append(reducer._buffers["_data__data"])
            pointers.append(reducer._extras["_data__pointer"])
            numbers.append(traced)
        observed = [_observed(module, path) for path in paths]
        if None in observed:
            return False
        tensors, limits = zip(*observed, strict=True)
        if (limits, numbers) != self._numbers:
            self._numbers, self._packed = (limits, numbers), pack_traces(limits, numbers)
        return self._packed is not None and traces_push_plain(data, pointers, tensors, self._packed)

    def __deepcopy__(self, memo: dict[int, Any]) -> Readings:
        return Readings()

    def __reduce__(self) -> tuple:
        return Readings, ()


def _observes(monitor: SpikeMonitor, module: nn.Module) -> bool:
    """Whether a monitor hands all that it observes of a layer to its reducer, as it is."""
    runs = monitor._trainexec if module.training else monitor._evalexec
    usual = monitor.filter_ is is_given and monitor.map_ is as_tuple
    return runs and usual and monitor._observed() is module


def _traced(reducer: nn.Module, observed: int) -> Traced | None:
    """How a reducer records, if it has begun to, and nothing but the kernel can see it."""
    kind, extras = type(reducer), reducer._extras
    data = reducer._buffers["_data__data"]
    if (kind not in _TRACES and kind is not PassthroughReducer) or extras["_initial"] or watched(reducer):
        return None
    if reducer.data_._held or data is None or data.requires_grad or not reducer._placed or not data.is_cpu:
        return None
    if kind is PassthroughReducer:
        return Traced(observed, "instant", 0.0, 1.0, None, None, data.dtype)
    numbers = reducer.decay, reducer.amplitude, reducer.target, reducer.tolerance
    return Traced(observed, _TRACES[kind], *numbers, data.dtype)


def _observed(module: nn.Module, path: Path) -> Observed | None:
    """Spikes at a path, without a copy of them; None if the kernel does not take them."""
    owner, name = read(module, path[:-1]), path[-1]
    how = getattr(type(owner), name, None)
    if how is Connection.synspike and not owner.delayedby:
        owner = owner.synapse
        how = getattr(type(owner), "spike", None)
        name = "spike"
    if how is SpikeMixin.spike:
        found = Observed(owner.spike_._newest())
    else:
        limits = owner._spike_limits() if how is SpikeRefractoryMixin.spike else None
        found = Observed(getattr(owner, name)) if limits is None else Observed(owner.refrac_.value, limits)
    value = found.tensor
    if not isinstance(value, torch.Tensor) or not value.is_cpu or value.requires_grad:
        return None
    return found if found.limits is not None or value.dtype == torch.bool else None
