"""Learning from what was sent, by kernels, beside the same in steps of torch with a value for each sample and weight."""

import itertools

import pytest
import torch

import inferno_cuda.learn._arrivals as arrivals
import inferno_cuda.learn._monitors as monitors
from inferno_cuda import ops
from learn_cases import CONNECTIONS, LONGEST, OURS, RULES, layer, off_grid, on_grid, rule, spikes

STEPS = 8


def made(name, kind, delay_init, batch, delayed=False, dtype=torch.float32, generic=False, monkeypatch=None):
    """A layer and its trainer; a generic one records what arrives."""
    with pytest.MonkeyPatch.context() as patch:
        if generic:
            patch.setattr(monitors, "ARRIVING", {})
        built = layer(OURS, kind, None if delay_init is None else LONGEST, batch, delay_init)
        trainer = rule(OURS, name, delayed=delayed)
        trainer.register_cell("cell", built.cell)
    return built.to(dtype), trainer.to(dtype)


def drive(built, trainer, steps, seed=0, rate=0.3, signal=None):
    """Steps of learning; the weights after each."""
    connection = built.connection
    inputs = spikes(steps, connection.batchsz, *connection.inshape, seed=seed, rate=rate)
    outputs = spikes(steps, connection.batchsz, *connection.outshape, seed=seed + 1, rate=rate)
    for x, post in zip(inputs, outputs, strict=True):
        built(x, post=post)
        trainer(*(() if signal is None else (signal,)))
        connection.update()
        yield connection.delay.clone() if name_of(trainer).endswith("D") else connection.weight.clone()


def name_of(trainer):
    return type(trainer).__name__


def signal_of(name, batch):
    return torch.linspace(-0.8, 0.9, batch) if RULES[name][2] else None


def assert_same(one, other, dtype=torch.float32):
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-13}
    for step, (a, b) in enumerate(zip(one, other, strict=True)):
        torch.testing.assert_close(a, b, **tolerance, msg=lambda text, step=step: f"step {step}: {text}")


def recorded(trainer):
    return {name: monitor.peek() for name, monitor in trainer.named_monitors_of("cell")}


def assert_recorded_alike(one, other):
    """Bit for bit."""
    expected = recorded(other)
    for name, value in recorded(one).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0, equal_nan=True, msg=name)


def reducers(trainer):
    return [m.reducer for m in trainer.monitors if isinstance(m.reducer, arrivals.Arriving)]


GRID = [
    (name, kind, init, batch, delayed)
    for name, kind, init, batch, delayed in itertools.product(
        RULES, CONNECTIONS, (None, on_grid, off_grid), (1, 3), (False, True)
    )
    if (RULES[name][3] or not delayed) and (init is not None or not (RULES[name][4] or delayed))
]


@pytest.mark.parametrize(("name", "kind", "init", "batch", "delayed"), GRID)
def test_rules_learn_the_same_with_kernels_and_in_torch(name, kind, init, batch, delayed):
    signal = signal_of(name, batch)
    fused = made(name, kind, init, batch, delayed)
    generic = made(name, kind, init, batch, delayed, generic=True)
    ours = list(drive(*fused, STEPS, signal=signal))
    with ops.backend("torch"):
        expected = list(drive(*generic, STEPS, signal=signal))
    assert_same(ours, expected)
    assert_recorded_alike(fused[1], generic[1])
