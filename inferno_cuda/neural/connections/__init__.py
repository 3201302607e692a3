"""Connections."""

from .conv import Conv2D
from .direct import LinearDirect
from .linear import LinearDense, LinearLateral

__all__ = ["Conv2D", "LinearDense", "LinearDirect", "LinearLateral"]
