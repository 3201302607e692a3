"""Pending parameter updates: collecting, bounding, applying."""

from ._accumulator import Accumulator
from ._updater import Updatable, Updater

__all__ = ["Accumulator", "Updatable", "Updater"]
