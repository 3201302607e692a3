"""Draws docs/images/timing.svg: ``python docs/make_timing.py``, with matplotlib. What it shows is simulated."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import torch
from make_traces import BLUE, GREY, ORANGE, RED, STYLE

from inferno_cuda.neural import LIF, DeltaCurrent, LinearDirect

STEPS, DELAY, PERIOD = 12, 2, 3  # all in steps
SPIKES_IN = range(2, 10)


def simulate() -> dict[str, list[float]]:
    """What a synapse, its connection and a neuron behind it do in each step."""
    synapse = DeltaCurrent.partialconstructor(spike_charge=60.0)
    connection = LinearDirect(1, 1.0, synapse=synapse, delay=float(DELAY))
    connection.weight, connection.delay = torch.ones(1), torch.full((1,), float(DELAY))
    neuron = LIF(
        1, 1.0, rest_v=-65.0, reset_v=-70.0, thresh_v=-50.0, refrac_t=float(PERIOD), time_constant=2.0, batch_size=1
    )
    seen = {name: [] for name in ("input", "current", "delayed", "voltage", "refrac", "spike")}
    for step in range(STEPS):
        delayed = connection(torch.tensor([[step in SPIKES_IN]]))
        spike = neuron(delayed)
        now = (step in SPIKES_IN, connection.synapse.current, delayed, neuron.voltage, neuron.refrac, spike)
        for name, value in zip(seen, now, strict=True):
            seen[name].append(float(value))
    return seen


def bars(axes: plt.Axes, values: list[float], color: str, label: str) -> None:
    axes.bar(range(STEPS), values, width=0.8, color=color)
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    axes.set_ylim(0.0, 1.25 * max(values))
    axes.set_yticks([])


def events(axes: plt.Axes, values: list[float], label: str) -> None:
    axes.vlines([step for step, value in enumerate(values) if value], 0.0, 1.0, color=GREY, linewidth=2.5)
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    axes.set_ylim(0.0, 1.2)
    axes.set_yticks([])


def span(figure: plt.Figure, source: plt.Axes, target: plt.Axes, start: float, end: float, text: str) -> None:
    """An arrow between two rows, and what it says."""
    figure.add_artist(
        matplotlib.patches.ConnectionPatch(
            (start, 0.0),
            (end, target.get_ylim()[1]),
            "data",
            "data",
            axesA=source,
            axesB=target,
            arrowstyle="->",
            color=RED,
            linewidth=1.2,
        )
    )
    target.text(end + 0.5, target.get_ylim()[1], text, color=RED, ha="left", va="center")


def draw() -> plt.Figure:
    seen = simulate()
    figure, axes = plt.subplots(6, sharex=True, figsize=(7.2, 4.6), height_ratios=(0.6, 1, 1, 1.5, 1, 0.6))
    figure.subplots_adjust(left=0.2, right=0.98, top=0.98, bottom=0.1, hspace=0.55)
    events(axes[0], seen["input"], "input spikes")
    bars(axes[1], seen["current"], BLUE, "current of\nthe synapse")
    bars(axes[2], seen["delayed"], BLUE, "what the\nconnection gives")
    axes[3].plot(range(STEPS), seen["voltage"], color=BLUE, marker="o", markersize=4, linewidth=1.0)
    spikes = [step for step, value in enumerate(seen["spike"]) if value]
    axes[3].vlines(spikes, -70.0, -46.0, color=BLUE, linewidth=1.0)
    axes[3].axhline(-50.0, color=RED, linewidth=1.0, linestyle="--")
    axes[3].text(0.0, -51.0, "threshold", color=RED, va="top")
    axes[3].set_ylabel("voltage", rotation=0, ha="right", va="center")
    axes[3].set_ylim(-73.0, -45.0)
    axes[3].set_yticks([])
    bars(axes[4], seen["refrac"], ORANGE, "refractory\nperiod left")
    events(axes[5], seen["spike"], "output spikes")
    first, second = spikes[:2]
    axes[3].text((first + second) / 2, -60.0, "input\nignored", color=GREY, ha="center", va="center")
    for row in axes[2:5]:
        row.axvspan(first + 0.5, second - 0.5, color=ORANGE, alpha=0.12, linewidth=0)
    span(figure, axes[1], axes[2], SPIKES_IN[0], SPIKES_IN[0] + DELAY, f"delay of {DELAY} steps")
    axes[5].annotate(
        "", (second, 0.5), (first, 0.5), arrowprops={"arrowstyle": "<->", "color": RED, "shrinkA": 2, "shrinkB": 2}
    )
    axes[5].text(second + 0.3, 0.5, f"refrac_t of {PERIOD} steps", color=RED, va="center")
    axes[5].set_xticks(range(STEPS))
    axes[5].set_xlim(-0.5, STEPS - 0.5)
    axes[5].set_xlabel("step")
    return figure


def main(folder: Path) -> None:
    matplotlib.use("svg")
    matplotlib.rcParams.update(STYLE)
    draw().savefig(folder / "timing.svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
