"""The benchmark's learning rules: ours and inferno-ai's agree before they are timed."""

import pytest
import torch

from inferno_cuda import cli
from inferno_cuda.cli import bench, cases_plasticity, cases_quickstart, subjects
from inferno_cuda.cli.bench import Timing


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(cases_quickstart, "STEPS", 4)
    monkeypatch.setattr(cases_quickstart, "RATE", 0.3)  # as few steps have to do
    monkeypatch.setattr(cases_plasticity, "STEPS", 4)
    monkeypatch.setattr(cases_plasticity, "RATE", 0.1)
    monkeypatch.setattr(cases_plasticity, "DRIVE", 5000.0)  # neurons fire in the first step
    monkeypatch.setattr(bench, "copy_bandwidth", lambda device, least: 1e10)

    def once(call, least):
        call()
        return Timing(1e-3, 0.0, 3)

    monkeypatch.setattr(bench, "time_call", once)


@pytest.mark.parametrize("case", cases_plasticity.PLASTICITY, ids=lambda case: case.name)
def test_subjects_agree_and_are_timed(case):
    pytest.importorskip("inferno")
    result = bench.run_case(case, subjects.names("cpu"), "cpu", 0.0)
    assert result.problem == ""
    assert list(result.timings) == [name for name in subjects.names("cpu") if name in (case.subjects or (name,))]


@pytest.mark.parametrize("case", cases_plasticity.PLASTICITY, ids=lambda case: case.name)
def test_something_is_learned(case):
    with subjects.setting("torch"):
        outputs, again = (list(case.build(subjects.library("torch"), "cpu").outputs()) for _ in range(2))
    before, *_, learned = outputs
    assert before.what == f"{learned.what} before" and not torch.equal(before.value, learned.value)
    fresh = again[-1]
    assert learned.what in ("weights", "delays") and torch.equal(learned.value, fresh.value)
    assert any(output.value.any() for output in outputs if output.what.startswith("spikes"))


def test_the_suite_is_printed(capsys):
    assert cli.main(["bench", "--suite", "plasticity", "--cases", "stdp-direct", "--device", "cpu"]) == 0
    assert "STDP, direct, batch 16" in capsys.readouterr().out
