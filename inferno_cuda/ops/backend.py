"""The one place that decides whether an op runs on our kernels or on the pure-torch reference."""

from __future__ import annotations

import functools
import os
import re
from typing import NamedTuple

import torch

from .native import status

MODES = ("auto", "native", "torch")
OPS = (
    "neuron_step",
    "neuron_run",
    "synapse_step",
    "synapse_run",
    "integrate_fire",
    "history_push",
    "history_gather",
    "delay_plan",
    "delayed_dense",
    "delayed_direct",
    "delayed_conv2d",
    "delayed_dense_run",
    "delayed_direct_run",
    "delayed_conv2d_run",
    "delayed_sparse",
    "delayed_sparse_run",
    "sparse_sum",
    "layer_run",
    "trace_push",
    "correlate_dense",
    "correlate_direct",
    "correlate_conv2d",
    "apply_updates",
    "spike_time_pairs_dense",
    "spike_time_pairs_direct",
    "spike_time_pairs_conv2d",
    "eligibility_step",
    "eligibility_sum",
    "rows",
    "simulate",
    "connect",
    "draw",
)


class Choice(NamedTuple):
    """Which backend runs an op, and why not a faster one."""

    op: str
    device: str
    backend: str
    reason: str


def _check_mode(name: object, source: str) -> str:
    if name not in MODES:
        raise ValueError(f"{source} was {name!r}; it must be one of {', '.join(map(repr, MODES))}")
    return name


_mode = "auto"
_native_cpu = False
_native_cuda = False


def _set(name: str) -> None:
    global _mode, _native_cpu, _native_cuda
    _mode = name
    _native_cpu = status.loaded and name != "torch"
    _native_cuda = _native_cpu and status.cuda


@functools.cache
def _cuda_problem(index: int) -> str:
    """Why the compiled CUDA kernels do not run on a GPU; empty if they do. Asked once a device."""
    if not status.cuda:
        return "the compiled library has no CUDA kernels (built without a CUDA toolkit)"
    driver, toolkit = torch._C._cuda_getDriverVersion() // 1000, int(status.toolkit.split(".")[0])
    if driver < toolkit:
        return f"the kernels were built with CUDA {status.toolkit}, the driver supports CUDA {driver} only"
    capability = torch.cuda.get_device_capability(index)
    for arch in re.split(r"[; ]+", status.archs):
        built = tuple(map(int, re.match(r"(\d+)\.(\d+)", arch).groups()))
        same_family = capability[0] == built[0] and capability[1] >= built[1]
        if same_family or (arch.endswith("+PTX") and capability >= built):
            return ""
    return f"the kernels were built for {status.archs}, the GPU has compute capability {capability[0]}.{capability[1]}"


class backend:
    """Sets the backend of all ops in this process: ``"auto"``, ``"native"`` or ``"torch"``.

    ``auto`` takes our kernels where there are some for the device and the reference elsewhere; ``native`` raises
    instead of taking the reference; ``torch`` always takes the reference. The setting takes effect at once; used as a
    context manager, the previous one comes back at the end. In every mode, backward passes of neurons'
    steps, the functional ``history_push`` and gathers that need a gradient are pure torch: there are no kernels for
    them.

    Raises:
        ValueError: for any other name.
        RuntimeError: for ``"native"`` when there is no compiled library to run.

    Example:
        >>> import inferno_cuda
        >>> with inferno_cuda.backend("torch"):
        ...     inferno_cuda.active_mode()
        'torch'
    """

    def __init__(self, name: str):
        _check_mode(name, "backend")
        if name == "native" and not status.loaded:
            raise RuntimeError(f"backend 'native' is not available: {status.problem}")
        self.name = name
        self._previous = _mode
        _set(name)

    def __enter__(self) -> backend:
        if _mode != self.name:
            self._previous = _mode
            _set(self.name)
        return self

    def __exit__(self, *exception) -> None:
        _set(self._previous)

    def __repr__(self) -> str:
        return f"backend({self.name!r})"


def active_mode() -> str:
    """The mode that was set last: ``"auto"``, ``"native"`` or ``"torch"``."""
    return _mode


def choose(op: str, device: torch.device | str) -> Choice:
    """Which backend runs `op` for tensors on `device` at present, and the reason where it is not the fastest."""
    device = torch.device(device)
    kind = device.type
    if op not in OPS:
        raise ValueError(f"op was {op!r}; it must be one of {', '.join(map(repr, OPS))}")
    if _mode == "torch":
        return Choice(op, kind, "torch", "backend is set to 'torch'")
    if not status.loaded:
        return Choice(op, kind, "torch", status.problem)
    if kind == "cpu":
        return Choice(op, kind, "native", "")
    if kind == "cuda":
        problem = _cuda_problem(device.index or 0) if torch.cuda.is_available() else "torch finds no GPU"
        return Choice(op, kind, "torch" if problem else "native", problem)
    return Choice(op, kind, "torch", f"there are no kernels for device type {kind!r}")


def native_on_cpu() -> bool:
    """Whether our kernels run for tensors on the CPU."""
    return _native_cpu


def transformed() -> bool:
    """Whether torch.func is at work (vmap, grad, ...), which the reference goes through and kernels do not."""
    return not torch.compiler.is_compiling() and torch._C._functorch.maybe_current_level() is not None


def runs_native(tensor: torch.Tensor, op: str) -> bool:
    """Whether our kernel runs; decided again on every call."""
    if transformed():
        if _mode == "native":
            raise RuntimeError(f"{op}: backend is set to 'native', but torch.func transforms run in torch")
        return False
    if tensor.is_cpu:
        return _native_cpu
    if tensor.is_cuda and _native_cuda and not _cuda_problem(tensor.device.index):
        return True
    if _mode == "native":
        raise RuntimeError(f"{op}: backend is set to 'native', but {choose(op, tensor.device).reason}")
    return False


_default = _check_mode(os.environ.get("INFERNO_CUDA_BACKEND", "auto"), "INFERNO_CUDA_BACKEND")
if _default == "native" and not status.loaded:
    raise RuntimeError(f"INFERNO_CUDA_BACKEND is 'native', which is not available: {status.problem}")
_set(_default)
