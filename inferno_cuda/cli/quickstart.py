"""The network of inferno-ai's quickstart: a dense input, and neurons that inhibit one another through a second group.

The excitatory neurons run twice in a step: on their input, then on the inhibition that their spikes call forth.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import torch

DT = 1.0  # ms
PIXELS = (28, 28)
CELLS = (10, 10)
BATCH = 20
MAX_RATE = 128.0  # Hz, of a white pixel
WEIGHT_SUM = 78.4  # of the weights into a neuron
EXCITATORY = {
    "rest_v": -65.0,
    "reset_v": -60.0,
    "thresh_eq_v": -52.0,
    "refrac_t": 5.0,
    "tc_membrane": 100.0,
    "tc_adaptation": 1e7,
    "spike_increment": 0.05,
}
INHIBITORY = {"rest_v": -60.0, "reset_v": -45.0, "thresh_v": -40.0, "refrac_t": 2.0, "time_constant": 75.0}
PARTS = ("functional", "learn", "neural")  # of a library, for learning
STDP = {"lr_post": 5e-4, "lr_pre": -5e-6, "tc_post": 30.0, "tc_pre": 30.0}  # per spike; ms


def neurons(library: ModuleType, batch: int, cells=CELLS, **changed) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The excitatory neurons, some of whose parameters may be changed, and the inhibitory ones."""
    excitatory = library.ALIF(cells, DT, batch_size=batch, **EXCITATORY | changed)
    return excitatory, library.LIF(cells, DT, batch_size=batch, **INHIBITORY)


def connections(library: ModuleType, batch: int, random: torch.Generator, cells=CELLS) -> list[torch.nn.Module]:
    """From the inputs to the excitatory neurons, from these to the inhibitory ones, and back to all others."""

    def synapse(charge):
        return {"synapse": library.DeltaCurrent.partialconstructor(charge), "batch_size": batch}

    def drawn(like):
        weights = torch.rand(like.shape, generator=random)
        return WEIGHT_SUM * weights / weights.sum(-1, keepdim=True)

    return [
        library.LinearDense(PIXELS, cells, DT, weight_init=drawn, **synapse(100.0)),
        library.LinearDirect(cells, DT, weight_init=lambda like: torch.full_like(like, 22.5), **synapse(75.0)),
        library.LinearLateral(cells, DT, weight_init=lambda like: torch.full_like(like, -180.0), **synapse(100.0)),
    ]


class Quickstart(torch.nn.Module):
    """The network out of the classes of a library: `inferno.neural`, or ours.

    Args:
        library: where `Serial` and its parts come from.
        batch: number of images that are simulated side by side.
        seed: of the learned weights.
        cells: shape of both groups of neurons.
        **excitatory: parameters of the excitatory neurons that are not those of the quickstart.
    """

    def __init__(
        self, library: ModuleType, batch: int = BATCH, seed: int = 1, cells: tuple[int, ...] = CELLS, **excitatory
    ):
        super().__init__()
        excitatory, inhibitory = neurons(library, batch, cells, **excitatory)
        dense, direct, lateral = connections(library, batch, torch.Generator().manual_seed(seed), cells)
        self.feedfwd = library.Serial(dense, excitatory)
        self.trigger = library.Serial(direct, inhibitory)
        self.inhibit = library.Serial(lateral, excitatory)

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """One step: input spikes ``(B, 28, 28)`` to those of the excitatory neurons, ``(B, 10, 10)``."""
        excited = self.feedfwd(spikes)
        self.inhibit(self.trigger(excited))
        return excited


class Learning:
    """STDP on the connection of a cell, as in inferno-ai's quickstart: weights stay between 0 and 1.

    Args:
        library: `inferno`, or ours; that of the cell.
        cell: of a layer.
        **stdp: parameters of the rule that are not those of the quickstart.
    """

    def __init__(self, library: ModuleType, cell: torch.nn.Module, **stdp):
        functional, learn, neural = (import_module(f"{library.__name__}.{part}") for part in PARTS)
        self._connection = cell.connection
        updater = self._connection.defaultupdater()
        self._connection.updater = updater
        updater.weight.upperbound(functional.bound_upper_multiplicative, 1.0)
        self._clamping = neural.Clamping(updater, "parent.weight", min=0.0)
        self._clamping.register()
        self._normalization = neural.Normalization(self._connection, "weight", order=1, scale=WEIGHT_SUM, dim=-1)
        self.trainer = learn.STDP(**STDP | stdp)
        self.trainer.register_cell("cell", cell)
        self.trainer.to(self._connection.weight.device)

    def step(self) -> None:
        """Learns from the last step of the network."""
        self.trainer()
        self._connection.update()

    def finish(self) -> None:
        """After an image: forgets its spikes, and scales the weights, so that those into a neuron have their sum."""
        self.trainer.clear()
        self._normalization(force=True)
