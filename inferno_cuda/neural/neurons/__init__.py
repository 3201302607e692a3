"""Neurons."""

from .linear import LIF

__all__ = ["LIF"]
