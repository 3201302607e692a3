"""Prints what is installed and which backend runs each op, to be pasted into a bug report."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform

import numpy
import torch

from .. import ops
from ..explain import table
from ..ops.backend import OPS
from . import common

SUMMARY = "versions, the compiled library, devices, and the backend of each op"
# The build of the compiled library, its choice at run time, the number of threads, and the GPUs in sight.
VARIABLES = (
    "INFERNO_CUDA_BACKEND",
    "INFERNO_CUDA",
    "INFERNO_PURE",
    "TORCH_CUDA_ARCH_LIST",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_PROC_BIND",
    "KMP_AFFINITY",
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
)
_RELATED = ("inferno-ai", "snntorch", "spikingjelly", "safetensors", "scikit-learn", "matplotlib", "mlxtend")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _library() -> str:
    status = ops.native_status
    if not status.loaded:
        return f"not in use: {status.problem}"
    return f"loaded, fits torch {torch.__version__}"


def _cuda_kernels() -> str:
    status = ops.native_status
    if not status.cuda:
        return "none"
    return f"for {status.archs.replace(';', ', ')}, built with CUDA {status.toolkit}"


def _gpu() -> str:
    if torch.cuda.is_available():
        return common.gpu_name()
    if torch.version.cuda is None:
        return f"none in use: this torch ({torch.__version__}) is built without CUDA"
    return "none that torch can use"


def facts() -> list[tuple[str, str]]:
    """What describes this installation and machine, as (name, value)."""
    machine = common.machine()
    return [
        ("inferno_cuda", str(machine["inferno_cuda"])),
        ("compiled library", _library()),
        ("CUDA kernels", _cuda_kernels()),
        ("backend setting", ops.active_mode()),
        ("torch", f"{torch.__version__} (CUDA {torch.version.cuda or 'no'})"),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("numpy", numpy.__version__),
        *((package, _version(package)) for package in _RELATED),
        ("OS", platform.platform()),
        ("CPU", f"{machine['cpu']}, {machine['cores']} cores, {torch.backends.cpu.get_cpu_capability()}"),
        ("threads", f"{machine['threads']} (torch)"),
        ("GPU", _gpu()),
    ]


def backends() -> list[list[str]]:
    """What runs each op on each device type, as op, device, backend and reason."""
    idle = "" if torch.cuda.is_available() else "there is no GPU in use here"
    choices = [ops.choose(op, device) for device in ("cpu", "cuda") for op in OPS]
    return [[*choice[:3], choice.reason or (idle if choice.device == "cuda" else "") or "-"] for choice in choices]


def run(arguments: argparse.Namespace) -> int:
    lines = facts()
    width = max(len(name) for name, _ in lines)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in lines))
    print("\nenvironment")
    given = [f"  {name}={os.environ[name]}" for name in VARIABLES if name in os.environ]
    print("\n".join(given) or f"  none of {', '.join(VARIABLES)} is set")
    print()
    print(table(("op", "device", "backend", "why not faster"), backends()))
    return 0
