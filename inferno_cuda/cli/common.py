"""What several commands share: their arguments, their failures, the description of the machine."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

import torch

from .. import __version__


class Failure(Exception):
    """Ends a command with exit status 1 and one line."""


def positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def add_device(parser: argparse.ArgumentParser, default: str | None, help: str) -> None:
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default, help=help)


def require_device(name: str) -> str:
    """`name`, if torch can use such a device.

    Raises:
        Failure: it cannot.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise Failure(f"no CUDA device that torch {torch.__version__} can use; leave out --device cuda")
    return name


def make_folder(path: Path) -> None:
    """Makes a folder for results, before the work that they take.

    Raises:
        Failure: it cannot be made, or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"the folder {path} for results cannot be made: {error.strerror}") from error
    if not os.access(path, os.W_OK):
        raise Failure(f"the folder {path} for results cannot be written to")


def devices(name: str | None) -> list[str]:
    """The device asked for, or all there are."""
    if name is not None:
        return [require_device(name)]
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpu_name() -> str:
    """Name, architecture and memory of the current GPU; empty without one."""
    if not torch.cuda.is_available():
        return ""
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    memory = properties.total_memory / 2**30
    return f"{properties.name} (sm_{properties.major}{properties.minor}, {memory:.0f} GiB)"


def machine() -> dict[str, str | int]:
    """What a measurement depends on."""
    return {
        "inferno_cuda": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu": cpu_name(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "gpu": gpu_name(),
    }
