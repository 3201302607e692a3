"""What is gathered over time: copies of steps within a chunk, and chunks within a run."""

from __future__ import annotations

import torch


class Rows:
    """Values of single steps, to be stacked: copied one by one, or kept where a graph is to run through them.

    Args:
        count: number of values that will come.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[torch.Tensor] = []
        self._copied: torch.Tensor | None = None
        self.filled = 0

    def add(self, value: torch.Tensor) -> None:
        """Takes the next value.

        Raises:
            ValueError: if its shape is not that of the others.
        """
        graph = value.requires_grad and torch.is_grad_enabled()
        if graph and not self._kept and self._copied is not None:
            self._kept = list(self._copied[: self.filled].unbind())
        if graph or self._kept:
            self._kept.append(value if graph else value.clone())
        else:
            if self._copied is None:
                self._copied = torch.empty((self._count, *value.shape), dtype=value.dtype, device=value.device)
            if value.shape != self._copied.shape[1:]:
                raise ValueError(f"a step gave the shape {tuple(value.shape)} after {tuple(self._copied.shape[1:])}")
            self._copied[self.filled].copy_(value.detach())
        self.filled += 1

    def stack(self) -> torch.Tensor:
        """The values so far, the first dimension being that of steps."""
        return torch.stack(self._kept) if self._kept else self._copied[: self.filled]


class Store:
    """Chunks of one tensor over time.

    Args:
        total: size of the whole along time, None if it is not known.
        out: where to write; None: new memory.
    """

    def __init__(self, total: int | None, out: torch.Tensor | None = None) -> None:
        self._total = total
        self._given = out is not None
        self._out = out
        self._parts: list[torch.Tensor] = []
        self._filled = 0

    def add(self, part: torch.Tensor) -> None:
        """Takes the next steps."""
        if self._out is None and len(part) == self._total:
            self._parts = [part]
            return
        graph = part.requires_grad and torch.is_grad_enabled()
        if self._out is None and self._total is not None and not graph and not self._parts:
            self._out = torch.empty((self._total, *part.shape[1:]), dtype=part.dtype, device=part.device)
        elif self._out is not None and graph and not self._given:
            # the state has a graph from here on
            self._parts, self._out = [self._out[: self._filled]], None
        if self._out is None:
            self._parts.append(part)
        else:
            self._out[self._filled : self._filled + len(part)].copy_(part.detach())
        self._filled += len(part)

    def result(self) -> torch.Tensor | None:
        """Everything so far; None if that is nothing."""
        if self._out is not None:
            return self._out
        return torch.cat(self._parts) if len(self._parts) > 1 else next(iter(self._parts), None)
