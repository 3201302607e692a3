"""The MNIST digits, told by a spiking network that is trained: 784 inputs, hidden neurons, ten outputs.

The images become Poisson spikes, new ones every time they are shown, and move by up to a pixel while the network
learns. Weights follow surrogate gradients through time; the answer is the output with the highest mean voltage.
"""

from __future__ import annotations

import argparse
import json
import math
import time

import torch
from torch import nn
from tqdm import tqdm

from .. import run as run_sequence
from .. import surrogate
from ..neural import LIF, DeltaCurrent, LinearDense
from . import common
from .network import generator

DT = 1.0  # ms
STEPS = 25  # per image
CHANCE = 0.5  # of a spike per step, of a white pixel
HIDDEN, DIGITS = 300, 10
EPOCHS, BATCH = 12, 100
LEARNING_RATE = 2e-3  # nA
TIME_CONSTANT, GAP, REST = 10.0, 15.0, -65.0  # ms, mV, mV
WEIGHTS, DRAWS, ORDER = range(3)  # streams of random numbers


class Classifier(nn.Module):
    """Two layers without delays; the neurons of the second do not fire.

    Args:
        pixels: number of inputs.
        seed: of the weights.
    """

    def __init__(self, pixels: int, seed: int):
        super().__init__()
        random = generator(seed, WEIGHTS)
        resistance = GAP / -math.expm1(-DT / TIME_CONSTANT)  # MOhm: 1 nA for a step reaches the threshold
        membrane = {"rest_v": REST, "reset_v": REST, "refrac_t": 0.0, "time_constant": TIME_CONSTANT}
        membrane |= {"resistance": resistance, "batch_size": BATCH}

        def connection(inputs, outputs, spread):
            weights = torch.randn(outputs, inputs, generator=random) * (spread / math.sqrt(inputs))
            synapse = DeltaCurrent.partialconstructor(spike_charge=DT)
            made = LinearDense(inputs, outputs, DT, synapse=synapse, batch_size=BATCH, weight_init=lambda _: weights)
            made.weight.requires_grad_()
            return made

        self.to_hidden = connection(pixels, HIDDEN, 1.5)
        self.hidden = LIF(HIDDEN, DT, thresh_v=REST + GAP, surrogate=surrogate.ATan(2.0 / GAP), **membrane)
        self.to_output = connection(HIDDEN, DIGITS, 1.0)
        self.output = LIF(DIGITS, DT, thresh_v=math.inf, **membrane)

    def forward(self, trains: torch.Tensor) -> torch.Tensor:
        """Scores ``[B, 10]`` for spikes ``[STEPS, B, pixels]``."""
        for part in (self.to_hidden, self.hidden, self.to_output, self.output):
            if part.batchsz != trains.shape[1]:
                part.batchsz = trains.shape[1]
            part.clear()
        spikes = run_sequence(self.hidden, run_sequence(self.to_hidden, trains))
        _, recorded = run_sequence(self.output, run_sequence(self.to_output, spikes), record="voltage")
        return (recorded["voltage"].mean(0) - REST) / GAP


def encode(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Poisson spikes ``[STEPS, B, pixels]``, bool, for brightness in [0, 1] ``[B, pixels]``."""
    return torch.rand(STEPS, *images.shape, generator=random) < CHANCE * images


def shift(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Square images, all moved by the same step of at most a pixel each way."""
    side = math.isqrt(images.shape[1])
    moves = torch.randint(-1, 2, (2,), generator=random).tolist()
    return images.view(-1, side, side).roll(moves, (1, 2)).reshape(images.shape)


@torch.no_grad()
def accuracy(network: Classifier, images: torch.Tensor, digits: torch.Tensor, random: torch.Generator) -> float:
    """The share of images whose digit is told."""
    device = network.to_hidden.weight.device
    right = 0
    for part, answers in zip(images.split(500), digits.split(500), strict=True):
        right += int((network(encode(part, random).to(device)).argmax(1).cpu() == answers).sum())
    return right / len(images)


def train(network, images, digits, epochs, seed, tick=lambda: None) -> None:
    """Adam on the cross-entropy of the scores, with a learning rate that falls to zero along a cosine."""
    device = network.to_hidden.weight.device
    random, order = generator(seed, DRAWS), generator(seed, ORDER)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(images) // BATCH))
    for _ in range(epochs):
        for chosen in torch.randperm(len(images), generator=order).split(BATCH):
            scores = network(encode(shift(images[chosen], random), random).to(device))
            optimizer.zero_grad()
            nn.functional.cross_entropy(scores, digits[chosen].to(device)).backward()
            optimizer.step()
            schedule.step()
            tick()


def run(arguments: argparse.Namespace, images: torch.Tensor, digits: torch.Tensor) -> int:
    """The command: trains on four fifths of the images, ``[N, pixels]``, and tests on the others."""
    begin = time.perf_counter()
    common.make_folder(arguments.out)
    training = len(images) * 4 // 5
    epochs = arguments.epochs
    network = Classifier(images.shape[1], arguments.seed).to(arguments.device)
    print(
        f"{training:,} images to learn from, {len(images) - training:,} to test; {images.shape[1]} inputs -> {HIDDEN} "
        f"neurons -> {DIGITS}, {STEPS} steps of {DT:g} ms, {epochs} epochs",
        flush=True,
    )
    start = time.perf_counter()
    with tqdm(total=epochs * -(-training // BATCH), desc="training", unit="step", leave=False) as bar:
        train(network, images[:training], digits[:training], epochs, arguments.seed, bar.update)
    seconds = time.perf_counter() - start
    share = accuracy(network, images[training:], digits[training:], generator(arguments.seed, DRAWS))
    print(f"accuracy on the held-out images {share:.1%}; trained in {seconds:.1f} s")
    path = arguments.out / "trained.json"
    settings = {"images": len(images), "epochs": epochs, "seed": arguments.seed}
    summary = {"settings": settings, "accuracy": share, "training_s": seconds, "machine": common.machine()}
    path.write_text(json.dumps(summary, indent=2) + "\n")
    print(f"wrote {path}; {time.perf_counter() - begin:.0f} s in all")
    return 0
