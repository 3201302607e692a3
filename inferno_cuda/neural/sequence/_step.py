"""Sequences step by step, for what has no other way: any module, watched or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn as nn

from .._coverage import Advanced, Chunk, Wanted
from ._store import Rows
from ._structure import Build, flatten


class _Probes:
    """Reads what is to be recorded after every step. Within a context, hooks see inputs and outputs of parts."""

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        self._wanted = tuple(wanted)
        self._seen: dict[Wanted, Any] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> _Probes:
        for one in self._wanted:
            where = getattr(type(one.part), "_recorded", {}).get(one.attribute)
            if where == "input":
                self._handles.append(one.part.register_forward_pre_hook(self._seeing(one)))
            elif where == "output":
                self._handles.append(one.part.register_forward_hook(self._seeing(one)))
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _seeing(self, one: Wanted) -> Callable[..., None]:
        def see(module: nn.Module, arguments: tuple[Any, ...], *output: Any) -> None:
            self._seen[one] = output[0] if output else arguments[0]

        return see

    def values(self) -> dict[Wanted, torch.Tensor]:
        """The present values.

        Raises:
            RuntimeError: if a part was not called in the step, or something has no value now.
        """
        found = {}
        for one in self._wanted:
            hooked = one.attribute in getattr(type(one.part), "_recorded", ())
            value = self._seen.get(one) if hooked else getattr(one.part, one.attribute)
            if not isinstance(value, torch.Tensor):
                name = f"{type(one.part).__name__}.{one.attribute}"
                raise RuntimeError(f"{name} is to be recorded, but after this step it is {value!r} and no tensor")
            found[one] = value != 0 if one.attribute == "spike" and hooked else value
        return found


def _whole(value: torch.Tensor, one: Wanted) -> torch.Tensor:
    """Inputs of neurons may be those of one for all."""
    if getattr(type(one.part), "_recorded", {}).get(one.attribute) == "input":
        return value.expand(one.part.batchedshape)
    return value


class _Outputs:
    """What every step returned, leaf by leaf."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._rows: list[Rows] = []
        self._build: Build | None = None

    def add(self, value: Any) -> None:
        leaves, build = flatten(value)
        for leaf in leaves:
            if not isinstance(leaf, torch.Tensor):
                raise TypeError(f"a step returned a {type(leaf).__name__}, which is not stacked; see 'outputs=False'")
        if self._build is None:
            self._rows, self._build = [Rows(self._steps) for _ in leaves], build
        for row, leaf in zip(self._rows, leaves, strict=True):
            row.add(leaf)

    def stack(self) -> Any:
        return None if self._build is None else self._build([row.stack() for row in self._rows])


def _each_step(chunk: Chunk) -> Iterable[tuple[Any, ...]]:
    leaves, build = flatten(chunk.arguments)
    # the gradient of unbind is one stack, that of as many selections as many tensors of the size of all steps
    parts = [x.unbind() if isinstance(x, torch.Tensor) else (x,) * chunk.steps for x in leaves]
    return (build(list(step)) for step in zip(*parts, strict=True))


def step_through(
    module: nn.Module,
    chunk: Chunk,
    kwargs: Mapping[str, Any],
    wanted: Iterable[Wanted] = (),
    *,
    first: int = 0,
    every: int = 1,
    outputs: bool = True,
    proceeds: Callable[[], bool] = lambda: True,
) -> Advanced:
    """Calls a module once for each step.

    Args:
        module: what is called.
        chunk: its positional arguments.
        kwargs: its keyword arguments, the same in every step.
        wanted: what is read after steps whose number is a multiple of ``every``.
        first: number of the first step.
        every: see ``wanted``.
        outputs: whether what the module returns is kept.
        proceeds: called after each step; the steps end where it says no.
    """
    kept = _Outputs(chunk.steps)
    rows = {one: Rows(-(-chunk.steps // every) + 1) for one in wanted}
    with _Probes(rows) as probes:
        for number, arguments in enumerate(_each_step(chunk), first):
            returned = module(*arguments, **kwargs)
            if outputs:
                kept.add(returned)
            if rows and number % every == 0:
                for one, value in probes.values().items():
                    rows[one].add(_whole(value, one))
            if not proceeds():
                break
    return Advanced(kept.stack(), {one: values.stack() for one, values in rows.items() if values.filled})
