"""Pending parameter updates: collecting, bounding, applying."""

from ._accumulator import Accumulator
from ._deferred import Deferred
from ._updater import Updatable, Updater

__all__ = ["Accumulator", "Deferred", "Updatable", "Updater"]
