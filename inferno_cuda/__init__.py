"""Spiking neural networks with refractory periods and per-synapse delays, in fused C++ and CUDA kernels."""

from . import functional, neural, ops
from .explain import explain
from .ops import active_mode, backend
from .state import Module, RecordTensor, ShapedTensor, VirtualTensor

__version__ = "0.1.0"

__all__ = [
    "Module",
    "RecordTensor",
    "ShapedTensor",
    "VirtualTensor",
    "active_mode",
    "backend",
    "explain",
    "functional",
    "neural",
    "ops",
]
