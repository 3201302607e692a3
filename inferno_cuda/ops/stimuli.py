"""What drives neurons of a large sparse network besides their synapses. Numbers depend on seed, stream, step, neuron
and trial alone."""

from __future__ import annotations

import dataclasses
import math

import torch

MAX_COUNT = 4096  # entries of a table


def _check_table(table: torch.Tensor) -> None:
    if not isinstance(table, torch.Tensor) or table.dtype != torch.int64 or table.ndim != 1:
        raise TypeError("table was no int64 tensor with one dimension; see poisson_table()")
    if len(table) > MAX_COUNT:
        raise ValueError(f"table had {len(table)} entries; at most {MAX_COUNT} are possible")
    inside = not len(table) or (int(table.min()) >= 0 and int(table.max()) <= 2**32)
    if not inside or not bool((table[1:] >= table[:-1]).all()):
        raise ValueError("table was not ascending within 0..2^32; see poisson_table()")


def _check_stream(stream: int) -> None:
    if not 0 <= stream < 2**32:
        raise ValueError(f"stream was {stream}; it must be 0 to 2^32 - 1")


@dataclasses.dataclass(frozen=True, eq=False)
class PoissonDrive:
    """Independent spike trains onto every neuron: a random number of weights arrives in every step.

    Args:
        table: cumulative probabilities of 0, 1, ... spikes in a step, times 2^32: see :func:`poisson_table`.
        weight: of a spike, in the unit of the model's weights.
        stream: of the random numbers; each stimulus has its own.
        port: where it arrives.
    """

    table: torch.Tensor
    weight: float
    stream: int
    port: int = 0

    def __post_init__(self):
        _check_table(self.table)
        _check_stream(self.stream)
        if not math.isfinite(self.weight):
            raise ValueError(f"weight was {self.weight}; it must be finite")
        if self.port not in (0, 1):
            raise ValueError(f"port was {self.port!r}; it must be 0 or 1")


@dataclasses.dataclass(frozen=True, eq=False)
class NoiseCurrent:
    """A normally distributed current, pA, that is drawn anew for each neuron in every interval.

    Args:
        mean, std: pA.
        interval: steps; intervals begin at step 0.
        stream: of the random numbers; each stimulus has its own.
    """

    mean: float
    std: float
    interval: int
    stream: int

    def __post_init__(self):
        _check_stream(self.stream)
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std >= 0):
            raise ValueError(f"mean and std were {self.mean} and {self.std}; they must be finite, std not negative")
        if self.interval < 1:
            raise ValueError(f"interval was {self.interval}; it must be at least 1 step")


@dataclasses.dataclass(frozen=True, eq=False)
class RandomSpikes:
    """Makes generators fire at random: a random number of spikes of each in every step.

    Args:
        table: as of :class:`PoissonDrive`; with one entry, ``round((1 - p) * 2^32)``, at most one spike in a step.
        stream: of the random numbers; each stimulus has its own.
    """

    table: torch.Tensor
    stream: int

    def __post_init__(self):
        _check_table(self.table)
        _check_stream(self.stream)
