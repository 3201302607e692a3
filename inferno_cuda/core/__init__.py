"""Small tools: numbers, spike trains, new tensors, traces."""

from .math import exp, exponential_smoothing, holt_linear_smoothing, normalize, rescale, sqrt
from .spikes import isi, victor_purpura_pair_dist
from .tensor import astensors, empty, full, fullc, normal, ones, scalar, uniform, zeros
from .trace import (
    exp_trace_cumulative,
    exp_trace_nearest,
    exprate_trace_cumulative,
    exprate_trace_nearest,
    trace_cumulative,
    trace_cumulative_scaled,
    trace_cumulative_value,
    trace_nearest,
    trace_nearest_scaled,
)

__all__ = [
    "astensors",
    "empty",
    "exp",
    "exp_trace_cumulative",
    "exp_trace_nearest",
    "exponential_smoothing",
    "exprate_trace_cumulative",
    "exprate_trace_nearest",
    "full",
    "fullc",
    "holt_linear_smoothing",
    "isi",
    "normal",
    "normalize",
    "ones",
    "rescale",
    "scalar",
    "sqrt",
    "trace_cumulative",
    "trace_cumulative_scaled",
    "trace_cumulative_value",
    "trace_nearest",
    "trace_nearest_scaled",
    "uniform",
    "victor_purpura_pair_dist",
    "zeros",
]
