"""Monitors: what hands observations of a running module to a reducer."""

from .base import Monitor
from .calls import InputMonitor, OutputMonitor
from .difference import DifferenceMonitor
from .state import MultiStateMonitor, StateMonitor

__all__ = ["DifferenceMonitor", "InputMonitor", "Monitor", "MultiStateMonitor", "OutputMonitor", "StateMonitor"]
