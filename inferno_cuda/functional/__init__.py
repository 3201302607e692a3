"""Interpolation and extrapolation between recorded samples."""

from .extrapolation import (
    Extrapolation,
    extrap_expdecay,
    extrap_expratedecay,
    extrap_linear_backward,
    extrap_linear_forward,
    extrap_nearest,
    extrap_neighbors,
    extrap_next,
    extrap_previous,
)
from .interpolation import (
    Interpolation,
    interp_expdecay,
    interp_expratedecay,
    interp_linear,
    interp_nearest,
    interp_next,
    interp_previous,
)

__all__ = [
    "Extrapolation",
    "Interpolation",
    "extrap_expdecay",
    "extrap_expratedecay",
    "extrap_linear_backward",
    "extrap_linear_forward",
    "extrap_nearest",
    "extrap_neighbors",
    "extrap_next",
    "extrap_previous",
    "interp_expdecay",
    "interp_expratedecay",
    "interp_linear",
    "interp_nearest",
    "interp_next",
    "interp_previous",
]
