"""Synapses."""

from ._lookup import DelayedCurrent
from .delta import DeltaCurrent
from .delta_plus import DeltaPlusCurrent
from .double_exponential import DoubleExponentialCurrent
from .exponential import SingleExponentialCurrent

__all__ = [
    "DelayedCurrent",
    "DeltaCurrent",
    "DeltaPlusCurrent",
    "DoubleExponentialCurrent",
    "SingleExponentialCurrent",
]
