"""Connections."""

from .conv import Conv2D
from .direct import LinearDirect
from .linear import LinearDense, LinearLateral
from .sparse import SparseConnection

__all__ = ["Conv2D", "LinearDense", "LinearDirect", "LinearLateral", "SparseConnection"]
