"""A recurrent layer over a sequence: by a run of ours, and step by step."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch

from .. import neural
from .case import DT, Case, Output, Subject, seeded

PIXELS, NEURONS, STEPS = 784, 100, 250
RATE = 0.05  # spikes per pixel and step
CELL = {"rest_v": -65.0, "reset_v": -68.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}


def _layer(library: ModuleType, batch: int, device: str) -> torch.nn.Module:
    """Neurons that excite others, which inhibit all but their own."""
    random = seeded()

    def uniform(low: float, high: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda like: low + (high - low) * torch.rand(like.shape, generator=random)

    def connection(kind: str, *shape: int, weight) -> torch.nn.Module:
        return getattr(library, kind)(
            *shape,
            DT,
            synapse=library.SingleExponentialCurrent.partialconstructor(100.0, 5.0),
            batch_size=batch,
            weight_init=weight,
        )

    return library.RecurrentSerial(
        connection("LinearDense", PIXELS, NEURONS, weight=uniform(-0.02, 0.03)),
        connection("LinearDirect", NEURONS, weight=uniform(5.0, 8.0)),
        connection("LinearLateral", NEURONS, weight=uniform(-0.05, 0.0)),
        library.LIF(NEURONS, DT, batch_size=batch, **CELL),
        library.LIF(NEURONS, DT, batch_size=batch, **CELL),
    ).to(device)


def sequence(batch: int, at_once: bool) -> Callable[[ModuleType, str], Subject]:
    """A whole sequence, at once where the library can do that."""

    def build(library: ModuleType, device: str) -> Subject:
        layer = _layer(library, batch, device)
        inputs = (torch.rand(STEPS, batch, PIXELS, generator=seeded()) < RATE).to(device)

        @torch.no_grad()
        def call() -> tuple[torch.Tensor, torch.Tensor]:
            if at_once and library is neural:
                return layer.run(inputs)
            excited, inhibiting = zip(*map(layer, inputs), strict=True)
            return torch.stack(excited), torch.stack(inhibiting)

        def outputs():
            for what, spikes in zip(("excited", "inhibiting"), call(), strict=True):
                yield Output(f"spikes of the {what} neurons", spikes)
            yield Output("voltages", layer.feedfwd_neuron.voltage)

        return Subject(outputs, call)

    return build


def _case(batch: int, at_once: bool) -> Case:
    how = "run" if at_once else "steps"
    what = f"recurrent, {STEPS} steps, batch {batch}, {'at once' if at_once else 'stepped'}"
    return Case(f"recurrent-{batch}-{how}", what, sequence(batch, at_once), rounded=True)


RECURRENT = tuple(_case(batch, at_once) for batch in (1, 16) for at_once in (True, False))
