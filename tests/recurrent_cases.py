"""Recurrent layers that learn, and their gradients from a run and from single steps."""

import copy

import torch
from run_cases import NEURONS
from states import assert_same_state, seeded, states
from test_network_recurrent_run import connection, layer, stepped

from inferno_cuda.surrogate import ATan


def learning(
    first="LIF", second="GLIF1", *, dtype=torch.float64, surrogate=None, detach_reset=False, delays=(), **parts
):
    """A layer with surrogates; all weights and biases learn, and the delays of the connections named in ``delays``."""
    parts = options() | {"feedfwd_neuron": NEURONS[first](), "feedback_neuron": NEURONS[second]()} | parts
    module = layer(**parts).to(dtype)
    for neurons in (module.feedfwd_neuron, module.feedback_neuron):
        neurons.surrogate, neurons.detach_reset = surrogate or ATan(0.2), detach_reset
    for name, parameter in module.named_parameters():
        parameter.requires_grad_("delay_" not in name or any(f".{part}." in name for part in delays))
    return module


def options(synapse="exponential", delay=None, name="dense", **others):
    """The connections of a layer, all of a kind."""
    # strong enough for the loop to matter
    strong = {"weight_init": (lambda w: 5 * w + 15) if name == "direct" else (lambda w: 9 * w - 1)}
    same = {"synapse": synapse, "delay": delay, **others}
    return {
        "feedfwd": connection(arguments=(6, 5), seed=1, weight_init=lambda w: 6 * w, **same),
        "lateral": connection(name, seed=2, **same, **strong),
        "feedback": connection(name, seed=3, **same, **strong, bias=False),
    }


def backward(outputs, groups=(0, 1)):
    """Back from outputs, each of which counts with a weight of its own."""
    weights = seeded(5)
    loss = 0.0
    for k, out in enumerate(outputs):
        weight = torch.rand(out.shape, generator=weights, dtype=torch.float64).to(out.dtype)
        if k in groups:
            loss = loss + (out * weight).sum()
    loss.backward()


def gradients(module, x):
    found = {name: p.grad for name, p in module.named_parameters() if p.requires_grad}
    return found | {"inputs": x.grad}


def assert_near(found, wanted, name="", rtol=1e-12):
    """Alike up to rounding, relative to the largest of all."""
    atol = rtol * wanted.abs().max().item()
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=atol, msg=lambda text: f"{name}: {text}")


def both(module, x, calls=None, fused=True, groups=(0, 1), rtol=1e-12, needed=True, **kwargs):
    """A run and steps give the same outputs, state and gradients; returns those of the run."""
    twin, steps, dtype = copy.deepcopy(module), len(x), module.feedfwd_neuron.voltage_.value.dtype
    given = [x.to(dtype).clone().requires_grad_(needed) for _ in range(2)]
    outputs, wanted = module.run(given[0], **kwargs), stepped(twin, given[1], **kwargs)
    for got, like in zip(outputs, wanted, strict=True):
        assert got.dtype == like.dtype and torch.equal(got, like)
    assert_same_state(states(module), states(twin))
    backward(outputs, groups)
    backward(wanted, groups)
    found, like = gradients(module, given[0]), gradients(twin, given[1])
    assert found.keys() == like.keys()
    for name, gradient in like.items():
        if gradient is None:
            assert found[name] is None, name
            continue
        assert_near(found[name], gradient, name, rtol)
    if calls is not None:
        assert calls == ([steps, -steps] if fused else [])
    return outputs, found


def nodes(tensors):
    """How many nodes a graph of autograd has."""
    seen, todo = set(), [t.grad_fn for t in tensors]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [following for following, _ in node.next_functions]
    return len(seen)
