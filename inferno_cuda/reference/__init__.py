"""Pure PyTorch twins of the compiled ops: fallback and oracle."""

from .delayed_run import DENSE, DIRECT, Geometry, Slope, delay_shift, delayed_run
from .delayed_sum import delayed_conv2d, delayed_dense, delayed_direct, ring_series
from .exponential import exp
from .history import Lookup, delay_plan, history_gather, history_push, history_push_, lookup
from .integrate_fire import CHARGE_MODELS, ChargeModel, Fired, integrate_fire, integrate_fire_step
from .learning import eligibility_step_, eligibility_sum, spike_pairs
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
    step_threshold,
    sum_kinds,
    threshold_adaptation,
    threshold_constants,
)
from .neuron_run import NeuronRun, neuron_run, smooth_threshold, surrogate_threshold, threshold_rule
from .plasticity import Delays, compute_dtype, correlate, product_of_floats
from .surrogate import SURROGATES, SurrogateForm, heaviside, surrogate_derivative, surrogate_smooth
from .synapse import spike_count, synapse_advance, synapse_step_
from .synapse_run import synapse_run, synapse_run_backward
from .updates import Limit, OuterProduct, apply_outers_, apply_updates_

__all__ = [
    "CHARGE_MODELS",
    "DENSE",
    "DIRECT",
    "MODELS",
    "SURROGATES",
    "ChargeModel",
    "Delays",
    "Fired",
    "Geometry",
    "Limit",
    "Lookup",
    "NeuronModel",
    "NeuronRun",
    "OuterProduct",
    "Slope",
    "SurrogateForm",
    "adapt_samples",
    "apply_outers_",
    "apply_updates_",
    "compute_dtype",
    "correlate",
    "current_adaptation",
    "current_constants",
    "delay_plan",
    "delay_shift",
    "delayed_conv2d",
    "delayed_dense",
    "delayed_direct",
    "delayed_run",
    "eligibility_step_",
    "eligibility_sum",
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
    "product_of_floats",
    "quadratic_membrane",
    "reduce_batch",
    "ring_series",
    "smooth_threshold",
    "spike_count",
    "spike_pairs",
    "step_threshold",
    "sum_kinds",
    "surrogate_derivative",
    "surrogate_smooth",
    "surrogate_threshold",
    "synapse_advance",
    "synapse_run",
    "synapse_run_backward",
    "synapse_step_",
    "threshold_adaptation",
    "threshold_constants",
    "threshold_rule",
]
