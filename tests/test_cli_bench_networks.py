"""The suite of networks: what it compares, what it reports."""

import functools
import json
import os

import pytest
import torch

from inferno_cuda import sim
from inferno_cuda.cli import bench, main, nest_drawn, nest_twin, networks
from inferno_cuda.cli.cases_networks import NETWORKS, NetworkCase


def small(**options):
    return sim.models.vogels_abbott("cuba", 200, delay=sim.Uniform(0.5, 2.5), **options)


CASE = NetworkCase("small", "small network", small, 5.0, 20.0, exact=10.0, peer=True)


def test_names_are_apart_and_listed():
    names = [case.name for case in NETWORKS]
    assert len(set(names)) == len(names)
    assert bench._names()["networks"] == names


def test_a_case_reports_threads_events_and_bytes(monkeypatch):
    monkeypatch.setattr(nest_twin, "installed", lambda: False)
    result = networks.run_case(CASE, "cpu")
    assert not result.problem
    assert [run.threads for run in result.runs.values()] == sorted({1, torch.get_num_threads()})
    net = small()
    assert (result.neurons, result.synapses) == (net.size, net.rows.count)
    for run in result.runs.values():
        assert run.built > 0
        assert run.factor > 0
        # each spike arrives at the synapses of its neuron, on average about a fiftieth of all neurons
        spikes = run.rate * net.size
        assert 0 < spikes <= run.events / 2 < 10 * spikes
    assert len({(run.events, run.rate) for run in result.runs.values()}) == 1


def test_spikes_that_depend_on_threads_are_found(monkeypatch):
    def uneven(threads, **options):
        return small(threads=threads, seed=threads, **options)

    assert "or at other times" in networks._disagreement(NetworkCase("", "", uneven, 5.0, 5.0, 10.0), "cpu", [1, 2])
    assert not networks._disagreement(NetworkCase("", "", small, 5.0, 5.0, 10.0), "cpu", [1, 2])


def test_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(networks, "NETWORKS", (CASE,))
    monkeypatch.setattr(nest_twin, "installed", lambda: False)
    path = tmp_path / "networks.json"
    assert main(["bench", "--suite", "networks", "--quick", "--json", str(path)]) == 0
    assert "small network" in capsys.readouterr().out
    (reported,) = json.loads(path.read_text())["networks"]
    assert reported["name"] == "small"
    assert reported["bytes_per_synapse"] > 6


def test_what_has_no_twin_is_refused():
    pytest.importorskip("nest")
    net = small()
    net.noise_current("exc", 0.0, 10.0)
    with pytest.raises(ValueError, match="Poisson"):
        nest_twin.NestTwin(net, 1)


def test_a_twin_leaves_torch_its_threads():
    pytest.importorskip("nest")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for threads in (1, 2, 1):  # each begins with as many as the one before has left
            twin = nest_twin.NestTwin(small(), threads)
            twin.run(1.0)
            twin.close()
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_twin_spikes_alike():
    pytest.importorskip("nest")
    assert networks._disagreement(CASE, "cpu", [1]) == ""


TINY = functools.partial(sim.models.microcircuit, 0.02, "poisson")
DRAWN = NetworkCase("tiny", "tiny microcircuit", TINY, 20.0, 50.0, drawn=TINY, large=True)


def measured(build, threads, settle, span):
    """As NEST would have it, from a run of ours with another seed."""
    net = build(seed=5)
    net.run(settle)
    counts = nest_drawn.slices(net, span)
    return nest_drawn.Drawn(2.0, [3.0, 4.0, 5.0, 6.0, 7.0], counts, net.synapse_count, 100 * net.synapse_count)


def test_nest_runs_large_networks_on_synapses_of_its_own(monkeypatch, capsys):
    pytest.importorskip("nest")
    result = networks.run_case(DRAWN, "cpu", 50.0)
    assert not result.problem
    ours, nest = (result.runs[name] for name in (f"inferno_cuda, {torch.get_num_threads()} threads", networks.NEST))
    assert nest.threads == torch.get_num_threads() and nest.built > 0 and nest.factor > 0
    # the same number of synapses to within one for each projection, and about as many events
    assert 0.5 < nest.events / ours.events < 2
    assert [one.population for one in result.agreements] == list(sim.models.MICROCIRCUIT_SIZES)
    assert "NEST, own synapses" in "\n".join(networks._rows(result))
    # the process is not started again for the same network in other words
    monkeypatch.setattr(nest_drawn, "ProcessPoolExecutor", None)
    assert nest_drawn.measure(TINY, torch.get_num_threads(), 20.0, 50.0).synapses >= result.synapses


def test_rates_of_populations_are_compared_before_times_are_reported(monkeypatch):
    monkeypatch.setattr(nest_twin, "installed", lambda: True)
    monkeypatch.setattr(nest_drawn, "measure", measured)
    result = networks.run_case(DRAWN, "cpu", 50.0)
    assert not result.problem and "50 ms behind 20" in result.note and "allowed" in result.note
    assert (result.runs[networks.NEST].factor, result.nest_bytes) == (5.0, 100.0)

    def louder(*arguments):
        found = measured(*arguments)
        return found._replace(counts=[[4 * count + 50 for count in one] for one in found.counts])

    monkeypatch.setattr(nest_drawn, "measure", louder)
    result = networks.run_case(DRAWN, "cpu", 50.0)
    assert result.problem.startswith("nest over 50 ms: ") and "L4E" in result.problem


def test_without_memory_nest_is_left_out_with_a_line(monkeypatch):
    monkeypatch.setattr(nest_twin, "installed", lambda: True)
    monkeypatch.setattr(nest_drawn.ops, "available_memory", lambda: 300 << 20)
    result = networks.run_case(DRAWN, "cpu", 50.0)
    assert networks.NEST not in result.runs and not result.problem
    assert "56 bytes a synapse, and 0.3 GiB are available" in "\n".join(networks._rows(result))
    assert nest_drawn.needed_bytes(298_880_968) > 14 << 30


def killed(**options):
    """What becomes of a process that takes too much memory."""
    os._exit(9)


def test_a_process_that_is_killed_is_no_end_of_the_benchmark():
    result = networks.NetworkResult(NetworkCase("killed", "", TINY, 20.0, 50.0, drawn=killed))
    networks._run_drawn(result, [], [], 50.0)
    assert result.note.startswith("NEST was not run to its end: ") and "want of memory" in result.note


def test_how_far_rates_may_differ():
    population = sim.Network().population(1000, name="some")

    def one(ours, nest):
        return nest_drawn.compare([population], [[k] for k in ours], [[k] for k in nest], 200.0)[0]

    steady = one([200] * 5, [210] * 5)
    assert (steady.ours, steady.nest, steady.holds) == (5.0, 5.25, True)
    # a tenth of the rate, and three standard errors of 1,000 and 1,050 independent spikes
    assert steady.allowed == pytest.approx(0.525 + 3 * 2050**0.5 / 200)
    assert not one([200] * 5, [260] * 5).holds
    # slices that scatter say little
    assert one([100, 300, 100, 300, 200], [260] * 5).holds
    assert one([0] * 5, [0] * 5).holds and not one([0] * 5, [20] * 5).holds


def test_quick_runs_leave_out_large_networks_unless_they_are_named(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(networks, "NETWORKS", (CASE, DRAWN))
    monkeypatch.setattr(networks, "run_case", lambda case, device, span: ran.append((case.name, span)))
    monkeypatch.setattr(networks, "_rows", lambda result: [])
    for wanted, quick in ((("",), True), (("tiny",), True), (("",), False)):
        try:
            networks.run_suite("cpu", wanted, quick)
        except AttributeError:
            pass  # of the results, of which there are none
    assert ran == [("small", 100.0), ("tiny", 100.0), ("small", 200.0), ("tiny", 200.0)]


def test_cases_that_nest_draws_share_its_runs():
    drawn = {case.name: case.drawn for case in NETWORKS if case.name.startswith("microcircuit-1")}
    assert all(build.keywords.keys() == {"in_degree_scale"} for build in drawn.values())
    for drive in ("", "-poisson"):
        assert drawn.pop(f"microcircuit-1{drive}") is drawn.pop(f"microcircuit-1{drive}-16")
    assert not drawn
