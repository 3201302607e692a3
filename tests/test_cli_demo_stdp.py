"""The demo that learns digits without a teacher."""

import json

import pytest
import torch

from inferno_cuda import cli
from inferno_cuda.cli import demo, stdp, stdp_figures

pytest.importorskip("mlxtend")
pytest.importorskip("matplotlib")


def digits(count, seed):
    """Images of 28 x 28 pixels in which two rows that are the digit's own are bright."""
    numbers = torch.arange(count) % 10
    images = 0.05 * torch.rand(count, 28, 28, generator=torch.Generator().manual_seed(seed))
    for offset in (0, 1, 14, 15):
        images[torch.arange(count), (2 * numbers + offset) % 28] = 0.8
    return images.flatten(1), numbers


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(demo, "load_mnist", digits)
    for name, value in {"STEPS": 60, "BATCH": 10, "SAVED_EVERY": 2, "SLICE": 12, "WARM": 4}.items():
        monkeypatch.setattr(stdp, name, value)


def run(folder, *more):
    arguments = ["--images", "100", "--neurons", "40", "--epochs", "2", "--device", "cpu", "--out", str(folder)]
    return cli.main(["demo", "--task", "stdp", *arguments, *more])


def test_digits_are_learned_and_drawn(tmp_path, capsys):
    assert run(tmp_path) == 0
    summary = json.loads((tmp_path / "stdp.json").read_text())
    assert summary["accuracy"]["test"] > 0.5  # one in ten by chance
    assert sum(map(sum, summary["confusion"])) == summary["accuracy"]["held_out"] == 20
    right = sum(row[digit] for digit, row in enumerate(summary["confusion"]))
    assert right == round(20 * summary["accuracy"]["test"])
    assert summary["rates"]["spikes_per_image"] > 1
    shown = capsys.readouterr().out
    assert f"accuracy on the 20 held-out images {summary['accuracy']['test']:.1%}" in shown
    for name in ("fields", "rates", "confusion"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_inferno_ai_learns_the_same(tmp_path):
    pytest.importorskip("inferno")
    images, _ = digits(20, 0)
    part = stdp.compare(images, 30, 1)
    assert part["spikes"] > 0 and part["spikes_agree"] and part["weights_differ_by"] < 1e-6


def test_an_interrupted_run_is_resumed_bit_for_bit(tmp_path, monkeypatch, capsys):
    assert run(tmp_path / "whole") == 0
    show, learned = stdp.show, []

    def interrupted(network, trains, learning=None):
        learned.append(None)
        if len(learned) == 8:
            raise KeyboardInterrupt
        return show(network, trains, learning)

    with monkeypatch.context() as patch:
        patch.setattr(stdp, "show", interrupted)
        assert run(tmp_path / "parts") == 130
    assert run(tmp_path / "parts", "--resume") == 0
    assert "6 batches are done" in capsys.readouterr().out
    whole, parts = (json.loads((tmp_path / name / "stdp.json").read_text()) for name in ("whole", "parts"))
    assert whole["confusion"] == parts["confusion"] and whole["rates"] == parts["rates"]
    import inferno_cuda

    weights = []
    for name in ("whole", "parts"):
        network, _ = stdp.build(inferno_cuda, 40, 5)
        stdp.Progress.load(tmp_path / name / "stdp.safetensors", network, {})
        weights.append(network.feedfwd.connection.weight)
    assert torch.equal(*weights)


def test_a_run_with_other_settings_is_not_resumed(tmp_path, capsys):
    assert run(tmp_path, "--resume") == 1
    assert "there is nothing to resume" in capsys.readouterr().err
    assert run(tmp_path) == 0
    assert run(tmp_path, "--resume", "--seed", "3") == 1
    assert "run with other settings: seed" in capsys.readouterr().err


def test_fields_lie_side_by_side():
    weights = torch.zeros(3, 784)
    weights[1, 0] = 0.5
    image = stdp_figures.grid(weights)
    assert image.shape == (58, 58) and image.nonzero().tolist() == [[0, 29]]
    assert image[0, 29] == 1.0  # each field is scaled to its own largest weight
