"""Spike trains drawn at random from rates.

``inputs`` are expected firing rates in Hz, of any shape; ``step_time`` is in ms. Offline functions return a bool tensor
``(steps, *inputs.shape)``, online ones an iterator over ``steps`` bool tensors of the shape of ``inputs``, drawn one at
a time. Random numbers are drawn on the device of the generator, so a generator of the CPU gives the same spikes on
every device; without one, on the device of ``inputs``. Nothing here is differentiable. All functions raise ValueError
for rates that are negative or NaN, for a number of steps that is negative or not whole, and for a ``step_time`` that
is not positive.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ._sampling import exp_interval_source, per_step, poisson_interval_source, prepared, spikes_at


def homogeneous_poisson_exp_interval(
    inputs: Tensor,
    steps: int,
    step_time: float,
    *,
    refrac: float | None = None,
    compensate: bool = True,
    generator: torch.Generator | None = None,
) -> Tensor:
    """A Poisson process with a refractory period: exponential intervals between spikes, each after a dead time.

    Spikes are where the running sum of the intervals, rounded down to steps, lands. The first spike comes after a whole
    interval too.

    Args:
        inputs: firing rates, in Hz.
        steps: number of steps.
        step_time: length of a step, in ms.
        refrac: refractory period, in ms, >= 0; None for one step.
        compensate: whether the exponential part is shortened by the refractory period, so that the rates are met. With
            a ``refrac`` below ``step_time`` there are somewhat fewer spikes still: events of one step are one spike.
        generator: source of random numbers; None for torch's own.

    Raises:
        ValueError: also if ``refrac`` is negative or infinite, or a rate cannot be met since it exceeds
            ``1000 / refrac`` with ``compensate``.
    """
    rates, steps = prepared(inputs, steps, step_time, generator)
    source = exp_interval_source(rates, step_time, refrac, compensate, generator)
    return source.offline(steps).to(inputs.device)


def homogeneous_poisson_exp_interval_online(
    inputs: Tensor,
    steps: int,
    step_time: float,
    *,
    refrac: float | None = None,
    compensate: bool = True,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """:func:`homogeneous_poisson_exp_interval`, one step at a time."""
    rates, steps = prepared(inputs, steps, step_time, generator)
    source = exp_interval_source(rates, step_time, refrac, compensate, generator)
    return source.online(steps, inputs.device)


def poisson_interval(
    inputs: Tensor, steps: int, step_time: float, *, generator: torch.Generator | None = None
) -> Tensor:
    """Intervals between spikes that are Poisson distributed whole numbers of steps, at least one.

    Args:
        inputs: firing rates, in Hz; the mean interval is ``1000 / rate``, in ms.
        steps: number of steps.
        step_time: length of a step, in ms.
        generator: source of random numbers; None for torch's own.
    """
    rates, steps = prepared(inputs, steps, step_time, generator)
    return poisson_interval_source(rates, step_time, generator).offline(steps).to(inputs.device)


def poisson_interval_online(
    inputs: Tensor, steps: int, step_time: float, *, generator: torch.Generator | None = None
) -> Iterator[Tensor]:
    """:func:`poisson_interval`, one step at a time."""
    rates, steps = prepared(inputs, steps, step_time, generator)
    return poisson_interval_source(rates, step_time, generator).online(steps, inputs.device)


def homogenous_poisson_bernoulli_approx(
    inputs: Tensor, steps: int, step_time: float, *, generator: torch.Generator | None = None
) -> Tensor:
    """Independent steps: a spike with probability ``rate * step_time / 1000``, at most 1.

    Args:
        inputs: firing rates, in Hz.
        steps: number of steps.
        step_time: length of a step, in ms.
        generator: source of random numbers; None for torch's own.
    """
    rates, steps = prepared(inputs, steps, step_time, generator)
    chance = per_step(rates, step_time)
    return spikes_at(chance.expand(steps, *chance.shape), generator).to(inputs.device)


def homogenous_poisson_bernoulli_approx_online(
    inputs: Tensor, steps: int, step_time: float, *, generator: torch.Generator | None = None
) -> Iterator[Tensor]:
    """:func:`homogenous_poisson_bernoulli_approx`, one step at a time."""
    rates, steps = prepared(inputs, steps, step_time, generator)
    chance = per_step(rates, step_time)
    return (spikes_at(chance, generator).to(inputs.device) for _ in range(steps))


def inhomogeneous_poisson_bernoulli_approx(
    inputs: Tensor, step_time: float, *, generator: torch.Generator | None = None
) -> Tensor:
    """A spike with probability ``rate * step_time / 1000``, at most 1, with a rate for every step.

    Args:
        inputs: firing rates, in Hz, ``(steps, *shape)``.
        step_time: length of a step, in ms.
        generator: source of random numbers; None for torch's own.

    Returns:
        Spikes, bool, of the shape of ``inputs``.
    """
    rates, _ = prepared(inputs, 0, step_time, generator)
    return spikes_at(per_step(rates, step_time), generator).to(inputs.device)
