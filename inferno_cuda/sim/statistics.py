"""Statistics of recorded spikes, in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..state import _check

__all__ = ["binned_counts", "correlations", "interval_cv", "ks_distance", "rates"]


def _spikes(times: Any, neurons: Any, size: int, start: float, stop: float) -> tuple[np.ndarray, np.ndarray]:
    """The spikes after ``start`` and up to ``stop``: a spike at the end of a step belongs to that step."""
    times, neurons = np.asarray(times, dtype=np.float64), np.asarray(neurons)
    if times.shape != neurons.shape or times.ndim != 1:
        raise ValueError(f"shape of 'neurons' {neurons.shape} must be that of 'times' {times.shape}, one dimension")
    if len(neurons) and not np.issubdtype(neurons.dtype, np.integer):
        raise TypeError(f"'neurons' is of {neurons.dtype}, it must hold integers")
    if len(neurons) and not (0 <= neurons.min() and neurons.max() < size):
        raise ValueError(f"'neurons' has numbers from {neurons.min()} to {neurons.max()}, they must be below {size}")
    _check.greater("stop", stop, start, "start")
    within = (times > start) & (times <= stop)
    return times[within], neurons[within].astype(np.int64)


def rates(times: Any, neurons: Any, size: int, start: float, stop: float) -> np.ndarray:
    """Mean firing rate of every neuron.

    Args:
        times: ms, one for each spike.
        neurons: who spiked, ``0`` to ``size - 1``.
        size: number of neurons.
        start: ms; spikes at this time and before it do not count.
        stop: ms; spikes after it do not count.

    Returns:
        Hz, float64 ``[size]``.

    Raises:
        TypeError, ValueError: if the arrays are not of one length, a number of a neuron is out of range, or ``stop`` is
            not after ``start``.
    """
    size = _check.size("size", size)
    _, neurons = _spikes(times, neurons, size, start, stop)
    return np.bincount(neurons, minlength=size) / ((stop - start) / 1000)


def interval_cv(times: Any, neurons: Any, size: int, start: float, stop: float, fewest: int = 3) -> np.ndarray:
    """Coefficient of variation of the intervals between the spikes of every neuron; 1 for a Poisson process.

    Args:
        times: ms, one for each spike, in any order.
        neurons: who spiked, ``0`` to ``size - 1``.
        size: number of neurons.
        start: ms; spikes at this time and before it do not count.
        stop: ms; spikes after it do not count.
        fewest: neurons with fewer spikes get NaN; at least 3, since one interval has no variation.

    Returns:
        float64 ``[size]``.

    Raises:
        TypeError, ValueError: as of :func:`rates`, or if ``fewest`` is below 3.
    """
    size, fewest = _check.size("size", size), _check.at_least("fewest", fewest, 3, cast=int)
    times, neurons = _spikes(times, neurons, size, start, stop)
    order = np.lexsort((times, neurons))
    times, neurons = times[order], neurons[order]
    same = neurons[1:] == neurons[:-1]
    intervals, owner = np.diff(times)[same], neurons[1:][same]
    count = np.bincount(owner, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(owner, intervals, minlength=size) / count
        # in two passes: the difference of squares would cancel for regular spikes
        variance = np.bincount(owner, (intervals - mean[owner]) ** 2, minlength=size) / count
        return np.where(count >= fewest - 1, np.sqrt(variance) / mean, np.nan)


def binned_counts(times: Any, neurons: Any, size: int, start: float, stop: float, bin: float) -> np.ndarray:
    """How often every neuron spiked in every bin.

    Args:
        times: ms, one for each spike.
        neurons: who spiked, ``0`` to ``size - 1``.
        size: number of neurons.
        start: ms; spikes at this time and before it do not count.
        stop: ms; spikes after it do not count.
        bin: width of a bin, ms. What is left at the end is no bin of its own.

    Returns:
        int64 ``[size, bins]``.

    Raises:
        TypeError, ValueError: as of :func:`rates`, or if not even one bin fits.
    """
    size, bin = _check.size("size", size), _check.step("bin", bin)
    bins = int((stop - start) / bin + 1e-9)
    _check.greater("stop", stop, start, "start")
    if bins < 1:
        raise ValueError(f"'bin' of {bin:g} ms must fit between {start:g} and {stop:g} ms")
    times, neurons = _spikes(times, neurons, size, start, start + bins * bin * (1 + 1e-12))
    # spikes are at the ends of steps, so a bin has its end and not its beginning; times are multiples of dt up to
    # rounding
    column = np.clip(np.ceil((times - start) / bin - 1e-6).astype(np.int64) - 1, 0, bins - 1)
    return np.bincount(neurons * bins + column, minlength=size * bins).reshape(size, bins)


def correlations(times: Any, neurons: Any, size: int, start: float, stop: float, bin: float = 2.0) -> np.ndarray:
    """Pearson correlation of the binned spike counts of all pairs of neurons that spiked.

    Args:
        times: ms, one for each spike.
        neurons: who spiked, ``0`` to ``size - 1``; choose some hundred, there are ``size**2 / 2`` pairs.
        size: number of neurons.
        start: ms; spikes at this time and before it do not count.
        stop: ms; spikes after it do not count.
        bin: width of a bin, ms.

    Returns:
        float64, one for each pair of neurons whose counts vary, the first neuron's pairs first.

    Raises:
        TypeError, ValueError: as of :func:`binned_counts`.
    """
    counts = binned_counts(times, neurons, size, start, stop, bin)
    varied = counts[counts.min(1) != counts.max(1)]
    if len(varied) < 2:
        return np.zeros(0)
    return np.corrcoef(varied)[np.triu_indices(len(varied), 1)]


def ks_distance(first: Any, second: Any) -> float:
    """Kolmogorov-Smirnov distance of two samples: the largest difference of their cumulative distributions.

    Args:
        first: numbers, at least one; NaN is left out.
        second: numbers, at least one; NaN is left out.

    Returns:
        Between 0 (the same distribution) and 1.

    Raises:
        ValueError: if a sample is empty.
    """
    samples = [np.sort(np.asarray(sample, dtype=np.float64).ravel()) for sample in (first, second)]
    samples = [sample[~np.isnan(sample)] for sample in samples]
    for name, sample in zip(("first", "second"), samples, strict=True):
        if not len(sample):
            raise ValueError(f"'{name}' has no numbers")
    everywhere = np.concatenate(samples)
    below = [np.searchsorted(sample, everywhere, side="right") / len(sample) for sample in samples]
    return float(np.abs(below[0] - below[1]).max())
