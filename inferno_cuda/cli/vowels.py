"""Spoken vowels, and who speaks them: a network whose delays are zero, random, or learned.

The utterances become spikes where their coefficients cross levels. Two layers of delayed connections with leaky
integrate-and-fire neurons between them are trained by surrogate gradients; the speaker is the output neuron whose
membrane is highest on average. Membranes forget within a few ms: what is further apart in time meets through delays.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from .. import run as run_sequence
from .. import surrogate
from ..neural import LIF, DeltaCurrent, LinearDense
from . import common, vowels_data
from .vowels_data import DT, SPEAKERS, Spikes

HIDDEN = 16
MAX_DELAY = 40 * DT  # ms
EPOCHS, BATCH = 60, 90
LEARNING_RATE, DELAY_RATE = 0.02, 1.0  # of weights, nA; of delays, steps
DELAYS = ("zero", "random", "learned")
MEMBRANE = {"rest_v": -65.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 0.0}
HIDDEN_TIME, OUTPUT_TIME = 3 * DT, 5 * DT  # membrane time constants, ms
GAP = 15.0  # mV from rest to the threshold


def _cells(count: int, time_constant: float, batch: int, **options) -> LIF:
    """Neurons that one input of 1 nA for a step takes from rest to the threshold."""
    resistance = GAP / -math.expm1(-DT / time_constant)
    options = {**MEMBRANE, "time_constant": time_constant, "resistance": resistance, **options}
    return LIF(count, DT, batch_size=batch, **options)


class Listener(nn.Module):
    """Inputs, delayed connections, neurons, delayed connections, and output neurons that do not fire.

    Args:
        inputs: number of spike trains.
        delays: one of ``DELAYS``.
        seed: of weights and delays.
    """

    def __init__(self, inputs: int, delays: str, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def connection(inputs: int, outputs: int, spread: float) -> LinearDense:
            weights = torch.randn(outputs, inputs, generator=generator) * (spread / math.sqrt(inputs))
            drawn = torch.rand(outputs, inputs, generator=generator) * MAX_DELAY
            made = LinearDense(
                inputs,
                outputs,
                DT,
                synapse=DeltaCurrent.partialconstructor(spike_charge=DT, interp_mode="linear"),
                delay=MAX_DELAY,
                batch_size=BATCH,
                weight_init=lambda _: weights,
                delay_init=lambda zeros: zeros if delays == "zero" else drawn,
            )
            made.weight.requires_grad_()
            made.delay.requires_grad_(delays == "learned")
            return made

        self.hidden = connection(inputs, HIDDEN, 3.0)
        self.cells = _cells(HIDDEN, HIDDEN_TIME, BATCH, surrogate=surrogate.ATan(2.0 / GAP))
        self.output = connection(HIDDEN, SPEAKERS, 1.0)
        self.membranes = _cells(SPEAKERS, OUTPUT_TIME, BATCH, thresh_v=math.inf)

    def forward(self, trains: torch.Tensor) -> torch.Tensor:
        """Scores of the speakers, ``[N, SPEAKERS]``, for utterances ``[STEPS, N, inputs]``."""
        for part in (self.hidden, self.cells, self.output, self.membranes):
            if part.batchsz != trains.shape[1]:
                part.batchsz = trains.shape[1]
            part.clear()
        spikes = run_sequence(self.cells, run_sequence(self.hidden, trains))
        _, recorded = run_sequence(self.membranes, run_sequence(self.output, spikes), record="voltage")
        return (recorded["voltage"].mean(0) - MEMBRANE["rest_v"]) / GAP

    def delays(self) -> list[nn.Parameter]:
        """The delays, ms."""
        return [self.hidden.delay, self.output.delay]

    def weights(self) -> list[nn.Parameter]:
        """The weights, nA."""
        return [self.hidden.weight, self.output.weight]


@torch.no_grad()
def accuracy(network: Listener, spikes: Spikes) -> float:
    """The share of utterances whose speaker is told."""
    return (network(spikes.trains).argmax(1) == spikes.speakers).float().mean().item()


def train(network: Listener, spikes: Spikes, epochs: int, seed: int, tick=lambda: None) -> None:
    """Adam on the cross-entropy of the scores, with a learning rate that falls to zero along a cosine."""
    generator = torch.Generator().manual_seed(seed)
    groups = [{"params": network.weights(), "lr": LEARNING_RATE}]
    if any(delay.requires_grad for delay in network.delays()):
        groups.append({"params": network.delays(), "lr": DELAY_RATE * DT})
    optimizer = torch.optim.Adam(groups)
    batches = -(-len(spikes.speakers) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    for _ in range(epochs):
        for chosen in torch.randperm(len(spikes.speakers), generator=generator).split(BATCH):
            loss = nn.functional.cross_entropy(network(spikes.trains[:, chosen]), spikes.speakers[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            tick()


def one(delays: str, seed: int, training: Spikes, test: Spikes, epochs: int, tick=lambda: None) -> dict[str, Any]:
    """Trains a network and says how well it does, on the grid of steps too if its delays are learned."""
    begin = time.perf_counter()
    network = Listener(training.trains.shape[2], delays, seed).to(training.trains.device)
    train(network, training, epochs, seed, tick)
    result = {
        "delays": delays,
        "seed": seed,
        "training": accuracy(network, training),
        "test": accuracy(network, test),
        "seconds": time.perf_counter() - begin,
    }
    if delays == "learned":
        for part in (network.hidden, network.output):
            part.round_delays_()
        result["rounded"] = accuracy(network, test)
    return result


def table(results: list[dict]) -> list[str]:
    """Means and standard deviations over the seeds, a line for each kind of delays."""
    lines = [f"{'delays':<10}{'training':>10}{'test, mean':>12}{'sd':>8}{'least':>8}{'most':>8}"]
    for delays in DELAYS:
        own = [result for result in results if result["delays"] == delays]
        tests = [result["test"] for result in own]
        spread = statistics.stdev(tests) if len(tests) > 1 else 0.0
        training = statistics.mean(result["training"] for result in own)
        shares = (training, statistics.mean(tests), spread, min(tests), max(tests))
        widths = (10, 12, 8, 8, 8)
        cells = "".join(f"{share:>{width}.1%}" for share, width in zip(shares, widths, strict=True))
        lines.append(f"{delays:<10}{cells}")
    return lines


def run(arguments: argparse.Namespace) -> int:
    """The command: trains with every kind of delays and seed, prints the table, writes vowels.json."""
    begin = time.perf_counter()
    training, test = (Spikes(*(part.to(arguments.device) for part in spikes)) for spikes in vowels_data.load())
    common.make_folder(arguments.out)
    steps, _, inputs = training.trains.shape
    print(
        f"{len(training.speakers)} utterances to learn from, {len(test.speakers)} to test; {inputs} inputs -> {HIDDEN} "
        f"neurons -> {SPEAKERS} speakers, {steps} steps of {DT:g} ms, delays to {MAX_DELAY:g} ms",
        flush=True,
    )
    epochs, seeds = arguments.epochs, range(arguments.seeds)
    total = len(DELAYS) * len(seeds) * epochs * -(-len(training.speakers) // BATCH)
    with tqdm(total=total, desc="training", unit="step", leave=False) as bar:
        results = [one(delays, seed, training, test, epochs, bar.update) for seed in seeds for delays in DELAYS]
    print(f"accuracy over {len(seeds)} seeds, {epochs} epochs")
    print("\n".join(table(results)))
    learned = [result for result in results if result["delays"] == "learned"]
    loss = statistics.mean(result["test"] - result["rounded"] for result in learned)
    rounded = statistics.mean(result["rounded"] for result in learned)
    print(f"learned delays rounded to steps of {DT:g} ms: {rounded:.1%}, a loss of {loss:.1%}")
    seconds = time.perf_counter() - begin
    summary = {"epochs": epochs, "results": results, "seconds_in_all": seconds, "machine": common.machine()}
    path = arguments.out / "vowels.json"
    path.write_text(json.dumps(summary, indent=2) + "\n")
    print(f"wrote {path}; {seconds:.0f} s in all")
    return 0
