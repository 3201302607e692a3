"""Connections."""

from .linear import LinearDense

__all__ = ["LinearDense"]
