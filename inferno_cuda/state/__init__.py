"""Where state lives: modules with extras, shaped tensors, records of the past, computed tensors; hooks of modules."""

from . import _distributed as _distributed
from ._replay import replay
from .hooks import ContextualHook, Hook, StateHook
from .module import Module
from .record import RecordTensor
from .shaped import ShapedTensor
from .virtual import VirtualTensor

__all__ = ["ContextualHook", "Hook", "Module", "RecordTensor", "ShapedTensor", "StateHook", "VirtualTensor", "replay"]
