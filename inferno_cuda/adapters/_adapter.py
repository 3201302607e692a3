"""The contract between `accelerate` and the adapters of a library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Adapter:
    """How the modules of one class of another library run on our ops.

    ``overrides`` is a mixin that is put in front of the module's own class: the module keeps its attributes, and its
    class gains a faster ``forward``. Whatever the mixin caches on the module has a name that starts with ``_fused_``,
    is no parameter, buffer or child, and may be deleted at any time; copies and pickles leave it out.
    """

    library: str
    """The library's name, as the report prints it."""

    base: type[nn.Module]
    """The library's class. It stands for its subclasses too, unless they override what ``overrides`` replaces."""

    overrides: type
    """Mixin with the faster methods."""

    runs: Callable[[nn.Module], str]
    """What runs instead, in a few words for the report."""

    refuse: Callable[[nn.Module], str | None]
    """Why this module stays as it is, or None if it can be accelerated."""

    relies: tuple[str, ...] = ()
    """Names that ``overrides`` takes to be the library's, though it does not replace them."""

    private: tuple[str, ...] = ()
    """Attributes of a module, with dots between those of attributes, that ``overrides`` and ``refuse`` read and that
    another version of the library may not have."""
