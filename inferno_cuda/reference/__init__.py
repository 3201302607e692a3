"""Pure PyTorch twins of the compiled ops: fallback and oracle."""

from .delayed_run import DENSE, DIRECT, Geometry, Slope, delay_shift, delayed_run
from .delayed_sum import delayed_conv2d, delayed_dense, delayed_direct, ring_series
from .exponential import exp
from .history import Lookup, delay_plan, history_gather, history_push, history_push_, lookup
from .integrate_fire import CHARGE_MODELS, ChargeModel, Fired, integrate_fire, integrate_fire_step
from .neuron import (
    MODELS,
    NeuronModel,
    adapt_samples,
    current_adaptation,
    current_constants,
    exponential_membrane,
    fire,
    linear_membrane,
    linear_reset,
    neuron_step,
    quadratic_membrane,
    reduce_batch,
    sum_kinds,
    threshold_adaptation,
    threshold_constants,
)
from .synapse import synapse_advance, synapse_step_

__all__ = [
    "CHARGE_MODELS",
    "DENSE",
    "DIRECT",
    "MODELS",
    "ChargeModel",
    "Fired",
    "Geometry",
    "Lookup",
    "NeuronModel",
    "Slope",
    "adapt_samples",
    "current_adaptation",
    "current_constants",
    "delay_plan",
    "delay_shift",
    "delayed_conv2d",
    "delayed_dense",
    "delayed_direct",
    "delayed_run",
    "exp",
    "exponential_membrane",
    "fire",
    "history_gather",
    "history_push",
    "history_push_",
    "integrate_fire",
    "integrate_fire_step",
    "linear_membrane",
    "linear_reset",
    "lookup",
    "neuron_step",
    "quadratic_membrane",
    "reduce_batch",
    "ring_series",
    "sum_kinds",
    "synapse_advance",
    "synapse_step_",
    "threshold_adaptation",
    "threshold_constants",
]
