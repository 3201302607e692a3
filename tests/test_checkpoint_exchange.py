"""States go between inferno-ai and this package in the middle of a run, for every class, through files."""

import itertools

import pytest
import torch
from checkpoint_cases import CASES, ENCODERS, inputs, run, serial
from states import seeded

import inferno_cuda as ours

theirs = pytest.importorskip("inferno")
pytest.importorskip("inferno.neural")
pytest.importorskip("inferno.extra")
pytest.importorskip("safetensors")

STEPS, CUT = 40, 13


def by_torch(path, start, resumed):
    torch.save(start.state_dict(), path)
    resumed.load_state_dict(torch.load(path, weights_only=True))


def by_checkpoint(path, start, resumed):
    ours.save_checkpoint(path, start)
    ours.load_checkpoint(path, resumed)


def assert_same(seen, wanted):
    for mine, other in zip(seen, wanted, strict=True):
        for a, b in zip(mine, other, strict=True):
            assert a.dtype == b.dtype
            assert torch.equal(a, b) if a.dtype == torch.bool else torch.allclose(a, b, rtol=1e-4, atol=1e-4)


def assert_same_state(a, b):
    assert list(a) == list(b)
    for key, value in a.items():
        assert torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else dict(value) == dict(b[key]), key


@pytest.mark.parametrize("how", [by_torch, by_checkpoint])
@pytest.mark.parametrize("name", CASES)
def test_runs_are_continued_by_the_other_package(name, how, tmp_path):
    for first, second in itertools.permutations((ours, theirs)):
        start, resumed = CASES[name](first), CASES[name](second, seed=5)
        steps = list(inputs(start, STEPS))
        run(start, steps[:CUT])
        if first is ours and name == "RecurrentSerial":
            # inferno-ai knows the key of the feedback only after a step
            run(resumed, steps[:1])
        how(tmp_path / "state", start, resumed)
        assert_same_state(resumed.state_dict(), start.state_dict())
        wanted = run(start, steps[CUT:])
        assert_same(run(resumed, steps[CUT:]), wanted)
        assert any(out.any() for outs in wanted for out in outs)


def hooked(inferno, seed=0):
    """A layer with hooks that are modules beside it."""
    layer = serial(inferno, seed=seed)
    parts = {
        "layer": layer,
        "norm": inferno.neural.Normalization(layer, "connection.weight", 1, 3.0, 1),
        "clamp": inferno.neural.Clamping(layer, "connection.bias", min=0.2),
    }
    parts["norm"].register()
    parts["clamp"].register()
    return torch.nn.ModuleDict(parts)


@pytest.mark.parametrize("how", [by_torch, by_checkpoint])
def test_hooks_and_updaters(how, tmp_path):
    start, resumed = hooked(theirs), hooked(ours, seed=5)
    steps = list(inputs(start["layer"], STEPS))
    for model in (start, resumed):
        run(model["layer"], steps[:2])
    start["layer"].updater.weight = (torch.full((4, 6), 0.25), torch.full((4, 6), 0.5))
    start["layer"].updater.bias = torch.ones(4)
    how(tmp_path / "state", start, resumed)
    for model in (start, resumed):
        model["layer"].update()
    assert_same(run(resumed["layer"], steps[2:]), run(start["layer"], steps[2:]))
    assert torch.allclose(resumed["layer"].connection.weight, start["layer"].connection.weight)
    assert torch.allclose(resumed["layer"].connection.weight.abs().sum(1), torch.full((4,), 3.0))
    # back, to a model without the hooks: what inferno-ai saves of the module under a hook is no state of its own
    fresh = serial(theirs, seed=6)
    how(tmp_path / "back", resumed["layer"], fresh)
    assert_same_state(fresh.state_dict(), resumed["layer"].state_dict())


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_continue_with_their_generators(name, tmp_path):
    for first, second in itertools.permutations((ours, theirs)):
        start, resumed = (getattr(n.neural, name)(20, 1.0, 100.0, generator=seeded(i))
                          for i, n in enumerate((first, second)))  # fmt: skip
        rates = torch.rand(3, 5, generator=seeded())
        start(rates)
        assert list(start.state_dict()) == list(resumed.state_dict()) == ["_extra_state"]
        by_checkpoint(tmp_path / "state", start, resumed)
        # in the last step inferno-ai's PoissonIntervalEncoder lets every train spike
        drawn, again = start(rates)[:-1], resumed(rates)[:-1]
        assert torch.equal(again, drawn) and drawn.any()
