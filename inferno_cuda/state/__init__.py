"""Where state lives: modules with extras, shaped tensors, records of the past, computed tensors."""

from .module import Module
from .record import RecordTensor
from .shaped import ShapedTensor
from .virtual import VirtualTensor

__all__ = ["Module", "RecordTensor", "ShapedTensor", "VirtualTensor"]
