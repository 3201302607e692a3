"""Recording what happens inside a running network."""

from .monitors import DifferenceMonitor, InputMonitor, Monitor, MultiStateMonitor, OutputMonitor, StateMonitor
from .pooling import MonitorConstructor, MonitorPool, Observable
from .reducers.base import FoldReducer, RecordReducer, Reducer
from .reducers.general import EventReducer, PassthroughReducer
from .reducers.stats import CAReducer, EMAReducer
from .reducers.trace import (
    ConditionalCumulativeTraceReducer,
    ConditionalNearestTraceReducer,
    CumulativeTraceReducer,
    NearestTraceReducer,
    ScaledCumulativeTraceReducer,
    ScaledNearestTraceReducer,
)

__all__ = [
    "CAReducer",
    "ConditionalCumulativeTraceReducer",
    "ConditionalNearestTraceReducer",
    "CumulativeTraceReducer",
    "DifferenceMonitor",
    "EMAReducer",
    "EventReducer",
    "FoldReducer",
    "InputMonitor",
    "Monitor",
    "MonitorConstructor",
    "MonitorPool",
    "MultiStateMonitor",
    "NearestTraceReducer",
    "Observable",
    "OutputMonitor",
    "PassthroughReducer",
    "RecordReducer",
    "Reducer",
    "ScaledCumulativeTraceReducer",
    "ScaledNearestTraceReducer",
    "StateMonitor",
]
