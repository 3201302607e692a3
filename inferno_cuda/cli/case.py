"""What a case of the benchmark is, and what cases share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import torch

DT = 1.0  # ms
MAX_DELAY = 20.0  # ms
FILLED = 25  # steps, more than a history of that length holds


class Output(NamedTuple):
    """A result that subjects must agree on: spikes exactly, voltages and currents up to rounding."""

    what: str
    value: torch.Tensor


class Subject(NamedTuple):
    """One implementation of a case, ready to run.

    Attributes:
        outputs: runs some steps and yields what they gave.
        call: what is timed.
    """

    outputs: Callable[[], Iterator[Output]]
    call: Callable[[], object]


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        name: for ``--cases``.
        what: for the table.
        build: makes it from a module with the classes, on a device.
        moved: bytes that one call must read and write at least, where memory is the limit; otherwise 0.
        needs_other: whether ours, too, is built with inferno-ai, so that there is no case without it.
        subjects: the names of those that run it, where they are not the usual ones.
        rounded: whether our backends, too, agree up to rounding alone.
    """

    name: str
    what: str
    build: Callable[[ModuleType, str], Subject]
    moved: int = 0
    needs_other: bool = False
    subjects: tuple[str, ...] = ()
    rounded: bool = False


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def times(shape, random: torch.Generator, on_grid: bool) -> torch.Tensor:
    """Times up to MAX_DELAY: multiples of a step, or at least a twentieth of one away from those.

    In between, within rounding of a multiple, inferno-ai may look up the next sample where we take the exact one.
    """
    drawn = MAX_DELAY / DT * torch.rand(shape, generator=random)
    return drawn.round() * DT if on_grid else (drawn.floor() + 0.05 + 0.9 * drawn.frac()) * DT


def spikes_into(synapse, shape, device: str) -> torch.Tensor:
    """Fills the history of a synapse, and returns input spikes for the next step."""
    spikes = (torch.rand(FILLED + 1, *shape, generator=seeded()) < 0.1).to(device)
    for step in spikes[:-1]:
        synapse(step)
    return spikes[-1]
