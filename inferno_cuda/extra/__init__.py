"""Parts and helpers beside the models."""

from .exact import ExactNeuron

__all__ = ["ExactNeuron"]
