"""How spike trains are drawn: checked rates, and sources of random intervals between spikes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from ...state import _check


def prepared(
    inputs: Tensor, steps: int, step_time: float, generator: torch.Generator | None
) -> tuple[Tensor, int]:
    """Checked rates to compute with, and the number of steps.

    The rates are outside of any graph, in float32 or float64, and where the numbers are drawn.
    """
    steps = _check.nonnegative("steps", _check.integer("steps", steps), int)
    _check.step("step_time", step_time)
    rates = _check.instance("inputs", inputs, Tensor).detach()
    if not bool((rates >= 0).all()):
        worst = "NaN" if bool(rates.isnan().any()) else f"{rates.min().item()}"
        raise ValueError(f"'inputs' had a rate of {worst}; rates must be nonnegative")
    dtype = rates.dtype if rates.dtype in (torch.float32, torch.float64) else torch.float32
    return rates.to(inputs.device if generator is None else generator.device, dtype), steps


def per_step(rates: Tensor, step_time: float) -> Tensor:
    """The chance of a spike in a step, at most 1."""
    return (rates * (step_time / 1000)).clamp_max(1)


def spikes_at(chance: Tensor, generator: torch.Generator | None) -> Tensor:
    """Spikes with the given probabilities."""
    return torch.bernoulli(chance, generator=generator).bool()


class _Intervals(ABC):
    """A source of intervals between spikes, in steps, each at least ``shortest`` > 0; infinite for silent elements."""

    shortest: float

    def __init__(self, rates: Tensor, generator: torch.Generator | None) -> None:
        self.shape = rates.shape
        self.silent = rates.reshape(-1) == 0
        self.generator = generator

    @abstractmethod
    def draw(self, count: int) -> Tensor:
        """``(count, n)`` intervals for all n elements."""

    @abstractmethod
    def draw_for(self, elements: Tensor) -> Tensor:
        """One interval for each element of a mask."""

    @abstractmethod
    def step_of(self, arrivals: Tensor) -> Tensor:
        """The step that a running sum of intervals falls in, as a whole float."""

    def offline(self, steps: int) -> Tensor:
        """Spikes ``(steps, *shape)``."""
        count = self.silent.numel()
        # the row behind the last collects the spikes that come too late
        spikes = torch.zeros(steps + 1, count, dtype=torch.bool, device=self.silent.device)
        start = 0.0
        while steps and count:
            arrivals = self.draw(steps).cumsum_(0).add_(start)
            spikes.scatter_(0, self.step_of(arrivals).clamp_max_(steps).long(), True)
            if self.shortest >= 1:
                break
            # intervals below a step: these may not have reached the end
            start = arrivals[-1]
            if bool((self.step_of(start) >= steps).all()):
                break
        return spikes[:steps].reshape(steps, *self.shape)

    def online(self, steps: int, device: torch.device) -> Iterator[Tensor]:
        """Spikes ``(*shape,)`` of every step, drawn when they are asked for."""
        with torch.no_grad():
            left = self.draw(1)[0]
        for _ in range(steps):
            with torch.no_grad():
                spikes = self._due(left)
                self._draw_next(left, spikes)
                left -= 1
            yield spikes.view(self.shape).to(device)

    def _due(self, left: Tensor) -> Tensor:
        return self.step_of(left) <= 0

    def _draw_next(self, left: Tensor, spikes: Tensor) -> None:
        due = spikes
        while True:
            left[due] += self.draw_for(due)
            if self.shortest >= 1:
                return
            due = self._due(left)
            if not bool(due.any()):
                return


class _PoissonIntervals(_Intervals):
    """Poisson distributed whole numbers of steps, at least 1. An interval of k ends in step k - 1."""

    shortest = 1.0

    def __init__(self, rates: Tensor, step_time: float, generator: torch.Generator | None) -> None:
        super().__init__(rates, generator)
        # torch refuses an infinite mean, and cannot count past an int64
        self.mean = (1000 / (rates.reshape(-1) * step_time)).masked_fill(self.silent, 0).clamp_max_(2.0**62)

    def draw(self, count: int) -> Tensor:
        drawn = torch.poisson(self.mean.expand(count, -1), generator=self.generator)
        return drawn.clamp_min_(1).masked_fill_(self.silent, math.inf)

    def draw_for(self, elements: Tensor) -> Tensor:
        return torch.poisson(self.mean[elements], generator=self.generator).clamp_min_(1)

    def step_of(self, arrivals: Tensor) -> Tensor:
        return arrivals - 1


class _ExponentialIntervals(_Intervals):
    """A dead time and an exponential rest, in steps. An interval ends in the step it reaches into."""

    def __init__(self, rates: Tensor, mean: Tensor, dead: float, generator: torch.Generator | None) -> None:
        super().__init__(rates, generator)
        self.shortest = dead
        # an infinite factor may meet a random number that is 0
        self.mean = mean.reshape(-1).masked_fill(self.silent, 0).clamp_max_(2.0**62)
        self.dead = torch.full_like(self.mean, dead).masked_fill_(self.silent, math.inf)

    def draw(self, count: int) -> Tensor:
        drawn = self.mean.new_empty(count, len(self.mean)).exponential_(generator=self.generator)
        return drawn.mul_(self.mean).add_(self.dead)

    def draw_for(self, elements: Tensor) -> Tensor:
        mean = self.mean[elements]
        return torch.empty_like(mean).exponential_(generator=self.generator).mul_(mean).add_(self.shortest)

    def step_of(self, arrivals: Tensor) -> Tensor:
        return arrivals.floor()


class _Independent:
    """A process without dead time: every step on its own has a spike if at least one event falls into it."""

    def __init__(self, rates: Tensor, step_time: float, generator: torch.Generator | None) -> None:
        self.chance = -torch.expm1(rates * (-step_time / 1000))
        self.generator = generator

    def offline(self, steps: int) -> Tensor:
        return spikes_at(self.chance.expand(steps, *self.chance.shape), self.generator)

    def online(self, steps: int, device: torch.device) -> Iterator[Tensor]:
        return (spikes_at(self.chance, self.generator).to(device) for _ in range(steps))


def poisson_interval_source(rates: Tensor, step_time: float, generator: torch.Generator | None) -> _PoissonIntervals:
    """Intervals with a mean of ``1000 / rate`` ms."""
    return _PoissonIntervals(rates, step_time, generator)


def exp_interval_source(
    rates: Tensor, step_time: float, refrac: float | None, compensate: bool, generator: torch.Generator | None
) -> _ExponentialIntervals | _Independent:
    """A Poisson process with a dead time of ``refrac`` ms after each event, one step if None."""
    refrac = step_time if refrac is None else _check.span("refrac", refrac)
    if compensate and rates.numel():
        fastest = rates.max().item()
        # what is too much by rounding alone is met by intervals of just the dead time
        if fastest * refrac > 1000 * (1 + 1e-6):
            raise ValueError(
                f"'inputs' had a rate of {fastest} Hz, which cannot be compensated for a 'refrac' of {refrac} ms; "
                f"rates must be at most {1000 / refrac} Hz"
            )
    if refrac == 0:
        return _Independent(rates, step_time, generator)
    dead = _steps(refrac, step_time)
    mean = 1000 / (rates * step_time)
    if compensate:
        mean = (mean - dead).clamp_min_(0)
    return _ExponentialIntervals(rates, mean, dead, generator)


def _steps(time: float, step_time: float) -> float:
    """``time`` in steps; a whole number if it is one up to rounding."""
    ratio = time / step_time
    whole = round(ratio)
    return float(whole) if math.isclose(ratio, whole, rel_tol=1e-9) else ratio
