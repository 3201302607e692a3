"""The demos of large sparse networks."""

import json

import numpy as np
import pytest

from inferno_cuda import cli
from inferno_cuda.cli import connectome, demo, microcircuit


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(microcircuit, "WARM", 50.0)


def test_the_microcircuit_is_run_and_drawn(tmp_path, capsys, native):
    pytest.importorskip("matplotlib")
    options = ["--scale", "0.1", "--duration", "200", "--drive", "poisson", "--device", "cpu", "--out", str(tmp_path)]
    assert cli.main(["demo", "--task", "microcircuit", *options]) == 0
    summary = json.loads((tmp_path / "microcircuit.json").read_text())
    assert summary["neurons"] == 7717 and summary["bytes_a_synapse"] < 8
    rows = {row["population"]: row for row in summary["populations"]}
    assert rows["L5E"]["rate_hz"] == pytest.approx(rows["L5E"]["published_hz"], rel=0.5)
    speed = summary["speed"]
    assert speed["real_time_factor"] == pytest.approx(speed["seconds"] / 0.2) and speed["events_per_s"] > 1e5
    shown = capsys.readouterr().out
    assert "at full scale, 77,169 neurons take" in shown and "real-time factor" in shown and "published" in shown
    assert (tmp_path / "microcircuit.png").stat().st_size > 20_000


def test_the_reference_is_not_given_too_much(tmp_path, capsys):
    import inferno_cuda

    pytest.importorskip("matplotlib")
    with inferno_cuda.backend("torch"):
        assert cli.main(["demo", "--task", "microcircuit", "--device", "cpu", "--out", str(tmp_path)]) == 1
    assert "without kernels take --scale 0.05 or less" in capsys.readouterr().err


def test_what_does_not_fit_ends_with_one_line(tmp_path, capsys, monkeypatch, native):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("inferno_cuda.ops.available_memory", lambda: 2**20)
    assert (
        cli.main(["demo", "--task", "microcircuit", "--scale", "0.1", "--device", "cpu", "--out", str(tmp_path)]) == 1
    )
    assert "1.0 MiB are available" in capsys.readouterr().err


def test_options_of_other_tasks_are_refused(tmp_path, capsys):
    assert cli.main(["demo", "--task", "digits", "--scale", "0.5", "--out", str(tmp_path)]) == 1
    assert "--scale is an option of microcircuit" in capsys.readouterr().err
    for wrong in (["--scale", "1.5"], ["--duration", "0.5"], ["--drive", "none"]):
        with pytest.raises(SystemExit):
            cli.main(["demo", "--task", "microcircuit", *wrong])


EDGES = """Source,Target,Weight,Type
ALML , AVM , 3,chemical
AVM , ALMR, 10,chemical
ALMR, DD01, 7,chemical
DD01, ALML, 2,chemical
DD01, MUSCLE, 5,chemical
AVM, ALML, 9,electrical
"""


def test_a_connectome_is_read(tmp_path):
    pytest.importorskip("scipy")
    path = tmp_path / "edges.csv"
    path.write_text(EDGES)
    names, source, target, count = connectome.read(path)
    assert names == ["ALML", "ALMR", "AVM", "DD01"]
    assert source.tolist() == [0, 2, 1, 3] and target.tolist() == [2, 1, 3, 0] and count.tolist() == [3, 10, 7, 2]
    assert [connectome.inhibitory(name) for name in ("DD01", "VD13", "DDX", "RIS", "AVAL")] == [
        True,
        True,
        False,
        True,
        False,
    ]
    net, _ = connectome.network(path, 0, "cpu")
    found = net.synapses()
    assert sorted(zip(found.source.tolist(), found.target.tolist(), strict=True)) == sorted(
        zip(source.tolist(), target.tolist(), strict=True)
    )
    weight = found.weight / connectome.WEIGHT
    assert np.allclose(sorted(weight.tolist()), sorted([3, 10, 7, -2 * connectome.INHIBITION]))


def test_the_connectome_is_run(tmp_path, capsys, monkeypatch, native):
    pytest.importorskip("scipy")
    path = tmp_path / "edges.csv"
    path.write_text(EDGES)
    monkeypatch.setattr(connectome, "find", lambda: path)
    assert cli.main(["demo", "--task", "connectome", "--device", "cpu", "--out", str(tmp_path)]) == 0
    summary = json.loads((tmp_path / "connectome.json").read_text())
    assert summary["connections"] == 4 and summary["rate_touched_hz"] > summary["rate_before_hz"]
    assert "while ALML, ALMR, AVM are touched" in capsys.readouterr().out


def test_a_missing_connectome_is_asked_for(tmp_path, capsys, monkeypatch):
    pytest.importorskip("scipy")
    monkeypatch.setattr(connectome.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(demo, "require", lambda packages: None)
    assert cli.main(["demo", "--task", "connectome", "--out", str(tmp_path)]) == 1
    assert "pip install --no-deps c302" in capsys.readouterr().err
