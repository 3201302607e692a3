"""Helpers beside the main parts of the package."""

from .helpers import identity, tuplewrap, varidentity

__all__ = ["identity", "tuplewrap", "varidentity"]
