"""Times our backends, and other libraries where they are installed, on the same inputs.

The library is inferno-ai, or the one that a case names: there, modules of it are timed as they are and accelerated.

Results are compared before anything is timed: spikes must be equal, voltages and currents equal between our backends
and within 1e-5 of the largest value to inferno-ai's; what a rule learned within that everywhere. Where sums are rounded
in different orders, one that is all but at a threshold can decide about a spike: if at most 1 % of the first spikes
that differ do so, the case is compared once more in float64, with other random inputs, and its line says so. A case in
which results differ is not timed, and the exit status is 1. Times are medians of torch.utils.benchmark, with the
interquartile range in per cent of the median. "of copy" is the memory traffic that a step cannot avoid, per second, as
a share of what copying a large tensor reaches; it exceeds 100% where data stay in the cache.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import gc
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from torch.utils import benchmark

from . import common, memory, networks, subjects, training
from .bench_text import seconds_text, share_text, times_text
from .case import Case, Output
from .cases import CASES, MEMORY
from .cases_generate import GENERATION
from .cases_plasticity import PLASTICITY

SUMMARY = "times our backends, and inferno-ai if installed, after checking that they agree"
FEW = 0.01  # of spikes: no more are put down to rounding
RELATIVE = 1e-5  # of the largest value: how far currents and voltages of another library may be from ours
COLUMNS = ("native", "torch", subjects.OTHER)


class Timing(NamedTuple):
    """Seconds of a call: median and interquartile range over `runs` measurements."""

    median: float
    iqr: float
    runs: int


@dataclass
class Result:
    """What became of a case.

    Attributes:
        timings: by subject.
        problem: why it was not timed; empty if it was.
        apart: the share of spikes that differ, where these are the problem.
        note: what else there is to say of the comparison.
        difference: to the other library, as a share of the largest value of a current or voltage; None if not compared.
    """

    case: Case
    timings: dict[str, Timing] = field(default_factory=dict)
    problem: str = ""
    apart: float | None = None
    note: str = ""
    difference: float | None = None

    @property
    def library(self) -> str:
        """The other library that was timed, or would be."""
        return next((name for name in self.timings if name not in subjects.OURS), subjects.OTHER)

    def ratio(self, other: str) -> float | None:
        """How many times as long `other` takes as the fastest backend of ours."""
        ours = next((self.timings[name] for name in ("native", "torch") if name in self.timings), None)
        if ours is None or other not in self.timings or self.timings[other] is ours:
            return None
        return self.timings[other].median / ours.median


def _disagreement(name: str, expected: Output, actual: Output, rounded: bool = False) -> tuple[str, float]:
    """What is wrong, and the difference as a share of the largest value, or of spikes that differ.

    `rounded`: see :class:`Case`.
    """
    right, value = expected.value, actual.value
    if right.shape != value.shape:
        return f"{name}: {actual.what} of shape {tuple(value.shape)}, expected {tuple(right.shape)}", 0.0
    if torch.equal(right, value):
        return "", 0.0
    if right.dtype == torch.bool or (name in subjects.OURS and not rounded):
        count = int((right != value).sum())
        return f"{name}: {actual.what} differ in {count} of {value.numel()} elements", count / value.numel()
    share = ((right - value).abs().max() / right.abs().max()).item()
    return (f"{name}: {actual.what} differ by {share:.1g} of the largest" if not share <= RELATIVE else ""), share


def time_call(call, least: float) -> Timing:
    """Times a call for `least` seconds or three runs, whichever is longer. On CUDA the timer waits for the device."""
    timer = benchmark.Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    times: list[float] = []
    while len(times) < 3:
        measured = timer.blocked_autorange(min_run_time=least)
        times += measured.times
        least = 1.5 * measured.number_per_run * measured.median
    low, median, high = numpy.quantile(times, (0.25, 0.5, 0.75)).tolist()
    return Timing(median, high - low, len(times))


def run_case(case: Case, names: Sequence[str], device: str, least: float) -> Result:
    """Compares the subjects with the first of them; if they agree, times each."""
    result = Result(case)
    calls = _compared(result, names, device)
    if case.rounded and result.apart is not None and result.apart <= FEW:
        with _double_precision():
            exact = Result(case)
            _compared(exact, names, device)
        if not exact.problem:
            note = f"results agree in float64; in float32 rounding decided otherwise: {result.problem}"
            result = Result(case, note=note, difference=exact.difference)
    if not result.problem:
        for name, call in calls.items():
            with subjects.setting(name):
                result.timings[name] = time_call(call, least)
    return result


def _compared(result: Result, names: Sequence[str], device: str) -> dict[str, Callable[[], object]]:
    """Runs the subjects of a case, which have not been run yet; what is timed of each.

    ``result`` gets the first disagreement and the largest difference to another library.
    """
    case, calls, expected = result.case, {}, []
    # those of a case which are other libraries have been found by it
    for name in [name for name in case.subjects if name in names or name not in subjects.OURS] or names:
        with subjects.setting(name):
            subject = case.build(subjects.library(name), device)
            outputs = list(subject.outputs())
        calls[name] = subject.call
        expected = expected or outputs
        for right, actual in zip(expected, outputs, strict=True):
            problem, share = _disagreement(name, right, actual, case.rounded)
            if problem:
                if not result.problem:
                    result.problem, result.apart = problem, share if actual.value.dtype == torch.bool else None
                break
            if name not in subjects.OURS:
                result.difference = max(share, result.difference or 0.0)
    return calls


@contextlib.contextmanager
def _double_precision() -> Iterator[None]:
    present = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(present)


def copy_bandwidth(device: str, least: float) -> float:
    """Bytes per second that a copy of a large tensor reads and writes."""
    source = torch.zeros((256 if device == "cuda" else 128) * 2**20 // 4, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / time_call(lambda: target.copy_(source), least).median


_WIDTHS = (44, 16, 16, 16, 9, 13, 7)
HEADER = ("median (IQR)", *subjects.OURS, "library", "vs torch", "vs library", "of copy")


def line(cells: Sequence[str]) -> str:
    what, *numbers = zip(cells, _WIDTHS, strict=True)
    return "  ".join([f"{what[0]:<{what[1]}}", *(f"{text:>{width}}" for text, width in numbers)])


def row(result: Result, bandwidth: float) -> str:
    """A line of the table."""
    if result.problem:
        return f"{result.case.what:<{_WIDTHS[0]}}  not timed, {result.problem}"
    cells = [result.case.what]
    for name in (*subjects.OURS, result.library):
        timing = result.timings.get(name)
        share = "" if timing is None else f"({100 * timing.iqr / timing.median:.0f}%)"
        cells.append("-" if timing is None else f"{seconds_text(timing.median)} {share:>5}")
    fastest = next(iter(result.timings.values()), None)
    share = result.case.moved / fastest.median / bandwidth if fastest and result.case.moved and bandwidth else None
    ratios = [times_text(result.ratio(other)) for other in ("torch", result.library)]
    return line([*cells, *ratios, share_text(share)]) + (f"\n  {result.note}" if result.note else "")


def memory_row(case: Case, measured: dict[str, int | None]) -> str:
    def text(name: str) -> str:
        size = measured.get(name)
        return "-" if size is None else f"{size / 2**20:,.1f} MiB"

    ours = measured.get("native") or measured.get("torch")
    ratios = [times_text(measured[n] / ours) if ours and measured.get(n) else "-" for n in ("torch", subjects.OTHER)]
    return line([f"memory, {case.what}", *map(text, COLUMNS), *ratios, "-"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    listed = "; ".join(f"in {suite}: {', '.join(names)}" for suite, names in _names().items())
    parser.add_argument(
        "--suite",
        choices=tuple(_names()),
        default="steps",
        help="single steps, training, learning rules, synapses of rules, or large sparse networks; default: steps",
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer repetitions; large networks only if --cases names them"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument(
        "--cases", nargs="+", metavar="NAME", type=_known, help=f"only those whose names begin so; of: {listed}"
    )
    common.add_device(parser, auto, f"default: {auto}")


def _names() -> dict[str, list[str]]:
    """The names of the cases, by suite."""
    return {
        "steps": [*(case.name for case in CASES), "memory"],
        "training": training.names(),
        "plasticity": [case.name for case in PLASTICITY],
        "generation": [case.name for case in GENERATION],
        "networks": networks.names(),
    }


def _known(prefix: str) -> str:
    if not any(name.startswith(prefix) for names in _names().values() for name in names):
        raise argparse.ArgumentTypeError(f"no case begins with {prefix!r}")
    return prefix


def _header(device: str, machine: dict, date: str, bandwidth: float) -> str:
    other = subjects.other_version()
    where = machine["gpu"] if device == "cuda" else f"{machine['cpu']}, {machine['cores']} cores"
    lines = [
        f"{date}  {device}: {where}; {machine['threads']} threads; copies at {bandwidth / 1e9:.1f} GB/s",
        f"inferno_cuda {machine['inferno_cuda']}, torch {machine['torch']}, Python {machine['python']}, "
        + (f"inferno-ai {other}" if other else "inferno-ai is not installed: ours only"),
    ]
    busy, cores = os.getloadavg()[0], os.cpu_count()
    if busy > 0.5 * cores:
        lines.append(f"other work keeps {busy:.1f} of {cores} cores busy: times will scatter")
    if not subjects.runs_native(device):
        lines.append("the native backend cannot run here, see `inferno-cuda info`")
    return "\n".join(lines)


def _report(result: Result, bandwidth: float) -> dict:
    moved = result.case.moved
    return {
        "name": result.case.name,
        "what": result.case.what,
        "problem": result.problem,
        "note": result.note,
        "difference_to_inferno_ai": result.difference,
        "seconds": {name: timing._asdict() for name, timing in result.timings.items()},
        "torch_by_ours": result.ratio("torch"),
        "inferno_ai_by_ours": result.ratio(subjects.OTHER),
        "library": result.library,
        "library_by_ours": result.ratio(result.library),
        "bytes_moved": moved,
        "share_of_copy": {n: moved / t.median / bandwidth for n, t in result.timings.items()} if moved else {},
    }


def run(arguments: argparse.Namespace) -> int:
    device = common.require_device(arguments.device)
    least = 0.15 if arguments.quick else 1.0
    wanted = tuple(arguments.cases or [""])
    if not any(name.startswith(wanted) for name in _names()[arguments.suite]):
        raise common.Failure(f"the suite {arguments.suite} has no case whose name begins with {', '.join(wanted)}")
    machine = common.machine()
    date = datetime.datetime.now().astimezone().isoformat(timespec="minutes")
    bandwidth = copy_bandwidth(device, least)
    print(_header(device, machine, date, bandwidth))
    print(flush=True)
    report = {
        "suite": arguments.suite,
        "date": date,
        "device": device,
        "quick": arguments.quick,
        "machine": machine,
        "copy_bytes_per_s": bandwidth,
    }
    suites = {
        **{"steps": _steps, "training": _training, "plasticity": _plasticity, "generation": _generation},
        "networks": lambda device, wanted, *_: networks.run_suite(device, wanted, arguments.quick),
    }
    measured, problems = suites[arguments.suite](device, wanted, least, bandwidth)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report | measured, indent=2) + "\n")
    if problems:
        print(f"not timed because results differ: {', '.join(problems)}")
    return 1 if problems else 0


def _training(device: str, wanted: tuple[str, ...], least: float, bandwidth: float) -> tuple[dict, list[str]]:
    return training.run_suite(device, wanted, lambda call: time_call(call, least), bandwidth)


def _steps(device: str, wanted: tuple[str, ...], least: float, bandwidth: float) -> tuple[dict, list[str]]:
    """Runs and prints the cases of single steps; what was measured, and the names of cases in which results differ."""
    report, problems = _run_cases(CASES, device, wanted, least, bandwidth)
    measured = {}
    if "memory".startswith(wanted):
        names = subjects.names(device)
        for case in (case for case in CASES if case.name in MEMORY):
            measured[case.name] = {name: memory.measure(case, name, device) for name in names}
            print(memory_row(case, measured[case.name]), flush=True)
    return report | {"extra_memory_bytes": measured}, problems


def _plasticity(device: str, wanted: tuple[str, ...], least: float, bandwidth: float) -> tuple[dict, list[str]]:
    return _run_cases(PLASTICITY, device, wanted, least, bandwidth)


def _generation(device: str, wanted: tuple[str, ...], least: float, bandwidth: float) -> tuple[dict, list[str]]:
    return _run_cases(GENERATION, device, wanted, least, bandwidth)


def _run_cases(
    cases: Sequence[Case], device: str, wanted: tuple[str, ...], least: float, bandwidth: float
) -> tuple[dict, list[str]]:
    print(line(HEADER), flush=True)
    names = subjects.names(device)
    results = []
    for case in cases:
        if case.name.startswith(wanted) and (subjects.OTHER in names or not case.needs_other):
            results.append(run_case(case, names, device, least))
            print(row(results[-1], bandwidth), flush=True)
            gc.collect()
    report = {"inferno_ai": subjects.other_version(), "cases": [_report(result, bandwidth) for result in results]}
    return report, [result.case.name for result in results if result.problem]
