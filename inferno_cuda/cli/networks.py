"""The suite of large sparse networks: compares, times and reports them; `bench --suite networks`.

Spikes must be the same on one thread and on several, and those of NEST, where it is installed, one by one for as long
as a case says (both in float64, on the same synapses); rates of the timed stretch must agree within 10%. Times are
medians over slices of the stretch, with the interquartile range in per cent of the median. "real-time" is wall-clock
over model time: smaller is faster. An event is a spike that arrives at one synapse.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from .. import sim
from . import nest_twin
from .bench_text import seconds_text, times_text
from .cases_networks import NETWORKS, NetworkCase

NEST = "nest"
SLICES = 5
RATES = 0.1  # by how much rates of a timed stretch may differ
_WIDTHS = (36, 9, 12, 8, 9, 15, 10, 10, 9, 9)
HEADER = ("", "neurons", "synapses", "threads", "built in", "real-time (IQR)", "a step", "an event", "bytes", "by ours")


class Run(NamedTuple):
    """What one contender took.

    Attributes:
        threads: how many it ran on.
        built: seconds of construction; of NEST, from arrays of our synapses.
        factor: wall-clock over model time, median of slices.
        spread: interquartile range of the slices.
        events: spikes that arrived at synapses, per second of model time.
        rate: mean rate of all neurons, Hz.
    """

    threads: int
    built: float
    factor: float
    spread: float
    events: float
    rate: float


@dataclass
class NetworkResult:
    """What became of a case: a :class:`Run` by contender, and why it was not timed."""

    case: NetworkCase
    neurons: int = 0
    synapses: int = 0
    bytes_each: float = 0.0
    runs: dict[str, Run] = field(default_factory=dict)
    problem: str = ""


def _timed(run: Callable[[float], None], dt: float, duration: float, device: str) -> tuple[float, float]:
    """Median and interquartile range of the real-time factor over slices."""
    part = round(duration / SLICES / dt) * dt
    factors = []
    for _ in range(SLICES):
        started = time.perf_counter()
        run(part)
        if device == "cuda":
            torch.cuda.synchronize()
        factors.append((time.perf_counter() - started) * 1000 / part)
    low, _, high = statistics.quantiles(factors, n=4)
    return statistics.median(factors), high - low


def _spikes(net: sim.Network, duration: float) -> torch.Tensor:
    recorder = net.record_spikes(*(p for p in net.populations if p.model != "generator"))
    net.run(duration)
    return torch.stack([recorder.steps, recorder.neurons.long()], 1).cpu()


def _disagreement(case: NetworkCase, device: str, threads: list[int]) -> str:
    """Who spikes otherwise than we do on one thread; empty if nobody does."""
    duration = case.exact or 20.0
    expected = None
    for count in threads:
        found = _spikes(case.build(device=device, threads=count), duration)
        expected = found if expected is None else expected
        if not torch.equal(expected, found):
            return f"{len(found)} spikes on {count} threads, {len(expected)} on {threads[0]}, or at other times"
    if case.peer and case.exact and nest_twin.installed():
        net = case.build(dtype=torch.float64, threads=threads[-1], device=device)
        net.build()
        twin = nest_twin.NestTwin(net, threads[-1])
        twin.run(case.exact)
        expected, found = twin.spikes(), _spikes(net, case.exact)
        if not torch.equal(expected, found):
            return f"{len(found)} spikes, {len(expected)} of NEST, or at other times"
    return ""


def run_case(case: NetworkCase, device: str) -> NetworkResult:
    """Compares the contenders; if they agree, times each."""
    threads = sorted({1, torch.get_num_threads()}) if device == "cpu" else [1]
    result = NetworkResult(case)
    result.problem = "" if case.large else _disagreement(case, device, threads)
    for count in [] if result.problem else threads:
        started = time.perf_counter()
        net = case.build(device=device, threads=count)
        net.build()
        built = time.perf_counter() - started
        rows = net.rows
        result.neurons, result.synapses, result.bytes_each = net.size, rows.count, rows.nbytes / max(rows.count, 1)
        net.run(case.settle)
        net.clear()
        factor, spread = _timed(net.run, net.dt, case.duration, device)
        counts = torch.cat([population.counts[0] for population in net.populations])
        seconds = case.duration / 1000
        events = (counts.double() @ rows.out_degrees().cpu().double()).item() / seconds
        rate = counts.sum().item() / net.size / seconds
        result.runs[f"inferno_cuda, {count} threads"] = Run(count, built, factor, spread, events, rate)
        if count == threads[-1] and case.peer and nest_twin.installed():
            result.runs[NEST] = _run_nest(case, count, events)
            if abs(result.runs[NEST].rate - rate) > RATES * rate:
                result.problem = f"{NEST}: {result.runs[NEST].rate:.2f} Hz, ours {rate:.2f} Hz"
        del net, rows
        gc.collect()
    return result


def _run_nest(case: NetworkCase, threads: int, events: float) -> Run:
    net = case.build(threads=threads)
    net.build()
    started = time.perf_counter()
    twin = nest_twin.NestTwin(net, threads)
    twin.run(net.dt)
    built = time.perf_counter() - started
    twin.run(case.settle - net.dt)
    before = len(twin.spikes())
    factor, spread = _timed(twin.run, net.dt, case.duration, "cpu")
    rate = (len(twin.spikes()) - before) / net.size / (case.duration / 1000)
    return Run(threads, built, factor, spread, events, rate)


def _line(cells: tuple[str, ...]) -> str:
    rest = zip(cells[1:], _WIDTHS[1:], strict=True)
    return "  ".join([f"{cells[0]:<{_WIDTHS[0]}}", *(f"{cell:>{width}}" for cell, width in rest)]).rstrip()


def _rows(result: NetworkResult, dt: float = 0.1) -> list[str]:
    if result.problem and not result.runs:
        return [f"{result.case.what}: not timed, {result.problem}"]
    ours = min((run.factor for name, run in result.runs.items() if name != NEST), default=float("nan"))
    lines = []
    for name, run in result.runs.items():
        what = result.case.what if name != NEST else "  NEST"
        bytes_text = f"{result.bytes_each:.2f}" if name != NEST else "-"
        event = run.factor / run.events if run.events else None
        lines.append(
            _line(
                (
                    *(what, f"{result.neurons:,}", f"{result.synapses:,}", str(run.threads), seconds_text(run.built)),
                    f"{run.factor:.3g} ({100 * run.spread / run.factor:.0f}%)",
                    seconds_text(run.factor * dt / 1000),
                    *("-" if event is None else seconds_text(event), bytes_text, times_text(run.factor / ours)),
                )
            )
        )
    return lines + ([f"  {result.problem}"] if result.problem else [])


def run_suite(device: str, wanted: tuple[str, ...], quick: bool) -> tuple[dict, list[str]]:
    """Runs and prints the cases whose names begin as wanted, without the large ones if it is to be quick.

    Returns:
        What was measured, for the file, and the names of cases in which results differ.
    """
    print(_line(HEADER), flush=True)
    results = []
    for case in NETWORKS:
        if case.name.startswith(wanted) and not (quick and case.large):
            results.append(run_case(case, device))
            print("\n".join(_rows(results[-1])), flush=True)
    if not nest_twin.installed():
        print("NEST is not installed: ours only")
    report = [
        {
            "name": result.case.name,
            "what": result.case.what,
            "problem": result.problem,
            "neurons": result.neurons,
            "synapses": result.synapses,
            "bytes_per_synapse": result.bytes_each,
            "runs": {name: run._asdict() for name, run in result.runs.items()},
        }
        for result in results
    ]
    return {"networks": report}, [result.case.name for result in results if result.problem]


def names() -> list[str]:
    return [case.name for case in NETWORKS]
