"""The demo's tasks that train: the digits, and the speakers of vowels."""

import json

import numpy
import pytest
import torch

from inferno_cuda import cli
from inferno_cuda.cli import demo, trained, vowels, vowels_data
from inferno_cuda.cli.vowels_data import DT, STEPS, STEPS_PER_FRAME, Spikes, Utterances


def digits(count, seed):
    """Images of 12 x 12 pixels in which a square that is the digit's own is white."""
    numbers = torch.arange(count) % 10
    images = 0.2 * torch.rand(count, 144, generator=torch.Generator().manual_seed(seed))
    rows, columns = 1 + 6 * (numbers // 5), 1 + 2 * (numbers % 5)
    for row in range(4):
        for column in range(2):
            images[torch.arange(count), (rows + row) * 12 + columns + column] = 1.0
    return images, numbers


def test_digits_are_learned(monkeypatch, tmp_path, capsys):
    pytest.importorskip("mlxtend")
    monkeypatch.setattr(demo, "load_mnist", digits)
    arguments = ["demo", "--task", "trained", "--images", "250", "--epochs", "8", "--device", "cpu"]
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 0
    summary = json.loads((tmp_path / "trained.json").read_text())
    assert summary["accuracy"] > 0.5  # one in ten by chance
    assert f"accuracy on the held-out images {summary['accuracy']:.1%}" in capsys.readouterr().out


@pytest.mark.parametrize("task", ["digits", "trained", "vowels"])
def test_a_folder_that_cannot_be_made_is_found_before_the_work(monkeypatch, tmp_path, capsys, task):
    def never(*_):
        raise AssertionError("worked")

    for module, name in ((demo, "Network"), (trained, "Classifier"), (vowels, "Listener")):
        monkeypatch.setattr(module, name, never)
    trains = torch.zeros(3, 2, 4, dtype=torch.bool)
    monkeypatch.setattr(vowels_data, "load", lambda: (Spikes(trains, torch.arange(2)),) * 2)
    monkeypatch.setattr(demo, "load_mnist", digits)
    monkeypatch.setattr(demo, "require", never if task == "vowels" else lambda packages: None)
    (tmp_path / "file").touch()
    assert cli.main(["demo", "--task", task, "--device", "cpu", "--out", str(tmp_path / "file" / "out")]) == 1
    assert "out for results cannot be made: Not a directory" in capsys.readouterr().err


def test_images_move_by_a_pixel_at_most():
    images = torch.zeros(1, 25)
    images[0, 12] = 1.0
    random = torch.Generator().manual_seed(0)
    places = {int(trained.shift(images, random).argmax()) for _ in range(200)}
    assert places == {6, 7, 8, 11, 12, 13, 16, 17, 18}


def test_options_of_other_tasks_are_refused(capsys):
    assert cli.main(["demo", "--task", "vowels", "--images", "100"]) == 1
    assert "--images is an option of digits, trained, stdp, not of vowels" in capsys.readouterr().err
    assert cli.main(["demo", "--seeds", "2"]) == 1
    assert "--seeds is an option of vowels, not of digits" in capsys.readouterr().err


def test_crossings_become_spikes():
    # one coefficient of twelve rises from 0 to 1 in two frames and falls back; the others stay below all levels
    frames = numpy.zeros((3, 12)) - 1.0
    frames[1, 3] = 1.0
    frames[0, 3] = frames[2, 3] = 0.0
    spikes = vowels_data.encode(Utterances([frames], torch.tensor([0])), numpy.zeros(12), numpy.ones(12))
    assert spikes.trains.shape == (STEPS, 1, 2 * vowels_data.LEVELS * 12)
    # a rise of 4 steps crosses the levels 1/8, 3/8, 5/8, 7/8 within steps 1 to 4, the fall within 5 to 8
    levels = vowels_data.LEVELS
    assert STEPS_PER_FRAME == levels == 4
    up = spikes.trains[:, 0, [level * 12 + 3 for level in range(levels)]]
    down = spikes.trains[:, 0, [(levels + level) * 12 + 3 for level in range(levels)]]
    assert up.nonzero().tolist() == [[1, 0], [2, 1], [3, 2], [4, 3]]
    assert down.nonzero().tolist() == [[5, 3], [6, 2], [7, 1], [8, 0]]
    assert spikes.trains.sum() == 8


@pytest.mark.parametrize("delays", vowels.DELAYS)
def test_networks_of_every_kind_learn(delays):
    generator = torch.Generator().manual_seed(1)
    speakers = torch.arange(54) % 9
    trains = torch.rand(30, 54, 27, generator=generator) < torch.where(
        torch.arange(27) // 3 == speakers[:, None], 0.3, 0.01
    )
    network = vowels.Listener(27, delays, seed=0)
    before = [delay.detach().clone() for delay in network.delays()]
    data = Spikes(trains, speakers)
    vowels.train(network, data, epochs=100, seed=0)
    assert vowels.accuracy(network, data) > 0.7  # 0.11 by chance
    changed = [not torch.equal(old, new) for old, new in zip(before, network.delays(), strict=True)]
    assert all(changed) if delays == "learned" else not any(changed)
    for delay in network.delays():
        assert (delay == 0).all() if delays == "zero" else (delay > 0).any()


def test_the_vowels_are_read_and_the_table_is_printed(tmp_path, capsys):
    if vowels_data.importlib.util.find_spec("aeon") is None:
        pytest.skip("the vowels are in aeon")  # an optional package, which make setup installs
    arguments = ["demo", "--task", "vowels", "--seeds", "1", "--epochs", "2", "--device", "cpu"]
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "270 utterances to learn from, 370 to test" in shown
    summary = json.loads((tmp_path / "vowels.json").read_text())
    assert [result["delays"] for result in summary["results"]] == list(vowels.DELAYS)
    for result in summary["results"]:
        line = next(line for line in shown.splitlines() if line.startswith(result["delays"]))
        assert f"{result['test']:.1%}" in line
    assert "learned delays rounded to steps" in shown


def test_without_the_vowels_the_remedy_is_named(monkeypatch, capsys):
    monkeypatch.setattr(vowels_data.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["demo", "--task", "vowels"]) == 1
    assert "pip install --no-deps aeon" in capsys.readouterr().err


def test_steps_last_as_long_as_frames_say():
    assert STEPS_PER_FRAME * DT == pytest.approx(6.4)
