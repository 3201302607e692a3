"""Distributions of our runs beside those of NEST's: the comparison, the command, and NEST's own draws."""

import functools
import json

import numpy as np
import pytest

from inferno_cuda import cli, sim
from inferno_cuda.cli import nest_rules, nest_twin, validate, validation
from inferno_cuda.cli.cases_validation import VALIDATION
from inferno_cuda.cli.validation import ValidationCase


def brunel(g):
    return lambda **options: sim.models.brunel(None, g=g, eta=2.0, excitatory=2000, weight=0.5, **options)


CASE = ValidationCase("small", "small network", brunel(5.0), 50.0, 150.0)


def drawn(rng, mean):
    """What a run of some network might give, with a mean of its own."""
    centre = rng.normal(mean, 0.05)
    return {("exc", name): rng.normal(centre, 1.0, 300) for name in validation.STATISTICS}


def test_models_that_differ_are_told_from_seeds_that_differ():
    rng = np.random.default_rng(1)
    nests = [drawn(rng, 0.0) for _ in range(5)]
    same, other = ([drawn(rng, mean) for _ in range(5)] for mean in (0.0, 0.4))
    like, unlike = validation.compare(same, nests), validation.compare(other, nests)
    assert [one.statistic for one in like] == list(validation.STATISTICS)
    assert sum(one.inside for one in like) >= 2 and not any(one.inside for one in unlike)
    assert len(like[0].within) == 10 and len(like[0].between) == 25
    assert like[0].within[0] == sim.statistics.ks_distance(nests[0]["exc", "rate"], nests[1]["exc", "rate"])
    assert like[0].between[1] == sim.statistics.ks_distance(same[0]["exc", "rate"], nests[1]["exc", "rate"])
    assert validation.permutation_test(like) > 0.05
    # of 252 ways to share out ten runs, the true one and its mirror image
    assert validation.permutation_test(unlike) == pytest.approx(2 / 252)


def test_the_permutation_test_is_right_as_often_as_it_says():
    rng = np.random.default_rng(2)
    runs = [[drawn(rng, 0.0) for _ in range(8)] for _ in range(60)]
    p = np.array([validation.permutation_test(validation.compare(part[:4], part[4:])) for part in runs])
    assert 0.25 < (p <= 0.5).mean() < 0.75 and (p < 0.1).mean() < 0.25


def test_many_runs_are_shared_out_at_random():
    rng = np.random.default_rng(3)
    comparisons = validation.compare([drawn(rng, 0.5) for _ in range(8)], [drawn(rng, 0.0) for _ in range(8)])
    assert validation.permutation_test(comparisons) == 1 / validation._PERMUTATIONS


def test_weaker_inhibition_is_noticed(native):
    weaker = ValidationCase("weaker", "", brunel(4.0), 50.0, 150.0)
    theirs = [validation.our_sample(CASE, seed, "cpu", 1) for seed in range(10, 14)]
    found = {
        case.name: validation.permutation_test(
            validation.compare([validation.our_sample(case, seed, "cpu", 1) for seed in range(1, 5)], theirs)
        )
        for case in (CASE, weaker)
    }
    assert found["small"] > 0.1 and found["weaker"] == pytest.approx(2 / 70)


def test_silent_runs_are_replaced_and_counted():
    def run(seed):
        calls.append(seed)
        return {("exc", "correlation"): np.zeros(0 if seed in silent else 3)}

    calls, silent = [], {7, 9}
    found, count = validation._samples(run, 3, 6)
    assert len(found) == 3 and count == 2 and calls == [6, 7, 8, 9, 10]
    silent = set(range(100))
    with pytest.raises(RuntimeError, match="7 of 7 runs fell silent"):
        validation._samples(run, 2, 0)


def test_command(tmp_path, monkeypatch, capsys, native):
    monkeypatch.setattr(validate, "VALIDATION", (CASE, VALIDATION[0]))
    monkeypatch.setattr(nest_twin, "installed", lambda: True)
    monkeypatch.setattr(nest_twin, "version", lambda: "3")
    other = [CASE]
    monkeypatch.setattr(
        validation, "nest_sample", lambda case, seed, threads: validation.our_sample(other[0], seed, "cpu", threads)
    )
    path = tmp_path / "new" / "validation.json"
    command = ["validate", "--device", "cpu", "--seeds", "5", "--cases", "small"]
    assert cli.main([*command, "--json", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "small network: 150 ms, 5 seeds each" in shown and "within NEST's own spread; over all p = " in shown
    assert "all are as near to NEST as its own runs are to each other" in shown and "microcircuit" not in shown
    report = json.loads(path.read_text())
    (case,) = report["cases"]
    assert report["nest"] == "3" and case["p"] >= validate.LEAST and case["silent"] == {"ours": 0, "nest": 0}
    rows = {(row["population"], row["statistic"]): row for row in case["comparisons"]}
    assert len(rows) == 6 and rows["exc", "rate"]["ours"] == pytest.approx(rows["exc", "rate"]["nest"], rel=0.3)
    assert len(rows["inh", "correlation"]["nest_nest"]) == 10
    other[0] = ValidationCase("weaker", "", brunel(3.5), 50.0, 150.0)
    assert cli.main(command) == 1
    assert "unlike NEST: small" in capsys.readouterr().out


def test_without_nest_there_is_nothing_to_compare_with(monkeypatch, capsys):
    monkeypatch.setattr(nest_twin, "installed", lambda: False)
    assert cli.main(["validate", "--device", "cpu"]) == 1
    assert "pip install nest-simulator" in capsys.readouterr().err
    for wrong, text in (("--seeds", "4"), "is below 5"), (("--cases", "nothing"), "no case begins with"):
        with pytest.raises(SystemExit):
            cli.main(["validate", *wrong])
        assert text in capsys.readouterr().err


def test_cases_have_names_of_their_own():
    assert len({case.name for case in VALIDATION}) == len(VALIDATION)


RULES = [
    (sim.AllToAll(autapses=False), 90),
    (sim.OneToOne(), 10),
    (sim.FixedInDegree(4, multapses=False), 40),
    (sim.FixedOutDegree(3), 30),
    (sim.FixedTotalNumber(200), 200),
    (sim.PairwiseBernoulli(0.5), None),
]


@pytest.mark.parametrize(("rule", "count"), RULES)
def test_nest_draws_by_the_same_rule(rule, count):
    nest = pytest.importorskip("nest")
    net = sim.Network()
    neurons = net.population(10)
    net.connect(neurons, neurons, rule, weight=sim.Normal(-5.0, 4.0, high=0.0), delay=sim.Normal(0.3, 0.3, low=0.05))
    nest_twin.NestTwin(net, 1, seed=5)
    made = nest.GetConnections()
    kept = [k for k, model in enumerate(made.target) if model <= 10]
    pairs = [(made.source[k], made.target[k]) for k in kept]
    weight, delay = (np.array(values)[kept] for values in (made.weight, made.delay))
    assert len(pairs) == count if count else 25 < len(pairs) < 75
    if not getattr(rule, "autapses", True):
        assert all(source != target for source, target in pairs)
    if not getattr(rule, "multapses", True):
        assert len(set(pairs)) == len(pairs)
    assert weight.max() <= 0 and len(np.unique(weight)) > 5
    assert delay.min() >= 0.1 and np.allclose(delay * 10, np.round(delay * 10))
    assert np.array_equal(np.bincount([target - 1 for _, target in pairs], minlength=10), [4] * 10) or not hasattr(
        rule, "indegree"
    )


def _model_of_drawn(nest):
    """The model of the synapses of the only projection."""
    (model,) = (model for model in nest.synapse_models if model.startswith("drawn_"))
    return model


@pytest.mark.parametrize(
    ("distribution", "low", "high", "mean"),
    [
        (sim.Constant(2.0), 2.0, 2.0, 2.0),
        (sim.Uniform(-1.0, 3.0), -1.0, 3.0, 1.0),
        (sim.Normal(1.0, 0.5), -9.0, 9.0, 1.0),
        (sim.Normal(0.0, 1.0, low=0.0), 0.0, 9.0, 0.798),
        (sim.Normal(0.0, 1.0, low=-0.5, high=0.5, bounded="clip"), -0.5, 0.5, 0.0),
        (sim.LogNormal(0.0, 0.5, high=4.0), 0.0, 4.0, 1.12),
    ],
)
def test_nest_draws_from_the_same_distribution(distribution, low, high, mean):
    nest = pytest.importorskip("nest")
    net = sim.Network()
    net.connect(net.population(60), net.population(50), weight=distribution, delay=0.1)
    nest_twin.NestTwin(net, 1, seed=2)
    weight = np.array(nest.GetConnections(synapse_model=_model_of_drawn(nest)).weight)
    assert low - 1e-9 <= weight.min() and weight.max() <= high + 1e-9
    assert weight.mean() == pytest.approx(mean, abs=0.06)


def test_what_nest_cannot_draw_is_refused():
    nest = pytest.importorskip("nest")
    net = sim.Network()
    neurons = net.population(3)
    net.connect(neurons, neurons, "all_to_all", weight=np.ones((3, 3)))
    with pytest.raises(ValueError, match="weights or delays of its own"):
        nest_twin.NestTwin(net, 1, seed=2)
    with pytest.raises(ValueError, match="no distribution of NEST"):
        nest_rules.distribution(nest, sim.Distribution())


def test_synapses_that_are_given_are_given_to_nest():
    nest = pytest.importorskip("nest")
    net = sim.Network()
    neurons = net.population(3)
    net.connect(neurons, neurons, ([0, 1, 1], [2, 0, 0]), weight=[1.0, 2.0, 3.0], delay=0.27)
    net.connect(neurons, neurons, ([], []))
    nest_twin.NestTwin(net, 1, seed=2)
    made = nest.GetConnections(synapse_model="static_synapse")
    found = zip(made.source, made.target, made.weight, np.round(made.delay, 6), strict=True)
    assert {row for row in found if row[1] <= 3} == {(1, 3, 1.0, 0.3), (2, 1, 2.0, 0.3), (2, 1, 3.0, 0.3)}


def test_the_seed_of_nest_decides_what_it_draws():
    pytest.importorskip("nest")
    found = []
    for seed in (3, 3, 4):
        twin = nest_twin.NestTwin(brunel(5.0)(seed=1), 1, seed)
        twin.run(30.0)
        found.append(twin.spikes().tolist())
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[] if case.name == "cuba" else pytest.mark.slow, id=case.name) for case in VALIDATION],
)
def test_networks_do_as_those_of_nest(case, native):
    """One of them smaller and for a shorter time than in the command; they take minutes."""
    pytest.importorskip("nest")
    seeds = 5
    if case.name == "cuba":
        build = functools.partial(sim.models.vogels_abbott, "cuba", 2000)
        case, seeds = ValidationCase(case.name, case.what, build, 100.0, 300.0), 4
    result = validation.run_case(case, seeds, "cpu", 1)
    assert result.p >= validate.LEAST, [(one.population, one.statistic) for one in result.comparisons if not one.inside]
    assert sum(one.inside for one in result.comparisons) >= 0.5 * len(result.comparisons)
