"""Modules of other libraries on our ops, in place and undone again."""

from ._accelerate import accelerate, revert
from ._report import Outcome, Report, Row, Verification

__all__ = ["Outcome", "Report", "Row", "Verification", "accelerate", "revert"]
