"""The suite of training passes: contenders agree, are timed, and are reported."""

import contextlib
import json

import pytest
import torch

from inferno_cuda import cli
from inferno_cuda.cli import (
    bench,
    case_recurrent,
    cases_layers,
    cases_training,
    memory,
    training,
    training_memory,
    training_neurons,
)
from inferno_cuda.cli.bench import Timing
from inferno_cuda.cli.bench_text import times_text
from inferno_cuda.cli.case import Output
from inferno_cuda.cli.training import TrainingResult
from inferno_cuda.cli.training_case import DOUBLE, OURS, TIMED, Contender, TrainingCase
from inferno_cuda.cli.training_neurons import NeuronRate
from inferno_cuda.cli.training_table import contender_row

CASES = {case.name: case for case in cases_training.TRAINING}


@pytest.fixture
def small(monkeypatch):
    """Short sequences of few neurons, and nothing that compiles."""
    monkeypatch.setattr(cases_training, "LINEAR", (30, 3, 16))
    monkeypatch.setattr(cases_training, "ALONE", (20, 3, 40))
    monkeypatch.setattr(cases_training, "LARGE", (20, 3, 50))
    monkeypatch.setattr(cases_layers, "LAYER", (40, 3, 16))
    sizes = {"steps": 12, "batch": 3, "inputs": 7, "outputs": 5, "longest": 6}
    monkeypatch.setattr(cases_training, "DELAYED", sizes)
    monkeypatch.setattr(case_recurrent, "LOOP", {"steps": 40, "batch": 4, "inputs": 100, "neurons": 20})
    monkeypatch.setattr(training_neurons, "SHAPE", (6, 2, 30))
    monkeypatch.setattr(torch, "compile", lambda step, **options: step)
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)
    monkeypatch.setattr(bench, "copy_bandwidth", lambda device, least: 1e10)
    monkeypatch.setattr(memory, "in_fresh_process", lambda *arguments: 3 << 20)
    right = bench.time_call
    monkeypatch.setattr(bench, "time_call", lambda call, least: right(call, 1e-4))


def timer(call):
    call()
    return Timing(1.0, 0.0, 3)


def outputs(*values):
    return [Output(f"number {k}", torch.tensor(value, dtype=DOUBLE)) for k, value in enumerate(values)]


def contender(name, *values, **options):
    return Contender(name, lambda dtype, device: lambda: outputs(*values), **options)


def a_case(*contenders, **options):
    return TrainingCase("made", "made up", "a note", contenders, **options)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_contenders_agree_and_are_timed(small, case):
    result = training.run_case(case, "cpu", timer)
    assert result.problem == ""
    everyone = case.contenders
    present = [one.name for one in everyone if not one.missing]
    assert list(result.seconds) == present and result.missing == [c.name for c in everyone if c.missing]
    assert list(result.memory) == (present if case.memory else [])
    assert set(result.compiling) == {one.name for one in everyone if one.compiles}


def test_what_takes_a_gpu_is_left_out_elsewhere(small, capsys):
    assert {case.name for case in CASES.values() if case.device} == {"lif-half"}
    report, problems = training.run_suite("cpu", ("lif-half",), timer, 1e10)
    assert (report, problems, capsys.readouterr().out) == ({"cases": [], "neurons": []}, [], "")


@pytest.mark.parametrize("name", ["linear-lif", "lif", "layer-lif", "layer-alif"])
def test_some_neurons_spike_and_every_gradient_counts(small, name):
    spikes, *gradients = CASES[name].contenders[0].build(TIMED, "cpu")()
    assert set(spikes.value.unique().tolist()) == {0.0, 1.0}
    assert all(gradient.value.count_nonzero() > gradient.value.numel() / 2 for gradient in gradients)


def test_gradients_reach_weights_and_delays(small):
    _, of_weights, of_delays = CASES["delays"].contenders[0].build(TIMED, "cpu")()
    assert of_weights.value.shape == of_delays.value.shape == (5, 7)
    assert of_weights.value.all() and of_delays.value.all()


def test_gradients_go_around_the_loop(small):
    first, second, *gradients = CASES["recurrent"].contenders[0].build(TIMED, "cpu")()
    assert first.value.any() and second.value.any()
    assert all(gradient.value.any() for gradient in gradients)


@pytest.mark.parametrize("name", ["linear-lif", "lif", "delays", "layer-alif", "recurrent"])
def test_passes_can_be_repeated(small, name):
    for one in CASES[name].contenders:
        if not one.missing:
            call = one.build(DOUBLE, "cpu")
            assert training.disagreement(call(), call()) == ""


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ((1.0, [2.0, 3.0]), ""),
        ((1.0, [2.0, 3.0 + 2e-6]), ""),
        ((1.0, [2.0, 3.1]), "number 1 differ by 0.03 of the largest"),
        ((1.0, [2.0]), "number 1 of shape (1,), expected (2,)"),
        ((float("nan"), [2.0, 3.0]), "number 0 differ by nan of the largest"),
    ],
)
def test_disagreement(found, problem):
    assert training.disagreement(outputs(1.0, [2.0, 3.0]), outputs(*found)) == problem


def test_disagreement_with_zeros():
    assert training.disagreement(outputs(1.0, [0.0, 0.0]), outputs(1.0, [0.0, -0.0])) == ""
    problem = training.disagreement(outputs(1.0, [0.0, 0.0]), outputs(1.0, [0.0, 0.5]))
    assert problem == "number 1 differ by 0.5 from what is all zero"
    assert "nan" in training.disagreement(outputs(0.0), outputs(float("nan")))


def test_who_differs_is_named_and_nothing_is_timed():
    def fail(call):
        raise AssertionError("timed")

    result = training.run_case(a_case(contender(OURS, 1.0), contender("other", 2.0)), "cpu", fail)
    assert result.problem == "other: number 0 differ by 1 of the largest" and not result.seconds
    assert contender_row(result) == [f"  not timed, {result.problem}"]


def test_who_is_not_installed_or_computes_something_else_is_left_out_of_the_comparison():
    case = a_case(
        contender(OURS, 1.0), contender("absent", 2.0, package="no_such_package"), contender("b", 3.0, compared=False)
    )
    result = training.run_case(case, "cpu", timer)
    assert (list(result.seconds), result.missing, result.problem) == ([OURS, "b"], ["absent"], "")
    assert contender_row(result)[-1] == "  absent: not installed"


def test_ratios_with_and_without_what_all_have_in_common():
    result = TrainingResult(a_case(contender(OURS, 1.0), contender("common", 1.0), beside="common"))
    result.seconds = {name: Timing(s, 0.0, 3) for name, s in ((OURS, 3.0), ("common", 2.0), ("other", 12.0))}
    assert [result.ratio(name) for name in (OURS, "common", "other")] == [None, 2 / 3, 4.0]
    assert [result.ratio_beside(name) for name in (OURS, "common", "other")] == [None, None, 10.0]
    assert "without common" in contender_row(result)[0] and contender_row(result)[-1].split()[-2:] == ["4x", "10x"]
    result.seconds["common"] = Timing(3.0, 0.0, 3)  # nothing is left of ours
    assert result.ratio_beside("other") is None


def test_memory_is_shown_beside_ours():
    result = TrainingResult(a_case(contender(OURS, 1.0), contender("other", 1.0), memory=True))
    result.seconds = {OURS: Timing(1.0, 0.0, 3), "other": Timing(2.0, 0.0, 3)}
    result.memory = {OURS: 2 << 20, "other": 8 << 20}
    assert [line.split()[-3:] for line in contender_row(result)[1:]] == [["2.0", "MiB", "-"], ["8.0", "MiB", "4x"]]


@pytest.mark.parametrize("model", training_neurons.NEURONS)
def test_every_model_has_a_rate(small, model):
    forward, both = training_neurons.passes(model, "cpu")
    spikes, (gradient,) = forward(), both()
    assert not spikes.requires_grad and 0 < spikes.sum() < spikes.numel()
    assert gradient.shape == spikes.shape and gradient.count_nonzero() > 0
    assert torch.equal(forward(), spikes)  # every pass begins at rest


def test_shares_of_the_bandwidth():
    rate = NeuronRate("LIF", 1000, 1.0, 3.0)
    assert rate.backward == 2.0 and rate.share(24e3) == pytest.approx(1 / 3)
    assert rate.report(24e3)["neuron_steps"] == 1000


def test_first_passes_are_timed(small):
    result = training.run_case(a_case(contender(OURS, 1.0), contender("c", 1.0, compiles=True)), "cpu", timer)
    assert list(result.compiling) == ["c"] and 0 < result.compiling["c"] < 10
    assert "first pass" in contender_row(result)[-1]


def test_memory_of_a_pass(small):
    assert 0 <= training_memory.extra("delays", OURS, "cpu") < 1 << 30


def test_the_suite_prints_and_writes_everything(small, tmp_path, capsys):
    file = tmp_path / "all.json"
    assert cli.main(["bench", "--device", "cpu", "--suite", "training", "--quick", "--json", str(file)]) == 0
    shown, report = capsys.readouterr().out, json.loads(file.read_text())
    run = [case for case in CASES.values() if not case.device]
    assert "neuron-steps per second" in shown and all(case.what in shown for case in run)
    assert report["suite"] == "training" and report["copy_bytes_per_s"] == 1e10
    assert [case["name"] for case in report["cases"]] == [case.name for case in run]
    assert [rate["model"] for rate in report["neurons"]] == list(training_neurons.NEURONS)
    assert report["cases"][0]["seconds"]["torch loop"]["runs"] >= 3


def test_cases_are_chosen_by_their_names(small, capsys):
    assert cli.main(["bench", "--device", "cpu", "--suite", "training", "--cases", "neurons-lif", "delays"]) == 0
    shown = capsys.readouterr().out
    assert "delayed layer" in shown and "LIF" in shown and "Linear(" not in shown and "Izhikevich" not in shown


def test_names_of_the_other_suite_are_refused(small, capsys):
    assert cli.main(["bench", "--device", "cpu", "--suite", "training", "--cases", "quickstart"]) == 1
    assert "the suite training has no case whose name begins with quickstart" in capsys.readouterr().err
    with contextlib.suppress(SystemExit):
        cli.main(["bench", "--cases", "nothing-of-that-name"])
    assert "no case begins with 'nothing-of-that-name'" in capsys.readouterr().err


def test_a_disagreement_fails_the_command(small, monkeypatch, capsys):
    monkeypatch.setattr(training, "TRAINING", (a_case(contender(OURS, 1.0), contender("other", 2.0)),))
    assert cli.main(["bench", "--device", "cpu", "--suite", "training", "--cases", "made"]) == 1
    assert "not timed because results differ: made" in capsys.readouterr().out


def test_ratios_as_text():
    assert [times_text(ratio) for ratio in (None, 0.5, 12.345, 1234.5)] == ["-", "0.5x", "12.3x", "1,234x"]
