"""Learning from what was sent, by kernels, beside the same in torch with a value for each sample and weight."""

import itertools

import pytest
import torch
from learn_cases import CONNECTIONS, LONGEST, OURS, RULES, layer, off_grid, on_grid, rule, spikes

import inferno_cuda.learn._arrivals as arrivals
import inferno_cuda.learn._monitors as monitors
from inferno_cuda import ops

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


DELAYED = ["STDP", "STDP nearest", "StableTripletSTDP", "TripletSTDP", "MSTDP", "MSTDPET", "KernelSTDP"]


def between_nothing(built, trainer):
    pass


def between_changed_delays(built, trainer):
    built.connection.delay = built.connection.delay.roll(1)


def between_same_delays(built, trainer):
    built.connection.delay = built.connection.delay.clone()


def between_silent(built, trainer):
    for _ in range(5):
        built(torch.zeros(built.connection.batched_inshape, dtype=torch.bool), post=torch.zeros(
            built.connection.batched_outshape, dtype=torch.bool))  # fmt: skip


def between_evaluation(built, trainer):
    built.eval()
    for x in spikes(3, *built.connection.batched_inshape, seed=9, rate=0.5):
        built(x, post=torch.ones(built.connection.batched_outshape, dtype=torch.bool))
    built.train()


def between_cleared_layer(built, trainer):
    built.clear()


def between_cleared_trainer(built, trainer):
    trainer.clear()


def between_samples(built, trainer):
    built.clear()
    trainer.clear()


def between_samples_other_order(built, trainer):
    trainer.clear()
    built.clear()


def between_kept_shapes(built, trainer):
    trainer.clear(keepshape=True)
    built.clear()


def between_other_spikes(built, trainer):
    built.connection.synapse.spike = torch.ones(built.connection.synapse.batchedshape, dtype=torch.bool)


def between_written_history(built, trainer):
    record = built.connection.synapse.spike_
    record.write(torch.ones(record.shape, dtype=torch.bool), offset=2)


def between_moved_pointer(built, trainer):
    built.connection.synapse.spike_.incr(1)


def between_other_amplitudes(built, trainer):
    for monitor in trainer.monitors:
        if hasattr(monitor.reducer, "amplitude"):
            monitor.reducer.amplitude = 0.25


STAYS = {between_nothing, between_same_delays, between_samples, between_samples_other_order, between_kept_shapes}
BETWEEN = [value for name, value in list(globals().items()) if name.startswith("between_")]


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("kind", ["dense", "direct", "conv"])
@pytest.mark.parametrize("name", DELAYED)
def test_what_is_recorded_is_the_same_whatever_happens_in_between(name, kind, between):
    signal = signal_of(name, 2)
    pairs = [made(name, kind, off_grid, 2, generic=generic) for generic in (False, True)]
    for part in range(3):
        learned = []
        for built, trainer in pairs:
            learned.append(list(drive(built, trainer, 5, seed=part, signal=signal)))
        assert_same(*learned)
        assert_recorded_alike(pairs[0][1], pairs[1][1])
        sent = [reducer.sent() is not None for reducer in reducers(pairs[0][1])]
        assert all(sent) if part == 0 or between in STAYS else sent
        for pair in pairs:
            between(*pair)
    assert not reducers(pairs[1][1])
