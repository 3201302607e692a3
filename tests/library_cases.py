"""Neurons of other libraries beside accelerated copies, for tests of their adapters."""

import copy

import inferno_cuda


def pair(neuron):
    """A neuron and an accelerated copy."""
    ours = copy.deepcopy(neuron)
    report = inferno_cuda.accelerate(ours)
    assert type(ours).__name__ == f"Accelerated{type(neuron).__name__}", report
    return neuron, ours
