"""Runs of whole sequences are the same as single steps by hand, for every kind of module."""

import copy

import pytest
import torch
from connection_cases import make
from run_cases import MODULES, NEURONS, B, Leaky, currents, serial, spikes
from states import assert_same_state, states

import inferno_cuda
from inferno_cuda.neural import LIF, DeltaCurrent, DeltaPlusCurrent, Serial
from inferno_cuda.testing import assert_identical


def at(inputs, t):
    if isinstance(inputs, dict):
        return ({name: tuple(x[t] for x in args) for name, args in inputs.items()},)
    return (inputs[t],)


def stacked(values):
    first = values[0]
    if isinstance(first, torch.Tensor):
        return torch.stack(values)
    if isinstance(first, dict):
        return {name: stacked([value[name] for value in values]) for name in first}
    return type(first)(stacked([value[k] for value in values]) for k in range(len(first)))


def copied(value):
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {name: copied(x) for name, x in value.items()}
    return type(value)(map(copied, value))


def by_hand(module, inputs, steps, **kwargs):
    return stacked([copied(module(*at(inputs, t), **kwargs)) for t in range(steps)])


def assert_equal(a, b):
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert_identical(a, b)
    else:
        assert len(a) == len(b)
        for x, y in zip(*((a.values(), b.values()) if isinstance(a, dict) else (a, b)), strict=True):
            assert_equal(x, y)


def sliced(inputs, part):
    if isinstance(inputs, torch.Tensor):
        return inputs[part]
    if isinstance(inputs, dict):
        return {name: sliced(x, part) for name, x in inputs.items()}
    return tuple(sliced(x, part) for x in inputs)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
def test_a_run_is_that_many_steps(backend, name, train):
    make, inputs_of = MODULES[name]
    each, inputs = make().train(train), inputs_of(12)
    once, chunked, parts = (copy.deepcopy(each) for _ in range(3))
    wanted = by_hand(each, inputs, 12)
    assert_equal(inferno_cuda.run(once, inputs), wanted)
    assert_equal(inferno_cuda.run(chunked, inputs, chunk=5), wanted)
    for part in (slice(4), slice(4, 12)):
        assert_equal(inferno_cuda.run(parts, sliced(inputs, part)), sliced(wanted, part))
    for module in (once, chunked, parts):
        assert_same_state(states(module), states(each))
    assert inferno_cuda.run(once, inputs, outputs=False) is None
    assert_equal(by_hand(each, inputs, 12), by_hand(parts, inputs, 12))
    assert_same_state(states(once), states(each))


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("options", [{"refrac_lock": False}, {"adapt": False}, {"adapt": True}], ids=str)
def test_keyword_arguments_are_those_of_every_step(backend, name, options):
    each, inputs = NEURONS[name]().eval(), currents(20, 5)
    once = copy.deepcopy(each)
    assert_equal(once.run(inputs, **options), by_hand(each, inputs, 20, **options))
    assert_same_state(states(once), states(each))


def test_layers_take_their_keyword_arguments(backend):
    options = {"neuron_kwargs": {"refrac_lock": False}, "capture_intermediate": True, "connection_kwargs": {}}
    each, inputs = serial(), spikes(10, 6)
    once = copy.deepcopy(each)
    assert_equal(once.run(inputs, **options), by_hand(each, inputs, 10, **options))
    assert_same_state(states(once), states(each))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_other_dtypes(backend, dtype):
    each, inputs = serial().to(dtype), spikes(10, 6)
    once = copy.deepcopy(each)
    assert_equal(once.run(inputs), by_hand(each, inputs, 10))
    assert_same_state(states(once), states(each))


@pytest.mark.parametrize("part", ["connection", "synapse", "neuron", "layer"])
def test_hooks_see_the_state_of_every_step(backend, part):
    traces = []
    for runs in (True, False):
        layer, seen = serial(), []
        watched = layer if part == "layer" else getattr(layer, part)
        watched.register_forward_hook(lambda *_, n=layer.neuron, to=seen: to.append(n.voltage.clone()))
        inputs = spikes(6, 6)
        _ = layer.run(inputs) if runs else by_hand(layer, inputs, 6)
        traces.append(torch.stack(seen))
    assert_identical(*traces)
    assert len(traces[0]) == 6


def test_global_hooks_see_every_step():
    calls = []
    handle = torch.nn.modules.module.register_module_forward_hook(lambda module, *_: calls.append(type(module)))
    try:
        serial("LIF").run(spikes(6, 6))
    finally:
        handle.remove()
    assert calls.count(LIF) == calls.count(Serial) == 6


def test_a_transform_that_looks_at_the_neurons(backend):
    def made():
        layer = serial("LIF")
        layer._transform = lambda current: current - 0.2 * (layer.neuron.voltage + 60.0)
        return layer

    once, each, inputs = made(), made(), spikes(15, 6)
    assert_equal(once.run(inputs), by_hand(each, inputs, 15))
    assert_same_state(states(once), states(each))


def test_neurons_that_two_parts_share(backend):
    shared = NEURONS["LIF"]()
    pair = torch.nn.Sequential(shared, shared)
    other = copy.deepcopy(pair)
    inputs = currents(10, 5)
    assert_equal(inferno_cuda.run(pair, inputs), by_hand(other, inputs, 10))


def test_a_subclass_with_its_own_step(backend):
    class Noisy(LIF):
        def forward(self, inputs, **kwargs):
            return super().forward(inputs + 5.0, **kwargs)

    once, each = (
        Noisy(5, 1.0, rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0, time_constant=20.0, batch_size=B)
        for _ in range(2)
    )
    inputs = currents(15, 5)
    assert_equal(once.run(inputs), by_hand(each, inputs, 15))
    assert_equal(once.run(inputs), by_hand(each, inputs, 15))


def test_a_subclass_with_its_own_wiring(backend):
    class Halved(Serial):
        def wiring(self, inputs, **kwargs):
            return {name: x * 0.5 for name, x in super().wiring(inputs, **kwargs).items()}

    once, each = (Halved(s.connection, s.neuron) for s in (serial(), serial()))
    inputs = spikes(15, 6)
    assert_equal(once.run(inputs), by_hand(each, inputs, 15))


def test_values_of_a_buffer_are_copied():
    module = Leaky()
    level, more = inferno_cuda.run(module, torch.ones(3, B, 6), gain=2.0)
    assert level[:, 0, 0].tolist() == [2.0, 3.0, 3.5] and more["doubled"][:, 0, 0].tolist() == [4.0, 6.0, 7.0]


@pytest.mark.parametrize("steps", [3, 12])
@pytest.mark.parametrize("chunk", [None, 1, 5])
@pytest.mark.parametrize("delay", [None, 3.0])
def test_gradients_cross_chunks(backend, steps, chunk, delay):
    layers = [serial("LIF", delay) for _ in range(2)]
    inputs = currents(steps, 6) / 60
    cost = torch.rand(steps, B, 5)
    found = []
    for layer, chunk_size in zip(layers, (chunk, None), strict=True):
        layer.connection.weight.requires_grad_()
        x = inputs.clone().requires_grad_()
        if chunk_size is None and layer is layers[1]:
            trace = []
            for row in x:
                layer(row)
                trace.append(layer.neuron.voltage)
            trace = torch.stack(trace)
        else:
            trace = layer.run(x, record="voltage", chunk=chunk_size)[1]["voltage"]
        (trace * cost).sum().backward()
        found.append((trace.detach(), x.grad, layer.connection.weight.grad))
    for a, b in zip(*found, strict=True):
        assert b.any()
        torch.testing.assert_close(a, b)


def test_without_gradients_nothing_has_a_graph(backend):
    layer = serial("LIF")
    with torch.no_grad():
        out, recording = layer.run(currents(5, 6).requires_grad_(), record="voltage")
    assert not out.requires_grad and not recording["voltage"].requires_grad


def test_a_run_of_neurons_is_one_graph(native):
    once, each, inputs = NEURONS["ALIF"](), NEURONS["ALIF"](), currents(7, 5)

    def run(x, neurons=once):
        return neurons.run(x, record="voltage", every=2, neurons=slice(3), refrac_lock=False)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert_equal(compiled(inputs), run(inputs, each))
    assert_same_state(states(once), states(each))


@pytest.mark.parametrize("chunk", [None, 1, 5])
def test_delayed_delta_synapses_pass_gradients_as_if_magnitudes_counted(backend, chunk):
    found = []
    for synapse in (DeltaCurrent, DeltaPlusCurrent):
        connection = make("dense", synapse=synapse.partialconstructor(2.0), delay=4.0)
        connection.weight.requires_grad_()
        x = spikes(12, 6).float().requires_grad_()
        out = connection.run(x, chunk=chunk)
        cost = torch.rand(out.shape, generator=torch.Generator().manual_seed(3))
        found.append((out.detach(), *torch.autograd.grad((out * cost).sum(), (x, connection.weight))))
    for a, b in zip(*found, strict=True):
        assert b.any()
        torch.testing.assert_close(a, b)
