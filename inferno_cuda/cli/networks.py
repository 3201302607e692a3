"""The suite of large sparse networks: compares, times and reports them; `bench --suite networks`.

Spikes must be the same on one thread and on several, and those of NEST, where it is installed, one by one for as long
as a case says (both in float64, on the same synapses); rates of the timed stretch must agree within 10%. Times are
medians over slices of the stretch, with the interquartile range in per cent of the median. "real-time" is wall-clock
over model time: smaller is faster. An event is a spike that arrives at one synapse.

Networks that are too large to be handed over synapse by synapse NEST draws itself, by the same rules, in a process of
its own, after ours is gone from memory: its times are those of a shorter stretch, over which rates of all populations
are compared (`nest_drawn.compare` says how far they may differ).
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
from . import nest_drawn, nest_twin
from .bench_text import seconds_text, times_text
from .cases_networks import NETWORKS, NetworkCase

NEST = "nest"
SLICES = 5
SPAN, QUICK_SPAN = 200.0, 100.0  # ms of networks that NEST draws
RATES = 0.1  # by how much rates of a timed stretch may differ
_WIDTHS = (36, 9, 12, 8, 9, 15, 10, 10, 9, 9)
HEADER = ("", "neurons", "synapses", "threads", "built in", "real-time (IQR)", "a step", "an event", "bytes", "by ours")


class Run(NamedTuple):
    """What one contender took.

    Attributes:
        threads: how many it ran on.
        built: seconds of construction; of NEST, from arrays of our synapses, or with those that it draws.
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
    """What became of a case: a :class:`Run` by contender, why it was not timed, what else there is to say.

    Attributes:
        nest_bytes: of memory for each synapse at NEST's highest, where it drew them itself.
        agreements: of rates with NEST's on its own synapses, by population.
    """

    case: NetworkCase
    neurons: int = 0
    synapses: int = 0
    bytes_each: float = 0.0
    runs: dict[str, Run] = field(default_factory=dict)
    problem: str = ""
    note: str = ""
    nest_bytes: float | None = None
    agreements: list[nest_drawn.Agreement] = field(default_factory=list)


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
    return _middle(factors)


def _middle(factors: list[float]) -> tuple[float, float]:
    """Median and interquartile range."""
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
        twin.close()
        if not torch.equal(expected, found):
            return f"{len(found)} spikes, {len(expected)} of NEST, or at other times"
    return ""


def run_case(case: NetworkCase, device: str, span: float = SPAN) -> NetworkResult:
    """Compares the contenders; if they agree, times each. `span`: ms for which NEST runs what it draws itself."""
    threads = sorted({1, torch.get_num_threads()}) if device == "cpu" else [1]
    result = NetworkResult(case)
    result.problem = "" if case.large else _disagreement(case, device, threads)
    for count in [] if result.problem else threads:
        started = time.perf_counter()
        net = case.build(device=device, threads=count)
        net.build()
        built = time.perf_counter() - started
        rows, last = net.rows, count == threads[-1]
        result.neurons, result.synapses, result.bytes_each = net.size, rows.count, rows.nbytes / max(rows.count, 1)
        net.run(case.settle)
        by_slice = nest_drawn.slices(net, span) if last and case.drawn and nest_twin.installed() else None
        net.clear()
        factor, spread = _timed(net.run, net.dt, case.duration, device)
        counts, degrees = torch.cat([p.counts[0] for p in net.populations]).double(), rows.out_degrees().cpu().double()
        events = (counts @ degrees).item() / (case.duration / 1000)
        rate = counts.sum().item() / net.size / (case.duration / 1000)
        result.runs[f"inferno_cuda, {count} threads"] = Run(count, built, factor, spread, events, rate)
        if last and case.peer and nest_twin.installed():
            result.runs[NEST] = _run_nest(case, count, events)
            if abs(result.runs[NEST].rate - rate) > RATES * rate:
                result.problem = f"{NEST}: {result.runs[NEST].rate:.2f} Hz, ours {rate:.2f} Hz"
        degree_of = [degrees[p.first : p.last].mean().item() for p in nest_drawn.neurons(net)]
        del net, rows, counts, degrees
        gc.collect()
        if by_slice:
            _run_drawn(result, by_slice, degree_of, span)
    return result


def _run_drawn(result: NetworkResult, ours: list[list[int]], degrees: list[float], span: float) -> None:
    """NEST on synapses of its own; `ours`: our spikes of the same span. Nothing of ours is in memory any more."""
    case, threads = result.case, torch.get_num_threads()
    refused = nest_drawn.refusal(result.synapses)
    if refused:
        result.note = f"NEST was not run: {refused}"
        return
    try:
        found = nest_drawn.measure(case.drawn, threads, case.settle, span)
    except RuntimeError as error:
        result.note = f"NEST was not run to its end: {error}"
        return
    populations = nest_drawn.neurons(case.drawn())
    result.agreements = nest_drawn.compare(populations, ours, found.counts, span)
    apart = [str(one) for one in result.agreements if not one.holds]
    if apart:
        result.problem = f"{NEST} over {span:g} ms: {'; '.join(apart)}"
    spikes = [sum(one) for one in zip(*found.counts, strict=True)]
    events = sum(count * degree for count, degree in zip(spikes, degrees, strict=True)) / (span / 1000)
    rate = sum(spikes) / result.neurons / (span / 1000)
    result.runs[NEST] = Run(threads, found.built, *_middle(found.factors), events, rate)
    result.nest_bytes = found.peak_bytes / found.synapses
    result.note = _agreement_text(result.agreements, span, case.settle)


def _agreement_text(found: list[nest_drawn.Agreement], span: float, settle: float) -> str:
    worst = max(found, key=lambda one: abs(one.ours - one.nest) / one.allowed)
    return (
        f"NEST drew its own synapses and ran for {span:g} ms behind {settle:g}; farthest apart: {worst}. "
        "So short a time can show no smaller differences"
    )


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
    twin.close()
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
        what = result.case.what if name != NEST else "  NEST, own synapses" if result.agreements else "  NEST"
        each = result.bytes_each if name != NEST else result.nest_bytes
        bytes_text = "-" if each is None else f"{each:.2f}"
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
    return lines + [f"  {text}" for text in (result.note, result.problem) if text]


def run_suite(device: str, wanted: tuple[str, ...], quick: bool) -> tuple[dict, list[str]]:
    """Runs and prints the cases whose names begin as wanted; if all do and it is to be quick, without the large ones.

    Returns:
        What was measured, for the file, and the names of cases in which results differ.
    """
    print(_line(HEADER), flush=True)
    results = []
    for case in NETWORKS:
        if case.name.startswith(wanted) and not (quick and case.large and "" in wanted):
            results.append(run_case(case, device, QUICK_SPAN if quick else SPAN))
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
            "note": result.note,
            "nest_peak_bytes_per_synapse": result.nest_bytes,
            "rates_hz": [{**one._asdict(), "holds": one.holds} for one in result.agreements],
            "runs": {name: run._asdict() for name, run in result.runs.items()},
        }
        for result in results
    ]
    return {"networks": report}, [result.case.name for result in results if result.problem]


def names() -> list[str]:
    return [case.name for case in NETWORKS]
