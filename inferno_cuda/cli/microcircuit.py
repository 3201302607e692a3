"""The cortical microcircuit of Potjans and Diesmann (2014): rates beside the published ones, speed, and a figure."""

from __future__ import annotations

import argparse
import datetime
import json
import time
from typing import Any

import numpy as np

from .. import ops, sim
from ..sim import models, statistics
from . import common

SCALE, DURATION = 0.3, 3000.0  # share of the neurons and of the inputs of each; ms
WARM = 500.0  # ms that are not counted
BIN, CHOSEN = 2.0, 200  # ms; neurons of a population whose pairs are correlated
_SETTINGS = ("scale", "drive", "duration", "seed", "device", "weight_bits")
_SLOW = 0.05  # the largest scale that the reference can bear


def measure(net: sim.Network, duration: float) -> dict[str, Any]:
    """Builds and runs: seconds of both, real-time factor, synaptic events a second of wall-clock time."""
    begin = time.perf_counter()
    net.build(progress=True)
    built = time.perf_counter()
    net.run(WARM, progress=True)
    net.clear()
    start = time.perf_counter()
    net.run(duration, progress=True)
    seconds = time.perf_counter() - start
    return {
        "build_s": built - begin,
        "seconds": seconds,
        "real_time_factor": seconds / (duration / 1000),
        "events_per_s": _events(net) / seconds,
    }


def _events(net: sim.Network) -> float:
    """Synapses that a spike has reached, or will: spikes of a population times its mean out-degree."""
    synapses = dict.fromkeys(models.MICROCIRCUIT_SIZES, 0.0)
    for projection in net.projections:
        synapses[projection.source.name] += projection.expected
    return sum(int(net[name].counts.sum()) * count / len(net[name]) for name, count in synapses.items())


def population_statistics(net: sim.Network, spikes: sim.SpikeRecorder, duration: float) -> dict[str, dict[str, Any]]:
    """Of each population: rates (Hz) and coefficients of variation of all neurons, mean correlation of some."""
    found = {}
    for population in net.populations:
        times, neurons = (column.cpu().numpy() for column in spikes.of(population))
        span = (len(population), WARM, WARM + duration)
        some = neurons < CHOSEN
        pairs = statistics.correlations(times[some], neurons[some], CHOSEN, *span[1:], BIN)
        found[population.name] = {
            "rates": statistics.rates(times, neurons, *span),
            "irregularity": statistics.interval_cv(times, neurons, *span),
            "correlation": float(np.mean(pairs)) if len(pairs) else float("nan"),
        }
    return found


def table(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of what is printed and kept."""
    rows = []
    for name, published in models.MICROCIRCUIT_RATES.items():
        rate, irregularity = float(found[name]["rates"].mean()), found[name]["irregularity"]
        known = irregularity[~np.isnan(irregularity)]
        rows.append(
            {
                "population": name,
                "neurons": len(found[name]["rates"]),
                "rate_hz": rate,
                "published_hz": published,
                "deviation": rate / published - 1,
                "irregularity": float(known.mean()) if len(known) else None,
                "correlation": None if np.isnan(found[name]["correlation"]) else found[name]["correlation"],
            }
        )
    return rows


def _number(value: float | None, form: str) -> str:
    return format("-", ">" + form.partition(".")[0]) if value is None else format(value, form)


def _print_results(summary: dict[str, Any]) -> None:
    print("population  neurons   rate  published        irregularity  correlation")
    for row in summary["populations"]:
        print(f"{row['population']:<10} {row['neurons']:>8,}  {row['rate_hz']:5.2f}", end="")
        print(f"  {row['published_hz']:5.2f} Hz {row['deviation']:+6.0%}", end="")
        print(f"  {_number(row['irregularity'], '12.2f')}  {_number(row['correlation'], '11.4f')}")
    speed, settings = summary["speed"], summary["settings"]
    print(f"built in {speed['build_s']:.1f} s; {settings['duration']:,.0f} ms in {speed['seconds']:.1f} s:", end=" ")
    print(f"real-time factor {speed['real_time_factor']:.2f}, {speed['events_per_s']:.3g} synaptic events/s")


def _announce(net: sim.Network, scale: float) -> None:
    print(f"{net}", flush=True)
    print(f"  {net.memory_needed()}", flush=True)
    if scale < 1:
        print(f"  at full scale, {models.microcircuit(weight_bits=net.weight_bits).memory_needed()}", flush=True)


def run(arguments: argparse.Namespace) -> int:
    """The command.

    Raises:
        Failure: the network does not fit, or is too large for the reference.
    """
    from .microcircuit_figure import draw

    begin = time.perf_counter()
    common.make_folder(arguments.out)
    scale, duration = arguments.scale, arguments.duration
    choice = ops.choose("simulate", arguments.device)
    if choice.backend != "native" and scale > _SLOW:
        raise common.Failure(f"without kernels take --scale {_SLOW:g} or less: {choice.reason}")
    options = {"seed": arguments.seed, "device": arguments.device, "weight_bits": arguments.weight_bits}
    net = models.microcircuit(scale, arguments.drive, **options)
    spikes = net.record_spikes()
    _announce(net, scale)
    try:
        speed = measure(net, duration)
    except MemoryError as error:
        raise common.Failure(f"{error}; take a smaller --scale") from None
    found = population_statistics(net, spikes, duration)
    summary = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
        "settings": {name: getattr(arguments, name) for name in _SETTINGS},
        "neurons": net.size,
        "synapses": net.synapse_count,
        "bytes_a_synapse": net.memory_needed().rows / net.synapse_count,
        "populations": table(found),
        "speed": speed,
        "machine": common.machine(),
    }
    _print_results(summary)
    print(f"weights are multiples of {net.rows.quantum:g} pA, in {net.rows.weight_bits} bits")
    picture, result = arguments.out / "microcircuit.png", arguments.out / "microcircuit.json"
    draw(picture, net, spikes, found, summary)
    summary["seconds_in_all"] = time.perf_counter() - begin
    result.write_text(json.dumps(summary, indent=2) + "\n")
    print(f"wrote {picture} and {result}; {summary['seconds_in_all']:.0f} s in all")
    return 0
