"""Steps of snnTorch's and SpikingJelly's neurons, as they are and accelerated; for the libraries that are installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType

import torch
from torch import nn

from .. import neural
from ..adapters import accelerate
from .case import Case, Output, Subject, seeded

SIZES = {"1e3": (1, 1000), "1e5": (100, 1000), "1e6": (100, 10_000)}
STEPS, SEQUENCE = 4, (32, 10, 1000)  # compared; time steps of a sequence, and its neurons
NODES = "spikingjelly.activation_based.neuron"
SNNTORCH, SPIKINGJELLY = ("native", "snntorch"), ("native", "spikingjelly")


def _snntorch(name: str, decays: int) -> nn.Module:
    return getattr(importlib.import_module("snntorch"), name)(*[0.9] * decays, init_hidden=True, output=True)


def _spikingjelly(name: str, mode: str) -> nn.Module:
    return getattr(importlib.import_module(NODES), name)(step_mode=mode)


def steps(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> Callable[[ModuleType, str], Subject]:
    """A module of a library on the same inputs again and again; accelerated where ours is asked for."""

    def build(library: ModuleType, device: str) -> Subject:
        module = make().to(device)
        if library is neural:
            accelerate(module, strict=True)
        inputs = (2 * torch.rand(shape, generator=seeded()) - 0.5).to(device)

        def outputs():
            for step in range(STEPS):
                given = module(inputs)
                for k, value in enumerate(given if isinstance(given, tuple) else (given,)):
                    yield Output(f"result {k} of step {step}", value)
            yield Output("state", module.v if hasattr(module, "v") else module.mem)

        return Subject(outputs, lambda: module(inputs))

    return build


def _cases():
    if importlib.util.find_spec("snntorch"):
        for name, decays in (("Leaky", 1), ("Synaptic", 2)):
            for size, shape in SIZES.items():
                what = f"snnTorch {name}, {shape[0] * shape[1]:,} neurons"
                # inputs and state are read, spikes, state and the reset signal written, 4 bytes each
                moved = 4 * (3 + 2 * decays) * shape[0] * shape[1]
                build = steps(lambda name=name, decays=decays: _snntorch(name, decays), shape)
                yield Case(f"snntorch-{name.lower()}-{size}", what, build, moved, subjects=SNNTORCH)
    if importlib.util.find_spec("spikingjelly"):
        for name in ("IFNode", "LIFNode"):
            for size, shape in (SIZES | {"sequence": SEQUENCE}).items():
                mode = "m" if shape is SEQUENCE else "s"
                neurons, inputs = shape[-1] * shape[-2], torch.Size(shape).numel()
                what = f"SpikingJelly {name}, " + (f"{shape[0]} x " if mode == "m" else "") + f"{neurons:,} neurons"
                build = steps(lambda name=name, mode=mode: _spikingjelly(name, mode), shape)
                moved = 8 * (inputs + neurons)  # inputs and voltage read, spikes and voltage written
                yield Case(f"spikingjelly-{name.lower()}-{size}", what, build, moved, subjects=SPIKINGJELLY)


LIBRARIES = tuple(_cases())
