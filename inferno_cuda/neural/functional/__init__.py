"""Functions that neural components are made of."""

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
    "homogeneous_poisson_exp_interval",
    "homogeneous_poisson_exp_interval_online",
    "homogenous_poisson_bernoulli_approx",
    "homogenous_poisson_bernoulli_approx_online",
    "inhomogeneous_poisson_bernoulli_approx",
    "poisson_interval",
    "poisson_interval_online",
]
