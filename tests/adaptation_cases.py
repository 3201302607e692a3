"""Neurons that adapt, for the tests of their state."""

import copy
import pickle

import pytest
import torch

import inferno_cuda.neural as neural
from inferno_cuda.testing import assert_identical

THRESHOLD = {"rest_v": -60.0, "thresh_eq_v": -50.0, "refrac_t": 3.0, "tc_membrane": 20.0, "spike_increment": (1.0, 0.5)}
MEMBRANE = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -40.0, "refrac_t": 3.0, "tc_membrane": 20.0}
CURRENT = {"tc_adaptation": (100.0, 30.0), "voltage_coupling": (0.2, 0.1), "spike_increment": (1.0, 0.5)}
NEURONS = {
    "ALIF": THRESHOLD | {"reset_v": -65.0, "tc_adaptation": (30.0, 100.0)},
    "GLIF2": THRESHOLD | {"reset_v_add": 3.0, "reset_v_mul": 0.4, "rc_adaptation": (0.02, 0.1)},
    "Izhikevich": MEMBRANE | CURRENT | {"crit_v": -52.0, "affinity": 0.04},
    "AdEx": MEMBRANE | CURRENT | {"rheobase_v": -50.0, "sharpness": 2.0},
}
LIF = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 3.0, "time_constant": 20.0}
every = pytest.mark.parametrize("name", NEURONS)
COPIES = [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))]


def make(name, **changes):
    return getattr(neural, name)(3, 1.0, **(NEURONS[name] | {"batch_size": 2} | changes))


def lif(**changes):
    return neural.LIF(3, 1.0, **(LIF | {"batch_size": 2} | changes))


def held(neurons):
    """The adaptations as a step finds them, without the property."""
    return neurons._buffers[neurons._adaptation]


def read(neurons):
    return getattr(neurons, neurons._adaptation.rstrip("_"))


def drive(value=40.0, **options):
    return torch.full((2, 3), value, **options)


def state_of(neurons):
    return {name: tensor.clone() for name, tensor in neurons.named_buffers()}


def assert_unchanged(neurons, before):
    for name, tensor in neurons.named_buffers():
        assert_identical(tensor, before[name])


def largest(values, dim):
    return values.amax(dim)
