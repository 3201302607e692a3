"""Statistics of spikes against other ways to compute them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda.sim import statistics

TRAINS = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 5)), max_size=80, unique=True)


def arrays(rows):
    steps, neurons = (np.array([row[i] for row in rows], dtype=int) for i in (0, 1))
    return steps * 0.1, neurons


@settings(max_examples=60, deadline=None)
@given(TRAINS)
def test_against_loops(rows):
    times, neurons = arrays(rows)
    start, stop = 5.0, 35.0
    rates = statistics.rates(times, neurons, 6, start, stop)
    cv = statistics.interval_cv(times, neurons, 6, start, stop)
    counts = statistics.binned_counts(times, neurons, 6, start, stop, 2.0)
    for k in range(6):
        own = sorted(step for step, neuron in rows if neuron == k and 50 < step <= 350)
        assert rates[k] == pytest.approx(len(own) / 0.03)
        intervals = np.diff(own)
        if len(own) >= 3:
            assert cv[k] == pytest.approx(intervals.std() / intervals.mean())
        else:
            assert np.isnan(cv[k])
        assert counts[k].tolist() == [sum(50 + 20 * b < s <= 70 + 20 * b for s in own) for b in range(15)]


def test_correlations_are_those_of_numpy():
    rng = np.random.default_rng(0)
    steps, neurons = np.nonzero(rng.random((2000, 5)) < 0.05)
    steps, neurons = np.concatenate([steps, steps]), np.concatenate([neurons, neurons + 5])  # twins
    steps = steps + 1
    found = statistics.correlations(steps * 0.1, neurons, 11, 0.0, 200.0, 1.0)
    counts = np.stack([np.bincount((steps[neurons == k] - 1) // 10, minlength=200) for k in range(10)])
    assert found == pytest.approx(np.corrcoef(counts)[np.triu_indices(10, 1)])
    assert (found > 0.999).sum() == 5
    assert len(statistics.correlations([], [], 5, 0.0, 10.0)) == 0


def test_ks_distance_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=200), rng.normal(0.3, 1.2, size=150)
    assert statistics.ks_distance(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)
    assert statistics.ks_distance([*a, np.nan], a) == 0.0
    with pytest.raises(ValueError, match="'second' has no numbers"):
        statistics.ks_distance(a, [np.nan])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: statistics.rates([1.0], [1, 2], 3, 0.0, 1.0), "must be that of 'times'"),
        (lambda: statistics.rates([1.0], [3], 3, 0.0, 1.0), "they must be below 3"),
        (lambda: statistics.rates([1.0], [0], 3, 1.0, 1.0), "'stop'"),
        (lambda: statistics.interval_cv([1.0], [0], 3, 0.0, 1.0, 2), "'fewest'"),
        (lambda: statistics.binned_counts([1.0], [0], 3, 0.0, 1.0, 2.0), "must fit between"),
    ],
)
def test_refused(call, text):
    with pytest.raises(ValueError) as raised:
        call()
    assert text in str(raised.value)
