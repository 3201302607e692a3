"""Copies of whole models, from inferno-ai to this package and back."""

from __future__ import annotations

import sys

from torch import nn

from ._copier import ConversionError, copied
from ._ours import Ours
from ._theirs import Theirs

__all__ = ["ConversionError", "from_inferno", "to_inferno"]


def from_inferno(model: nn.Module) -> nn.Module:
    """A copy of a model in which every module of inferno-ai is one of this package.

    The copy has the parameters (dtype, device, ``requires_grad``), the live state, the mode and the names of the
    original, and so its ``state_dict()`` keys, and goes on as the original would; see ``docs/differences.md`` for where
    it computes differently on purpose. Modules, parameters and generators that are shared are shared in the copy.
    Updaters, gradients, submodules and attributes that were added to a module, and the hooks ``Normalization`` and
    ``Clamping`` that are in the model, come along. What is neither of inferno-ai nor of this package is copied as
    ``copy.deepcopy`` does it. The original is left alone.

    Args:
        model: a module of inferno-ai, or one that has such modules in it.

    Raises:
        ConversionError: if something has no counterpart: subclasses of inferno-ai's classes, trainers, monitors, hooks
            on modules of inferno-ai or on their parameters, bound methods of such modules that are kept somewhere. It
            lists all such modules, each with the reason.
    """
    # without the library there can be no module of it, and the copy is a plain one
    return copied(model, Theirs() if "inferno" in sys.modules else None, Ours())


def to_inferno(model: nn.Module) -> nn.Module:
    """A copy of a model in which every module of this package is one of inferno-ai: :func:`from_inferno` the other way.

    Args:
        model: a module of this package, or one that has such modules in it.

    Raises:
        ImportError: without inferno-ai.
        ConversionError: if something has no counterpart; it lists all such modules, each with the reason.
    """
    return copied(model, Ours(), Theirs())
