"""Inputs for modules, running them, and what they hold afterwards."""

import torch


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def spikes(steps, *shape, seed=0):
    return torch.rand(steps, *shape, generator=seeded(seed)) < 0.3


def run(module, inputs):
    return torch.stack([module(x) for x in inputs])


def states(module):
    return {k: v.clone() if isinstance(v, torch.Tensor) else dict(v) for k, v in module.state_dict().items()}


def assert_same_state(a, b):
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key], key
