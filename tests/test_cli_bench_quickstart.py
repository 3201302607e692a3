"""The benchmark's quickstart: inferno-ai's network, accelerated and not, and ours agree before they are timed."""

import pytest
import torch

from inferno_cuda import cli, neural
from inferno_cuda.cli import bench, cases_quickstart, quickstart, subjects
from inferno_cuda.cli.bench import Timing


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(cases_quickstart, "STEPS", 8)
    monkeypatch.setattr(cases_quickstart, "RATE", 0.1)
    monkeypatch.setattr(bench, "CASES", cases_quickstart.QUICKSTART)
    monkeypatch.setattr(bench, "copy_bandwidth", lambda device, least: 1e10)

    def once(call, least):
        call()
        return Timing(1e-3, 0.0, 3)

    monkeypatch.setattr(bench, "time_call", once)


@pytest.mark.parametrize("case", cases_quickstart.QUICKSTART, ids=lambda case: case.name)
def test_subjects_agree_and_are_timed(case, short):
    pytest.importorskip("inferno")
    result = bench.run_case(case, subjects.names("cpu"), "cpu", 0.0)
    assert result.problem == "" and list(result.timings) == subjects.names("cpu")


def test_both_groups_of_neurons_spike():
    network = quickstart.Quickstart(neural, batch=5).eval()
    seen = []
    network.trigger.register_forward_hook(lambda module, inputs, spikes: seen.append(spikes))
    spikes = torch.rand(40, 5, *quickstart.PIXELS, generator=torch.Generator().manual_seed(0)) < 0.1
    excited = torch.stack([network(x) for x in spikes])
    assert 0 < excited.sum() < excited.numel() / 5 and torch.stack(seen).any()


def test_ours_is_the_accelerated_one(short):
    theirs = pytest.importorskip("inferno.neural")
    classes = []

    class Watched(quickstart.Quickstart):
        def forward(self, spikes):
            classes.append(type(self.feedfwd))
            return super().forward(spikes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cases_quickstart, "Quickstart", Watched)
        for library in (theirs, neural):
            list(cases_quickstart.accelerated(True)(library, "cpu").outputs())
    plain, other = classes[:8], classes[8:]
    assert set(plain) == {theirs.Serial} and len(other) == 8
    assert all(issubclass(cls, theirs.Serial) and cls is not theirs.Serial for cls in other)


def test_without_inferno_ai_there_is_nothing_to_accelerate(short, monkeypatch, capsys):
    monkeypatch.setattr(subjects, "other_version", lambda: "")
    assert cli.main(["bench", "--device", "cpu", "--cases", "quickstart"]) == 0
    shown = capsys.readouterr().out
    assert "our classes" in shown and "accelerated" not in shown
