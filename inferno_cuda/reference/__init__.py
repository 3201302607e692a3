"""Pure PyTorch twins of the compiled ops: fallback and oracle."""

from .delayed_sum import delayed_conv2d, delayed_dense, delayed_direct, delayed_sum_backward
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
from .neuron_run import NeuronRun, neuron_run
from .surrogate import SURROGATES, SurrogateForm, heaviside, surrogate_derivative, surrogate_smooth
from .synapse import spike_count, synapse_advance, synapse_step_
from .synapse_run import synapse_run, synapse_run_backward

__all__ = [
    "CHARGE_MODELS",
    "MODELS",
    "SURROGATES",
    "ChargeModel",
    "Fired",
    "Lookup",
    "NeuronModel",
    "NeuronRun",
    "SurrogateForm",
    "adapt_samples",
    "current_adaptation",
    "current_constants",
    "delay_plan",
    "delayed_conv2d",
    "delayed_dense",
    "delayed_direct",
    "delayed_sum_backward",
    "exp",
    "exponential_membrane",
    "fire",
    "heaviside",
    "history_gather",
    "history_push",
    "history_push_",
    "integrate_fire",
    "integrate_fire_step",
    "linear_membrane",
    "linear_reset",
    "lookup",
    "neuron_run",
    "neuron_step",
    "quadratic_membrane",
    "reduce_batch",
    "spike_count",
    "sum_kinds",
    "surrogate_derivative",
    "surrogate_smooth",
    "synapse_advance",
    "synapse_run",
    "synapse_run_backward",
    "synapse_step_",
    "threshold_adaptation",
    "threshold_constants",
]
