"""Peak memory that steps of a case need beyond what is held between steps; run in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from . import subjects
from .case import Case
from .cases import CASES

STEPS = 3  # the first one includes what is computed from the delays and kept


def _resident(field: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field} in /proc/self/status")


def extra(case: Case, subject: str, device: str) -> int:
    """Bytes by which memory rises, at its highest, over that before the first step.

    Raises:
        OSError: the high-water mark of a process cannot be reset here (it takes Linux).
    """
    with subjects.setting(subject):
        return rise(case.build(subjects.library(subject), device).call, device)


def rise(call: Callable[[], object], device: str) -> int:
    """Bytes by which memory rises during calls, at its highest. Errors as :func:`extra`."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident("VmRSS")
    for _ in range(STEPS):
        call()
    after = torch.cuda.max_memory_allocated() if device == "cuda" else _resident("VmHWM")
    return max(after - before, 0)


def measure(case: Case, subject: str, device: str) -> int | None:
    """:func:`extra` of a fresh process; None where it cannot be measured."""
    return in_fresh_process(__name__, case.name, subject, device)


def in_fresh_process(module: str, *arguments: str) -> int | None:
    """The number that a module prints as the main one of a process; None if it fails."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    return int(done.stdout) if done.returncode == 0 else None


if __name__ == "__main__":
    wanted, subject, device = sys.argv[1:]
    print(extra(next(case for case in CASES if case.name == wanted), subject, device))
