"""Connections of inferno_cuda.sim: rules, distributions, explicit synapses, what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import sim


def pair(sources=12, targets=8, **options):
    net = sim.Network(**{"dtype": torch.float64, **options})
    return net, net.population(sources, name="source"), net.population(targets, name="target")


RULES = {
    "one_to_one": (sim.OneToOne(), 10),
    "all_to_all": (sim.AllToAll(), 100),
    "all_to_all, no autapses": (sim.AllToAll(autapses=False), 90),
    "indegree": (sim.FixedInDegree(4), 40),
    "indegree, simple": (sim.FixedInDegree(4, autapses=False, multapses=False), 40),
    "outdegree": (sim.FixedOutDegree(3, autapses=False), 30),
    "total": (sim.FixedTotalNumber(25, multapses=False), 25),
    "bernoulli": (sim.PairwiseBernoulli(0.5, autapses=False), None),
}


@pytest.mark.parametrize("name", RULES)
def test_rules(name, backend):
    rule, count = RULES[name]
    net = sim.Network()
    neurons = net.population(10)
    net.connect(neurons, neurons, rule, weight=2.5, delay=0.3)
    found = net.synapses()
    pairs = found.source.long() * 10 + found.target
    assert len(pairs) == count or (count is None and 20 < len(pairs) < 70)
    assert set(found.delay.tolist()) == {3} and set(found.weight.tolist()) == {2.5}
    if not getattr(rule, "autapses", True):
        assert not bool((found.source == found.target).any())
    if not getattr(rule, "multapses", True):
        assert len(pairs.unique()) == len(pairs)
    if hasattr(rule, "indegree"):
        assert found.target.bincount(minlength=10).tolist() == [rule.indegree] * 10
    if hasattr(rule, "outdegree"):
        assert found.source.bincount(minlength=10).tolist() == [rule.outdegree] * 10


def test_ranges_are_connected_where_they_lie():
    net, source, target = pair()
    net.connect(source[3:5], target[2:], sim.AllToAll(), weight=1.0)
    net.connect("target", "source", "one_to_one") if len(source) == len(target) else None
    found = net.synapses()
    assert sorted(set(found.source.tolist())) == [3, 4] and sorted(set(found.target.tolist())) == [
        14,
        15,
        16,
        17,
        18,
        19,
    ]
    chosen = net.synapses(source[3], target[2:4])
    assert chosen.source.tolist() == [3, 3] and chosen.target.tolist() == [14, 15]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(1, 60), st.integers(-8, 8)), max_size=60))
def test_explicit_synapses_are_those_that_were_given(rows):
    net, source, target = pair(7, 5)
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    weight, delay = np.array(columns[3]) / 4.0, np.array(columns[2]) * 0.1
    net.connect(source, target, (columns[0], columns[1]), weight=weight, delay=delay)
    found = net.synapses()
    expected = sorted((s, 7 + t, d, w / 4.0) for s, t, d, w in rows)
    assert sorted(zip(*(column.tolist() for column in found), strict=True)) == expected


def test_sparse_matrices_of_scipy_and_torch():
    sparse = pytest.importorskip("scipy.sparse")
    dense = torch.zeros(8, 12, dtype=torch.float64)
    dense[[7, 2, 2], [0, 3, 11]] = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    for matrix in (
        sparse.csr_matrix(dense.numpy()),
        sparse.coo_array(dense.numpy()),
        dense.to_sparse(),
        dense.to_sparse_csr(),
    ):
        net, source, target = pair()
        net.connect(source, target, matrix, delay=0.7)
        found = net.synapses()
        assert found.source.tolist() == [0, 3, 11] and (found.target - 12).tolist() == [7, 2, 2]
        assert found.weight.tolist() == [1.0, -2.0, 3.0] and set(found.delay.tolist()) == {7}
        with pytest.raises(ValueError, match="Its transpose has that shape"):
            net.connect(target, source, matrix)
    # the convention is that of weights for all pairs, which are the same matrix
    net, source, target = pair()
    net.connect(source, target, weight=dense, delay=0.7)
    found = net.synapses()
    chosen = found.weight != 0
    assert found.source[chosen].tolist() == [0, 3, 11] and found.weight[chosen].tolist() == [1.0, -2.0, 3.0]


def test_weights_and_delays_of_a_matrix_are_looked_up():
    weight = torch.arange(96, dtype=torch.float64).view(8, 12)
    for rule in (sim.PairwiseBernoulli(0.4), sim.AllToAll(), sim.FixedInDegree(3)):
        net, source, target = pair()
        net.connect(source, target, rule, weight=weight, delay=0.1 * (1 + weight % 5))
        found = net.synapses()
        expected = weight[found.target.long() - 12, found.source.long()]
        assert torch.equal(found.weight, expected) and torch.equal(found.delay, (1 + expected % 5).int())


def test_distributions_of_weights_and_delays():
    net, source, target = pair(50, 40)
    net.connect(source, target, weight=sim.Normal(10.0, 2.0, low=8.0), delay=sim.Normal(0.2, 0.3))
    net.connect(source, target, weight=sim.Uniform(-3.0, -2.0), delay=sim.LogNormal(0.0, 0.5, high=4.0, bounded="clip"))
    found = net.synapses()
    up, down = found.weight > 0, found.weight < 0
    assert int(up.sum()) == int(down.sum()) == 2000
    assert found.weight[up].min() >= 8.0 and abs(found.weight[up].mean() - 10.575) < 0.15
    assert found.weight[down].min() >= -3.0 and found.weight[down].max() <= -2.0
    # what is drawn below half a step is raised to one step
    assert found.delay[up].min() == 1 and 0.25 < (found.delay[up] == 1).double().mean() < 0.55
    assert found.delay[down].max() == 40


def test_delays_are_rounded_halves_up():
    net, source, target = pair(1, 6)
    delays = [0.05, 0.1, 0.149, 0.25, 0.349999, 25.0]
    net.connect(source, target, delay=delays)
    for k, delay in enumerate(delays):
        net.connect(source, target[k], delay=delay)
    assert net.synapses().delay.tolist() == [k for k in (1, 1, 1, 3, 3, 250) for _ in range(2)]


def test_what_nest_users_write():
    net, source, target = pair()
    net.connect(source, target, {"rule": "fixed_indegree", "indegree": 3, "allow_multapses": False}, weight=2.0)
    net.connect(source, target, {"rule": "pairwise_bernoulli", "p": 1.0})
    net.connect(source, target, "all_to_all")
    assert len(net.synapses().source) == 24 + 96 + 96
    with pytest.raises(TypeError, match=r"write sim.FixedInDegree\(indegree, autapses, multapses\)"):
        net.connect(source, target, "fixed_indegree")


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ((sim.OneToOne(),), {}, ValueError, "as many sources as targets, but there are 12 and 8"),
        (("all_to_al",), {}, ValueError, "there are all_to_all"),
        ((3,), {}, TypeError, "it must be a rule such as sim.FixedInDegree"),
        ((), {"weight": [1.0, 2.0]}, ValueError, "it must be (96,), one for each synapse, or (8, 12)"),
        ((sim.PairwiseBernoulli(0.5),), {"weight": torch.ones(96)}, ValueError, "not known before"),
        ((), {"weight": "strong"}, TypeError, "'weight' is a str"),
        ((), {"weight": float("nan")}, ValueError, "NaN"),
        ((), {"delay": 0.0}, ValueError, "below half a step"),
        ((), {"delay": None}, TypeError, "'delay' is a NoneType, it must be a number"),
        ((), {"delay": 1e6}, ValueError, "above the longest delay"),
        ((), {"delay": sim.Uniform(0.1, 1e6)}, ValueError, "the longest delay is"),
        ((([0, 12], [0, 0]),), {}, ValueError, "'sources' has 0 to 12"),
        ((([0.0, 1.0], [0, 0]),), {}, TypeError, "it must hold integers"),
        ((([0, 1], [0]),), {}, ValueError, "'targets' has 1 entries"),
    ],
)
def test_refused(arguments, options, error, text):
    net, source, target = pair()
    with pytest.raises(error) as raised:
        net.connect(source, target, *arguments, **options)
    assert text in str(raised.value) and not net.projections


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"delay": sim.LogNormal(20.0, 3.0)}, "steps was drawn, the longest one is 32767 steps"),
        ({"delay": sim.LogNormal(800.0, 1.0)}, "a delay of inf steps was drawn"),
        ({"weight": sim.LogNormal(800.0, 1.0)}, "weight had values that are not finite"),
        ({"weight": sim.LogNormal(709.0, 0.2)}, "sums of them leave the range of float64"),
    ],
)
def test_what_turns_out_bad_when_it_is_drawn_names_its_projection(options, text):
    net, source, target = pair()
    net.connect(source, target, name="good")
    net.connect(source, target, name="bad", **options)
    with pytest.raises(ValueError, match="^<bad: <") as raised:
        net.build()
    assert text in str(raised.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: sim.PairwiseBernoulli(1.5),
        lambda: sim.FixedInDegree(-1),
        lambda: sim.FixedTotalNumber(2.5),
        lambda: sim.Normal(0.0, -1.0),
        lambda: sim.Normal(0.0, 1.0, low=2.0, high=1.0),
        lambda: sim.Normal(0.0, 1.0, bounded="wrap"),
        lambda: sim.Uniform(2.0, 1.0),
        lambda: sim.LogNormal(float("inf"), 1.0),
        lambda: sim.Constant(float("nan")),
    ],
)
def test_rules_and_distributions_refuse(make):
    with pytest.raises(ValueError):
        make()


def test_autapses_need_the_same_neurons():
    net, source, _ = pair()
    with pytest.raises(ValueError, match="have some in common"):
        net.connect(source, source[:5], sim.FixedInDegree(2, autapses=False))


def test_generators_are_no_targets():
    net, source, _ = pair()
    generators = net.poisson_source(3, 10.0)
    with pytest.raises(ValueError, match="which nothing reaches"):
        net.connect(source, generators)
    with pytest.raises(ValueError, match="which take no input"):
        net.poisson(generators, 10.0, 1.0)


def test_the_same_seed_connects_the_same_way_in_any_chunks(monkeypatch):
    from inferno_cuda.sim import _projection

    found = []
    for chunk in (1 << 20, 37):
        monkeypatch.setattr(_projection, "CHUNK", chunk)
        net, source, target = pair(seed=9)
        net.connect(source, target, sim.FixedTotalNumber(200), weight=sim.Normal(1.0, 0.5), delay=sim.Uniform(0.1, 3.0))
        net.connect(target, source, sim.PairwiseBernoulli(0.3), weight=sim.LogNormal(0.0, 1.0))
        found.append(net.synapses())
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
