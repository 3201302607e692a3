"""Draws the cost of large networks against their size: ``python docs/make_costs.py FILE...``, with matplotlib.

FILEs are what ``python -m inferno_cuda bench --suite networks --json FILE`` wrote; of a network that is in several, the
last one counts. Writes docs/images/networks.svg.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

MODELS = {"microcircuit": "#1f5fa8", "brunel": "#c8322b", "cuba": "#d9822b", "coba": "#555555"}
STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "inferno_cuda",
}
DT = 0.1  # ms, of all cases


def points(report: dict, model: str, library: str, threads: int) -> list[tuple[int, float, float]]:
    """Synapses, seconds of a step and seconds of an event of the networks of a model, by size.

    Networks with weights of 16 bits or with other drives are none of them.
    """
    found = []
    for network in report["networks"]:
        if re.fullmatch(rf"{model}-[\d.]+", network["name"]):
            for name, run in network["runs"].items():
                if name.startswith(library) and run["threads"] == threads and run["events"]:
                    step, event = run["factor"] * DT / 1000, run["factor"] / run["events"]
                    found.append((network["synapses"], step, event))
    return sorted(found)


def draw(report: dict) -> plt.Figure:
    """Time of a step, and of an event, against the number of synapses."""
    threads = sorted({run["threads"] for network in report["networks"] for run in network["runs"].values()})
    figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.2), layout="constrained")
    for model, colour in MODELS.items():
        for library, count, style in (
            *(("inferno_cuda", count, line) for count, line in zip(threads, ("o--", "o-"), strict=False)),
            ("nest", threads[-1], "s:"),
        ):
            found = points(report, model, library, count)
            if found:
                synapses, steps, events = zip(*found, strict=True)
                label = f"{model}, {'NEST, ' if library == 'nest' else ''}{count} thread{'s' * (count > 1)}"
                axes[0].plot(synapses, [step * 1e6 for step in steps], style, color=colour, label=label, markersize=3)
                axes[1].plot(synapses, [event * 1e9 for event in events], style, color=colour, markersize=3)
    for axis, what in zip(axes, ("a step of 0.1 ms (µs)", "a spike at a synapse (ns)"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="synapses", ylabel=what)
    figure.legend(loc="outside right center", fontsize=7)
    return figure


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__)
        return 2
    matplotlib.use("Agg")
    reports = [json.loads(Path(name).read_text()) for name in arguments]
    report = {"networks": list({one["name"]: one for each in reports for one in each["networks"]}.values())}
    target = Path(__file__).parent / "images" / "networks.svg"
    with plt.rc_context(STYLE):
        draw(report).savefig(target, metadata={"Date": None})
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
