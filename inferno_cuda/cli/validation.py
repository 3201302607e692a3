"""Distributions of what neurons do, of several runs of ours and of several of NEST's: how far are they apart?

Both simulators draw everything by themselves, so no two runs are the same. A run gives, for each population, the rates
of all neurons, the coefficients of variation of their intervals between spikes, and the correlations of the spike
counts of pairs. The distance of two runs is that of Kolmogorov and Smirnov. Runs of NEST with different seeds are some
distance apart; if both simulate the same model, ours are as far from NEST's as those are from each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from .. import sim
from . import nest_twin

RATE, IRREGULARITY, CORRELATION = "rate", "irregularity", "correlation"
STATISTICS = (RATE, IRREGULARITY, CORRELATION)
BIN, CHOSEN = 2.0, 200  # ms; neurons of a population whose pairs are correlated
_PERMUTATIONS = 2000
NEST_SEEDS = 1000  # seeds of NEST's runs are behind this one, so that initial potentials are others, too

Sample = dict[tuple[str, str], np.ndarray]  # by population and statistic: a number for each neuron, or pair


@dataclass(frozen=True)
class ValidationCase:
    """A model that is run by both.

    Attributes:
        name: for ``--cases``.
        what: for the table.
        build: makes it from options of :class:`~inferno_cuda.sim.Network`.
        settle: ms before the time that is looked at.
        duration: ms that are looked at.
    """

    name: str
    what: str
    build: Callable[..., sim.Network]
    settle: float
    duration: float


class Comparison(NamedTuple):
    """One statistic of one population.

    Attributes:
        ours: mean over our runs of the mean over neurons, or pairs.
        nest: that of NEST's runs.
        distances: of any two runs, ``[runs, runs]``; ours come first.
        runs: how many are ours.
    """

    population: str
    statistic: str
    ours: float
    nest: float
    distances: np.ndarray
    runs: int

    @property
    def within(self) -> np.ndarray:
        """Distances of two runs of NEST."""
        part = self.distances[self.runs :, self.runs :]
        return part[np.triu_indices(len(part), 1)]

    @property
    def between(self) -> np.ndarray:
        """Distances of a run of ours and one of NEST."""
        return self.distances[: self.runs, self.runs :].ravel()

    @property
    def inside(self) -> bool:
        """Whether ours are, on average, no farther from NEST's than two of NEST's may be from each other."""
        return bool(self.between.mean() <= self.within.max())


@dataclass
class ValidationResult:
    """Comparisons of a case.

    Attributes:
        seeds: runs of each simulator.
        silent: how many runs of ours and of NEST's fell silent, and were replaced by those of other seeds.
        p: of the permutation test over all comparisons, see :func:`permutation_test`.
    """

    case: ValidationCase
    seeds: int
    silent: tuple[int, int]
    comparisons: list[Comparison]
    p: float


def _sample(net: sim.Network, spikes: torch.Tensor, settle: float, duration: float) -> Sample:
    times, neurons = spikes[:, 0].numpy() * net.dt, spikes[:, 1].numpy()
    found = {}
    for population in net.populations:
        if population.model == "generator":
            continue
        mine = (neurons >= population.first) & (neurons < population.last)
        at, who = times[mine], neurons[mine] - population.first
        size, span = len(population), (settle, settle + duration)
        some, chosen = who < CHOSEN, min(CHOSEN, size)
        found[population.name, RATE] = sim.statistics.rates(at, who, size, *span)
        found[population.name, IRREGULARITY] = sim.statistics.interval_cv(at, who, size, *span)
        found[population.name, CORRELATION] = sim.statistics.correlations(at[some], who[some], chosen, *span, BIN)
    return {key: values[~np.isnan(values)] for key, values in found.items()}


def our_sample(case: ValidationCase, seed: int, device: str, threads: int) -> Sample:
    """Of a run of ours."""
    net = case.build(seed=seed, device=device, threads=threads)
    recorder = net.record_spikes()
    net.run(case.settle + case.duration)
    spikes = torch.stack([recorder.steps.cpu(), recorder.neurons.cpu().long()], 1)
    return _sample(net, spikes, case.settle, case.duration)


def nest_sample(case: ValidationCase, seed: int, threads: int) -> Sample:
    """Of a run of NEST, which draws its synapses and spikes of Poisson drives itself, from this seed."""
    net = case.build(seed=seed)
    twin = nest_twin.NestTwin(net, threads, seed)
    try:
        twin.run(case.settle + case.duration)
        return _sample(net, twin.spikes(), case.settle, case.duration)
    finally:
        twin.close()


def compare(ours: list[Sample], nests: list[Sample]) -> list[Comparison]:
    """Everything that all samples have numbers for; at least one sample of ours and two of NEST's."""
    comparisons = []
    for key in nests[0]:
        values = [sample[key] for sample in (*ours, *nests)]
        if not all(len(one) for one in values):
            continue
        distances = np.zeros((len(values), len(values)))
        for a, b in itertools.combinations(range(len(values)), 2):
            distances[a, b] = distances[b, a] = sim.statistics.ks_distance(values[a], values[b])
        means = [one.mean() for one in values]
        mine, theirs = float(np.mean(means[: len(ours)])), float(np.mean(means[len(ours) :]))
        comparisons.append(Comparison(*key, mine, theirs, distances, len(ours)))
    return comparisons


def permutation_test(comparisons: list[Comparison]) -> float:
    """How likely runs of one simulator are as far from each other as ours are from NEST's.

    How much larger distances between the simulators are than those within them, relative to the mean distance and
    summed over all comparisons, is compared with what comes out if the runs are shared out otherwise. All comparisons
    are of the same runs, so there is one answer and not one for each.

    Returns:
        The share of all ways to share out the runs (of 2,000 of them, if there are more) that are as extreme as the
        true one, which is among them.
    """
    first, count = comparisons[0].runs, len(comparisons[0].distances)
    relative = sum(one.distances / max(one.distances.mean(), 1e-12) for one in comparisons)

    def excess(chosen: tuple[int, ...]) -> float:
        mine = np.zeros(count, dtype=bool)
        mine[list(chosen)] = True
        within = [relative[np.ix_(side, side)].sum() / max(side.sum() * (side.sum() - 1), 1) for side in (mine, ~mine)]
        return relative[np.ix_(mine, ~mine)].mean() - np.mean(within)

    if math.comb(count, first) <= _PERMUTATIONS:
        ways = list(itertools.combinations(range(count), first))
    else:
        rng = np.random.default_rng(0)
        ways = [tuple(range(first)), *(tuple(rng.permutation(count)[:first]) for _ in range(_PERMUTATIONS - 1))]
    true = excess(tuple(range(first)))
    return float(np.mean([excess(way) >= true - 1e-9 for way in ways]))


def _alive(sample: Sample) -> bool:
    return all(len(values) for (_, statistic), values in sample.items() if statistic == CORRELATION)


def _samples(run: Callable[[int], Sample], wanted: int, first: int) -> tuple[list[Sample], int]:
    """Samples of runs that did not fall silent, and how many did."""
    found, silent = [], 0
    while len(found) < wanted:
        sample = run(first + len(found) + silent)
        if _alive(sample):
            found.append(sample)
        else:
            silent += 1
        if silent > 3 * wanted:
            raise RuntimeError(f"{silent} of {silent + len(found)} runs fell silent")
    return found, silent


def run_case(case: ValidationCase, seeds: int, device: str, threads: int) -> ValidationResult:
    """Runs both, each with as many seeds.

    Raises:
        RuntimeError: if most runs fall silent.
    """
    ours, silent = _samples(lambda seed: our_sample(case, seed, device, threads), seeds, 1)
    nests, others = _samples(lambda seed: nest_sample(case, seed, threads), seeds, NEST_SEEDS + 1)
    comparisons = compare(ours, nests)
    return ValidationResult(case, seeds, (silent, others), comparisons, permutation_test(comparisons))
