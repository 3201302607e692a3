"""Peak memory of a training pass, in a process of its own."""

from __future__ import annotations

import sys

from . import memory
from .training_case import Contender, TrainingCase


def measure(case: TrainingCase, contender: Contender, device: str) -> int | None:
    """Bytes by which memory rises at its highest in passes of a fresh process; None where it cannot be measured."""
    return memory.in_fresh_process(__name__, case.name, contender.name, device)


def extra(name: str, contender: str, device: str) -> int:
    """The same in this process, for one of the cases by its name."""
    from .cases_training import TRAINING

    case = next(case for case in TRAINING if case.name == name)
    found = next(one for one in case.contenders if one.name == contender)
    return memory.rise(found.build(case.timed, device), device)


if __name__ == "__main__":
    print(extra(*sys.argv[1:]))
