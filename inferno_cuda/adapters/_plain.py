"""Which calls of another library's modules an op may take over."""

from __future__ import annotations

import importlib.metadata

import torch

from ..ops import choose
from ..ops.common import needs_graph

_EXACT = (torch.float32, torch.float64)  # half types are rounded after every operation by the other libraries


def is_plain(inputs: object) -> bool:
    """Whether inference on this tensor runs eagerly, on values, in a dtype in which our ops are exact.

    A compiler fuses the library's own steps, and a trace or an ONNX export has them as operations; gradients, and
    transforms of functions, need its own operations.
    """
    return (
        type(inputs) is torch.Tensor
        and inputs.dtype in _EXACT
        and inputs.ndim > 0
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and torch._C._functorch.peek_interpreter_stack() is None
        and not needs_graph(inputs)
    )


def no_kernel(device: torch.device | str) -> str | None:
    """Why nothing is gained on a device: the reference takes as many operations as the libraries."""
    choice = choose("integrate_fire", device)
    return None if choice.backend == "native" else f"no kernel runs integrate_fire: {choice.reason}"


def version_problem(library: str, known: str) -> str | None:
    """Why the formulas of a library may not be those that its adapter knows, from versions that begin so."""
    try:
        version = importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        version = "of an unknown version, since no package of that name is installed"
    return None if version.startswith(known) else f"{library} is {version}; its formulas are known for {known}x alone"
