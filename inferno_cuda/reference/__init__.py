"""Pure PyTorch twins of the compiled ops: fallback and oracle."""

from .delayed_sum import delayed_conv2d, delayed_dense, delayed_direct, delayed_sum_backward
from .exponential import exp
from .history import Lookup, delay_plan, history_gather, history_push, history_push_, lookup
from .lif import lif_step

__all__ = [
    "Lookup",
    "delay_plan",
    "delayed_conv2d",
    "delayed_dense",
    "delayed_direct",
    "delayed_sum_backward",
    "exp",
    "history_gather",
    "history_push",
    "history_push_",
    "lif_step",
    "lookup",
]
