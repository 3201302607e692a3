"""Pure PyTorch twins of the compiled ops: fallback and oracle."""

from .delayed_dense import delayed_dense, delayed_dense_backward
from .exponential import exp
from .history import Lookup, delay_plan, history_gather, history_push, history_push_, lookup
from .neuron import MODELS, NeuronModel, adapt_samples, current_constants, neuron_step, threshold_constants

__all__ = [
    "MODELS",
    "Lookup",
    "NeuronModel",
    "adapt_samples",
    "current_constants",
    "delay_plan",
    "delayed_dense",
    "delayed_dense_backward",
    "exp",
    "history_gather",
    "history_push",
    "history_push_",
    "neuron_step",
    "lookup",
    "threshold_constants",
]
