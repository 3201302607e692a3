"""What is recorded in a run: names, where they lead to, how much of it is kept, and where it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn as nn

from .._coverage import Wanted
from ._select import Selection, select, selection
from ._store import Store

Out = torch.Tensor | np.ndarray


class Trace(NamedTuple):
    """One thing that is recorded."""

    name: str
    wanted: Wanted
    dims: int  # of the shape of its neurons
    which: Selection | None
    store: Store
    out: Out | None


def names_of(record: str | Iterable[str]) -> tuple[str, ...]:
    """The names that are asked for.

    Raises:
        TypeError: if one is no string.
        ValueError: if one is there twice.
    """
    names = (record,) if isinstance(record, str) else tuple(record)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"'record' has a {type(name).__name__}, it must be a name or several")
    if len(set(names)) != len(names):
        raise ValueError(f"'record' names something twice: {', '.join(names)}")
    return names


def find(module: nn.Module, name: str) -> Wanted:
    """The part of a module, and the attribute of that, which a name such as ``"hidden.voltage"`` is for.

    Raises:
        ValueError: if there is none.
    """
    found = _find(module, name.split("."))
    if found is None:
        groups = ", ".join(_group(module, "neurons_"))
        hint = f"; its neurons are: {groups}" if groups else ""
        raise ValueError(f"'record' has {name!r}, which {type(module).__name__} does not have{hint}")
    return found


def _group(module: nn.Module, name: str) -> Mapping[str, nn.Module]:
    group = module._modules.get(name)
    return group._modules if isinstance(group, nn.ModuleDict) else {}


def _find(module: nn.Module, path: list[str]) -> Wanted | None:
    head, *rest = path
    neurons = _group(module, "neurons_")
    if not rest:
        if head in getattr(type(module), "_recorded", ()) or isinstance(getattr(module, head, None), torch.Tensor):
            return Wanted(module, head)
        return _find(next(iter(neurons.values())), path) if len(neurons) == 1 else None
    inner = (neurons.get(head), _group(module, "connections_").get(head), getattr(module, head, None))
    found = (_find(child, rest) for child in inner if isinstance(child, nn.Module))
    return next((wanted for wanted in found if wanted is not None), None)


def _like(name: str, wanted: Wanted) -> tuple[tuple[int, ...], torch.dtype, torch.device]:
    """Shape of what is recorded in a step, with the batch; a dtype of its kind; and its device."""
    part, attribute = wanted
    state = next((t for t in (*part.parameters(), *part.buffers()) if t.numel()), torch.empty(0))
    if attribute in getattr(type(part), "_recorded", ()):
        shape = getattr(part, "batchedshape", None) or part.batched_outshape
        # of a current only the kind is known, which is what decides where it may be written
        return tuple(shape), torch.bool if attribute == "spike" else torch.float32, state.device
    value = getattr(part, attribute)
    if value.ndim == 0:
        raise ValueError(f"'record' has {name!r}, of shape (); it must have a batch dimension")
    return tuple(value.shape), value.dtype, value.device


def _for(name: str, argument: str, given: Any, names: tuple[str, ...]) -> Any:
    """What an argument, which may be a dictionary by name, has for a name."""
    if not isinstance(given, Mapping):
        return given
    for key in given:
        if key not in names:
            raise ValueError(f"'{argument}' has {key!r}, which is not in 'record': {', '.join(names) or 'empty'}")
    return given.get(name)


def _target(name: str, out: Any, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor | None:
    """``out`` as a tensor, checked."""
    if out is None:
        return None
    if isinstance(out, np.ndarray):
        if not out.flags.writeable:
            raise ValueError(f"'out' of {name} is read-only, open it with a mode that writes, such as 'r+'")
        target = torch.from_numpy(out)
    elif isinstance(out, torch.Tensor):
        target = out
    else:
        raise TypeError(f"'out' of {name} is a {type(out).__name__}, it must be a tensor or a numpy array")
    if tuple(target.shape) != shape:
        raise ValueError(f"'out' of {name} has the shape {tuple(target.shape)}, it must be {shape}")
    if _kind(dtype) > _kind(target.dtype):
        raise TypeError(f"'out' of {name} is {target.dtype}, which does not hold {dtype}")
    if target.requires_grad:
        raise ValueError(f"'out' of {name} requires a gradient, which a recording into it would not have")
    if _overlaps(target):
        raise ValueError(f"'out' of {name} has elements that share memory, such as an expanded tensor has")
    return target


def _kind(dtype: torch.dtype) -> int:
    """Kinds of numbers in the order in which each holds those before it; torch.can_cast is not for compiled code."""
    return 0 if dtype == torch.bool else 1 + dtype.is_floating_point + 2 * dtype.is_complex


def _overlaps(tensor: torch.Tensor) -> bool:
    """Whether elements of a tensor may be at the same place in memory."""
    reach = 0  # of the dimensions that are closer together
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride <= reach:
            return tensor.numel() > 0
        reach += (size - 1) * stride
    return False


def traces(
    module: nn.Module, names: tuple[str, ...], steps: int | None, every: int, neurons: Any, out: Any
) -> list[Trace]:
    """Everything that is to be recorded, checked.

    Raises:
        TypeError, ValueError: as ``run`` says.
    """
    if out is not None and not isinstance(out, Mapping) and len(names) != 1:
        raise TypeError(f"'out' is a {type(out).__name__}, it must be a dictionary where not one name is recorded")
    if out is not None and steps is None:
        raise ValueError("'steps' is None, it must be the number of steps where there is 'out' for an iterator")
    _for("", "neurons", neurons, names), _for("", "out", out, names)
    total = None if steps is None else -(-steps // every)
    found: list[Trace] = []
    for name in names:
        wanted = find(module, name)
        shape, dtype, device = _like(name, wanted)
        which = selection(name, _for(name, "neurons", neurons, names), shape[1:], device)
        like = select(torch.empty(shape, device="meta"), which.to("meta") if isinstance(which, torch.Tensor) else which,
                      len(shape) - 1)  # fmt: skip
        mine = _for(name, "out", out, names)
        target = _target(name, mine, (total or 0, *like.shape), dtype)
        for other in found:
            if mine is not None and mine is other.out:
                raise ValueError(f"'out' of {name} is where {other.name} is recorded, each must have its own")
        found.append(Trace(name, wanted, len(shape) - 1, which, Store(total, target), mine))
    return found


def keep(recording: Iterable[Trace], values: Mapping[Wanted, torch.Tensor], steps: slice) -> None:
    """Stores what a chunk has given, of which ``steps`` are recorded."""
    for trace in recording:
        if trace.wanted not in values:  # no step of a chunk that was run step by step
            continue
        whole = values[trace.wanted]
        part = select(whole[steps], trace.which, trace.dims)
        if len(part):
            # a view would keep the memory of the whole
            trace.store.add(part.clone() if part.numel() < whole.numel() else part)


def results(recording: Iterable[Trace]) -> Iterator[tuple[str, Out | None]]:
    """Names and what was recorded: ``out`` itself where it was given."""
    for trace in recording:
        yield trace.name, trace.store.result() if trace.out is None else trace.out


def flush(recording: Iterable[Trace]) -> None:
    """Writes what memory-mapped files have got to the disk."""
    for trace in recording:
        if isinstance(trace.out, np.memmap):
            trace.out.flush()
