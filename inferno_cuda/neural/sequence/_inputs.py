"""Where the inputs of a run come from, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch

from .._coverage import Chunk
from ._structure import at, flatten

_TRIED = 64  # steps that a function is asked for first, to see how large they are


class Source(NamedTuple):
    """All inputs: how many steps they are, if that is known; whether they are whole in memory; and their chunks.

    Chunks have as many steps as they are asked for; a function is also asked for no more bytes than a second number,
    if there is one.
    """

    steps: int | None
    whole: bool
    step_bytes: int
    chunks: Callable[[int | None, int | None], Iterator[Chunk]]


def _arguments(inputs: Any) -> tuple[Any, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)


def _steps(inputs: Any) -> int:
    """How many steps there are.

    Raises:
        TypeError: if something is neither a tensor nor a number, or is a list.
        ValueError: if tensors have different numbers of steps, or there is no tensor with steps.
    """
    if isinstance(inputs, list):
        raise TypeError(
            "'inputs' is a list, it must be a tensor with the steps in front, which torch.stack makes of a list of "
            "steps; or a tuple, if 'forward' takes several"
        )
    counts = set()
    for leaf in flatten(inputs)[0]:
        if not isinstance(leaf, torch.Tensor | int | float):
            raise TypeError(f"'inputs' has a {type(leaf).__name__}, there must be tensors, with the steps in front")
        if isinstance(leaf, torch.Tensor):
            if leaf.ndim == 0:
                raise ValueError("'inputs' has a tensor of shape (), it must have the steps in front: (T, B, *shape)")
            counts.add(leaf.shape[0])
    if len(counts) != 1:
        seen = "no tensor" if not counts else f"tensors of {', '.join(map(str, sorted(counts)))} steps"
        raise ValueError(f"'inputs' has {seen}, there must be one number of steps, the first size of every tensor")
    return counts.pop()


def _step_bytes(inputs: Any) -> int:
    tensors = [leaf for leaf in flatten(inputs)[0] if isinstance(leaf, torch.Tensor)]
    return sum(x[:1].numel() * max(4, x.element_size()) for x in tensors)


def _split(inputs: Any, steps: int, chunk: int | None) -> Iterator[Chunk]:
    arguments, chunk = _arguments(inputs), chunk or max(1, steps)
    for first in range(0, steps, chunk):
        last = min(first + chunk, steps)
        part = arguments if last - first == steps else at(arguments, slice(first, last))
        yield Chunk(part, last - first)


def _of_iterator(inputs: Iterator[Any], steps: int | None, chunk: int | None) -> Iterator[Chunk]:
    left = steps
    while left is None or left > 0:
        part = next(inputs, None)
        if part is None:
            if left is not None:
                raise ValueError(f"'inputs' ended {left} steps before the {steps} of 'steps'")
            return
        count = _steps(part)
        if left is not None:
            part, count = (part, count) if count <= left else (at(part, slice(left)), left)
            left -= count
        yield from _split(part, count, chunk)


def _of_function(
    inputs: Callable[[int, int], Any], steps: int, chunk: int, most_bytes: int | None
) -> Iterator[Chunk]:
    last, size = 0, chunk if most_bytes is None else min(chunk, _TRIED)
    while last < steps:
        first, last = last, min(last + size, steps)
        part = inputs(first, last)
        if _steps(part) != last - first:
            raise ValueError(f"'inputs({first}, {last})' gave {_steps(part)} steps, they must be {last - first}")
        yield Chunk(_arguments(part), last - first)
        if most_bytes is not None:
            size = max(1, min(chunk, most_bytes // max(1, _step_bytes(part))))


def source(inputs: Any, steps: int | None) -> Source:
    """What ``run`` was given as inputs, see there.

    Raises:
        TypeError: if it is none of those.
        ValueError: if there are no steps, their numbers differ, or a function comes without their number.
    """
    if isinstance(inputs, torch.Tensor | tuple | list | Mapping):
        count = _steps(inputs)
        if steps not in (None, count):
            raise ValueError(f"'steps' is {steps}, 'inputs' has {count} steps")
        if count == 0:
            raise ValueError("'inputs' has 0 steps, it must have one at least")
        tensors = [leaf for leaf in flatten(inputs)[0] if isinstance(leaf, torch.Tensor)]
        whole = all(x.stride(0) != 0 or count == 1 or not x.numel() for x in tensors)
        return Source(count, whole, _step_bytes(inputs), lambda chunk, _: _split(inputs, count, chunk))
    if isinstance(inputs, Iterator):
        return Source(steps, False, 0, lambda chunk, _: _of_iterator(inputs, steps, chunk))
    if callable(inputs):
        if steps is None:
            raise ValueError("'steps' is None, a function for 'inputs' needs the number of steps")
        return Source(steps, False, 0, lambda chunk, most: _of_function(inputs, steps, chunk, most))
    raise TypeError(
        f"'inputs' is a {type(inputs).__name__}, it must be a tensor, a tuple or dictionary of them, an iterator of "
        "such chunks, or a function that makes them"
    )
