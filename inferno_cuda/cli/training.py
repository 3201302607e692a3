"""The suite of training passes: compares, times and reports them; `bench --suite training`."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from . import training_memory
from .case import Output
from .cases_training import TRAINING
from .training_case import DOUBLE, OURS, Contender, TrainingCase
from .training_neurons import NEURONS, NeuronRate, neuron_rate
from .training_table import contender_row, neuron_header, neuron_row

SHARE = 1e-6  # of the largest value: how far others may be from ours in float64


@dataclass
class TrainingResult:
    """What became of a case.

    Attributes:
        seconds: of a pass, by contender: median, interquartile range and number of runs.
        compiling: seconds of the first pass of those that compile.
        memory: bytes at the peak of a pass over those before it.
        missing: contenders that are not installed.
        problem: why it was not timed; empty if it was.
    """

    case: TrainingCase
    seconds: dict = field(default_factory=dict)
    compiling: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int | None] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    problem: str = ""

    def ratio(self, name: str) -> float | None:
        """How many times as long as we a contender takes."""
        if OURS not in self.seconds or name not in self.seconds or name == OURS:
            return None
        return self.seconds[name].median / self.seconds[OURS].median

    def ratio_beside(self, name: str) -> float | None:
        """The same of what is left beside the part that all have in common."""
        common = self.seconds.get(self.case.beside)
        if common is None or name in (OURS, self.case.beside) or self.ratio(name) is None:
            return None
        left = self.seconds[OURS].median - common.median
        return (self.seconds[name].median - common.median) / left if left > 0 else None


def disagreement(expected: Sequence[Output], actual: Sequence[Output]) -> str:
    """What is wrong with results in float64; empty if they agree up to rounding."""
    for right, found in zip(expected, actual, strict=True):
        if right.value.shape != found.value.shape:
            shapes = f"{tuple(found.value.shape)}, expected {tuple(right.value.shape)}"
            return f"{found.what} of shape {shapes}"
        difference, largest = (value.abs().max().item() for value in (right.value - found.value, right.value))
        if not difference <= SHARE * largest:
            if largest == 0:
                return f"{found.what} differ by {difference:.1g} from what is all zero"
            return f"{found.what} differ by {difference / largest:.1g} of the largest"
    return ""


def _present(result: TrainingResult) -> list[Contender]:
    result.missing = [contender.name for contender in result.case.contenders if contender.missing]
    return [contender for contender in result.case.contenders if not contender.missing]


def _compare(present: Sequence[Contender], device: str) -> str:
    """Who disagrees with us, and in what; empty if nobody does."""
    expected = present[0].build(DOUBLE, device)()
    for contender in present[1:]:
        problem = disagreement(expected, contender.build(DOUBLE, device)()) if contender.compared else ""
        if problem:
            return f"{contender.name}: {problem}"
    return ""


def run_case(case: TrainingCase, device: str, timer: Callable) -> TrainingResult:
    """Compares the contenders in float64; if they agree, times each in the dtype of the case.

    Args:
        timer: measures a call.
    """
    result = TrainingResult(case)
    present = _present(result)
    result.problem = _compare(present, device)
    if result.problem:
        return result
    for contender in present:
        call = contender.build(case.timed, device)
        if contender.compiles:
            result.compiling[contender.name] = _first(call, device)
        result.seconds[contender.name] = timer(call)
        del call  # before the next one takes its memory
    if case.memory:
        result.memory = {c.name: training_memory.measure(case, c, device) for c in present}
    return result


def _first(call: Callable[[], object], device: str) -> float:
    # what was compiled for the comparison is not compiled again
    torch.compiler.reset()
    start = time.perf_counter()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def run_suite(device: str, wanted: tuple[str, ...], timer: Callable, bandwidth: float) -> tuple[dict, list[str]]:
    """Runs and prints the cases whose names begin as wanted.

    Returns:
        What was measured, for the file, and the names of cases in which results differ.
    """
    results = []
    for case in (case for case in TRAINING if case.name.startswith(wanted) and case.device in ("", device)):
        print(f"{case.what}\n  {case.note}", flush=True)
        results.append(run_case(case, device, timer))
        gc.collect()
        print("\n".join(contender_row(results[-1])) + "\n", flush=True)
    rates = [model for model in NEURONS if f"neurons-{model.lower()}".startswith(wanted)]
    measured: list[NeuronRate] = []
    if rates:
        print(neuron_header(), flush=True)
    for model in rates:
        measured.append(neuron_rate(model, device, timer))
        print(neuron_row(measured[-1], bandwidth), flush=True)
    report = {
        "cases": [_report(result) for result in results],
        "neurons": [rate.report(bandwidth) for rate in measured],
    }
    return report, [result.case.name for result in results if result.problem]


def names() -> list[str]:
    return [*(case.name for case in TRAINING), *(f"neurons-{model.lower()}" for model in NEURONS)]


def _report(result: TrainingResult) -> dict:
    case = result.case
    return {
        "name": case.name,
        "what": case.what,
        "note": case.note,
        "problem": result.problem,
        "missing": result.missing,
        "not_compared": [c.name for c in case.contenders if not c.compared],
        "seconds": {name: timing._asdict() for name, timing in result.seconds.items()},
        "by_ours": {name: result.ratio(name) for name in result.seconds},
        "beside": case.beside,
        "by_ours_beside": {name: result.ratio_beside(name) for name in result.seconds},
        "first_call_s": result.compiling,
        "peak_memory_bytes": result.memory,
    }
