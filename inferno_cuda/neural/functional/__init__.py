"""Functions that neural components are made of."""

from .dynamics import (
    adaptive_currents_linear,
    adaptive_thresholds_linear_spike,
    adaptive_thresholds_linear_voltage,
    apply_adaptive_currents,
    apply_adaptive_thresholds,
    voltage_integration_exponential,
    voltage_integration_linear,
    voltage_integration_quadratic,
    voltage_thresholding_constant,
    voltage_thresholding_linear,
)

__all__ = [
    "adaptive_currents_linear",
    "adaptive_thresholds_linear_spike",
    "adaptive_thresholds_linear_voltage",
    "apply_adaptive_currents",
    "apply_adaptive_thresholds",
    "voltage_integration_exponential",
    "voltage_integration_linear",
    "voltage_integration_quadratic",
    "voltage_thresholding_constant",
    "voltage_thresholding_linear",
]
