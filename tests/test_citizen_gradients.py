"""No gradient is lost without a word: every surrogate through every kind of module, in runs and in steps."""

import pytest
import torch
from citizen_cases import (
    BATCH,
    EXPONENTIAL,
    INPUTS,
    LINEAR,
    OUTPUTS,
    PREVIOUS,
    alif,
    assert_all_learn,
    assert_close,
    clear,
    currents,
    dense,
    lif,
    loss_of,
    network,
    spikes,
    train_step,
)
from run_cases import NEURONS
from torch import nn

import inferno_cuda
from inferno_cuda import surrogate
from inferno_cuda.neural import (
    Conv2D,
    DeltaCurrent,
    DeltaPlusCurrent,
    DoubleExponentialCurrent,
    LinearDirect,
    LinearLateral,
    Serial,
)

SURROGATES = [
    surrogate.ATan(0.2),
    surrogate.Sigmoid(0.2),
    surrogate.FastSigmoid(0.2),
    surrogate.SuperSpike(0.2),
    surrogate.Triangular(0.02),
    surrogate.Gaussian(0.02),
    surrogate.Boxcar(0.01),
    surrogate.StraightThrough(0.2),
    lambda x: torch.sigmoid(0.2 * x),
]
IDS = [type(s).__name__ for s in SURROGATES]
SYNAPSES = {
    "delta": PREVIOUS,
    "linear": LINEAR,
    "plus": DeltaPlusCurrent.partialconstructor(1.0),
    "exponential": EXPONENTIAL,
    "double": DoubleExponentialCurrent.partialconstructor(30.0, 5.0, 1.0),
}


def stepped(module, x):
    return loss_of(torch.stack([module(row) for row in x]))


def assert_learns(make, x):
    """In a run and in steps, which agree, everything gets a gradient."""
    found = train_step(make(), x)
    assert_all_learn(found)
    assert_close(train_step(make(), x, stepped), found, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("spike", SURROGATES, ids=IDS)
@pytest.mark.parametrize("name", NEURONS)
def test_every_surrogate_in_every_neuron(name, spike):
    def make():
        cells = NEURONS[name](OUTPUTS)
        cells.surrogate = spike
        return cells

    assert_learns(make, currents(5) / 4)


@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("name", SYNAPSES)
def test_through_every_synapse(backend, name, delay):
    """A layer below, so that spikes that learn come in."""

    def make():
        second = dense(OUTPUTS, 3, SYNAPSES[name], delay, seed=1)
        if name == "plus" and delay is not None:
            second.delay_.requires_grad_(False)
        return nn.Sequential(Serial(dense(), lif()), Serial(second, alif(3)))

    assert_learns(make, spikes(6))


@pytest.mark.parametrize("delay", [None, 2.0])
@pytest.mark.parametrize("kind", ["lateral", "direct", "conv"])
def test_through_every_connection(backend, kind, delay):
    def make():
        options = {"synapse": LINEAR, "delay": delay, "batch_size": BATCH, "bias": True,
                   "weight_init": lambda w: (400 if kind == "direct" else 100) * torch.ones_like(w),
                   "bias_init": torch.zeros_like,
                   "delay_init": None if delay is None else lambda d: torch.full_like(d, 0.7)}  # fmt: skip
        if kind == "conv":
            connection = Conv2D(3, 2, 1, 2, 1.0, 2, **options)
        else:
            connection = (LinearLateral if kind == "lateral" else LinearDirect)(INPUTS, 1.0, **options)
        for parameter in connection.parameters():
            parameter.requires_grad_()
        below = lif((1, 3, 2) if kind == "conv" else INPUTS)
        return nn.Sequential(below, connection, lif(connection.outshape))

    shape = (BATCH, 1, 3, 2) if kind == "conv" else (BATCH, INPUTS)
    assert_learns(make, currents(6, *shape))


def test_the_first_step_through_delays_reaches_the_later_ones(backend):
    """What was recorded as bool in steps before counts, too."""
    connection = dense(synapse=PREVIOUS)
    connection.delay = torch.full((OUTPUTS, INPUTS), 2.0)
    x = spikes(4).requires_grad_()
    outputs = [connection(row) for row in x]
    outputs[2].sum().backward()
    assert x.grad[0].all() and not x.grad[1:].any()


@pytest.mark.parametrize("how", ["clear", "detach_"])
@pytest.mark.parametrize("stepped", [False, True])
def test_graphs_end(backend, how, stepped):
    """After which a backward pass does not go into what the one before has freed."""
    module = network()
    for seed in range(3):
        x = spikes(4, seed=seed).requires_grad_()
        out = torch.stack([module(row) for row in x]) if stepped else inferno_cuda.run(module, x)
        loss_of(out).backward()
        assert x.grad.any()
        if how == "clear":
            clear(module)
        else:
            for part in module:
                part.detach_()
    run = inferno_cuda.run(module, spikes(4))
    run.sum().backward()


def test_hooks_that_watch_a_record_of_spikes_forbid_gradients(backend):
    connection = dense(synapse=PREVIOUS)
    connection.synapse.register_forward_hook(lambda *args: None)
    before = connection.synapse.spike_.value.clone()
    with pytest.raises(RuntimeError, match="spikes recorded by DeltaCurrent drop"):
        connection(spikes()[0].requires_grad_())
    assert torch.equal(connection.synapse.spike_.value, before)
    connection(spikes()[0])
    with torch.no_grad():
        connection(spikes()[0].requires_grad_())


def test_delays_without_a_derivative_are_refused(backend):
    connection = dense(synapse=PREVIOUS)
    connection.delay_.requires_grad_()
    for call in (lambda: connection(spikes()[0]), lambda: connection.run(spikes())):
        with pytest.raises(RuntimeError, match="interpolat"):
            call()


@pytest.mark.parametrize("delay", [None, 3.0])
def test_synapses_that_write_in_place_cut_graphs_by_request_alone(backend, delay):
    """`inplace` says so; without it nothing is cut."""
    synapse = DeltaCurrent.partialconstructor(1.0, inplace=True)
    connection, x = dense(synapse=synapse, delay=delay), spikes().requires_grad_()
    if delay is not None:
        connection.delay_.requires_grad_(False)
    connection.run(x).sum().backward()
    assert connection.weight_.grad.any() and x.grad is None
