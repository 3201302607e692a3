"""The regimes of Brunel (2000): rates and frequencies of table 1, regularity and synchrony as in its figure 8.

The table has a rate and a frequency of the global oscillation for each state but the regular one, of which the paper
says that neurons are almost fully synchronized and fire regularly at high rates.
"""

from typing import NamedTuple

import numpy as np
import pytest

from inferno_cuda import sim

BIN = 0.5  # ms
REGULAR, FAST, ASYNCHRONOUS, SLOW = sim.models.BRUNEL_REGIMES
RATES = {FAST: 60.7, ASYNCHRONOUS: 37.7, SLOW: 5.5}  # Hz
FREQUENCIES = {FAST: 180.0, SLOW: 22.0}  # Hz


class Activity(NamedTuple):
    """Of the excitatory neurons, and of all inhibitory ones their rate.

    Attributes:
        rate: Hz.
        inhibitory: Hz.
        irregularity: mean coefficient of variation of intervals between spikes.
        synchrony: standard deviation of the activity of all neurons relative to its mean, in bins.
        frequency: where that activity has its strongest oscillation, Hz.
        silence: share of bins with less than a quarter of the mean activity.
    """

    rate: float
    inhibitory: float
    irregularity: float
    synchrony: float
    frequency: float
    silence: float


def activity(regime, duration, settle=150.0, **options):
    net = sim.models.brunel(regime, seed=1, **options)
    net.run(settle)
    net.clear()
    recorder = net.record_spikes("exc")
    net.run(duration)
    times, neurons = (column.numpy() for column in recorder.of(net["exc"]))
    size, span = len(net["exc"]), (settle, settle + duration)
    counts = sim.statistics.binned_counts(times, neurons, size, *span, BIN).sum(0)
    power = np.abs(np.fft.rfft(counts - counts.mean())) ** 2
    hertz = np.fft.rfftfreq(len(counts), BIN / 1000)
    width = max(1, round(5 / hertz[1]))  # single lines of a spectrum of one run scatter
    smooth = np.convolve(power, np.ones(width) / width, "same")
    return Activity(
        net.rates["exc"],
        net.rates["inh"],
        float(np.nanmean(sim.statistics.interval_cv(times, neurons, size, *span))),
        counts.std() / counts.mean(),
        float(hertz[1:][np.argmax(smooth[1:])]),
        float((counts < counts.mean() / 4).mean()),
    )


def check(regime, found):
    if regime in RATES:
        assert found.rate == pytest.approx(RATES[regime], rel=0.06)
    assert found.inhibitory == pytest.approx(found.rate, rel=0.05)
    if regime in FREQUENCIES:
        # the oscillation is faster than any neuron fires
        assert found.frequency == pytest.approx(FREQUENCIES[regime], rel=0.15) and found.frequency > 2.5 * found.rate
    assert (found.irregularity < 0.02) if regime == REGULAR else (found.irregularity > 0.35)


def test_the_asynchronous_regime_fires_as_published(native):
    check(ASYNCHRONOUS, activity(ASYNCHRONOUS, 250.0))


@pytest.mark.slow
def test_the_four_regimes_fire_as_published_and_are_told_apart(native):
    found = {
        regime: activity(regime, duration)
        for regime, duration in {REGULAR: 200.0, FAST: 500.0, ASYNCHRONOUS: 500.0, SLOW: 1500.0}.items()
    }
    for regime, one in found.items():
        check(regime, one)
    synchrony = [found[regime].synchrony for regime in (ASYNCHRONOUS, FAST, REGULAR, SLOW)]
    assert synchrony == sorted(synchrony) and synchrony[1] > 1.2 * synchrony[0]
    # one wave after the other with nothing between them, or clusters that take turns
    assert found[SLOW].silence > 0.3 and found[REGULAR].silence > 0.6
    assert found[FAST].silence > 2 * found[ASYNCHRONOUS].silence
    # almost every neuron of a cluster fires each time: the activity is at a multiple of the rate of each
    assert found[REGULAR].rate > 300
    clusters = found[REGULAR].frequency / found[REGULAR].rate
    assert clusters == pytest.approx(round(clusters), rel=0.02)


def test_regimes_of_a_smaller_network_are_told_apart(native):
    small = {"excitatory": 4000, "weight": 0.25, "settle": 100.0}
    found = {regime: activity(regime, 200.0, **small) for regime in sim.models.BRUNEL_REGIMES}
    assert found[REGULAR].irregularity < 0.05 and found[REGULAR].rate > 300
    for regime in (FAST, ASYNCHRONOUS, SLOW):
        assert found[regime].irregularity > 0.25
    assert found[FAST].frequency > 1.3 * found[ASYNCHRONOUS].frequency > 2.5 * found[SLOW].frequency
    # the slow oscillation is far from the threshold rate, and silent between its waves
    assert found[SLOW].synchrony > 1.5 * found[ASYNCHRONOUS].synchrony
    assert found[SLOW].silence > 0.2 > 0.1 > found[ASYNCHRONOUS].silence
