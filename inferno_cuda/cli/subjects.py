"""What the benchmark compares: our backends, and inferno-ai where it is installed."""

from __future__ import annotations

import contextlib
import importlib.metadata
from types import ModuleType

from .. import neural, ops, testing

OTHER = "inferno-ai"


def other_version() -> str:
    """The version of inferno-ai; empty if it is not installed."""
    try:
        return importlib.metadata.version(OTHER)
    except importlib.metadata.PackageNotFoundError:
        return ""


def names(device: str) -> list[str]:
    """The subjects that can run on a device, the fastest first."""
    ours = [name for name in reversed(testing.backends()) if name == "torch" or runs_native(device)]
    return ours + ([OTHER] if other_version() else [])


def runs_native(device: str) -> bool:
    return ops.native_status.loaded and (device == "cpu" or ops.native_status.cuda)


def library(name: str) -> ModuleType:
    """The module with the classes of a subject."""
    if name != OTHER:
        return neural
    import inferno.neural

    return inferno.neural


def setting(name: str) -> contextlib.AbstractContextManager:
    """The backend that a subject runs under."""
    return contextlib.nullcontext() if name == OTHER else ops.backend(name)
