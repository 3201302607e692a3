"""Parts and helpers beside the models."""

from .exact import ExactNeuron
from .helpers import identity, tuplewrap, varidentity

__all__ = ["ExactNeuron", "identity", "tuplewrap", "varidentity"]
