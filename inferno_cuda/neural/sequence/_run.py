"""Whole sequences of inputs through any module."""

from __future__ import annotations

import contextlib
import difflib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
import torch.nn as nn
from tqdm import tqdm

from ...state import _check
from ...state._replay import unmoved_on_failure
from ...state._ring import capturing
from .._coverage import Advanced, Chunk
from ._inputs import Source, source
from ._interrupt import Interrupt
from ._record import Trace, flush, keep, names_of, results, traces
from ._step import step_through
from ._store import Store
from ._structure import Build, flatten
from .advance import at_once

Inputs = (
    torch.Tensor
    | tuple[torch.Tensor | float, ...]
    | Mapping[str, tuple[torch.Tensor, ...]]
    | Iterator[Any]
    | Callable[[int, int], Any]
)
_BUDGET = 1 << 26  # bytes of a chunk, where not everything is kept anyway
_SHOWN = 50  # chunks at least where progress is shown


class _Outputs:
    """What all chunks returned."""

    def __init__(self, steps: int | None) -> None:
        self._steps = steps
        self._stores: list[Store] = []
        self._build: Build | None = None

    def add(self, value: Any) -> None:
        leaves, build = flatten(value)
        if self._build is None:
            self._stores, self._build = [Store(self._steps) for _ in leaves], build
        for store, leaf in zip(self._stores, leaves, strict=True):
            store.add(leaf)

    def result(self) -> Any:
        return None if self._build is None else self._build([store.result() for store in self._stores])


class _Loop:
    """One run: takes chunks one after the other, and knows how far it is.

    Args:
        module: what runs.
        kwargs: keyword arguments of every step.
        recording: what is recorded.
        every: after which steps.
        outputs: where outputs go; None drops them.
    """

    def __init__(
        self,
        module: nn.Module,
        kwargs: Mapping[str, Any],
        recording: list[Trace],
        every: int,
        outputs: _Outputs | None,
    ) -> None:
        self._module = module
        self._kwargs = kwargs
        self._recording = recording
        self._wanted = tuple(dict.fromkeys(trace.wanted for trace in recording))
        self._every = every
        self._outputs = outputs
        self.done = 0
        self.within = False  # a step

    def take(self, chunk: Chunk, interrupt: Interrupt) -> None:
        """Runs a chunk; if it runs step by step, up to an interruption."""
        first = self.done
        with self._guard():
            made = at_once(self._module, chunk, self._kwargs, self._wanted)
        if made is None:
            self.within = True
            made = self._step(chunk, interrupt)
            self.within = False
            kept = slice(None)
        else:
            self.done += chunk.steps
            kept = slice(-first % self._every, None, self._every)
        keep(self._recording, made.recorded, kept)
        if self._outputs is not None:
            self._outputs.add(made.outputs)

    def _guard(self) -> contextlib.AbstractContextManager:
        """Puts the state back where a part fails after others have run."""
        alone = getattr(type(self._module), "_all_or_nothing", False)
        if alone or torch.compiler.is_compiling() or any(map(capturing, self._module.buffers())):
            return contextlib.nullcontext()  # a CUDA graph would copy the state in every replay
        return unmoved_on_failure(self._module)

    def _step(self, chunk: Chunk, interrupt: Interrupt) -> Advanced:
        def proceeds() -> bool:
            self.done += 1
            return not interrupt.came

        return step_through(
            self._module,
            chunk,
            self._kwargs,
            self._wanted,
            first=self.done,
            every=self._every,
            outputs=self._outputs is not None,
            proceeds=proceeds,
        )

    def explain(self, error: BaseException, steps: int | None) -> None:
        """Says on an exception how far the run got."""
        error.steps_done = self.done
        total = "" if steps is None else f" of {steps}"
        where = "the step after them failed" if self.within else "the state is that after them"
        error.add_note(f"run: {self.done}{total} steps are done, {where}")


def _chunk_size(module: nn.Module, given: Source, recording: list[Trace], bounded: bool, progress: bool) -> int | None:
    """Steps of a chunk; None for all that come at once."""
    size = given.steps
    if size is None or torch.compiler.is_compiling():  # a graph has every chunk in it
        return size
    if bounded or not given.whole:
        groups = {id(m): m for m in module.modules() if isinstance(getattr(m, "batchedshape", None), tuple)}
        state = sum(4 * torch.Size(m.batchedshape).numel() for m in groups.values())
        size = max(1, _BUDGET // max(1, given.step_bytes + state * (1 + len(recording))))
    if progress:
        size = min(size, -(-given.steps // _SHOWN))
    return min(size, given.steps)


def _check_keywords(module: nn.Module, kwargs: Mapping[str, Any]) -> None:
    """Refuses misspelt arguments of ``run``, which modules that take any keyword would take for theirs."""
    takes = getattr(module, "_takes", None)
    if takes is None or torch.compiler.is_compiling():
        return
    for name in kwargs:
        meant = _meant(name)
        if meant and not takes(name):
            raise TypeError(f"{type(module).__name__} has no argument '{name}', that of run is '{meant}'")


@functools.cache
def _meant(name: str) -> str:
    """The argument of ``run`` that a name is close to; empty if there is none."""
    return next(iter(difflib.get_close_matches(name, run.__kwdefaults__, 1, 0.8)), "")


def run(
    module: nn.Module,
    inputs: Inputs,
    *,
    record: str | Iterable[str] = (),
    every: int = 1,
    neurons: Any = None,
    out: Any = None,
    chunk: int | None = None,
    steps: int | None = None,
    outputs: bool = True,
    progress: bool = False,
    callback: Callable[[int], None] | None = None,
    **kwargs: Any,
) -> Any:
    """Runs a module through a whole sequence of inputs: the same as calling it for one step after the other.

    Neurons, connections and feed-forward layers of this package take many steps in one call of a kernel where nothing
    has to see single steps: hooks, monitors among them, and a subclass with a ``forward`` of its own do. Everything
    else, which may be any module, is called step by step. Products and convolutions of torch, those of connections
    without delays among them, take all steps as rows, and round as they do for so many rows; all else is the same bit
    for bit. The state is carried on, so a run of all steps is the same as one after the other of their parts. Gradients
    flow through all steps as if they had been called.

    Args:
        module: a module whose ``forward`` is one step.
        inputs: what ``forward`` takes, with the steps in front: a tensor ``[T, B, *shape]``; a tuple of tensors, or of
            numbers that are the same in every step; a dictionary of such tuples for layers that take one. Or an
            iterator of parts of the sequence, of any numbers of steps. Or a function, called as ``inputs(first,
            last)``, that returns the inputs of the steps from ``first`` to before ``last``.
        record: one name or several: ``"voltage"`` (mV), ``"refrac"`` (ms), ``"spike"`` and ``"current"`` (the input of
            neurons, the output of connections, nA), in layers with the name of the part in front, such as
            ``"hidden.voltage"``; or any attribute that is a tensor with a batch dimension. Read after each step.
        every: records steps 0, ``every``, 2 ``every`` ... of this run only.
        neurons: records these only: a slice, a mask of the neurons' shape, or indices, into the neurons as one
            dimension; or a dictionary of these by name.
        out: where to record: a tensor on any device, or a numpy array such as a memory-mapped file, of the shape of
            the recording, of floating point for voltages and currents; a dictionary of these by name, if several
            names are recorded. Gets no gradients.
        chunk: steps that are taken at once. By default all where their outputs are kept, else as many as take about
            64 MiB.
        steps: the number of steps. A function for ``inputs`` needs it, an iterator with ``out`` too; an iterator is
            read no farther.
        outputs: whether the outputs are returned.
        progress: whether a bar shows the progress (tqdm).
        callback: called after every chunk with the number of steps done.
        **kwargs: keyword arguments of ``forward``, the same in every step.

    Returns:
        What ``forward`` returns, with the steps in front of every tensor. With ``record`` a pair: that, and a
        dictionary of what was recorded, ``[ceil(T / every), B, *shape]`` each, or with ``neurons`` ``[.., B, count]``.
        Without ``outputs`` that is None.

    Raises:
        TypeError, ValueError: if an argument is not one of the above, or does not fit the module. The state has not
            changed then, unless an iterator or a function gave later inputs that do not fit, or the module is called
            step by step: parts that come before the one that fails have made their step then.
        BaseException: whatever the module, the inputs or the callback raise, and KeyboardInterrupt on Ctrl-C, which
            waits for the end of the step or the chunk. Recordings in ``out`` are those of all chunks before. The
            exception has the number of steps that are done in its attribute ``steps_done``, and a note of it.

    Example:
        >>> import torch
        >>> import inferno_cuda
        >>> from inferno_cuda.neural import LIF
        >>> neurons = LIF(3, 1.0, rest_v=-65.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=3.0, time_constant=20.0)
        >>> current = torch.tensor([[0.0, 20.0, 40.0]]).expand(100, 1, 3)  # nA, 100 steps of one sample
        >>> spikes, recording = inferno_cuda.run(neurons, current, record="voltage", every=10, neurons=[2])
        >>> spikes.sum(0)
        tensor([[0, 3, 8]])
        >>> recording["voltage"].shape
        torch.Size([10, 1, 1])
    """
    _check.instance("module", module, nn.Module)
    _check_keywords(module, kwargs)
    every = _check.size("every", every)
    chunk = None if chunk is None else _check.size("chunk", chunk)
    steps = None if steps is None else _check.size("steps", steps)
    if callback is not None and not callable(callback):
        raise TypeError(f"'callback' is a {type(callback).__name__}, it must be callable")
    given = source(inputs, steps)
    recording = traces(module, names_of(record), given.steps, every, neurons, out)
    bounded = len(recording) > 0 or not outputs or callback is not None
    size = chunk or _chunk_size(module, given, recording, bounded, progress)
    kept = _Outputs(given.steps) if outputs else None
    try:
        loop = _Loop(module, kwargs, recording, every, kept)
        _run(loop, given.chunks(size, None if chunk else _BUDGET), given.steps, progress, callback)
    finally:
        flush(recording)
    returned = None if kept is None else kept.result()
    return (returned, dict(results(recording))) if recording else returned


def _run(
    loop: _Loop, chunks: Iterator[Chunk], steps: int | None, progress: bool, callback: Callable[[int], None] | None
) -> None:
    interrupt = Interrupt()
    if torch.compiler.is_compiling():  # a graph knows neither signals nor bars
        for part in chunks:
            loop.take(part, interrupt)
        return
    with interrupt, _bar(steps, progress) as bar:
        try:
            for part in chunks:
                interrupt.check()
                before = loop.done
                loop.take(part, interrupt)
                if bar is not None:
                    bar.update(loop.done - before)
                if callback is not None:
                    callback(loop.done)
                interrupt.check()
            interrupt.check()  # it may have come while the inputs found that they have no more
        except BaseException as error:
            loop.explain(error, steps)
            raise


def _bar(steps: int | None, progress: bool) -> Any:
    """A bar, or None, as a context."""
    return tqdm(total=steps, unit=" steps") if progress else contextlib.nullcontext()
