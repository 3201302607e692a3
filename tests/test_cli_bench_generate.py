"""The benchmark's cases of connection rules and random numbers."""

import pytest
import torch

from inferno_cuda import cli, ops
from inferno_cuda.cli import bench, cases_generate


@pytest.mark.parametrize("case", cases_generate.GENERATION, ids=lambda case: case.name)
def test_backends_agree_and_calls_run(native, case, monkeypatch):
    monkeypatch.setattr(cases_generate, "COUNT", 3000)
    seen = {}
    for name in ("native", "torch"):
        with ops.backend(name):
            subject = case.build(None, "cpu")
            seen[name] = [output.value for output in subject.outputs()]
            subject.call()
    assert all(len(value) for value in seen["native"])
    assert all(torch.equal(*values) for values in zip(*seen.values(), strict=True))


def test_the_suite_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(cases_generate, "COUNT", 3000)
    monkeypatch.setattr(bench, "copy_bandwidth", lambda device, least: 1e10)
    arguments = ["--suite", "generation", "--quick", "--device", "cpu"]
    assert cli.main(["bench", *arguments, "--cases", "bernoulli", "uniform"]) == 0
    shown = capsys.readouterr().out
    assert "pairwise_bernoulli 0.1" in shown and "uniform numbers" in shown and "not timed" not in shown
