"""accelerate(verify=...): both versions from the same state, on copies."""

import pytest
import torch
from adapter_cases import assert_state, connection, currents, neuron, tensors
from states import spikes
from torch import nn

import inferno_cuda
from inferno_cuda.adapters import _copy, _inferno_neurons, _registry
from inferno_cuda.adapters._adapter import Adapter

theirs = pytest.importorskip("inferno.neural")
pytestmark = pytest.mark.usefixtures("native")


class Noisy(nn.Module):
    def __init__(self, name="ALIF", generator=None):
        super().__init__()
        self.drop, self.neurons, self.generator = nn.Dropout(0.3), neuron(theirs, name), generator

    def forward(self, x, gain=1.0):
        noise = torch.randn(x.shape, generator=self.generator)
        return self.neurons(self.drop(x) * gain + noise)


@pytest.mark.parametrize("generator", [None, torch.Generator().manual_seed(7)], ids=["global", "own"])
def test_same_state_same_random_numbers(generator):
    m = Noisy(generator=generator)
    for x in currents(10, 2, 5):
        m(x)
    before = {name: x.clone() for name, x in tensors(m).items()}
    states = torch.get_rng_state(), generator and generator.get_state()
    report = inferno_cuda.accelerate(m, verify=list(currents(40, 2, 5)))
    found = report.verification
    assert (found.steps, found.output_difference, found.spike_mismatches) == (40, 0.0, 0)
    assert found.state_difference < 1e-4
    assert "verified over 40 steps" in str(report) and "0 spikes differ" in str(report)
    assert all(torch.equal(x, before[name]) for name, x in tensors(m).items())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert generator is None or torch.equal(generator.get_state(), states[1])
    assert len(report.accelerated) == 1


@pytest.mark.parametrize("verify", [torch.ones(2, 5), (torch.ones(2, 5), 2.0), {"x": torch.ones(2, 5), "gain": 3.0}])
def test_kinds_of_inputs(verify):
    assert inferno_cuda.accelerate(Noisy(), verify=verify).verification.steps == 1
    assert inferno_cuda.accelerate(Noisy(), verify=[verify] * 3).verification.steps == 3
    assert inferno_cuda.accelerate(Noisy()).verification is None


@pytest.mark.parametrize("delays", [None, "off the grid"])
def test_connections_with_their_handles(delays):
    c = connection(theirs, "LinearDense", "DoubleExponentialCurrent", delays)
    c.updater = c.defaultupdater()
    found = inferno_cuda.accelerate(c, verify=list(spikes(20, *c.batched_inshape).float())).verification
    assert found.output_difference < 1e-5 and found.state_difference == 0.0 and found.spike_mismatches == 0


def test_a_layer_with_a_trainer():
    learn = pytest.importorskip("inferno.learn")
    layer = theirs.Serial(connection(theirs, "LinearDense"), neuron(theirs, "ALIF", 4, resistance=20.0))
    layer.connection.updater = layer.connection.defaultupdater()
    trainer = learn.STDP(1e-3, -1e-3, 20.0, 20.0)
    trainer.register_cell("only", layer.cell)
    inputs = list(spikes(20, 2, 3, 2).float())
    for x in inputs:
        layer(x), trainer(), layer.connection.update()
    seen = trainer.get_monitor("only", "trace_post").peek().clone()
    weight = layer.connection.weight.clone()
    found = inferno_cuda.accelerate(layer, verify=inputs).verification
    assert found.output_difference < 1e-5 and found.spike_mismatches == 0
    assert torch.equal(trainer.get_monitor("only", "trace_post").peek(), seen)
    assert torch.equal(layer.connection.weight, weight)
    for x in inputs:
        layer(x), trainer(), layer.connection.update()
    assert not torch.equal(layer.connection.weight, weight)


def test_a_model_that_is_accelerated_already_is_compared_with_the_library():
    m = Noisy()
    inferno_cuda.accelerate(m)
    found = inferno_cuda.accelerate(m, verify=list(currents(9, 2, 5))).verification
    assert found.steps == 9 and found.spike_mismatches == 0
    assert type(m.neurons).__name__ == "AcceleratedALIF"


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("level", torch.zeros(3))
        self.memories = {"v": torch.zeros(2), "steps": 0}

    def forward(self, x):
        self.level = self.level + x
        return x > 0, self.level.clone()


class Wrong:
    def forward(self, x):
        spikes, level = super().forward(x)
        self.memories["v"] = self.memories["v"] + 0.25
        return ~spikes, level + 0.5


def test_differences_are_found(monkeypatch):
    adapter = Adapter("toys", Toy, Wrong, lambda module: "wrong", lambda module: None)
    monkeypatch.setattr(_registry, "_adapters", lambda: {Toy: adapter})
    found = inferno_cuda.accelerate(Toy(), verify=[torch.ones(3)] * 2).verification
    assert found.output_difference == 0.5
    assert found.state_difference == 0.5
    assert found.spike_mismatches == 6


def test_an_error_in_verify_leaves_the_model_alone():
    m = Noisy()
    for verify, error in (([], ValueError), (torch.ones(2), RuntimeError), ({"y": 1}, TypeError)):
        with pytest.raises(error):
            inferno_cuda.accelerate(m, verify=verify)
        assert type(m.neurons) is theirs.ALIF
    with pytest.raises(ValueError, match="holds no tensors"):
        inferno_cuda.accelerate(Silent(), verify=torch.ones(2, 5))


class Silent(nn.Module):
    def __init__(self):
        super().__init__()
        self.neurons = neuron(theirs, "LIF")

    def forward(self, x):
        self.neurons(x)


def test_hooks_do_not_run():
    m, seen = Noisy(), []
    m.neurons.register_forward_hook(lambda *_: seen.append(1))
    inferno_cuda.accelerate(m, verify=torch.ones(2, 5))
    assert not seen and len(m.neurons._forward_hooks) == 1


def test_d17_copies_of_inferno_s_modules_are_independent():
    for make in (
        lambda: neuron(theirs, "ALIF"),
        lambda: connection(theirs, "Conv2D", "DeltaCurrent", "on the grid"),
    ):
        original = make()
        shape = original.batchedshape if hasattr(original, "batchedshape") else original.batched_inshape
        original(torch.ones(shape) * 20)
        made = _copy.copy_of(original)
        assert_state(original, made)
        before = {name: x.clone() for name, x in tensors(original).items()}
        made(torch.ones(shape) * 20)
        assert all(torch.equal(x, before[name]) for name, x in tensors(original).items())
        made.clear(), original.clear()
        assert_state(original, made)


def test_copies_share_what_the_original_shares():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)
            self.b.weight = self.a.weight
            self.register_buffer("whole", torch.zeros(2, 2))
            self.row = self.whole[0]
            self.graph = self.a.weight * 2

    made = _copy.copy_of(Tied())
    assert made.a.weight is made.b.weight and isinstance(made.a.weight, nn.Parameter)
    made.whole.fill_(7.0)
    assert torch.equal(made.row, torch.full((2,), 7.0)) and not made.graph.requires_grad


def test_it_is_the_kernels_that_are_compared_where_gradients_are_on(monkeypatch):
    steps, run = [], _inferno_neurons.advance
    monkeypatch.setattr(_inferno_neurons, "advance", lambda *arguments: steps.append(1) or run(*arguments))
    inputs = torch.ones(2, 5, requires_grad=True)
    found = inferno_cuda.accelerate(Noisy("LIF"), verify=[inputs] * 3).verification
    assert len(steps) == 3 and found.output_difference == 0.0


@pytest.mark.parametrize("verify", [True, 3, [torch.ones(2, 5), None], "x"])
def test_what_is_no_input_is_named(verify):
    model = Noisy()
    with pytest.raises(TypeError, match="'verify' has a (bool|int|NoneType|str), it must be a tensor"):
        inferno_cuda.accelerate(model, verify=verify)
    assert type(model.neurons).__name__ == "ALIF"


class InPlace(nn.Module):
    """Its first layer writes to what it is given."""

    def __init__(self):
        super().__init__()
        self.relu, self.neurons = nn.ReLU(inplace=True), neuron(theirs, "LIF")

    def forward(self, x, more):
        return self.neurons(self.relu(x).mul_(0.7) + more["bias"].add_(1.0))


def test_inputs_that_the_model_writes_to():
    x, bias = currents(1, 2, 5)[0], torch.full((5,), 2.0)
    before = x.clone(), bias.clone()
    found = inferno_cuda.accelerate(InPlace(), verify=[(x, {"bias": bias})] * 9).verification
    assert (found.output_difference, found.state_difference, found.spike_mismatches) == (0.0, 0.0, 0)
    assert torch.equal(x, before[0]) and torch.equal(bias, before[1])


def test_inputs_with_a_graph():
    leaf = torch.ones(2, 5, requires_grad=True)
    assert inferno_cuda.accelerate(Noisy("LIF"), verify=leaf * 2).verification.output_difference == 0.0


class Record(Toy):
    """Keeps the spikes of the last four steps."""

    def __init__(self):
        super().__init__()
        self.register_buffer("kept", torch.zeros(4, 3, dtype=torch.bool))
        self.memories["steps"] = 10

    def forward(self, x):
        self.kept = torch.cat([self._spikes(x)[None], self.kept[:-1]])
        return self.kept[0]

    def _spikes(self, x):
        return x > 0


class WrongAtFirst:
    def _spikes(self, x):
        self.memories["steps"] += 1
        return super()._spikes(x) ^ (self.memories["steps"] == 11)


@pytest.mark.parametrize(("steps", "mismatches"), [(1, 6), (3, 6), (4, 6), (5, 3)])
def test_a_spike_that_stays_in_the_state_is_counted_once_there(monkeypatch, steps, mismatches):
    adapter = Adapter("toys", Record, WrongAtFirst, lambda module: "wrong", lambda module: None)
    monkeypatch.setattr(_registry, "_adapters", lambda: {Record: adapter})
    found = inferno_cuda.accelerate(Record(), verify=[torch.ones(3)] * steps).verification
    assert found.spike_mismatches == mismatches
