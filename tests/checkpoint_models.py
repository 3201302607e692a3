"""A model with something of everything that a checkpoint holds."""

import torch
from checkpoint_cases import inputs, recurrent, run
from states import assert_same_state, seeded, states

import inferno_cuda as inferno


def model(generator=None, seed=0):
    """Something of everything that a file holds."""
    parts = {
        "encoder": inferno.neural.HomogeneousPoissonEncoder(5, 1.0, 100.0, generator=generator or seeded(seed)),
        "layer": recurrent(inferno, seed=seed),
        "norm": torch.nn.BatchNorm1d(3),
    }
    parts["tied"] = parts["norm"]
    return torch.nn.ModuleDict(parts)


def snapshot(net):
    return states(net), net["encoder"].generator.get_state(), [(id(b), n) for n, b in net.named_buffers()]


def assert_unchanged(net, before):
    state, stream, buffers = before
    assert_same_state(states(net), state)
    assert torch.equal(net["encoder"].generator.get_state(), stream)
    assert [(id(b), n) for n, b in net.named_buffers()] == buffers


def checkpoint(path):
    """Writes one of a model that ran; returns what was in the model."""
    net = model()
    run(net["layer"], inputs(net["layer"], 7))
    net["encoder"](torch.rand(3))
    inferno.save_checkpoint(path, net, {"step": 7})
    return snapshot(net)


def another():
    net = model(seed=4)
    run(net["layer"], inputs(net["layer"], 3, seed=9))
    return net
