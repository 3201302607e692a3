"""Neurons."""

from .exponential import EIF, AdEx
from .linear import ALIF, GLIF1, GLIF2, LIF
from .quadratic import QIF, Izhikevich

__all__ = ["ALIF", "EIF", "GLIF1", "GLIF2", "LIF", "QIF", "AdEx", "Izhikevich"]
