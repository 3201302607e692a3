"""What learning rules record: spikes, traces of spikes, and the time since the last one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ..neural import Cell
from ..observe import CAReducer, EventReducer, FoldReducer, PassthroughReducer, Reducer, StateMonitor
from ..observe._weak import Weak
from ..observe.monitors.base import as_tuple, is_given, read
from ..state import Module
from ._arrivals import KINDS as ARRIVING
from ._arrivals import Arriving
from ._readings import Readings

# these take any observation that broadcasts with their state, such as that of one sample
_BROADCASTING = (CAReducer, EventReducer)


@dataclass(frozen=True)
class OneShape:
    """Hands observations on, all of the same shape.

    Attributes:
        name: name of the monitor.
        reducer: what they go to.
    """

    name: str
    reducer: FoldReducer

    def __call__(self, observation: torch.Tensor) -> tuple[torch.Tensor]:
        recorded = observation.shape if self.reducer._initial else self.reducer.data.shape[1:]
        if observation.shape != recorded:
            raise ValueError(
                f"'{self.name}' recorded the shape {tuple(recorded)}, now there are spikes of the shape "
                f"{tuple(observation.shape)}: call trainer.clear() after a change of the batch size"
            )
        return (observation,)


@dataclass(frozen=True)
class Source:
    """Spikes that can be recorded.

    Attributes:
        attr: where they are, from the cell.
        dt: length of a step, in ms.
        duration: how long what is recorded must be kept, in ms.
        tags: what tells monitors of them apart.
        arriving: whether they were sent before, and arrive after the delays of a connection.
    """

    attr: str
    dt: float
    duration: float = 0.0
    tags: dict[str, Any] = field(default_factory=dict)
    arriving: bool = False

    def reducer(self, kind: type[Reducer]) -> type[Reducer]:
        """The class of the reducers that record them."""
        return ARRIVING.get(kind, kind) if self.arriving else kind


@dataclass(frozen=True)
class Watch:
    """A monitor that is to be added to a cell."""

    name: str
    attr: str
    reducer: Reducer
    tags: dict[str, Any]

    def constructor(self, readings: Readings) -> Any:
        """Makes the monitor, which records after every step of the layer in training mode.

        Args:
            readings: what the monitors of a cell have read.
        """
        arriving = isinstance(self.reducer, Arriving)
        checked = isinstance(self.reducer, _BROADCASTING) and not arriving
        make = (ArrivalMonitor if arriving else SpikeMonitor).partialconstructor(
            reducer=self.reducer,
            as_prehook=False,
            train_update=True,
            eval_update=False,
            prepend=True,
            map_=OneShape(self.name, self.reducer) if checked else None,
        )

        def made(attr: str, module: Module) -> StateMonitor:
            monitor = make(attr, module)
            monitor.readings = readings
            return monitor

        return made


class SpikeMonitor(StateMonitor):
    """Observes spikes, which other monitors of the same cell observe in the same step; see :class:`Readings`."""

    readings: Readings | None = None

    def _run(self, side: str, module: nn.Module, *args: Any) -> None:
        readings = self.readings
        if readings is None or len(args) != 2 or not readings.has_recorded(self, args):
            super()._run(side, module, *args)

    def _monitor_call(self, module: nn.Module, *args: Any) -> None:
        readings = self.readings
        if readings is None or len(args) != 2:
            super()._monitor_call(module, *args)
        elif not readings.records(self, module, args):
            self._observe(readings, module, *args)

    def _observe(self, readings: Readings, module: nn.Module, *args: Any) -> None:
        if self.filter_ is is_given and (self.map_ is as_tuple or isinstance(self.map_, OneShape)):
            self._modules["reducer_"](*self.map_(readings.value(module, self._observed_path, args)))
        else:
            super()._monitor_call(module, *args)


class ArrivalMonitor(SpikeMonitor):
    """Observes ``synspike`` of a connection, without making it where its reducer records what is sent."""

    def __init__(self, reducer: Reducer, attr: str, module: nn.Module | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(reducer, attr, module, *args, **kwargs)
        if isinstance(reducer, Arriving) and module is not None:
            reducer._watched = Weak(read(module, self._observed_path[:-1]))

    def _observe(self, readings: Readings, module: nn.Module, *args: Any) -> None:
        reducer = self._modules["reducer_"]
        if isinstance(reducer, Arriving) and self.filter_ is is_given and self.map_ is as_tuple:
            reducer.observe(read(module, self._observed_path[:-1]))
        else:
            StateMonitor._monitor_call(self, module, *args)


def postsynaptic(cell: Cell) -> Source:
    """Spikes of the neurons."""
    return Source("neuron.spike", cell.connection.dt)


def presynaptic(cell: Cell, delayed: bool) -> Source:
    """Spikes that the connection uses now; or with ``delayed``, where it has delays, the history of its synapse's."""
    connection = cell.connection
    if delayed and connection.delayedby is not None:
        return Source("synapse.spike", connection.dt, connection.delayedby, {"delayed": True})
    return Source("connection.synspike", connection.dt, 0.0, {"delayed": False}, bool(connection.delayedby))


def sent(cell: Cell) -> Source:
    """The newest spikes of the synapse, whatever the delays."""
    return Source("synapse.spike", cell.connection.dt)


def spikes(name: str, source: Source, **options: Any) -> Watch:
    """Records spikes as they are."""
    reducer = source.reducer(PassthroughReducer)(source.dt, duration=source.duration, inclusive=True, **options)
    return Watch(name, source.attr, reducer, {"dt": source.dt, **source.tags})


def trace(
    name: str,
    source: Source,
    state: Module,
    time_constant: float,
    amplitude: float | None = None,
    duration: float | None = None,
    inplace: bool = False,
    **tags: Any,
) -> Watch:
    """Records a trace of spikes.

    Args:
        name: name of the monitor.
        source: the spikes.
        state: state of the cell, which has ``tracecls`` and ``tracemode``.
        time_constant: of the trace, in ms.
        amplitude: what a spike adds; None for 1, which is no tag then.
        duration: how long the trace is kept, in ms; None for that of the source.
        inplace: whether it is written in place.
        **tags: further tags.
    """
    reducer = source.reducer(state.tracecls)(
        source.dt,
        time_constant,
        amplitude=1.0 if amplitude is None else amplitude,
        target=True,
        duration=source.duration if duration is None else duration,
        inclusive=True,
        inplace=inplace,
    )
    amp = {} if amplitude is None else {"amp": amplitude}
    return Watch(
        name, source.attr, reducer, {"dt": source.dt, "tc": time_constant, **amp, "trace": state.tracemode}
        | source.tags | tags
    )  # fmt: skip


def since_spike(name: str, source: Source, inplace: bool) -> Watch:
    """Records the time since the last spike, in ms; NaN before the first."""
    reducer = source.reducer(EventReducer)(
        source.dt, is_spike, initial="nan", duration=source.duration, inclusive=True, inplace=inplace
    )
    return Watch(name, source.attr, reducer, {"dt": source.dt, **source.tags, "inplace": inplace})


def is_spike(observation: torch.Tensor) -> torch.Tensor:
    """What counts as a spike."""
    return observation.bool()
