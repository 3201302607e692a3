"""Neuron-steps per second of every neuron model, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from .. import neural, run, surrogate
from .case import DT, seeded
from .cases_neurons import MODELS

NEURONS = tuple(MODELS)
SHAPE = (32, 64, 4096)  # time steps, samples, neurons
# of a neuron-step in float32: inputs read twice, spikes and gradients of inputs written, gradients of spikes read, and
# the states that are kept now and then and what copies of a line read before they write it
BYTES = 24


class NeuronRate(NamedTuple):
    """Seconds of a sequence of `count` neuron-steps, without gradients, and of both passes."""

    model: str
    count: int
    forward: float
    both: float

    @property
    def backward(self) -> float:
        return self.both - self.forward

    def share(self, bandwidth: float) -> float:
        """The traffic of both passes as a share of what a copy of a large tensor reaches."""
        return BYTES * self.count / self.both / bandwidth

    def report(self, bandwidth: float) -> dict:
        return {
            "model": self.model,
            "neuron_steps": self.count,
            "forward_s": self.forward,
            "both_s": self.both,
            "share_of_copy": self.share(bandwidth),
        }


def passes(model: str, device: str) -> tuple[Callable[[], torch.Tensor], Callable[[], tuple[torch.Tensor, ...]]]:
    """A sequence without gradients, and one with its backward pass to the inputs, of neurons at rest."""
    steps, batch, count = SHAPE
    cells = getattr(neural, model)(count, DT, batch_size=batch, surrogate=surrogate.ATan(), **MODELS[model]).to(device)
    currents = (500 * torch.rand(SHAPE, generator=seeded()) - 100).to(device)
    arriving = torch.rand(SHAPE, generator=seeded()).to(device)

    @torch.no_grad()
    def forward() -> torch.Tensor:
        cells.clear(keep_adaptations=False)
        return run(cells, currents)

    learned = currents.clone().requires_grad_()

    def both() -> tuple[torch.Tensor, ...]:
        cells.clear(keep_adaptations=False)
        return torch.autograd.grad(run(cells, learned), (learned,), arriving)

    return forward, both


def neuron_rate(model: str, device: str, timer: Callable) -> NeuronRate:
    forward, both = passes(model, device)
    steps, batch, count = SHAPE
    return NeuronRate(model, steps * batch * count, timer(forward).median, timer(both).median)
