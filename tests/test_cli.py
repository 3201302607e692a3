"""The command line: arguments, exit statuses, `info` and `check`."""

import subprocess
import sys

import pytest
import torch

import inferno_cuda
from inferno_cuda import cli, ops
from inferno_cuda.cli import check, common, experiments, info
from inferno_cuda.ops.backend import OPS


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("info", "check", "validate", "demo", "bench"))


@pytest.mark.parametrize("command", ["info", "check", "validate", "demo", "bench"])
def test_help_of_commands(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0
    assert "usage: inferno-cuda" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["info", "--fast"],
        ["check", "--device", "tpu"],
        ["demo", "--images", "3"],
        ["demo", "--images", "5001"],
        ["demo", "--neurons", "0"],
        ["demo", "--neurons", "many"],
        ["demo", "--max-delay", "-1"],
        ["demo", "--max-delay", "nan"],
        ["demo", "--batch", "0"],
        ["demo", "--seed", "-1"],
        ["bench", "--cases", "nothing"],
    ],
)
def test_wrong_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert "usage: inferno-cuda" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.strip() == f"inferno_cuda {inferno_cuda.__version__}"


@pytest.mark.parametrize("command", ["check", "demo", "bench"])
def test_a_missing_gpu_is_one_line(command, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.main([command, "--device", "cuda"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("inferno-cuda: no CUDA device") and error.count("\n") == 1


def test_ctrl_c_is_one_line_and_130(capsys, monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "run", interrupted)
    assert cli.main(["info"]) == 130
    assert capsys.readouterr().err == "inferno-cuda: interrupted\n"


def test_it_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "inferno_cuda", "info"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("inferno_cuda ")


# -- info -------------------------------------------------------------------------------------------------------------


def test_info(capsys, monkeypatch):
    monkeypatch.setenv("INFERNO_CUDA_BACKEND", "auto")
    assert cli.main(["info"]) == 0
    shown = capsys.readouterr().out
    for text in (inferno_cuda.__version__, torch.__version__, common.cpu_name(), "INFERNO_CUDA_BACKEND=auto"):
        assert text in shown
    assert all(shown.count(f"\n{op} ") == 2 for op in OPS)


def test_info_tells_the_backend_and_why(backend, capsys):
    cli.main(["info"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("neuron_step")]
    assert lines[0].split()[:3] == ["neuron_step", "cpu", backend]
    assert ("backend is set to 'torch'" in lines[0]) == (backend == "torch")


def test_info_says_why_the_library_is_not_in_use(capsys, monkeypatch):
    status = type(ops.native_status)(problem="no compiled library here")
    monkeypatch.setattr(ops, "native_status", status)
    cli.main(["info"])
    assert "compiled library  not in use: no compiled library here" in capsys.readouterr().out


# -- check ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outcomes():
    return list(check.outcomes(["cpu"], inferno_cuda.testing.backends(), seed=3))


def test_check_covers_ops_backends_and_dtypes(outcomes):
    assert {outcome.op for outcome in outcomes} == set(OPS)
    assert {outcome.backend for outcome in outcomes} == set(inferno_cuda.testing.backends())
    dtypes = {outcome.dtype for outcome in outcomes if outcome.op == "history_push"}
    assert dtypes == {"float32", "float64", "float16", "bfloat16", "bool"}


def test_check_finds_nothing_here(outcomes):
    assert [outcome for outcome in outcomes if outcome.problem] == []
    assert all(outcome.compared > 1000 for outcome in outcomes)


def small(monkeypatch):
    monkeypatch.setattr(check, "EXPERIMENTS", {"neuron_step": (experiments._neuron_step, (torch.float32,))})
    monkeypatch.setattr(experiments, "MANY", 50)


def test_check_prints_a_line_each(capsys, monkeypatch):
    small(monkeypatch)
    assert cli.main(["check", "--device", "cpu"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    shown = [line for line in lines if line.startswith("neuron_step")]
    assert len(shown) == len(inferno_cuda.testing.backends())
    assert all(" float32 " in line and " ok, " in line for line in shown)
    assert last == f"all {len(shown)} equal the reference"


def test_check_of_one_backend(capsys, monkeypatch):
    small(monkeypatch)
    assert cli.main(["check", "--device", "cpu", "--backend", "torch"]) == 0
    assert "all 1 equal the reference" in capsys.readouterr().out


def test_a_check_of_nothing_fails(capsys, monkeypatch):
    monkeypatch.setattr(inferno_cuda.testing, "backends", lambda: ["torch"])
    assert cli.main(["check", "--device", "cpu", "--backend", "native"]) == 1
    assert "backend 'native' is not available" in capsys.readouterr().err


def test_check_fails_on_a_difference(capsys, monkeypatch, native):
    small(monkeypatch)
    right = ops.neuron_step_

    def wrong(model, voltage, *others, **parameters):
        spikes = right(model, voltage, *others, **parameters)
        if ops.active_mode() == "native":
            voltage[0, 7] += 1e-5
        return spikes

    monkeypatch.setattr(ops, "neuron_step_", wrong)
    assert cli.main(["check", "--device", "cpu"]) == 1
    shown = capsys.readouterr().out
    assert "native  float32   FAILED: AssertionError: voltage in place, lif, refrac_lock=True: 1 of 50" in shown
    assert "1 of 2 differ from the reference" in shown


def test_check_goes_on_after_an_error(capsys, monkeypatch):
    small(monkeypatch)
    calls = []

    def broken(*arguments, **parameters):
        calls.append(1)
        if len(calls) > 42:  # the reference has run
            raise RuntimeError("no such kernel\nand more")
        return arguments[1].bool()

    monkeypatch.setattr(ops, "neuron_step_", broken)
    assert cli.main(["check", "--device", "cpu"]) == 1
    assert "FAILED: RuntimeError: no such kernel\n" in capsys.readouterr().out
