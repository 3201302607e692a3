"""Pure PyTorch twins of the compiled ops: fallback and oracle."""

from .delayed_dense import delayed_dense, delayed_dense_backward
from .exponential import exp
from .history import Lookup, delay_plan, history_gather, history_push, history_push_, lookup
from .lif import lif_step
from .synapse import synapse_advance, synapse_step_

__all__ = [
    "Lookup",
    "delay_plan",
    "delayed_dense",
    "delayed_dense_backward",
    "exp",
    "history_gather",
    "history_push",
    "history_push_",
    "lif_step",
    "lookup",
    "synapse_advance",
    "synapse_step_",
]
