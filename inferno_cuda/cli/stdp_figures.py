"""The pictures of the digits that are learned without a teacher."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from .network import DT
from .quickstart import PIXELS
from .raster import FAINT, INK, INPUT, OUTPUT
from .stdp import STEPS


def _figure(size: tuple[float, float], title: str):
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=150, layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=13, color=INK)
    return figure


def grid(weights: torch.Tensor) -> torch.Tensor:
    """Receptive fields ``[neurons, 784]`` side by side in one image, each scaled to its largest weight; 0 between."""
    side = math.ceil(math.sqrt(len(weights)))
    fields = (weights / weights.amax(1, keepdim=True).clamp_min(1e-9)).view(-1, *PIXELS)
    padded = torch.nn.functional.pad(fields, (0, 1, 0, 1))
    image = padded.new_zeros(side * side, *padded.shape[1:])
    image[: len(padded)] = padded
    rows, columns = padded.shape[1:]
    return image.view(side, side, rows, columns).transpose(1, 2).reshape(side * rows, side * columns)


def _fields(weights: torch.Tensor):
    figure = _figure((9, 9.4), f"What {len(weights)} neurons answer to: the weights from {weights.shape[1]} pixels")
    axes = figure.add_subplot()
    axes.imshow(grid(weights).numpy(), cmap="magma", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    return figure


def _confusion(table: torch.Tensor, accuracy: float):
    figure = _figure((6.4, 6), f"Held-out digits and answers, {accuracy:.1%} right")
    axes = figure.add_subplot()
    shares = table / table.sum(1, keepdim=True).clamp_min(1)
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    for row, counts in enumerate(table.tolist()):
        for column, count in enumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else INK
            if count:
                axes.text(column, row, count, ha="center", va="center", fontsize=8, color=colour)
    axes.set(xticks=range(len(table)), yticks=range(len(table)))
    axes.set_xlabel("answer", fontsize=10, color=INK)
    axes.set_ylabel("digit", fontsize=10, color=INK)
    return figure


def _style(axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=10, color=INK)
    axes.set_ylabel(y, fontsize=10, color=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _rates(counts: torch.Tensor, digits: torch.Tensor):
    figure = _figure((10, 4), "Rates of the neurons while the held-out images are shown")
    means = counts.mean(0) * 1000 / (STEPS * DT)
    left, right = figure.subplots(1, 2)
    left.hist(means.numpy(), bins=40, color=OUTPUT, rwidth=0.85)
    _style(left, "mean rate (Hz)", "neurons")
    present = digits.unique().tolist()
    spikes = [counts[digits == digit].sum(1).mean().item() for digit in present]
    right.bar(present, spikes, color=INPUT, width=0.7)
    right.set_xticks(present)
    _style(right, "digit", "spikes per image, all neurons")
    return figure


def draw(
    folder: Path,
    weights: torch.Tensor,
    counts: torch.Tensor,
    digits: torch.Tensor,
    table: torch.Tensor,
    summary: dict,
) -> list[Path]:
    """Writes the pictures as PNG, and returns their paths.

    Args:
        folder: where to.
        weights: ``[neurons, 784]``.
        counts: spikes of the held-out images, ``[images, neurons]``.
        digits: what these show.
        table: confusion matrix.
        summary: that of the demo.
    """
    pictures = {
        "fields": _fields(weights),
        "confusion": _confusion(table, summary["accuracy"]["test"]),
        "rates": _rates(counts, digits),
    }
    paths = [folder / f"{name}.png" for name in pictures]
    for path, figure in zip(paths, pictures.values(), strict=True):
        figure.savefig(path)
    return paths
