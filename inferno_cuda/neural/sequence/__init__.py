"""Whole sequences through neurons, connections, layers and any other module."""

from ._method import Runnable
from ._run import run

__all__ = ["Runnable", "run"]
