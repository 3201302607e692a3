"""Layers of neurons over a long sequence, against the same layers stepped in torch, for what training them keeps."""

from __future__ import annotations

import functools

import torch

from .. import backend, neural, run, surrogate
from .case import DT
from .cases_neurons import MODELS
from .training_case import OURS, Contender, Pass, TrainingCase, backward, normal

LAYER = (200, 32, 1024)  # time steps, samples, neurons


def _stepped(cells: torch.nn.Module, currents: torch.Tensor) -> torch.Tensor:
    with backend("torch"):
        return torch.stack([cells(current) for current in currents])


def _layer(model: str, stepped: bool, dtype: torch.dtype, device: str) -> Pass:
    steps, batch, count = LAYER
    cells = getattr(neural, model)(count, DT, batch_size=batch, surrogate=surrogate.ATan(), **MODELS[model])
    cells.to(device, dtype)
    currents = (150 + 150 * normal(LAYER, dtype, device)).requires_grad_()
    arriving = normal(LAYER, dtype, device, 2)

    def call():
        cells.clear(keep_adaptations=False)
        spikes = _stepped(cells, currents) if stepped else run(cells, currents)
        return backward(spikes, arriving, {"inputs": currents})

    return call


def _case(model: str) -> TrainingCase:
    steps, batch, count = LAYER
    return TrainingCase(
        f"layer-{model.lower()}",
        f"a layer of {model}, batch {batch}, {count:,} neurons, T = {steps}",
        "Gradients of the inputs. Beside it, the same layer stepped in torch, of which autograd keeps every step.",
        (
            Contender(OURS, functools.partial(_layer, model, False)),
            Contender("stepped under autograd", functools.partial(_layer, model, True)),
        ),
        memory=True,
    )


LAYERS = (_case("LIF"), _case("ALIF"))
