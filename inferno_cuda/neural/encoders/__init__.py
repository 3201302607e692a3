"""Encoders: from intensities to spikes."""

from .poisson import HomogeneousPoissonApproxEncoder, HomogeneousPoissonEncoder, PoissonIntervalEncoder

__all__ = ["HomogeneousPoissonApproxEncoder", "HomogeneousPoissonEncoder", "PoissonIntervalEncoder"]
