"""NEST on synapses that it draws itself, in a process of its own: for networks too large to hand over one by one.

Spikes of the two differ then, and rates over a short span can only agree so far: see :func:`compare`.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from .. import ops, sim
from .memory import _resident
from .nest_twin import NestTwin

SLICES = 5
SEED = 1001
# Of NEST's process with two threads, at its highest: 47 to 54 bytes a synapse beside 400 MiB, for microcircuits and
# Brunel's network of 30 to 90 million synapses.
SYNAPSE_BYTES, BASE_BYTES = 56, 400 << 20
MARGIN, ERRORS = 0.1, 3.0  # see compare


class Drawn(NamedTuple):
    """What NEST took.

    Attributes:
        built: seconds of construction, of drawing synapses and of the first step.
        factors: wall-clock over model time of each slice.
        counts: spikes of each slice and population, generators left out.
        synapses: how many it drew.
        peak_bytes: the most memory that the process had.
    """

    built: float
    factors: list[float]
    counts: list[list[int]]
    synapses: int
    peak_bytes: int


class Agreement(NamedTuple):
    """How far the rates of a population are apart, Hz, and how far they may be."""

    population: str
    ours: float
    nest: float
    allowed: float

    @property
    def holds(self) -> bool:
        return abs(self.ours - self.nest) <= self.allowed

    def __str__(self) -> str:
        return f"{self.population} {self.nest:.2f} Hz, ours {self.ours:.2f} Hz, +-{self.allowed:.2f} Hz are allowed"


def needed_bytes(synapses: float) -> int:
    """What NEST takes at its highest, about."""
    return int(synapses * SYNAPSE_BYTES) + BASE_BYTES


def refusal(synapses: float) -> str:
    """Why NEST cannot be run, empty if it can."""
    needed, available = needed_bytes(synapses), ops.available_memory()
    if available is None or needed <= available:
        return ""
    return (
        f"it needs about {needed / 2**30:.1f} GiB, {SYNAPSE_BYTES} bytes a synapse, and "
        f"{available / 2**30:.1f} GiB are available"
    )


def neurons(net: sim.Network) -> list[sim.Population]:
    """Populations but generators."""
    return [population for population in net.populations if population.model != "generator"]


@functools.cache
def measure(build: Callable[..., sim.Network], threads: int, settle: float, span: float) -> Drawn:
    """NEST's run of a network in a fresh process, which returns its memory; the second time what the first one gave.

    Args:
        build: makes the network; is pickled.
        threads: of NEST.
        settle: ms that are neither timed nor counted.
        span: ms that are, in slices.

    Raises:
        RuntimeError: NEST refused something, or its process ended early.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        try:
            return pool.submit(_measure, build, threads, settle, span).result()
        except BrokenProcessPool:
            raise RuntimeError("the process of NEST was ended, perhaps for want of memory") from None


def _measure(build: Callable[..., sim.Network], threads: int, settle: float, span: float) -> Drawn:
    try:
        return _run(build, threads, settle, span)
    except Exception as error:  # NEST's own have types that exist in this process alone
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


def _run(build: Callable[..., sim.Network], threads: int, settle: float, span: float) -> Drawn:
    net = build(threads=threads)
    started = time.perf_counter()
    twin = NestTwin(net, threads, SEED)
    twin.run(net.dt)
    built = time.perf_counter() - started
    twin.run(settle - net.dt)
    part = round(span / SLICES / net.dt) * net.dt
    factors = []
    for _ in range(SLICES):
        started = time.perf_counter()
        twin.run(part)
        factors.append((time.perf_counter() - started) * 1000 / part)
    spikes = twin.spikes().numpy()
    # a step ends at its number
    number = np.ceil((spikes[:, 0] - round(settle / net.dt)) / round(part / net.dt)).astype(int) - 1
    counts = [_by_population(net, np.bincount(spikes[number == k, 1], minlength=net.size)) for k in range(SLICES)]
    return Drawn(built, factors, counts, twin.synapses, _resident("VmHWM"))


def _by_population(net: sim.Network, counts: np.ndarray) -> list[int]:
    return [int(counts[population.first : population.last].sum()) for population in neurons(net)]


def slices(net: sim.Network, span: float) -> list[list[int]]:
    """Runs ours for the same span; spikes of each slice and population."""
    part = round(span / SLICES / net.dt) * net.dt
    found = []
    for _ in range(SLICES):
        net.clear()
        net.run(part)
        found.append([int(population.counts.sum()) for population in neurons(net)])
    return found


def compare(
    populations: list[sim.Population], ours: list[list[int]], nest: list[list[int]], span: float
) -> list[Agreement]:
    """Rates of populations in the same short span of two runs with other synapses.

    They may differ by ``MARGIN`` of the larger one, for the synapses, and by ``ERRORS`` standard errors of the
    difference, for the span. The error of a rate comes from the scatter of its slices, and is that of independent
    spikes at least.

    Args:
        populations: of both.
        ours: spikes of each slice and population.
        nest: NEST's.
        span: ms of all slices together.
    """
    found = []
    for k, population in enumerate(populations):
        scale = len(population) * span / 1000
        rates, errors = [], []
        for counts in (ours, nest):
            mine = [one[k] for one in counts]
            rates.append(sum(mine) / scale)
            errors.append(max(math.sqrt(len(mine)) * np.std(mine, ddof=1), math.sqrt(max(sum(mine), 1))) / scale)
        allowed = MARGIN * max(rates) + ERRORS * math.hypot(*errors)
        found.append(Agreement(population.name, *rates, float(allowed)))
    return found
