"""Whether what a program has imported is the library, in the version, that the adapters are for."""

from __future__ import annotations

import functools
import sys
from importlib import metadata
from types import ModuleType

VERSIONS = {"inferno": ("inferno-ai", "0.0.5")}
"""Distribution and version of the libraries whose private names the adapters rely on."""


def loaded(library: str) -> bool:
    """Whether the program has imported a library: a model of no other can exist."""
    package = sys.modules.get(library)
    if getattr(package, "__name__", None) != library:
        return False
    return library != "inferno" or _is_inferno_ai(package)


def _is_inferno_ai(package: ModuleType) -> bool:
    """Other packages have this name as well."""
    base = getattr(package, "Module", None)
    neuron = getattr(sys.modules.get("inferno.neural"), "LIF", None)
    return isinstance(base, type) and isinstance(neuron, type) and issubclass(neuron, base)


@functools.cache
def installed(distribution: str) -> str | None:
    """The version of a distribution; None if there is none, where a program has a copy of the library of its own."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def version_problem(library: str) -> str | None:
    """Why the adapters do not fit the version that is installed."""
    if library not in VERSIONS:
        return None
    distribution, known = VERSIONS[library]
    version = installed(distribution)
    # a local label, as in 0.0.5+cu128, is of the same source
    if version is None or version.partition("+")[0] == known:
        return None
    return f"{distribution} {version} is installed, the adapters are for {known}"
