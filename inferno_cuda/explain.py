"""Says which backend runs each op of a module, and why not a faster one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn as nn

from . import ops
from .ops.backend import OPS

HEADER = ("module", "class", "op", "device", "backend", "why not faster")
# What these ops do where a graph is recorded; see the autograd Functions and the functional forms in `ops`.
_OF_THE_LIBRARY = "the library's own steps, in torch"
_WITH_GRADIENTS = {
    "neuron_step": "forward on the chosen backend, backward in torch",
    "history_push": "a copy of the history, in torch",
    "history_gather": "in torch",
    "trace_push": "a copy of the history, in torch",
    "synapse_step": "a copy of the history, in torch",
    "integrate_fire": _OF_THE_LIBRARY,
    "neuron_run": "both directions on the chosen backend",
}


class Row(NamedTuple):
    """One op of one submodule.

    Attributes:
        module: qualified name of the submodule; empty for the module itself.
        cls: name of its class.
        op: name of the op in `inferno_cuda.ops`.
        device: device of the submodule's tensors.
        backend: the backend that runs the op at present, "native" or "torch".
        reason: why it is not a faster one, and what gradients change; empty if there is nothing to say.
    """

    module: str
    cls: str
    op: str
    device: str
    backend: str
    reason: str


class Explanation:
    """The rows of :func:`~inferno_cuda.explain`; prints as a table."""

    def __init__(self, subject: str, rows: Sequence[Row]):
        self.subject = subject
        self.rows = tuple(rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]

    def __repr__(self) -> str:
        if not self.rows:
            return f"{self.subject} runs no ops of inferno_cuda"
        shown = [row._replace(module=row.module or "(itself)", reason=row.reason or "-") for row in self.rows]
        return table(HEADER, shown)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Text with left-aligned columns under a header."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    padded = ("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def _device(module: nn.Module) -> torch.device:
    for recurse in (False, True):
        for tensors in (module.parameters(recurse), module.buffers(recurse)):
            for tensor in tensors:
                return tensor.device
    return torch.get_default_device()


def _ops(module: nn.Module) -> list[str]:
    declared = getattr(module, "_ops", ())
    if not isinstance(declared, (tuple, list)):
        return []
    return [op for op in declared if op in OPS]


def _about_gradients(module: nn.Module, op: str, trains: bool) -> str:
    said = _OF_THE_LIBRARY if hasattr(module, "_accelerates") else _WITH_GRADIENTS.get(op)
    if not torch.is_grad_enabled() or said is None:
        return ""
    if any(parameter.requires_grad for parameter in module.parameters(recurse=False)):
        return f"gradients needed: {said}"
    return f"where its input needs gradients: {said}" if trains else ""


def _unfused(module: nn.Module) -> str:
    """The type of the synapse that keeps a delayed connection from its fused op."""
    if getattr(module, "_ops", None) == () and getattr(module, "delayedby", None):
        return type(module.synapse).__name__
    return ""


def _in_torch(module: nn.Module) -> str:
    """What the module has that no kernel takes."""
    return getattr(module, "_why_torch", str)()


def explain(module: nn.Module) -> Explanation:
    """Which backend runs the ops of a module and its submodules, at present and on their devices, and why.

    Args:
        module: any module; those of other packages run ops of ours once they are accelerated.

    Returns:
        One :class:`~inferno_cuda.explain.Row` per op, in the order of ``named_modules()``. Print it, or iterate.

    Raises:
        TypeError: not a module.

    Example:
        >>> import torch
        >>> import inferno_cuda
        >>> from inferno_cuda.neural import LIF
        >>> neurons = LIF(5, 1.0, rest_v=-65.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0, time_constant=20.0)
        >>> print(inferno_cuda.explain(torch.nn.ModuleDict({"cells": neurons})))
        module  class  op           device  backend  why not faster
        ------  -----  -----------  ------  -------  --------------
        cells   LIF    neuron_step  cpu     ...
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module was {type(module).__name__}; it must be a torch.nn.Module")
    trains = any(parameter.requires_grad for parameter in module.parameters())
    rows = []
    for name, child in module.named_modules():
        device = _device(child)
        for op in _ops(child):
            choice = ops.choose(op, device)
            if choice.backend == "native" and _in_torch(child):
                choice = choice._replace(backend="torch", reason=_in_torch(child))
            reasons = [text for text in (choice.reason, _about_gradients(child, op, trains)) if text]
            rows.append(Row(name, type(child).__name__, op, str(device), choice.backend, "; ".join(reasons)))
        synapse = _unfused(child)
        if synapse:
            why = f"{synapse} has no delayed_current() that fits its current_at(): looked up in parts"
            op = getattr(child, "_fused_op", "delayed_dense")
            rows.append(Row(name, type(child).__name__, op, str(device), "torch", why))
    return Explanation(type(module).__name__, rows)
