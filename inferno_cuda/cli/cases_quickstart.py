"""Steps of the quickstart's network: of our classes, and of inferno-ai's once they are accelerated."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import torch

from .. import neural
from ..adapters import accelerate
from .case import Case, Output, Subject, seeded
from .quickstart import BATCH, PIXELS, Learning, Quickstart

STEPS = 50  # compared, and then repeated
RATE = 0.017  # spikes per pixel and step: the mean over MNIST


def _inputs(device: str) -> list[torch.Tensor]:
    return list((torch.rand(STEPS, BATCH, *PIXELS, generator=seeded()) < RATE).to(device))


def _subject(network: Quickstart, learning: Learning | None, device: str) -> Subject:
    inputs = _inputs(device)
    endless = itertools.cycle(inputs)
    network.train(learning is not None)

    @torch.no_grad()
    def step(spikes: torch.Tensor) -> torch.Tensor:
        excited = network(spikes)
        if learning is not None:
            learning.step()
        return excited

    def outputs():
        yield Output("weights before", network.feedfwd.connection.weight.detach().clone())
        for number, spikes in enumerate(inputs):
            yield Output(f"spikes of step {number}", step(spikes))
        yield Output("voltages", network.feedfwd.neuron.voltage)
        yield Output("weights", network.feedfwd.connection.weight.detach())

    return Subject(outputs, lambda: step(next(endless)))


def own(learns: bool) -> Callable[[ModuleType, str], Subject]:
    """The network out of a library's classes."""

    def build(library: ModuleType, device: str) -> Subject:
        network = Quickstart(library).to(device)
        root = import_module(library.__name__.partition(".")[0])
        return _subject(network, Learning(root, network.feedfwd.cell) if learns else None, device)

    return build


def accelerated(learns: bool) -> Callable[[ModuleType, str], Subject]:
    """The network out of inferno-ai's classes, accelerated where ours is asked for."""

    def build(library: ModuleType, device: str) -> Subject:
        import inferno

        network = Quickstart(inferno.neural).to(device)
        learning = Learning(inferno, network.feedfwd.cell) if learns else None
        if library is neural:
            accelerate(network)
            if learning is not None:
                accelerate(learning.trainer)
        return _subject(network, learning, device)

    return build


QUICKSTART = (
    Case("quickstart", "quickstart, step of our classes", own(learns=False), rounded=True),
    Case("quickstart-accelerated", "quickstart, accelerated step", accelerated(False), needs_other=True),
    Case("quickstart-training", "quickstart, accelerated step with STDP", accelerated(True), needs_other=True),
)
