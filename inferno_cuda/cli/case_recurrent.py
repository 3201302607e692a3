"""A training pass of a recurrent layer: its loop as one op in each direction, and step by step through autograd."""

from __future__ import annotations

import functools

import torch

from .. import surrogate
from ..neural import LIF, LinearDense, RecurrentSerial, SingleExponentialCurrent
from .case import Output
from .training_case import OURS, Contender, Pass, TrainingCase, normal

LOOP = {"steps": 250, "batch": 16, "inputs": 784, "neurons": 100}
RATE = 0.02  # share of the inputs that spike in a step


def _connection(inputs: int, outputs: int, scale: float, seed: int, dtype: torch.dtype, device: str) -> LinearDense:
    synapse = SingleExponentialCurrent.partialconstructor(spike_charge=60.0, time_constant=5.0)
    made = LinearDense(inputs, outputs, 1.0, synapse=synapse, batch_size=LOOP["batch"]).to(device, dtype)
    made.weight = scale * normal((outputs, inputs), dtype, device, seed)
    return made.requires_grad_()


def _layer(dtype: torch.dtype, device: str) -> RecurrentSerial:
    inputs, count = LOOP["inputs"], LOOP["neurons"]
    group = {"rest_v": -65.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}
    group |= {"batch_size": LOOP["batch"], "surrogate": surrogate.ATan(0.2)}
    sizes = ((inputs, count, 14.0 / inputs**0.5), (count, count, 12.0 / count**0.5), (count, count, 6.0 / count**0.5))
    connections = (_connection(*size, seed, dtype, device) for seed, size in enumerate(sizes, 1))
    return RecurrentSerial(*connections, *(LIF(count, 1.0, **group).to(device, dtype) for _ in range(2)))


def _pass(at_once: bool, dtype: torch.dtype, device: str) -> Pass:
    steps, batch, inputs, count = LOOP.values()
    layer, learnt = _layer(dtype, device), ("feedfwd", "lateral", "feedback")
    spikes = normal((steps, batch, inputs), torch.float32, device, 4) > torch.special.ndtri(torch.tensor(1 - RATE))
    arriving = [normal((steps, batch, count), dtype, device, seed) for seed in (5, 6)]
    weights = [getattr(layer, f"{name}_connection").weight_ for name in learnt]

    def call() -> list[Output]:
        layer.clear()
        if at_once:
            groups = layer.run(spikes)
        else:
            groups = [torch.stack(group) for group in zip(*map(layer, spikes), strict=True)]
        gradients = torch.autograd.grad(groups, weights, arriving)
        found = [Output(f"gradient of {name} weights", value) for name, value in zip(learnt, gradients, strict=True)]
        return [*(Output("spikes", group.detach()) for group in groups), *found]

    return call


RECURRENT = TrainingCase(
    "recurrent",
    f"RecurrentSerial {LOOP['inputs']} to {LOOP['neurons']} and {LOOP['neurons']}, batch {LOOP['batch']}, "
    f"T = {LOOP['steps']}",
    "Gradients of all weights. The same layer: its loop as one op in each direction, and step by step.",
    (Contender(OURS, functools.partial(_pass, True)), Contender("steps of the layer", functools.partial(_pass, False))),
)
