"""Spiking neural networks with refractory periods and per-synapse delays, in fused C++ and CUDA kernels."""

from . import ops
from .ops import active_mode, backend

__version__ = "0.1.0"

__all__ = ["active_mode", "backend", "ops"]
