"""What a case of the training benchmark is: the same forward and backward pass by us and by others."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import torch

from .case import Output, seeded

OURS = "ours"
DOUBLE, TIMED = torch.float64, torch.float32  # of comparisons, and of timings

Pass = Callable[[], list[Output]]


@dataclass(frozen=True)
class Contender:
    """Who runs a case.

    Attributes:
        name: of the library or the way.
        build: makes the pass of a dtype on a device; it can be called again and again.
        package: the module that it needs; empty if none.
        compared: whether its results must be ours. One that is not computes something else, as the case says.
        compiles: whether its first call compiles, which is timed apart.
    """

    name: str
    build: Callable[[torch.dtype, str], Pass]
    package: str = ""
    compared: bool = True
    compiles: bool = False

    @property
    def missing(self) -> bool:
        return bool(self.package) and importlib.util.find_spec(self.package) is None


@dataclass(frozen=True)
class TrainingCase:
    """A forward and backward pass.

    Attributes:
        name: for ``--cases``.
        what: for the table.
        note: what is computed, and under which settings that is the same for all.
        contenders: ours first.
        beside: the contender whose time is part of every other's, and of no interest; empty if there is none.
        memory: whether the peak memory of a pass is measured too.
        timed: the dtype of the timed passes.
        device: the only one that it is for; empty if all.
    """

    name: str
    what: str
    note: str
    contenders: tuple[Contender, ...]
    beside: str = ""
    memory: bool = False
    timed: torch.dtype = TIMED
    device: str = ""


def normal(shape: tuple[int, ...], dtype: torch.dtype, device: str, seed: int = 1) -> torch.Tensor:
    """The same numbers for every dtype and device, up to rounding."""
    return torch.randn(shape, generator=seeded().manual_seed(seed)).to(device, dtype)


def backward(outputs: torch.Tensor, arriving: torch.Tensor, wanted: dict[str, torch.Tensor]) -> list[Output]:
    """Runs the backward pass of outputs, and lists them with the gradients."""
    gradients = torch.autograd.grad(outputs, list(wanted.values()), arriving)
    found = [Output(f"gradient of {name}", gradient) for name, gradient in zip(wanted, gradients, strict=True)]
    return [Output("outputs", outputs.detach()), *found]
