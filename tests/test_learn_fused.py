"""Learning from what was sent, by kernels, beside the same in torch with a value for each sample and weight."""

import copy
import itertools

import pytest
import torch
from learn_cases import CONNECTIONS, LONGEST, OURS, RULES, layer, off_grid, on_grid, rule, spikes

import inferno_cuda.learn._arrivals as arrivals
import inferno_cuda.learn._monitors as monitors
import inferno_cuda.learn._terms as terms
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
    if (batch == 3 or kind == "dense")
    and (RULES[name][3] or not delayed) and (init is not None or not (RULES[name][4] or delayed))
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
@pytest.mark.parametrize("kind", ["dense", "conv"])
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


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("name", DELAYED)
def test_float64(name, kind):
    signal = signal_of(name, 2)
    pairs = [made(name, kind, off_grid, 2, dtype=torch.float64, generic=generic) for generic in (False, True)]
    assert_same(*(list(drive(*pair, STEPS, signal=signal)) for pair in pairs), torch.float64)
    assert_recorded_alike(pairs[0][1], pairs[1][1])


@pytest.mark.parametrize("kind", ["dense", "direct", "conv"])
@pytest.mark.parametrize("name", DELAYED)
def test_states_go_on_bit_for_bit(name, kind):
    signal = signal_of(name, 2)
    before, after = made(name, kind, off_grid, 2), made(name, kind, off_grid, 2)
    list(drive(*before, 5, signal=signal))
    for saved, loaded in zip(before, after, strict=True):
        loaded.load_state_dict(saved.state_dict())
    assert_recorded_alike(after[1], before[1])
    expected, ours = (list(drive(*pair, 5, seed=3, signal=signal)) for pair in (before, after))
    for one, other in zip(expected, ours, strict=True):
        assert torch.equal(one, other)
    assert_recorded_alike(after[1], before[1])
    assert any(reducer.sent() is not None for reducer in reducers(after[1]))


@pytest.mark.parametrize("kind", ["dense", "direct", "conv"])
def test_traces_of_arrivals_that_are_loaded_go_on(kind):
    generic, ours = made("STDP", kind, off_grid, 2, generic=True), made("STDP", kind, off_grid, 2)
    list(drive(*generic, 5))
    for saved, loaded in zip(generic, ours, strict=True):
        loaded.load_state_dict(saved.state_dict())
    assert_same(*(list(drive(*pair, 5, seed=3)) for pair in (generic, ours)))
    assert_recorded_alike(ours[1], generic[1])
    assert all(reducer.sent() is None for reducer in reducers(ours[1]))


def test_copies_go_on():
    pair = made("MSTDPET", "dense", off_grid, 2)
    signal = signal_of("MSTDPET", 2)
    list(drive(*pair, 5, signal=signal))
    copied = copy.deepcopy(pair)
    copied[0].connection.delay = copied[0].connection.delay.roll(1)
    other = made("MSTDPET", "dense", off_grid, 2, generic=True)
    list(drive(*other, 5, signal=signal))
    other[0].connection.delay = other[0].connection.delay.roll(1)
    assert_same(*(list(drive(*each, 5, seed=3, signal=signal)) for each in (copied, other)))
    assert_recorded_alike(copied[1], other[1])


@pytest.mark.parametrize("name", ["STDP", "TripletSTDP", "KernelSTDP"])
def test_all_that_is_recorded_can_be_read(name):
    pairs = [made(name, "dense", off_grid, 2, generic=generic) for generic in (False, True)]
    for pair in pairs:
        list(drive(*pair, 5))
    generic = dict(pairs[1][1].named_monitors_of("cell"))
    for key, monitor in pairs[0][1].named_monitors_of("cell"):
        expected = generic[key]
        for read in ("peek", "dump"):
            one, other = getattr(monitor, read)(), getattr(expected, read)()
            torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(monitor.latest, expected.latest, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(monitor.view(0.0), expected.view(0.0), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("batch", [1, 20])
def test_few_spikes_change_rows_and_columns_alone(batch):
    def learned(deferred):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(terms, "FEWEST_DEFERRED", 1 if deferred else 1 << 60)
            built, trainer = made("STDP both up", "dense", None, batch)
            return list(drive(built, trainer, 12, rate=0.02))

    assert_same(learned(True), learned(False))


def test_trainers_explain_how_they_learn():
    built, trainer = made("STDP", "dense", off_grid, 2)
    list(drive(built, trainer, 4))
    (row,) = trainer.explain()
    assert (row.cell, row.records, row.terms, row.reason) == ("cell", "spikes of each neuron", "kernels", "")
    built.connection.delay = built.connection.delay.roll(1)
    list(drive(built, trainer, 1))
    (row,) = trainer.explain()
    assert row.records == "arrivals at each weight" and "clear()" in row.reason
    with ops.backend("torch"):
        assert trainer.explain()[0].terms == "torch"
    assert "why not faster" in repr(trainer.explain())


def test_other_reductions_are_said_to_be_slower():
    built = layer(OURS, "dense", None, 2)
    trainer = rule(OURS, "STDP", reduction=torch.amax)
    trainer.register_cell("cell", built.cell)
    (row,) = trainer.explain()
    assert row.terms == "torch" and "amax" in row.reason
