"""Runs two versions of a model side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ._copy import copy_of
from ._report import Verification
from ._swap import CACHE

Call = tuple[tuple, dict[str, Any]]


def steps_of(verify: Any) -> list[Call]:
    """The calls that ``verify`` stands for, as positional and keyword arguments.

    Raises:
        TypeError: if one is neither a tensor nor a tuple or dict.
        ValueError: if there is none.
    """
    steps = [_call(step) for step in (verify if isinstance(verify, list) else [verify])]
    if not steps:
        raise ValueError("'verify' is an empty list, it must hold the inputs of at least one step")
    return steps


def _call(step: Any) -> Call:
    if isinstance(step, tuple):
        return step, {}
    if isinstance(step, dict):
        return (), step
    if not isinstance(step, torch.Tensor):
        raise TypeError(
            f"'verify' has a {type(step).__name__}, it must be a tensor, a tuple of positional arguments, a dict of "
            "keyword arguments, or a list of these"
        )
    return (step,), {}


def compare(library: nn.Module, ours: nn.Module, steps: Sequence[Call]) -> Verification:
    """The differences of two models that begin with the same state, over some steps without gradients.

    Where gradients are asked for, the library's own code may run, and there would be nothing to compare.
    Both draw the same random numbers from torch's generators, which are put back in the end. Each gets copies of the
    inputs, since a model may write to them.

    Raises:
        TypeError, pickle.PicklingError: if an input cannot be copied.
        ValueError: if the models return no tensors.
    """
    outputs, states = _Difference(), _Difference()
    with torch.random.fork_rng(_devices(library)), torch.no_grad():
        for step in steps:
            start = _generators(library)
            expected = _run(library, step)
            after = _generators(library)
            _set_generators(start)
            actual = _run(ours, step)
            _set_generators(after)
            if not any(isinstance(value, torch.Tensor) for value in _flat(expected).values()):
                raise ValueError(f"'verify' led to an output of type {type(expected).__name__}, which holds no tensors")
            outputs.add(_flat(expected), _flat(actual))
            # a spike stays in the state for some steps: those that differ in the end are counted, and none twice
            states.mismatches = 0
            states.add(_state(library), _state(ours))
    return Verification(len(steps), outputs.largest, states.largest, outputs.mismatches + states.mismatches)


def _run(model: nn.Module, step: Call) -> Any:
    arguments, keywords = copy_of(step)
    return model(*arguments, **keywords)


def _devices(model: nn.Module) -> list[int]:
    """Numbers of the GPUs that a model lies on."""
    tensors = [*model.parameters(), *model.buffers()]
    return sorted({tensor.device.index for tensor in tensors if tensor.is_cuda})


def _generators(model: nn.Module) -> dict[int | None, torch.Tensor]:
    """The states of torch's random generators; that of the CPU has no number."""
    return {None: torch.get_rng_state()} | {device: torch.cuda.get_rng_state(device) for device in _devices(model)}


def _set_generators(states: Mapping[int | None, torch.Tensor]) -> None:
    for device, state in states.items():
        torch.set_rng_state(state) if device is None else torch.cuda.set_rng_state(state, device)


def _flat(x: Any, path: str = "") -> dict[str, torch.Tensor | float]:
    """The tensors and numbers in dicts and sequences, by where they are."""
    if isinstance(x, torch.Tensor | int | float):
        return {path: x}
    if isinstance(x, Mapping):
        items = x.items()
    elif isinstance(x, list | tuple):
        items = enumerate(x)
    else:
        return {}
    return {key: value for name, part in items for key, value in _flat(part, f"{path}.{name}").items()}


def _state(model: nn.Module) -> dict[str, torch.Tensor | float]:
    """Parameters, buffers, and what else the modules keep, the same objects once."""
    found = {}
    for fqn, module in model.named_modules():
        own = {name: value for name, value in vars(module).items() if not name.startswith(CACHE)}
        found.update(_flat(own, fqn))
    return found


class _Difference:
    """The largest difference seen so far, and the number of spikes that differed."""

    def __init__(self) -> None:
        self.largest = 0.0
        self.mismatches = 0

    def add(self, expected: dict[str, torch.Tensor | float], actual: dict[str, torch.Tensor | float]) -> None:
        if expected.keys() != actual.keys():
            self.largest = float("inf")
        for key in expected.keys() & actual.keys():
            self._add(torch.as_tensor(expected[key]).detach(), torch.as_tensor(actual[key]).detach())

    def _add(self, expected: torch.Tensor, actual: torch.Tensor) -> None:
        if expected.shape != actual.shape or expected.dtype != actual.dtype:
            self.largest = float("inf")
            return
        if _spikes(expected) and _spikes(actual):
            self.mismatches += int((expected != actual).sum())
        if expected.dtype != torch.bool and expected.numel():
            same = (expected == actual) | (expected.isnan() & actual.isnan())
            apart = torch.where(same, 0.0, (expected.double() - actual.double()).abs())
            self.largest = max(self.largest, float(apart.nan_to_num(nan=float("inf"), posinf=float("inf")).max()))


def _spikes(x: torch.Tensor) -> bool:
    return x.dtype == torch.bool or bool(x.numel() and ((x == 0) | (x == 1)).all())
