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
from .encoding import (
    homogeneous_poisson_exp_interval,
    homogeneous_poisson_exp_interval_online,
    homogenous_poisson_bernoulli_approx,
    homogenous_poisson_bernoulli_approx_online,
    inhomogeneous_poisson_bernoulli_approx,
    poisson_interval,
    poisson_interval_online,
)

__all__ = [
    "adaptive_currents_linear",
    "adaptive_thresholds_linear_spike",
    "adaptive_thresholds_linear_voltage",
    "apply_adaptive_currents",
    "apply_adaptive_thresholds",
    "homogeneous_poisson_exp_interval",
    "homogeneous_poisson_exp_interval_online",
    "homogenous_poisson_bernoulli_approx",
    "homogenous_poisson_bernoulli_approx_online",
    "inhomogeneous_poisson_bernoulli_approx",
    "poisson_interval",
    "poisson_interval_online",
    "voltage_integration_exponential",
    "voltage_integration_linear",
    "voltage_integration_quadratic",
    "voltage_thresholding_constant",
    "voltage_thresholding_linear",
]
