"""What the benchmark compares: our backends, and other libraries where they are installed."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
from types import ModuleType

from .. import neural, ops, testing

OTHER = "inferno-ai"
OURS = ("native", "torch")


def other_version(name: str = OTHER) -> str:
    """The version of another library; empty if it is not installed."""
    try:
        return importlib.metadata.version(name)
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
    return neural if name in OURS else importlib.import_module("inferno.neural" if name == OTHER else name)


def setting(name: str) -> contextlib.AbstractContextManager:
    """The backend that a subject runs under."""
    return ops.backend(name) if name in OURS else contextlib.nullcontext()
