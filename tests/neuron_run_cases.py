"""Sequences of every neuron model, for tests of the op that runs them."""

import torch
from neuron_cases import ADAPTIVE, MEMBRANES, inputs, of_model, state

from inferno_cuda import surrogate

MODELS = list(MEMBRANES)
SURROGATES = [
    surrogate.ATan(0.7), surrogate.Sigmoid(0.6), surrogate.FastSigmoid(0.5), surrogate.SuperSpike(0.4),
    surrogate.Triangular(0.05), surrogate.Gaussian(0.2), surrogate.Boxcar(0.05), surrogate.StraightThrough(0.1),
]  # fmt: skip
LEARNED = ("thresh_v", "rest_v", "resistance")  # by every model


def reductions(model):
    return ("mean", "sum", None) if model in ADAPTIVE else (None,)


def sequence(steps, shape, dtype=torch.float32, seed=0):
    """State and strong inputs, so that most neurons fire several times."""
    voltage, refrac = state(shape, dtype, seed=seed)
    rows = [1.5 * inputs(shape, dtype, seed=seed + t) for t in range(steps)]
    return voltage, refrac, torch.stack(rows) if rows else torch.empty(0, *shape, dtype=dtype)


def run(function, model, steps=7, shape=(3, 40), dtype=torch.float32, **changes):
    """The function on a sequence of a model."""
    options = of_model(model, shape, dtype) | changes
    return function(model, *sequence(steps, shape, dtype), **options)


def parameter(options, name, kind, shape, dtype):
    """A parameter of a model as a number's tensor, or one that differs from neuron to neuron."""
    value = torch.tensor(float(options[name]), dtype=dtype)
    if kind == "scalar":
        return value
    return value * torch.linspace(0.98, 1.02, shape[1:].numel(), dtype=dtype).reshape(shape[1:])


def gradients(function, model, steps=9, shape=(3, 13), dtype=torch.float64, learned=None, weights=None, **changes):
    """Gradients of a random sum of all results in everything that has one, by name.

    ``learned``: None, "scalar" or "neuron" parameters that are tensors. ``weights``: names of the results to be summed.
    """
    voltage, refrac, series = sequence(steps, shape, dtype)
    options = of_model(model, shape, dtype) | changes
    leaves = {"voltage": voltage, "inputs": series}
    leaves |= {name: options[name] for name in ("adaptation", "constants") if name in options}
    if learned:
        for name in {*LEARNED, *MEMBRANES[model]}:
            leaves[name] = options[name] = parameter(options, name, learned, torch.Size(shape), dtype)
    for leaf in leaves.values():
        leaf.requires_grad_()
    results = function(model, voltage, refrac, series, **options)
    generator = torch.Generator().manual_seed(5)
    total = torch.zeros((), dtype=torch.float64)
    for name, result in results._asdict().items():
        if result is not None and result.requires_grad and name in (weights or results._fields):
            weight = torch.randn(result.shape, generator=generator, dtype=torch.float64)
            total = total + (result.double() * weight).sum()
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def assert_close(found, expected, tolerance):
    """Every gradient within a share of its largest element, and none of them zero where the expected one is not."""
    assert found.keys() == expected.keys()
    for name, right in expected.items():
        assert found[name].shape == right.shape and found[name].dtype == right.dtype
        error = (found[name].double() - right.double()).abs().max() if right.numel() else torch.zeros(())
        largest = right.double().abs().max() if right.numel() else torch.zeros(())
        assert error <= tolerance * largest, f"{name}: {error:.3g} of {largest:.3g}"
