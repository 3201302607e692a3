"""When the parts of a layer may each take a whole sequence, one part after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn as nn

from .._coverage import Advanced, Chunk, Wanted, separate, watched
from ..sequence import advance


class Members:
    """The parts of a layer that run one after the other, and what is recorded of each."""

    def __init__(self, chunk: Chunk, wanted: tuple[Wanted, ...]) -> None:
        self._steps = chunk.steps
        self._wanted = wanted
        self.recorded: dict[Wanted, torch.Tensor] = {}

    def through(self, part: nn.Module, inputs: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> torch.Tensor:
        """Runs a part through all steps."""
        made: Advanced = advance.through(
            part, Chunk(inputs, self._steps), kwargs or {}, advance.parts_of(self._wanted, part)
        )
        self.recorded.update(made.recorded)
        return made.outputs


def run_apart(layer: nn.Module, parts: Iterable[nn.Module], wanted: tuple[Wanted, ...]) -> bool:
    """Whether the parts of a layer can run one after the other: nothing watches, and each has its own sequences."""
    parts = list(parts)
    if any(map(watched, layer.modules())) or not separate(parts):
        return False
    inside = sum(len(advance.parts_of(wanted, part)) for part in parts)
    return inside == len(wanted) and all(map(advance.runs_apart, parts))
