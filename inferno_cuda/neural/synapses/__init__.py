"""Synapses."""

from ._lookup import DelayedCurrent
from .delta import DeltaCurrent
from .exponential import SingleExponentialCurrent

__all__ = ["DelayedCurrent", "DeltaCurrent", "SingleExponentialCurrent"]
