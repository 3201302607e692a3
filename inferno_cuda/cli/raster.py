"""The picture of the demo: the spikes that one image causes."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from .network import DT

INK, INPUT, OUTPUT, FAINT = "#22272e", "#3b6fb6", "#c4472f", "#e6e8eb"


def _dots(axes, spikes: torch.Tensor, colour: str, size: float) -> None:
    step, unit = spikes.nonzero(as_tuple=True)
    axes.scatter((step * DT).numpy(), unit.numpy(), s=size, c=colour, marker="|", linewidths=0.9)
    axes.set_xlim(-DT, len(spikes) * DT)
    axes.set_ylim(-0.01 * spikes.shape[1], 1.01 * spikes.shape[1])
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw(
    path: Path, image: torch.Tensor, inputs: torch.Tensor, outputs: torch.Tensor, digit: int, summary: dict
) -> None:
    """Writes a raster plot as PNG.

    Args:
        image: square, flattened, brightness in [0, 1].
        inputs: ``[steps, pixels]``, bool.
        outputs: ``[steps, neurons]``, bool.
        digit: what the image shows.
        summary: that of the demo, for the title.
    """
    from matplotlib.figure import Figure

    settings = summary["settings"]
    figure = Figure(figsize=(10, 6.2), dpi=150, layout="constrained", facecolor="white")
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 4.2), height_ratios=(1, 1.25))
    figure.suptitle(
        f"A handwritten {digit} in spikes: {inputs.shape[1]} inputs, {outputs.shape[1]:,} neurons, "
        f"a delay of 0\N{EN DASH}{settings['max_delay']:g} ms on every synapse",
        fontsize=13,
        color=INK,
    )

    picture = figure.add_subplot(grid[0, 0])
    side = math.isqrt(len(image))
    picture.imshow(image.view(side, side).numpy(), cmap="Greys", interpolation="nearest")
    picture.set(xticks=[], yticks=[])
    picture.set_title("image", fontsize=10, color=INK)

    above = figure.add_subplot(grid[0, 1])
    _dots(above, inputs, INPUT, 7)
    above.tick_params(labelbottom=False)
    above.set_ylabel("input neuron index", fontsize=10, color=INK)
    above.set_title("Poisson input", fontsize=10, color=INK, loc="left")

    below = figure.add_subplot(grid[1, 1], sharex=above)
    _dots(below, outputs, OUTPUT, 7)
    below.set_ylabel("output neuron index", fontsize=10, color=INK)
    below.set_xlabel("time (ms)", fontsize=10, color=INK)
    below.set_title("leaky integrate-and-fire neurons", fontsize=10, color=INK, loc="left")

    rates = figure.add_subplot(grid[1, 0])
    counts = outputs.sum(0)
    rates.hist(counts.numpy(), bins=torch.arange(-0.5, int(counts.max()) + 1.5).numpy(), color=OUTPUT, rwidth=0.85)
    rates.set_xlabel(f"spikes in {len(outputs) * DT:g} ms", fontsize=10, color=INK)
    rates.set_ylabel("neurons", fontsize=10, color=INK)
    rates.set_title("spike counts", fontsize=10, color=INK, loc="left")
    rates.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        rates.spines[side].set_visible(False)
    figure.savefig(path)
