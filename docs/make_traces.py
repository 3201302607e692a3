"""Draws the traces of the model zoo: ``python docs/make_traces.py``, with matplotlib, writes docs/images/trace-*.svg.

Every trace is one neuron or one synapse, simulated as any other, and its picture has the same bytes on every run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import torch

from inferno_cuda import neural

BLUE, RED, ORANGE, GREY = "#1f5fa8", "#c8322b", "#d9822b", "#555555"
STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "inferno_cuda",
}


@dataclass
class Neuron:
    """A neuron to draw, and its input.

    Attributes:
        cls: its class.
        parameters: what the class is constructed with, besides shape and step time.
        current: nA at a time in ms.
        duration: ms.
        step_time: ms.
        settle: how long the neuron runs with its first input before the trace begins, ms.
        levels: parameters that are drawn as lines among the voltages, and their labels.
        top: up to where spikes are drawn, mV; by default a little above the threshold.
    """

    cls: type[neural.InfernoNeuron]
    parameters: dict[str, float]
    current: Callable[[float], float]
    duration: float = 200.0
    step_time: float = 0.5
    settle: float = 0.0
    levels: dict[str, str] = field(default_factory=dict)
    top: float | None = None


@dataclass
class Synapse:
    """A synapse to draw.

    Attributes:
        cls: its class.
        parameters: what the class is constructed with, besides shape and step time.
        injected: nA at a time in ms, for the synapse that takes a current.
        delay: how far the second line looks back, ms.
    """

    cls: type[neural.InfernoSynapse]
    parameters: dict[str, float]
    injected: Callable[[float], float] | None = None
    delay: float = 10.0


def steps(*changes: tuple[float, float]) -> Callable[[float], float]:
    """A current that takes each value, nA, from its time, ms, on."""
    return lambda t: max(((start, value) for start, value in changes if start <= t), default=(0.0, 0.0))[1]


LINEAR = {"rest_v": -65.0, "thresh_v": -50.0, "reset_v": -70.0, "refrac_t": 4.0, "time_constant": 20.0}
ADAPTIVE = {"rest_v": -65.0, "thresh_eq_v": -52.0, "refrac_t": 2.0, "tc_membrane": 20.0}
NEURONS = (
    Neuron(neural.LIF, LINEAR, steps((20, 12.0), (90, 20.0), (180, 0.0))),
    Neuron(
        neural.ALIF,
        {**ADAPTIVE, "reset_v": -65.0, "tc_adaptation": 80.0, "spike_increment": 2.5},
        steps((20, 25.0), (170, 0.0)),
        250.0,
    ),
    Neuron(neural.GLIF1, LINEAR, lambda t: 0.19 * t),
    Neuron(
        neural.GLIF2,
        {**ADAPTIVE, "reset_v_add": 2.0, "reset_v_mul": 0.4, "rc_adaptation": 0.02, "spike_increment": 2.0},
        steps((20, 25.0), (110, 45.0), (190, 0.0)),
        250.0,
    ),
    Neuron(
        neural.QIF,
        {
            **{"rest_v": -65.0, "crit_v": -50.0, "affinity": 0.1, "reset_v": -70.0, "thresh_v": -30.0},
            **{"refrac_t": 2.0, "time_constant": 10.0},
        },
        steps((20, 60.0), (22.2, 0.0), (60, 60.0), (63, 0.0), (110, 8.0), (180, 0.0)),
        step_time=0.1,
        levels={"crit_v": "critical"},
    ),
    Neuron(
        # The intrinsically bursting cell of Izhikevich (2003): a = 0.02, b = 0.2, c = -55, d = 4, I = 10. The roots of
        # its 0.04 v^2 + 5 v + 140 are rest and critical potential, and moving the origin of u to rest adds 16.53 to I.
        neural.Izhikevich,
        {
            **{"rest_v": -82.66, "crit_v": -42.34, "affinity": 0.04, "reset_v": -55.0, "thresh_v": 30.0},
            **{"refrac_t": 0.0, "tc_membrane": 1.0, "tc_adaptation": 50.0, "voltage_coupling": 0.2},
            "spike_increment": 4.0,
        },
        steps((0, 16.53), (40, 26.53)),
        step_time=0.1,
        settle=300.0,
        top=30.0,
    ),
    Neuron(
        neural.EIF,
        {
            **{"rest_v": -65.0, "rheobase_v": -52.0, "sharpness": 2.0, "reset_v": -68.0, "thresh_v": -30.0},
            **{"refrac_t": 2.0, "time_constant": 10.0},
        },
        steps((20, 10.0), (90, 14.0), (180, 0.0)),
        step_time=0.1,
        levels={"rheobase_v": "rheobase"},
    ),
    Neuron(
        # The cell of Brette and Gerstner (2005): C = 281 pF, g = 30 nS, a = 4 nS, b = 80.5 pA.
        neural.AdEx,
        {
            **{"rest_v": -70.6, "rheobase_v": -50.4, "sharpness": 2.0, "reset_v": -70.6, "thresh_v": 20.0},
            **{"refrac_t": 0.0, "tc_membrane": 9.37, "tc_adaptation": 144.0, "voltage_coupling": 0.004},
            **{"spike_increment": 0.0805, "resistance": 33.3},
        },
        steps((20, 1.0), (240, 0.0)),
        300.0,
        step_time=0.1,
        levels={"rheobase_v": "rheobase"},
        top=20.0,
    ),
)
SYNAPSES = (
    Synapse(neural.DeltaCurrent, {"spike_charge": 5.0}),
    Synapse(neural.DeltaPlusCurrent, {"spike_charge": 5.0}, injected=lambda t: 2.0 if 20 <= t < 35 else 0.0),
    Synapse(neural.SingleExponentialCurrent, {"spike_charge": 15.0, "time_constant": 5.0}),
    Synapse(neural.DoubleExponentialCurrent, {"spike_charge": 15.0, "tc_decay": 8.0, "tc_rise": 2.0}),
)
SPIKE_TIMES = (5.0, 25.0, 40.0, 42.0, 44.0, 46.0)  # ms; the last is two spikes where these are counted


def panels(*heights: float) -> tuple[plt.Figure, Sequence[plt.Axes]]:
    """One below the other, with a common time axis."""
    figure, axes = plt.subplots(
        len(heights),
        sharex=True,
        squeeze=False,
        figsize=(7.2, 0.5 + sum(heights)),
        height_ratios=heights,
        layout="constrained",
    )
    axes[-1, 0].set_xlabel("time (ms)")
    return figure, axes[:, 0]


def legend_above(axes: plt.Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.1)


def simulate(subject: Neuron) -> dict[str, list[float]]:
    """Time, input, voltage, threshold, adaptation after every step; and the times of the spikes."""
    neuron = subject.cls(1, subject.step_time, **subject.parameters)
    trace = {"time": [], "input": [], "voltage": [], "threshold": [], "adaptation": [], "spikes": []}
    for _ in range(round(subject.settle / subject.step_time)):
        neuron(subject.current(0.0))
    for k in range(round(subject.duration / subject.step_time)):
        time = (k + 1) * subject.step_time
        current = subject.current(time)
        if neuron(current).item():
            trace["spikes"].append(time)
        threshold = getattr(neuron, "threshold_adaptation", None)
        adaptation = getattr(neuron, "current_adaptation", threshold)
        base = subject.parameters.get("thresh_v", subject.parameters.get("thresh_eq_v"))
        trace["time"].append(time)
        trace["input"].append(current)
        trace["voltage"].append(neuron.voltage.item())
        trace["threshold"].append(base + (0.0 if threshold is None else threshold.item()))
        trace["adaptation"].append(None if adaptation is None else adaptation.item())
    return trace


def draw_voltage(axes: plt.Axes, subject: Neuron, trace: dict[str, list[float]]) -> None:
    time, voltage, threshold = (list(trace[key]) for key in ("time", "voltage", "threshold"))
    at = dict(zip(time, threshold, strict=True))
    tops = [subject.top or at[spike] + 0.25 * (max(threshold) - min(voltage)) for spike in trace["spikes"]]
    axes.vlines(trace["spikes"], [voltage[time.index(s)] for s in trace["spikes"]], tops, color=BLUE, linewidth=1.0)
    axes.plot(time, voltage, color=BLUE, linewidth=1.2, label="voltage")
    axes.plot(time, threshold, color=RED, linewidth=1.0, linestyle="--", label="threshold")
    for (name, label), dash in zip(subject.levels.items(), (":", "-."), strict=False):
        axes.axhline(subject.parameters[name], color=GREY, linewidth=1.0, linestyle=dash, label=label)
    axes.set_ylabel("mV")
    legend_above(axes)


def draw_neuron(subject: Neuron) -> plt.Figure:
    trace = simulate(subject)
    adapts = trace["adaptation"][0] is not None
    figure, axes = panels(1.9, *[0.8] * adapts, 0.8)
    draw_voltage(axes[0], subject, trace)
    if adapts:
        axes[1].plot(trace["time"], trace["adaptation"], color=ORANGE, linewidth=1.2)
        unit = "mV" if issubclass(subject.cls, neural.neurons.mixins.AdaptiveThresholdMixin) else "nA"
        axes[1].set_ylabel(f"adaptation\n({unit})")
    axes[-1].plot(trace["time"], trace["input"], color=GREY, linewidth=1.2)
    axes[-1].set_ylabel("input\n(nA)")
    axes[-1].set_xlim(0.0, subject.duration)
    figure.align_ylabels(axes)
    return figure


def draw_synapse(subject: Synapse, step_time: float = 0.5, duration: float = 80.0) -> plt.Figure:
    synapse = subject.cls(1, step_time, delay=subject.delay, **subject.parameters)
    selector = torch.full((1, 1), subject.delay)
    times, present, delayed, extra = [], [], [], []
    for k in range(round(duration / step_time)):
        time = k * step_time
        spikes = torch.tensor([[float(SPIKE_TIMES.count(time) * (2 if time == SPIKE_TIMES[-1] else 1))]])
        extra.append(subject.injected(time) if subject.injected else 0.0)
        present.append(synapse(spikes, *([extra[-1]] if subject.injected else [])).item())
        delayed.append(synapse.current_at(selector).item())
        times.append(time)

    figure, axes = panels(0.45, *[0.6] * bool(subject.injected), 1.6)
    axes[0].vlines(SPIKE_TIMES, 0.0, [1.0] * (len(SPIKE_TIMES) - 1) + [2.0], color=GREY, linewidth=1.4)
    axes[0].set_ylabel("spikes")
    axes[0].set_ylim(0.0, 2.2)
    if subject.injected:
        axes[1].plot(times, extra, color=GREY, linewidth=1.2, drawstyle="steps-post")
        axes[1].set_ylabel("injected\n(nA)")
    label = f"{subject.delay:g} ms ago"
    axes[-1].plot(times, present, color=BLUE, linewidth=1.2, drawstyle="steps-post", label="present current")
    axes[-1].plot(times, delayed, color=ORANGE, linewidth=1.2, drawstyle="steps-post", label=label, zorder=1.5)
    axes[-1].set_ylabel("current (nA)")
    axes[-1].set_xlim(0.0, duration)
    legend_above(axes[-1])
    figure.align_ylabels(axes)
    return figure


def main(folder: Path) -> None:
    matplotlib.use("svg")
    matplotlib.rcParams.update(STYLE)
    for subject in (*NEURONS, *SYNAPSES):
        figure = draw_neuron(subject) if isinstance(subject, Neuron) else draw_synapse(subject)
        figure.savefig(folder / f"trace-{subject.cls.__name__.lower()}.svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
