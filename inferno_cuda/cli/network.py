"""The network of the demo: Poisson spikes through delayed synapses into leaky integrate-and-fire neurons."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ..neural import LIF, LinearDense, SingleExponentialCurrent

DT = 1.0  # ms
DURATION = 100  # steps per image
MAX_RATE = 100.0  # Hz, of a white pixel
# Signed weights of mean zero: excitation and inhibition balance on average, and a third of the neurons, those that an
# image excites by more than the 15 mV up to the threshold, fire at 10 to 40 Hz.
WEIGHT_STD = 0.2
SYNAPSE = {"spike_charge": 1.0, "time_constant": 5.0}  # pC, ms
CELLS = {
    "rest_v": -65.0,
    "reset_v": -65.0,
    "thresh_v": -50.0,
    "refrac_t": 3.0,
    "time_constant": 20.0,
    "resistance": 100.0,
}


def generator(seed: int, stream: int) -> torch.Generator:
    """Numbers that are independent of those of other streams, and the same on every device."""
    return torch.Generator().manual_seed(seed * 1_000_003 + stream)


WEIGHTS, DELAYS, ORDER, FIRST_IMAGE = range(4)


def encode(images: torch.Tensor, first: int, seed: int) -> torch.Tensor:
    """Poisson spikes: in every step a pixel fires with its brightness times ``MAX_RATE``.

    Every image has its own random stream, so that its spikes do not depend on the batch that it is in.

    Args:
        images: brightness in [0, 1], ``[B, pixels]``.
        first: number of the first of these images.

    Returns:
        ``[DURATION, B, pixels]``, bool.
    """
    chance = images * (MAX_RATE * DT / 1000)
    out = torch.empty(DURATION, *images.shape, dtype=torch.bool)
    for k, row in enumerate(chance):
        draws = torch.rand(DURATION, len(row), generator=generator(seed, FIRST_IMAGE + first + k))
        torch.lt(draws, row, out=out[:, k])
    return out


class Network(torch.nn.Module):
    """Inputs, delayed synapses, neurons.

    Args:
        pixels: number of inputs.
        neurons: number of neurons.
        max_delay: delays are drawn uniformly from 0 to this, ms, one for every synapse.
        seed: of weights and delays.
        batch: number of images that are simulated side by side.
    """

    def __init__(self, pixels: int, neurons: int, max_delay: float, seed: int, batch: int):
        super().__init__()

        def weights(like):
            return WEIGHT_STD * torch.randn(like.shape, generator=generator(seed, WEIGHTS))

        def delays(like):
            return max_delay * torch.rand(like.shape, generator=generator(seed, DELAYS))

        self.connection = LinearDense(
            pixels,
            neurons,
            DT,
            synapse=SingleExponentialCurrent.partialconstructor(**SYNAPSE),
            delay=max_delay,
            batch_size=batch,
            weight_init=weights,
            delay_init=delays,
        )
        self.cells = LIF(neurons, DT, batch_size=batch, **CELLS)

    def resize(self, batch: int) -> None:
        """Sets the number of images that are simulated side by side."""
        if batch != self.cells.batchsz:
            self.connection.batchsz = batch
            self.cells.batchsz = batch

    def clear(self) -> None:
        """Puts the network to rest, between images."""
        self.connection.clear()
        self.cells.clear()

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """One step: input spikes ``[B, pixels]`` to output spikes ``[B, neurons]``."""
        return self.cells(self.connection(spikes))


@torch.no_grad()
def record(network: Network, trains: torch.Tensor) -> torch.Tensor:
    """Output spikes ``[steps, B, neurons]`` for input spikes ``[steps, B, pixels]``, from rest."""
    network.resize(trains.shape[1])
    network.clear()
    return torch.stack([network(spikes) for spikes in trains])


@dataclass
class Batch:
    """What came of one batch of images.

    Attributes:
        input_counts: spikes per pixel, ``[B, pixels]``, int16, on the CPU.
        counts: spikes per neuron, ``[B, neurons]``, int16, on the CPU.
        seconds: time that the steps took.
    """

    input_counts: torch.Tensor
    counts: torch.Tensor
    seconds: float


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


@torch.no_grad()
def classify(
    network: Network,
    images: torch.Tensor,
    batch: int,
    seed: int,
    device: str,
    tick: Callable[[], object] = lambda: None,
) -> Iterator[Batch]:
    """Simulates all images, ``[images, pixels]``, and counts the spikes; calls `tick` after every step."""
    for first in range(0, len(images), batch):
        trains = encode(images[first : first + batch], first, seed)
        on_device = trains.to(device)
        network.resize(trains.shape[1])
        network.clear()
        counts = torch.zeros(network.cells.batchedshape, dtype=torch.int16, device=device)
        synchronize(device)
        start = time.perf_counter()
        for spikes in on_device:
            counts += network(spikes)
            tick()
        synchronize(device)
        seconds = time.perf_counter() - start
        yield Batch(trains.sum(0, dtype=torch.int16), counts.cpu(), seconds)
