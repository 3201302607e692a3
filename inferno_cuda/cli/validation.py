"""Distributions of what neurons do, of several runs of ours and of several of NEST's: how far are they apart?

Both simulators draw everything by themselves, so no two runs are the same. A run gives, for each population, the rates
of all neurons, the coefficients of variation of their intervals between spikes, and the correlations of the spike
counts of pairs. The distance of two runs is that of Kolmogorov and Smirnov. Runs of NEST with different seeds are some
distance apart; if both simulate the same model, ours are as far from NEST's as those are from each other.
"""

from __future__ import annotations

import itertools
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
        within: distances of all pairs of NEST's runs.
        between: distances of each run of ours to each of NEST's.
    """

    population: str
    statistic: str
    ours: float
    nest: float
    within: list[float]
    between: list[float]

    @property
    def inside(self) -> bool:
        """Whether ours are, on average, no farther from NEST's than two of NEST's may be from each other."""
        return float(np.mean(self.between)) <= max(self.within)


@dataclass
class ValidationResult:
    """Comparisons of a case.

    Attributes:
        seeds: runs of each simulator.
        silent: how many runs of ours and of NEST's fell silent, and were replaced by those of other seeds.
    """

    case: ValidationCase
    seeds: int
    silent: tuple[int, int]
    comparisons: list[Comparison]

    @property
    def outside(self) -> list[str]:
        """What is farther apart than NEST's own runs are."""
        return [f"{one.statistic} of {one.population}" for one in self.comparisons if not one.inside]


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
    twin.run(case.settle + case.duration)
    return _sample(net, twin.spikes(), case.settle, case.duration)


def compare(ours: list[Sample], nests: list[Sample]) -> list[Comparison]:
    """Everything that all samples have numbers for; at least one sample of ours and two of NEST's."""
    comparisons = []
    for population, statistic in nests[0]:
        mine, theirs = ([sample[population, statistic] for sample in samples] for samples in (ours, nests))
        if not all(len(values) for values in (*mine, *theirs)):
            continue
        distance = sim.statistics.ks_distance
        comparisons.append(
            Comparison(
                population,
                statistic,
                *(float(np.mean([values.mean() for values in samples])) for samples in (mine, theirs)),
                within=[distance(a, b) for a, b in itertools.combinations(theirs, 2)],
                between=[distance(a, b) for a, b in itertools.product(mine, theirs)],
            )
        )
    return comparisons


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
    return ValidationResult(case, seeds, (silent, others), compare(ours, nests))
