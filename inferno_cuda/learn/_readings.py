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
from ..state import Module
from ..state._facts import GLOBAL_HOOKS, HOOKS, Facts
from ..state._link import Relay
from ..state.module import STAMP
from ._arrivals import ArrivingCumulative, ArrivingNearest, ArrivingSpikes, Passing

if TYPE_CHECKING:
    from ._monitors import SpikeMonitor

_TRACES = {
    CumulativeTraceReducer: "cumulative",
    NearestTraceReducer: "nearest",
    ArrivingCumulative: "cumulative",
    ArrivingNearest: "nearest",
}
_SPIKES = PassthroughReducer, ArrivingSpikes
_SENT = ArrivingCumulative, ArrivingNearest, ArrivingSpikes
Path = tuple[str, ...]


class _Recording(NamedTuple):
    """The call that records, for the next step.

    Attributes:
        facts: what it depends on; None if that cannot be told.
        arguments: of :func:`traces_push_plain`.
        passing: spikes on their way, which are observed last; or None.
    """

    facts: Facts | None
    arguments: tuple
    passing: Passing | None

    def is_next(self) -> bool:
        """Whether it is the call of the next step; arguments that are others in every step are made so."""
        if not self.facts.hold():
            return False
        if self.passing is None:
            return True
        newest = self.passing.newest()
        if newest is not None:
            self.arguments[2][-1] = newest
        return newest is not None

    def make(self) -> bool:
        """Records; whether the kernel did."""
        made = traces_push_plain(*self.arguments)
        if made and self.passing is not None:
            self.passing.note()
        return made


class Readings:
    """What the monitors of a cell have read in a step of its layer. A copy has read nothing."""

    def __init__(self) -> None:
        self._step: tuple | None = None
        self._values: dict[Path, Any] = {}
        self._waiting: set[int] = set()  # ids of monitors for which this step has been recorded before their turn
        self._layer: weakref.ref | None = None
        self._hooks: tuple[int, ...] = ()
        self._group: list[weakref.ref] = []
        self._limits: list[tuple[float, float] | None] = []
        self._numbers: list[tuple] = []
        self._packed: tuple[torch.Tensor, torch.Tensor] | None = None
        self._slot: tuple[torch.Tensor, torch.Tensor] | None = None  # a ring without a past, and its one slot
        self._kept: _Recording | None = None  # the last call

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

    def has_recorded(self, monitor: SpikeMonitor, step: tuple) -> bool:
        """Whether what a monitor is to observe in a step was recorded together with what another one observed."""
        held = self._step
        if not self._waiting or held[0] is not step[0] or held[1] is not step[1] or id(monitor) not in self._waiting:
            return False
        self._waiting.discard(id(monitor))
        return True

    def records(self, monitor: SpikeMonitor, module: nn.Module, step: tuple) -> bool:
        """Records what the monitors are to observe in a step, if it begins with this one; whether it did."""
        if not self._starts(step) or not step[0] or torch.compiler.is_compiling():
            return False
        group = self._together(module)
        if not group or group[0] is not monitor or not self._record(module, group):
            return False
        self._waiting.update(map(id, group[1:]))
        return True

    def _record(self, module: nn.Module, group: list[SpikeMonitor | None]) -> bool:
        kept = self._kept
        if kept is None or not self._in_place() or not kept.is_next():
            kept = self._prepared(module, group)
            if kept is None:
                return False
            self._kept = None if kept.facts is None else kept
        return kept.make()

    def _in_place(self) -> bool:
        """Whether the one slot of a ring is still where it was."""
        return self._slot is None or self._slot[0].data_ptr() == self._slot[1].data_ptr()

    def _together(self, module: nn.Module) -> list[SpikeMonitor | None]:
        """The monitors with these readings, in the order of their hooks, if they are next to each other."""
        hooks = module._forward_hooks
        if self._hooks != tuple(hooks) or self._layer is None or self._layer() is not module:
            found = [hook._link.hook if isinstance(hook, Relay) else None for hook in hooks.values()]
            ours = [k for k, hook in enumerate(found) if getattr(hook, "readings", None) is self]
            apart = not ours or ours[-1] - ours[0] != len(ours) - 1
            self._group = [] if apart else [weakref.ref(found[k]) for k in ours]
            self._hooks, self._layer, self._kept = tuple(hooks), weakref.ref(module, self._forget), None
        return [monitor() for monitor in self._group]

    def _forget(self, *_: Any) -> None:
        """Lets go of what belonged to a layer that is gone."""
        self._kept = self._slot = None

    def _prepared(self, module: nn.Module, group: list[SpikeMonitor | None]) -> _Recording | None:
        """The call that records; None if none does."""
        paths: dict[Path, int] = {}
        data, pointers, numbers, sent = [], [], [], []
        for monitor in group:
            if monitor is None or not _observes(monitor, module):
                return None
            reducer = monitor._modules["reducer_"]
            kind, buffer, extras = type(reducer), reducer._buffers["_data__data"], reducer._extras
            if kind in _SPIKES:
                how = "instant", 0.0, 1.0, None, None
            elif kind in _TRACES:
                how = _TRACES[kind], reducer.decay, reducer.amplitude, reducer.target, reducer.tolerance
            else:
                return None
            if extras["_initial"] or watched(reducer) or reducer.data_._held or not reducer._placed:
                return None
            if buffer is None or buffer.requires_grad or not buffer.is_cpu:
                return None
            data.append(buffer)
            pointers.append(extras["_data__pointer"])
            if kind in _SENT:
                sent.append(monitor)
            number = -1 if kind in _SENT else paths.setdefault(monitor._observed_path, len(paths))
            numbers.append((number, *how, buffer.dtype))
        passing = _passing(module, sent)
        if sent and passing is None:
            return None
        numbers = [(len(paths) if number < 0 else number, *how) for number, *how in numbers]
        tensors, limits = [], []
        for path in paths:
            observed, between = self._observed(module, path)
            if observed is None or not observed.is_cpu or observed.requires_grad:
                return None
            tensors.append(observed)
            limits.append(between)
        observed = dict(zip(paths, tensors, strict=True))
        if passing is not None:
            tensors.append(passing.how.record._newest())
            limits.append(None)
        if limits != self._limits or numbers != self._numbers:
            self._limits, self._numbers = limits, numbers
            self._packed = pack_traces(limits, [Traced(*how) for how in numbers])
        if self._packed is None:
            return None
        facts = self._facts(module, group, observed, passing)
        return _Recording(facts, (data, pointers, tensors, self._packed), passing)

    def _facts(
        self,
        module: nn.Module,
        group: list[SpikeMonitor],
        observed: dict[Path, torch.Tensor],
        passing: Passing | None,
    ) -> Facts | None:
        """What a call depends on; None where the observed tensors are others in every step."""
        parts, same, unset = [module], [], [*GLOBAL_HOOKS]
        state = [*observed.values()]
        for monitor in group:
            reducer = monitor._modules["reducer_"]
            parts += [monitor, reducer]
            data, pointer = reducer._buffers["_data__data"], reducer._extras["_data__pointer"]
            same += [(monitor._modules, "reducer_", reducer), (reducer._buffers, "_data__data", data)]
            same += [(reducer._extras, "_data__pointer", pointer)]
            unset += [(vars(reducer.data_), "_held"), *((reducer.__dict__, hooks) for hooks in HOOKS)]
            state.append(data)
        for path, tensor in observed.items():
            owner = module
            for name in path[:-1]:
                inner = owner._modules.get(name)
                if inner is None:
                    return None
                same.append((owner._modules, name, inner))
                parts.append(owner := inner)
            if owner._buffers.get("_refrac__data") is tensor:
                same.append((owner._buffers, "_refrac__data", tensor))
            elif self._slot is not None and self._slot[1] is tensor:
                synapse = owner._modules["synapse_"]
                same += [(owner._modules, "synapse_", synapse), (synapse._buffers, "_spike__data", self._slot[0])]
                parts.append(synapse)
            else:
                return None
        if passing is not None:
            parts += [passing.connection, passing.connection._modules["synapse_"]]
            same += passing.facts()
            for monitor in group:
                for owner, name, found in _way(module, monitor._observed_path[:-1]):
                    same.append((owner._modules, name, found))
                    parts += [owner]
        same += [(part.__dict__, STAMP, part._stamp()) for part in dict.fromkeys(parts) if isinstance(part, Module)]
        return Facts(same, unset, state)

    def _observed(self, module: nn.Module, path: Path) -> tuple[torch.Tensor | None, tuple[float, float] | None]:
        """Spikes at a path, without a copy of them: a bool tensor; or another one, whose values lie between two where
        spikes are, and these; None if they are neither.
        """
        owner, name = read(module, path[:-1]), path[-1]
        how = getattr(type(owner), name, None)
        if how is SpikeRefractoryMixin.spike:
            limits = owner._spike_limits()
            if limits is not None:
                return owner._buffers["_refrac__data"], limits
        elif how is Connection.synspike and not owner.delayedby:
            synapse = owner._modules["synapse_"]
            if getattr(type(synapse), "spike", None) is SpikeMixin.spike:
                return self._newest(synapse), None
        value = getattr(owner, name)
        return (value if isinstance(value, torch.Tensor) and value.dtype == torch.bool else None), None

    def _newest(self, synapse: nn.Module) -> torch.Tensor:
        """The newest spikes of a synapse, a view."""
        ring, held = synapse._buffers.get("_spike__data"), self._slot
        if held is not None and held[0] is ring and held[1].data_ptr() == ring.data_ptr():
            return held[1]
        newest = synapse.spike_._newest()
        alone = type(ring) is torch.Tensor and ring.shape[0] == 1 and ring.is_cpu
        self._slot = (ring, newest) if alone else None
        return newest

    def __deepcopy__(self, memo: dict[int, Any]) -> Readings:
        return Readings()

    def __reduce__(self) -> tuple:
        return Readings, ()


def _way(module: nn.Module, path: Path) -> list[tuple[nn.Module, str, nn.Module]]:
    """The submodules that a path leads through, each with its owner and its name there."""
    found = []
    for name in path:
        inner = module._modules[name]
        found.append((module, name, inner))
        module = inner
    return found


def _passing(module: nn.Module, monitors: list[SpikeMonitor]) -> Passing | None:
    """The spikes on their way that monitors observe; None if they are not those of one connection, as it sends them."""
    if not monitors:
        return None
    owners = [read(module, monitor._observed_path[:-1]) for monitor in monitors]
    if any(owner is not owners[0] for owner in owners):
        return None
    return Passing.of(owners[0], [monitor._modules["reducer_"] for monitor in monitors])


def _observes(monitor: SpikeMonitor, module: nn.Module) -> bool:
    """Whether a monitor hands all that it observes of a layer to its reducer, as it is."""
    runs = monitor._trainexec if module.training else monitor._evalexec
    usual = monitor.filter_ is is_given and monitor.map_ is as_tuple
    return runs and usual and monitor._observed() is module
