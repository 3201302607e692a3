"""The benchmark: subjects agree before they are timed, ratios, memory, output."""

import contextlib
import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inferno_cuda import cli, neural, testing
from inferno_cuda.cli import (
    bench,
    case,
    cases,
    cases_connections,
    cases_neurons,
    cases_sparse,
    cases_synapses,
    memory,
    subjects,
)
from inferno_cuda.cli.bench import Result, Timing
from inferno_cuda.cli.case import MAX_DELAY, Case, Output, Subject

TINY = (
    *(Case(f"{name.lower()}-tiny", name, cases_neurons.neurons(name, 2, 10)) for name in cases_neurons.MODELS),
    *(Case(f"{name}-tiny", f"{name} step", cases_synapses.step(name, 2, 9), 100) for name in cases_synapses.MODELS),
    Case("exp-at-tiny", "current_at", cases_synapses.lookup("exp", "current_at", 2, 9, 3)),
    Case("delta-at-tiny", "spike_at", cases_synapses.lookup("delta", "spike_at", 2, 9, 3)),
    *(Case(f"{k}-tiny", f"{k} step", cases_connections.step(k, 1, MAX_DELAY)) for k in cases_connections.KINDS),
    Case("sparse-tiny", "sparse step", cases_sparse.step("small", 2, MAX_DELAY, "delta")),
    Case("sparse-plain-tiny", "sparse step", cases_sparse.step("small", 1, None, "exp")),
    Case("syncurrent-tiny", "syncurrent", cases_connections.syncurrent(1)),
)
LEAST = 1e-4


@pytest.fixture
def small(monkeypatch):
    """Few and fast cases with narrow connections."""
    kinds = {
        "dense": ("LinearDense", (7, 3, 1.0), (7,)),
        "lateral": ("LinearLateral", (5, 1.0), (5,)),
        "direct": ("LinearDirect", (5, 1.0), (5,)),
        "conv": ("Conv2D", (6, 6, 1, 2, 1.0, 3), (1, 6, 6)),
    }
    monkeypatch.setattr(cases_connections, "KINDS", kinds)
    monkeypatch.setattr(cases_sparse, "SIZES", {"small": cases_sparse.Size(9, 7, 0.4)})
    monkeypatch.setattr(bench, "CASES", TINY)
    monkeypatch.setattr(bench, "MEMORY", ("dense-tiny",))
    monkeypatch.setattr(bench, "copy_bandwidth", lambda device, least: 1e10)
    monkeypatch.setattr(memory, "measure", lambda case, subject, device: 3 << 20)
    right = bench.time_call
    monkeypatch.setattr(bench, "time_call", lambda call, least: right(call, LEAST))


@pytest.mark.parametrize("tiny", TINY, ids=lambda tiny: tiny.name)
def test_subjects_agree_and_are_timed(tiny, small):
    names = subjects.names("cpu")
    result = bench.run_case(tiny, names, "cpu", LEAST)
    assert result.problem == ""
    assert list(result.timings) == names
    assert all(timing.median > 0 and timing.runs >= 3 for timing in result.timings.values())


def test_sparse_sums_agree_with_those_of_torch(small):
    names = (*(name for name in subjects.names("cpu") if name in subjects.OURS), cases_sparse.TORCH)
    tiny = Case("sum-tiny", "sum", cases_sparse.product("small", 3), subjects=names)
    result = bench.run_case(tiny, subjects.names("cpu"), "cpu", LEAST)
    assert result.problem == "" and list(result.timings) == list(names) and result.library == cases_sparse.TORCH


@pytest.mark.parametrize("on_grid", [True, False])
def test_times_are_on_the_grid_or_well_off_it(on_grid):
    times = case.times((1000,), case.seeded(), on_grid)
    away = (times - times.round()).abs()
    assert times.min() >= 0 and times.max() <= MAX_DELAY
    assert (away == 0).all() if on_grid else (away > 0.04).all()


@pytest.mark.parametrize("model", cases_neurons.MODELS)
def test_the_neurons_of_the_cases_spike(model):
    outputs = list(cases_neurons.neurons(model, 3, 200)(neural, "cpu").outputs())
    spikes = torch.stack([output.value for output in outputs[:-1]])
    assert 0 < spikes.sum() < spikes.numel()
    assert spikes.any(0).sum() < spikes[0].numel()


def differing(values):
    """A case whose outputs differ from subject to subject."""
    remaining = iter(values)

    def build(library, device):
        value = next(remaining)
        return Subject(lambda: iter([Output("results", value)]), lambda: None)

    return Case("differing", "made up", build)


ONES = torch.ones(4)


@pytest.mark.parametrize(
    "names, values, problem",
    [
        (("native", "torch"), (ONES, ONES * 1.000001), "torch: results differ in 4 of 4 elements"),
        (("torch", "inferno-ai"), (ONES, ONES * 1.000001), ""),
        (("torch", "inferno-ai"), (ONES, ONES * 1.001), "inferno-ai: results differ by 0.001 of the largest"),
        (("torch", "inferno-ai"), (ONES, ONES * torch.nan), "inferno-ai: results differ by nan of the largest"),
        (("torch", "inferno-ai"), (ONES, ONES[:3]), "inferno-ai: results of shape (3,), expected (4,)"),
        (("torch", "inferno-ai"), (ONES > 0, ONES > 1), "inferno-ai: results differ in 4 of 4 elements"),
    ],
)
def test_what_disagrees_is_not_timed(names, values, problem, monkeypatch):
    monkeypatch.setattr(subjects, "library", lambda name: None)
    monkeypatch.setattr(subjects, "setting", lambda name: contextlib.nullcontext())
    result = bench.run_case(differing(values), names, "cpu", LEAST)
    assert result.problem == problem
    assert bool(result.timings) == (problem == "")
    if problem:
        assert f"not timed, {problem}" in bench.row(result, 1e10)


def test_sums_that_rounding_decides_are_compared_in_double_precision(monkeypatch):
    monkeypatch.setattr(subjects, "library", str)
    monkeypatch.setattr(subjects, "setting", lambda name: contextlib.nullcontext())

    close = 2

    def build(library, device):
        large, one = torch.zeros(200).index_fill(0, torch.arange(close), 2.0**24), torch.ones(200)
        total = large - large + one + one if library == "torch" else large + one + one - large
        return Subject(lambda: iter([Output("spikes", total > 1)]), lambda: None)

    rounded = Case("rounded", "made up", build, rounded=True)
    result = bench.run_case(rounded, ("native", "torch"), "cpu", LEAST)
    assert result.problem == "" and list(result.timings) == ["native", "torch"]
    assert "in float32 rounding decided otherwise: torch: spikes differ in 2 of 200" in bench.row(result, 1e10)
    assert torch.get_default_dtype() == torch.float32
    assert "differ" in bench.run_case(replace(rounded, rounded=False), ("native", "torch"), "cpu", LEAST).problem
    close = 3  # too many for rounding
    assert "differ" in bench.run_case(rounded, ("native", "torch"), "cpu", LEAST).problem


def test_ratios_are_those_of_the_medians():
    result = Result(TINY[0], {"native": Timing(1e-3, 0, 3), "torch": Timing(4e-3, 0, 3), "inferno-ai": Timing(1, 0, 3)})
    assert result.ratio("torch") == pytest.approx(4)
    assert result.ratio("inferno-ai") == pytest.approx(1000)
    assert Result(TINY[0], {"torch": Timing(1, 0, 3)}).ratio("torch") is None
    assert Result(TINY[0], {"torch": Timing(1, 0, 3), "inferno-ai": Timing(2, 0, 3)}).ratio("inferno-ai") == 2


@pytest.mark.parametrize(
    "seconds, text",
    [(2.5e-7, "250 ns"), (9.87654e-6, "9.88 us"), (0.0123, "12.3 ms"), (0.9996, "1,000 ms"), (3.456, "3.46 s")],
)
def test_times_are_readable(seconds, text):
    assert bench.seconds_text(seconds) == text


def test_rows_line_up():
    timings = {"native": Timing(1e-3, 1e-5, 9), "torch": Timing(4e-3, 4e-3, 9)}
    used = bench.memory_row(TINY[0], {"native": 5 << 20})
    rows = [bench.line(bench.HEADER), bench.row(Result(TINY[0], timings), 1e9), used]
    assert len({len(row) for row in rows}) == 1
    assert "1 ms  (1%)" in rows[1] and "4x" in rows[1] and "5.0 MiB" in rows[2]


def test_table_and_json(small, tmp_path, capsys):
    path = tmp_path / "new" / "bench.json"
    assert cli.main(["bench", "--quick", "--device", "cpu", "--json", str(path)]) == 0
    shown = capsys.readouterr().out
    assert all(tiny.what in shown for tiny in TINY)
    report = json.loads(path.read_text())
    assert [case["name"] for case in report["cases"]] == [tiny.name for tiny in TINY]
    assert set(report["cases"][0]["seconds"]) == set(subjects.names("cpu"))
    assert report["machine"]["torch"] == torch.__version__
    assert report["extra_memory_bytes"]["dense-tiny"]["torch"] == 3 << 20


def test_cases_can_be_picked(small, capsys):
    assert cli.main(["bench", "--device", "cpu", "--cases", "lif", "exp-tiny"]) == 0
    shown = capsys.readouterr().out
    assert "exp step" in shown and "memory" not in shown and "dense" not in shown


def test_a_disagreement_is_the_exit_status(small, monkeypatch, capsys):
    names = subjects.names("cpu")
    values = [ONES + k for k in range(len(names))]
    monkeypatch.setattr(bench, "CASES", (differing(values),))
    if len(names) > 1:
        assert cli.main(["bench", "--device", "cpu", "--cases", "differing"]) == 1
        assert "not timed because results differ: differing" in capsys.readouterr().out


def test_without_inferno_ai_it_shows_ours_only(small, monkeypatch, capsys):
    monkeypatch.setattr(subjects, "other_version", lambda: "")
    assert subjects.names("cpu") == list(reversed(testing.backends()))
    assert cli.main(["bench", "--device", "cpu", "--cases", "lif"]) == 0
    shown = capsys.readouterr().out
    assert "inferno-ai is not installed: ours only" in shown
    assert shown.splitlines()[-1].split()[-2] == "-"


@pytest.mark.skipif(sys.platform != "linux", reason="needs the high-water mark of a process")
def test_extra_memory_is_that_of_the_call():
    def build(library, device):
        return Subject(lambda: iter(()), lambda: torch.ones(16 << 20).sum())

    assert 60 << 20 <= memory.extra(Case("big", "", build), "torch", "cpu") <= 90 << 20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs the high-water mark of a process")
def test_memory_is_measured_in_another_process():
    dense = next(c for c in cases.CASES if c.name == "dense-1")
    assert 0 < memory.measure(dense, "torch", "cpu") < 200 << 20
    assert memory.measure(dense, "nonsense", "cpu") is None


def test_the_script_keeps_its_results(small, monkeypatch):
    called = []
    monkeypatch.setattr(cli, "main", lambda arguments: called.append(arguments) or 0)
    monkeypatch.setattr(sys, "argv", ["run.py", "--quick"])
    script = Path(__file__).parents[1] / "bench" / "run.py"
    with pytest.raises(SystemExit):
        runpy.run_path(str(script), run_name="__main__")
    assert called[0][:3] == ["bench", "--quick", "--json"]
    assert Path(called[0][3]).parent == script.parent / "results"
