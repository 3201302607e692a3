"""The picture of the microcircuit: spikes by layer, rates and irregularity of the populations, as in the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import sim
from .raster import FAINT, INK, INPUT, OUTPUT

SHOWN = 300.0  # ms of spikes
_DENSITY = 1500  # neurons whose spikes are drawn


def _colour(name: str) -> str:
    return INPUT if name.endswith("E") else OUTPUT


def _style(axes, x: str) -> None:
    axes.set_xlabel(x, fontsize=10, color=INK)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _raster(axes, net: sim.Network, spikes: sim.SpikeRecorder) -> None:
    shares = _DENSITY / net.size
    bottom, ticks = 0, []
    for population in net.populations:
        count = max(1, round(len(population) * min(1.0, shares)))
        times, neurons = (column.cpu().numpy() for column in spikes.of(population))
        shown = (neurons < count) & (times > net.time - SHOWN)
        axes.scatter(times[shown], bottom + neurons[shown], s=1.5, c=_colour(population.name), linewidths=0)
        ticks.append(bottom + count / 2)
        bottom += count
    axes.set(xlim=(net.time - SHOWN, net.time), ylim=(bottom, 0))
    axes.set_yticks(ticks, [population.name for population in net.populations])
    axes.set_title("spikes, in proportion to the sizes", fontsize=10, color=INK)
    _style(axes, "time (ms)")


def _rates(axes, rows: list[dict[str, Any]]) -> None:
    places = np.arange(len(rows))
    axes.barh(places, [row["rate_hz"] for row in rows], color=[_colour(row["population"]) for row in rows], height=0.7)
    axes.scatter([row["published_hz"] for row in rows], places, marker="|", s=160, c=INK, zorder=3, label="published")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(places, [row["population"] for row in rows])
    axes.legend(fontsize=8, frameon=False)
    axes.set_title("mean rates", fontsize=10, color=INK)
    _style(axes, "Hz")


def _irregularity(axes, found: dict[str, dict[str, Any]]) -> None:
    values = [part["irregularity"][~np.isnan(part["irregularity"])] for part in found.values()]
    places = np.arange(len(values))
    boxes = axes.boxplot(values, orientation="horizontal", positions=places, widths=0.6, patch_artist=True, sym="")
    for name, box in zip(found, boxes["boxes"], strict=True):
        box.set(facecolor=_colour(name), edgecolor=INK)
    for line in boxes["medians"]:
        line.set_color(INK)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_yticks(places, list(found))
    axes.set_title("irregularity of the neurons", fontsize=10, color=INK)
    _style(axes, "coefficient of variation of intervals")


def draw(
    path: Path,
    net: sim.Network,
    spikes: sim.SpikeRecorder,
    found: dict[str, dict[str, Any]],
    summary: dict[str, Any],
) -> None:
    """Writes the picture as PNG.

    Args:
        path: where to.
        net: the network, after its run.
        spikes: all that were recorded.
        found: statistics of each population.
        summary: that of the demo.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.2), dpi=150, layout="constrained", facecolor="white")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.6, 1, 1))
    _raster(left, net, spikes)
    _rates(middle, summary["populations"])
    _irregularity(right, found)
    speed = summary["speed"]
    figure.suptitle(
        f"Cortical microcircuit: {summary['neurons']:,} neurons, {summary['synapses']:,} synapses, "
        f"real-time factor {speed['real_time_factor']:.2f}",
        fontsize=13,
        color=INK,
    )
    figure.savefig(path)
