"""The MNIST digits without a teacher: neurons that inhibit one another learn them by STDP, after Diehl and Cook (2015).

The network is that of inferno-ai's quickstart with more neurons. Every spike raises the threshold of its neuron, every
image ends with the weights into a neuron being scaled to their sum. Labels are used afterwards alone, to note which
digit each neuron answers to.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch
from tqdm import tqdm

from .. import checkpoint, learn
from . import common
from .network import DT, generator
from .quickstart import MAX_RATE, PIXELS, Learning, Quickstart

STEPS = 250  # of DT, per image
BATCH = 20  # images that are learned from side by side
SHOWN = 100  # images side by side where nothing is learned
EPOCHS = 2
DIGITS = 10
# The quickstart learns from 60,000 images; these are fewer, so spikes count for more.
STDP = {"lr_post": 2e-2, "lr_pre": -2e-4}
INCREMENT = 2.0  # mV, of a threshold, by a spike in every sample
SAVED_EVERY = 20  # batches
SLICE, WARM = 60, 10  # steps beside inferno-ai, of which the first are not timed
WEIGHTS, ORDERS, LEARNED, ASSIGNED, TESTED = range(5)  # streams of random numbers
STREAM = 10_000  # between one epoch's streams and the next one's


def build(library: ModuleType, neurons: int, seed: int) -> tuple[Quickstart, Learning]:
    """The network and what trains it, out of the classes of `inferno`, or of ours."""
    neural = importlib.import_module(f"{library.__name__}.neural")
    network = Quickstart(neural, BATCH, seed, (neurons,), spike_increment=INCREMENT)
    return network, Learning(library, network.feedfwd.cell, **STDP)


def rest(network: Quickstart, batch: int) -> None:
    """Puts all to rest but the thresholds, for `batch` images."""
    parts = (part for layer in network.children() for part in (layer.connection, layer.neuron))
    for part in parts:
        if part.batchsz != batch:
            part.batchsz = batch
        part.clear()


def encode(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Poisson spikes, bool ``[STEPS, B, 28, 28]``, of images ``[B, 784]``."""
    chance = images * (MAX_RATE * DT / 1000)
    return (torch.rand(STEPS, *images.shape, generator=random) < chance).unflatten(-1, PIXELS)


@torch.no_grad()
def show(network: Quickstart, trains: torch.Tensor, learning: Learning | None = None) -> torch.Tensor:
    """Spikes of every neuron, ``[B, neurons]``, to those of some images; the network learns where it can."""
    network.train(learning is not None)
    rest(network, trains.shape[1])
    counts = torch.zeros(network.feedfwd.neuron.batchedshape, device=trains.device)
    for spikes in trains:
        counts += network(spikes)
        if learning is not None:
            learning.step()
    if learning is not None:
        learning.finish()
    return counts


class Progress(NamedTuple):
    """Where a run stands: batches that were learned from, seconds that it took, and the settings it began with."""

    batches: int
    seconds: float
    settings: dict

    def save(self, path: Path, network: Quickstart) -> None:
        checkpoint.save_checkpoint(path, network, self._asdict())

    @classmethod
    def load(cls, path: Path, network: Quickstart, settings: dict) -> Progress:
        """Reads a network and where its run stands.

        Raises:
            Failure: there is no such file, it is damaged, or the run had other settings.
        """
        try:
            found = cls(**checkpoint.load_checkpoint(path, network))
        except FileNotFoundError:
            raise common.Failure(f"there is nothing to resume: no {path}") from None
        except (checkpoint.CheckpointError, RuntimeError, TypeError) as error:
            raise common.Failure(f"{path} cannot be resumed from: {error}") from None
        other = [name for name, value in settings.items() if found.settings.get(name) != value]
        if other:
            raise common.Failure(f"{path} is of a run with other settings: {', '.join(other)}")
        return found


def _order(epoch: int, count: int, seed: int) -> Iterator[torch.Tensor]:
    order = torch.randperm(count, generator=generator(seed, ORDERS + STREAM * epoch))
    return iter(order[: count - count % BATCH].split(BATCH))


def train(network, learning, images, progress: Progress, path: Path, device: str) -> Progress:
    """Learns what is left of all epochs, and saves where it stands every few batches."""
    epochs, seed = progress.settings["epochs"], progress.settings["seed"]
    batches = [batch for epoch in range(epochs) for batch in _order(epoch, len(images), seed)]
    start = time.perf_counter() - progress.seconds
    with tqdm(total=len(batches), initial=progress.batches, desc="learning", unit="batch", leave=False) as bar:
        for number in range(progress.batches, len(batches)):
            trains = encode(images[batches[number]], generator(seed, LEARNED + STREAM * (1 + number)))
            show(network, trains.to(device), learning)
            progress = Progress(number + 1, time.perf_counter() - start, progress.settings)
            bar.update()
            if progress.batches % SAVED_EVERY == 0 or progress.batches == len(batches):
                progress.save(path, network)
    return progress


def respond(network, images, seed: int, stream: int, device: str, what: str) -> torch.Tensor:
    """Spike counts ``[images, neurons]`` without learning."""
    counts = []
    for first in tqdm(range(0, len(images), SHOWN), desc=what, unit="batch", leave=False):
        trains = encode(images[first : first + SHOWN], generator(seed, stream + STREAM * (1 + first)))
        counts.append(show(network, trains.to(device)).cpu())
    return torch.cat(counts)


def confusion(digits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """How often each digit, a row, got each answer, a column."""
    return torch.bincount(digits * DIGITS + answers, minlength=DIGITS**2).view(DIGITS, DIGITS)


def compare(images: torch.Tensor, neurons: int, seed: int) -> dict | None:
    """The first steps of learning with our classes and with inferno-ai's: seconds of each, and whether they agree.

    None where inferno-ai is not installed.
    """
    if importlib.util.find_spec("inferno") is None:
        return None
    trains = encode(images[:BATCH], generator(seed, LEARNED))[:SLICE]
    seconds, counts, weights = {}, {}, {}
    for name in ("inferno_cuda", "inferno"):
        network, learning = build(importlib.import_module(name), neurons, seed)
        show(network, trains[:WARM], learning)
        start = time.perf_counter()
        counts[name] = show(network, trains[WARM:], learning)
        seconds[name] = time.perf_counter() - start
        weights[name] = network.feedfwd.connection.weight.detach()
    return {
        "steps": SLICE - WARM,
        "ours_s": seconds["inferno_cuda"],
        "inferno_ai_s": seconds["inferno"],
        "speedup": seconds["inferno"] / seconds["inferno_cuda"],
        "spikes": int(counts["inferno"].sum()),
        "spikes_agree": torch.equal(*counts.values()),
        "weights_differ_by": (weights["inferno"] - weights["inferno_cuda"]).abs().max().item(),
    }


def _print_results(summary: dict) -> None:
    accuracy, rates, part = summary["accuracy"], summary["rates"], summary["comparison"]
    print(f"accuracy on the {accuracy['held_out']:,} held-out images {accuracy['test']:.1%}", end=" ")
    print(f"({accuracy['training']:.1%} on the {accuracy['learned']:,} learned from)")
    print(f"  spikes per image {rates['spikes_per_image']:.1f}, of {rates['active']:.1f} neurons;", end=" ")
    print(f"{rates['silent']} of {summary['settings']['neurons']} neurons never answered")
    print(f"learned in {summary['learning_s']:.0f} s, {summary['step_ms']:.2f} ms per step of {BATCH} images")
    if part is None:
        print("not compared with inferno-ai: it is not installed")
        return
    verdict = "the same" if part["spikes_agree"] else "DIFFERENT"
    print(f"the same network of inferno-ai's classes, {part['steps']} steps of learning:", end=" ")
    print(f"{part['inferno_ai_s']:.2f} s against {part['ours_s']:.3f} s, {part['speedup']:.1f} x faster")
    print(f"  spikes ({part['spikes']}): {verdict}; weights differ by {part['weights_differ_by']:.1e} at most")


def run(arguments: argparse.Namespace, images: torch.Tensor, digits: torch.Tensor) -> int:
    """The command: learns four fifths of the images, ``[N, 784]``, and tells the digits on the others."""
    import inferno_cuda

    from .stdp_figures import draw

    begin = time.perf_counter()
    common.make_folder(arguments.out)
    path, device, seed = arguments.out / "stdp.safetensors", arguments.device, arguments.seed
    settings = {name: getattr(arguments, name) for name in ("images", "neurons", "epochs", "seed")}
    learned = len(images) * 4 // 5
    network, learning = build(inferno_cuda, arguments.neurons, seed)
    network.to(device)
    learning.trainer.to(device)
    progress = Progress.load(path, network, settings) if arguments.resume else Progress(0, 0.0, settings)
    print(
        f"{learned:,} images to learn from, {len(images) - learned:,} to test; {images.shape[1]} inputs -> "
        f"{arguments.neurons} neurons, {STEPS * DT:g} ms per image, {arguments.epochs} epochs; "
        f"{progress.batches} batches are done",
        flush=True,
    )
    progress = train(network, learning, images[:learned], progress, path, device)
    assigned = respond(network, images[:learned], seed, ASSIGNED, device, "labelling")
    tested = respond(network, images[learned:], seed, TESTED, device, "testing")
    classifier = learn.MaxRateClassifier((arguments.neurons,), DIGITS)
    classifier.update(assigned, digits[:learned])
    answers = {name: classifier.classify(counts) for name, counts in (("training", assigned), ("test", tested))}
    right = {"training": answers["training"] == digits[:learned], "test": answers["test"] == digits[learned:]}
    active = (tested > 0).float()
    table = confusion(digits[learned:], answers["test"])
    summary = {
        "settings": {**settings, "device": device, "steps": STEPS, "batch": BATCH},
        "accuracy": {
            **{name: share.double().mean().item() for name, share in right.items()},
            "learned": learned,
            "held_out": len(images) - learned,
        },
        "rates": {
            "spikes_per_image": tested.sum(1).mean().item(),
            "active": active.sum(1).mean().item(),
            "silent": int((active.sum(0) == 0).sum()),
        },
        "confusion": table.tolist(),
        "learning_s": progress.seconds,
        "step_ms": 1000 * progress.seconds / max(progress.batches * STEPS, 1),
        "comparison": compare(images[:learned], arguments.neurons, seed),
        "machine": common.machine(),
    }
    _print_results(summary)
    weights = network.feedfwd.connection.weight.detach().cpu()
    files = draw(arguments.out, weights, tested, digits[learned:], table, summary)
    summary["seconds_in_all"] = time.perf_counter() - begin
    result = arguments.out / "stdp.json"
    result.write_text(json.dumps(summary, indent=2) + "\n")
    print(f"wrote {', '.join(map(str, (*files, path, result)))}; {summary['seconds_in_all']:.0f} s in all")
    part = summary["comparison"]
    return 0 if part is None or part["spikes_agree"] else 1
