"""When the parts of a layer take whole sequences one after the other."""

import functools
import operator

import pytest
import torch
from run_cases import MODULES, biclique, recurrent, serial

import inferno_cuda
from inferno_cuda.neural.network._sequence import looks_at_nothing
from inferno_cuda.neural.sequence import advance

LAYER = serial("LIF")
GAIN, STATE = torch.ones(5), LAYER.neuron.voltage_.value


def twice(x):
    return 2.0 * x


def through_a_global(x):
    return x + LAYER.neuron.voltage


def nested(x):
    return (lambda y: y + STATE)(x)


def with_default(x, layer=LAYER):
    return x


def closed(gain):
    return lambda x: x * gain


APART = {
    "lambda": lambda x: x * 0.5,
    "function": twice,
    "calls another": lambda x: twice(torch.relu(x)),
    "torch function": torch.relu,
    "functional": torch.nn.functional.softplus,
    "method of tensors": torch.Tensor.abs,
    "partial": functools.partial(operator.mul, 2.0),
    "closure": closed(GAIN),
    "module": torch.nn.Linear(5, 5),
    "dropout in eval": torch.nn.Dropout(0.5).eval(),
}
NOT_APART = {
    "global layer": through_a_global,
    "global state": nested,
    "default": with_default,
    "partial": functools.partial(operator.add, STATE),
    "bound method": STATE.add,
    "closure": closed(LAYER),
    "closure over a list": closed([LAYER]),
    "dropout in train": torch.nn.Dropout(0.5),
    "unknown module": torch.nn.BatchNorm1d(5),
    "object": type("Callable", (), {"__call__": lambda self, x: x})(),
}


@pytest.mark.parametrize("name", APART)
def test_functions_without_a_way_to_the_layer(name):
    assert looks_at_nothing(APART[name], LAYER)


@pytest.mark.parametrize("name", NOT_APART)
def test_functions_that_may_look_at_the_layer(name):
    assert not looks_at_nothing(NOT_APART[name], LAYER)


def test_layers_run_apart_but_with_hooks_shared_parts_or_own_steps():
    for make in (serial, biclique, recurrent):
        assert advance.runs_apart(make()), make
        layer = make()
        next(iter(layer.connections_.values())).synapse.register_forward_hook(lambda *_: None)
        assert not advance.runs_apart(layer), make
    layer, other = serial("LIF"), serial("LIF")
    assert advance.runs_apart(torch.nn.Sequential(layer, serial("LIF", inputs=5)))
    layer.connection.synapse = other.connection.synapse
    assert not advance.runs_apart(type(layer)(layer.connection, _owning(other)))


def _owning(layer):
    neuron = layer.neuron
    neuron.synapse = layer.connection.synapse
    return neuron


AT_ONCE = [
    name
    for name in MODULES
    if name.split()[0] in ("neuron", "synapse", "connection", "serial", "biclique") and not name.endswith("plain")
]


@pytest.mark.parametrize("name", [*AT_ONCE, "stack", "stack with a linear part"])
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
def test_nothing_is_stepped_that_need_not_be(monkeypatch, name, train):
    make, inputs_of = MODULES[name]
    module = make().train(train)
    monkeypatch.setattr("inferno_cuda.neural.sequence._run.step_through", None)
    monkeypatch.setattr("inferno_cuda.neural.sequence.advance.step_through", None)
    module_record = {"record": "voltage"} if name.startswith(("neuron", "serial")) else {}
    inferno_cuda.run(module, inputs_of(5), **module_record)
