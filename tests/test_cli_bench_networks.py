"""The suite of networks: what it compares, what it reports."""

import json

import pytest
import torch

from inferno_cuda import sim
from inferno_cuda.cli import bench, main, nest_twin, networks
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


def test_twin_spikes_alike():
    pytest.importorskip("nest")
    assert networks._disagreement(CASE, "cpu", [1]) == ""
