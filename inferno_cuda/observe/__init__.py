"""Recording what happens inside a running network."""

from .pooling import MonitorConstructor, MonitorPool, Observable

__all__ = ["MonitorConstructor", "MonitorPool", "Observable"]
