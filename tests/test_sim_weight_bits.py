"""Weights in few bits: what is refused, in whose name, by which mean."""

import warnings

import pytest
import torch

from inferno_cuda import sim
from inferno_cuda.sim import _values

DISTRIBUTIONS = (
    sim.Constant(-3.0),
    sim.Uniform(-1.0, 3.0),
    sim.Uniform(-4.0, -1.0),
    sim.Uniform(0.0, 0.0),
    sim.Normal(0.0, 1.0),
    sim.Normal(2.0, 1.0, low=0.0),
    sim.Normal(-2.0, 1.0, high=0.0),
    sim.Normal(1.0, 1.0, low=0.0, bounded="clip"),
    sim.Normal(1.0, 2.0, low=-0.5, high=3.0, bounded="clip"),
    sim.Normal(1.0, 2.0, low=-0.5, high=3.0),
    sim.Normal(-1.0, 2.0, high=-3.0),
    sim.Normal(10.0, 2.0, low=11.0, high=12.0),
    sim.Normal(3.0, 0.0, high=2.0, bounded="clip"),
    sim.Normal(87.8, 8.78, low=0.0),
)


@pytest.mark.parametrize("given", DISTRIBUTIONS, ids=repr)
def test_mean_magnitudes_are_those_of_what_is_drawn(given):
    drawn = _values.draw(given, 1, 1, torch.arange(400_000)).abs()
    error = float(drawn.std()) / 400_000**0.5
    assert _values.mean_magnitude(given) == pytest.approx(float(drawn.mean()), abs=5 * error + 1e-12)


def test_known_mean_magnitudes():
    assert _values.mean_magnitude(sim.Normal(0.0, 1.0)) == pytest.approx((2 / torch.pi) ** 0.5)
    assert _values.mean_magnitude(sim.Uniform(-1.0, 3.0)) == 1.25
    # all but nothing is moved to the bound
    assert _values.mean_magnitude(sim.Normal(-50.0, 1.0, low=0.0, bounded="clip")) == 0.0


def network(weight, bits=16, indegree=40):
    net = sim.Network(weight_bits=bits)
    some = net.population(100, name="some")
    net.connect(some, some, sim.FixedInDegree(5), weight=0.1, name="fine")
    net.connect(some, some, sim.FixedInDegree(indegree), weight=weight, name="wide")
    return net


def test_bounded_weights_are_judged_by_the_mean_of_what_is_drawn():
    """A bound in place of the mean made weights of Normal(0, 1) look eleven times as large as they are."""
    for large, refused in ((100.0, True), (5.0, False)):
        net = sim.Network(weight_bits=16)
        some = net.population(50, name="some")
        net.connect(some, some, sim.FixedInDegree(30), weight=sim.Normal(0.0, 0.2), name="small")
        net.connect(some, some, sim.FixedInDegree(1), weight=sim.Normal(0.0, large), name="large")
        if refused:  # steps of 1/32, since 900 is the bound, and a mean of 80 / 31
            with pytest.raises(ValueError, match="^<large: .*900 at most and 2.7.* multiples of 0.03125"):
                net.build()
        else:
            net.build()
            assert net.rows.quantum <= float(net.synapses().weight.abs().mean()) / 128 * 1.1


def test_weights_that_are_too_coarse_are_those_of_a_projection():
    for weight in (sim.LogNormal(0.0, 3.0), sim.Constant(1000.0)):
        net = network(weight, indegree=40 if isinstance(weight, sim.LogNormal) else 1)
        if isinstance(weight, sim.Constant):
            net.connect("some", "some", sim.FixedInDegree(500), weight=sim.Normal(0.0, 1.0), name="many")
        with pytest.raises(ValueError, match="^<wide: .*weight_bits was 16; .* need 32 bits"):
            net.build()


def test_weights_clipped_to_one_number_have_no_larger_mean():
    """Which rounding would give them in some of these."""
    for mean in torch.linspace(-1.0, 2.0, 40, dtype=torch.float64).tolist():
        net = sim.Network()
        neurons = net.population(5)
        net.connect(neurons, neurons, weight=sim.Normal(mean, 0.7, low=1.1, high=1.1, bounded="clip"))
        net.build()
        assert int(net.rows.out_degrees().sum()) == 25


def test_sums_without_room_are_those_of_a_projection():
    net = sim.Network(weight_bits=32)
    other, one = net.population(3, name="other"), net.population(1, name="one")
    busy = net.spike_source(1, torch.full((65_535,), 0.1), name="busy")
    net.connect(other, other, weight=1e6, name="large")
    net.connect(busy, one, sim.FixedInDegree(65_537), weight=1.0, name="many")
    with pytest.raises(ValueError, match="^<many: .*neuron 3 has 65,537 synapses"):
        net.build()
    wide = sim.Network()
    one, busy = wide.population(1), wide.spike_source(1, torch.full((65_535,), 0.1))
    wide.connect(busy, one, sim.FixedInDegree(65_537), weight=1.0)
    wide.build()
    assert wide.rows.weight_bits == 64


def test_the_microcircuit_keeps_its_weights():
    """Steps are what they were before means were those of distributions; at full scale they are as fine."""
    for bits, quantum in ((None, 2.0**-10), (16, 2.0**-5)):
        net = sim.models.microcircuit(0.03, in_degree_scale=1.0, seed=1, weight_bits=bits)
        net.build()
        assert (net.rows.weight_bits, net.rows.quantum) == (bits or 32, quantum)


@pytest.mark.parametrize("weight", [0.01, sim.Normal(0.01, 0.001), sim.Uniform(0.0, 0.02)], ids=str)
def test_weights_that_rounding_takes_away_are_warned_of(weight):
    def built(bits, large):
        net = sim.Network(weight_bits=bits)
        neurons = net.population(100, "iaf_psc_exp")
        net.connect(neurons, neurons, sim.FixedInDegree(10), weight=large, delay=1.5)
        net.connect(neurons, neurons, sim.FixedInDegree(1), weight=weight, delay=1.5)
        net.build()

    with pytest.warns(UserWarning, match=r"projection 1.*0\.01 on average.*multiples of 0\.03125, mostly to 0"):
        built(16, 1000.0)
    with pytest.warns(UserWarning, match="by up to 10 % of that"):
        built(16, 40.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built(16, 1.0)
        built(32, 1000.0)
