"""When the parts of a layer take whole sequences one after the other."""

import copy

import pytest
import torch
from run_cases import MODULES, biclique, recurrent, serial, spikes
from states import assert_same_state, states

import inferno_cuda
from inferno_cuda.neural.sequence import advance


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
    if name.split()[0] in ("neuron", "synapse", "connection", "serial", "biclique")
    and not name.endswith(("plain", "a transform", "with transforms"))
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


def even(x, depth=3):
    return odd(x, depth - 1) if depth else x


def odd(x, depth=3):
    return even(x, depth - 1) if depth else x


def with_an_empty_cell():
    def transform(x):
        return 0.5 * x if x is not None else missing

    if transform is None:
        missing = None
    return transform


class Reads:
    """Stands for a module of a user, whose functions reach the layer."""

    layer = None


def a_third(x):
    return x / 3.0


TRANSFORMS = {
    "functions that call each other": even,
    "of no module": eval("lambda x: 1.5 * x", {}),
    "closure with an empty cell": with_an_empty_cell(),
    "random": torch.nn.functional.dropout,
    "looks at the neurons": lambda x: x - 0.2 * (Reads.layer.neuron.voltage + 60.0),
    "plain": a_third,
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_are_called_step_by_step(name):
    inputs, found = spikes(12, 6), []
    first = torch.nn.Sequential(serial("LIF", transform=TRANSFORMS[name]), serial("LIF", inputs=5))
    first[1]._transform = TRANSFORMS[name]
    for chunk in (None, 5, "by hand"):
        module = copy.deepcopy(first)
        Reads.layer = module[0]
        torch.manual_seed(7)
        out = (
            torch.stack([module(x) for x in inputs])
            if chunk == "by hand"
            else inferno_cuda.run(module, inputs, chunk=chunk)
        )
        found.append((out, states(module)))
    for out, state in found[:2]:
        assert torch.equal(out, found[2][0])
        assert_same_state(state, found[2][1])


@pytest.mark.parametrize("option", ["combine", "of connections", "of neurons"])
def test_functions_of_a_biclique_are_called_step_by_step(option):
    calls = []

    def function(x):
        calls.append(x)
        return next(iter(x.values())) if isinstance(x, dict) else x

    layer = biclique(combine=function if option == "combine" else "sum")
    if option == "of connections":
        layer.post_input["a"] = function
    if option == "of neurons":
        layer.pre_output["x"] = function
    layer.run({"a": (spikes(4, 6),), "b": (spikes(4, 6),)})
    assert len(calls) in (4, 8)
    assert not advance.runs_apart(layer)
