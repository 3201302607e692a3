"""Models from the literature: their parameters and published rates."""

import warnings

import numpy as np
import pytest

from inferno_cuda import sim
from inferno_cuda.sim.models import _microcircuit

models = sim.models


def test_the_microcircuit_is_that_of_the_paper():
    net = models.microcircuit()
    assert net.size == 77_169 and len(net.projections) == 55
    # 298,880,969 within the rounding of the logarithms
    assert abs(sum(projection.expected for projection in net.projections) - 298_880_969) <= 2
    assert _microcircuit._peak_weight() == pytest.approx(87.8085, abs=1e-4)  # pA
    currents = [561.97, 526.85, 737.59, 667.34, 702.47, 667.34, 1018.58, 737.59]
    assert [population.I_e[0].item() for population in net.populations] == pytest.approx(currents, abs=5e-3)
    assert net["L4E"].V_m.mean().item() == pytest.approx(-63.33, abs=0.2)
    assert 1.8e9 < net.memory_needed().rows < 2.4e9


def test_weights_and_delays_of_the_microcircuit(native):
    net = models.microcircuit(0.05, "poisson", in_degree_scale=0.25, seed=2)
    found = net.synapses("L4E", "L23E")
    # twice the others, over the root of the share of inputs that is there
    assert found.weight.mean().item() == pytest.approx(2 * 87.8085 / 0.5, rel=0.01)
    assert found.weight.std().item() == pytest.approx(0.1 * 2 * 87.8085 / 0.5, rel=0.03)
    assert found.delay.double().mean().item() == pytest.approx(15.5, rel=0.02) and found.delay.min() == 1
    down = net.synapses("L4I", "L23E")
    assert down.weight.max() <= 0 and down.weight.mean().item() == pytest.approx(-4 * 87.8085 / 0.5, rel=0.01)
    assert down.delay.double().mean().item() == pytest.approx(7.8, rel=0.02)
    drive = net.stimuli[0]
    assert drive.rate == pytest.approx(8 * 1600 * 0.25) and drive.weight == pytest.approx(87.8085 / 0.5)


@pytest.mark.parametrize("drive", ["dc", "poisson"])
def test_rates_of_a_smaller_microcircuit_are_near_the_published_ones(native, drive):
    net = models.microcircuit(0.2, drive, seed=1)
    net.run(200.0)
    net.clear()
    net.run(400.0)
    for name, published in models.MICROCIRCUIT_RATES.items():
        assert 0.45 * published < net.rates[name] < 1.5 * published, (name, net.rates[name])


@pytest.mark.slow
def test_rates_of_the_whole_microcircuit(native):
    """Within 10 % of the published ones, or of four standard errors of populations with few spikes."""
    net = models.microcircuit(seed=3)
    net.run(500.0)
    net.clear()
    net.run(5000.0)
    for name, published in models.MICROCIRCUIT_RATES.items():
        assert net.rates[name] == pytest.approx(published, rel=0.1), (name, net.rates)


@pytest.mark.parametrize(("kind", "low", "high"), [("cuba", 3.0, 12.0), ("coba", 10.0, 30.0)])
def test_vogels_abbott_goes_on_by_itself(native, kind, low, high):
    net = models.vogels_abbott(kind, seed=1)
    net.run(400.0)
    spikes = net.record_spikes("exc")
    net.clear()
    net.run(600.0)
    assert low < net.rates["exc"] < high
    irregularity = sim.statistics.interval_cv(*spikes.of(net["exc"]), 3200, 400.0, 1000.0)
    assert np.nanmean(irregularity) > 0.4  # of few spikes, which makes it smaller


def test_a_microcircuit_that_falls_silent_says_so(native):
    with pytest.warns(UserWarning, match="0.1 of the in-degrees .* falls silent: take drive"):
        net = models.microcircuit(0.1, seed=1)
    net.run(100.0)
    net.clear()
    net.run(100.0)
    # as in NEST, where only the inhibitory neurons of layer 6 go on
    assert {name for name, rate in net.rates.items() if rate} == {"L6I"}
    for scale, options in ((0.15, {}), (1.0, {}), (0.1, {"drive": "poisson"}), (0.05, {"in_degree_scale": 1.0})):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            net = models.microcircuit(scale, seed=1, **options)
        if scale == 0.15:
            net.run(300.0)
            net.clear()
            net.run(100.0)
            assert min(net.rates.values()) > 0.2


def test_vogels_abbott_can_grow_with_its_in_degrees_as_they_are(native):
    net = models.vogels_abbott("coba", 8000, probability=80 / 8000, seed=1)
    assert net.projections[0].weight == models.vogels_abbott("coba").projections[0].weight
    assert net.projections[0].expected == 6400 * 80
    net.run(150.0)
    net.clear()
    net.run(50.0)
    assert 10.0 < net.rates["exc"] < 30.0
    with pytest.raises(ValueError, match="probability"):
        models.vogels_abbott(probability=1.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.microcircuit(0.0),
        lambda: models.microcircuit(1.5),
        lambda: models.microcircuit(drive="ac"),
        lambda: models.microcircuit(0.1, in_degree_scale=2.0),
        lambda: models.brunel("chaos"),
        lambda: models.brunel(None),
        lambda: models.brunel(excitatory=101),
        lambda: models.vogels_abbott("neither"),
        lambda: models.vogels_abbott(size=10),
    ],
)
def test_refused(make):
    with pytest.raises(ValueError):
        make()
