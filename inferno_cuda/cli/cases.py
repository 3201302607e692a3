"""The cases of the benchmark: what is built, what must agree, what is timed.

Each case builds the same thing from `inferno_cuda.neural` or from `inferno.neural`, whose constructors take the same
arguments, with the same random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import torch

DT = 1.0  # ms
INPUTS, OUTPUTS, MAX_DELAY = 784, 1000, 20.0
CELLS = {
    "rest_v": -65.0,
    "reset_v": -68.0,
    "thresh_v": -50.0,
    "refrac_t": 2.0,
    "time_constant": 20.0,
}
SYNAPSE = {"spike_charge": 1.0, "time_constant": 5.0}
FILLED = 25  # steps, more than a history of 20 ms holds


class Output(NamedTuple):
    """A result that subjects must agree on: spikes exactly, voltages and currents up to rounding."""

    what: str
    value: torch.Tensor


class Subject(NamedTuple):
    """One implementation of a case, ready to run.

    Attributes:
        outputs: runs some steps and yields what they gave.
        call: what is timed.
    """

    outputs: Callable[[], Iterator[Output]]
    call: Callable[[], object]


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        name: for ``--cases``.
        what: for the table.
        build: makes it from a module with the classes, on a device.
        moved: bytes that one call must read and write at least, where memory is the limit; otherwise 0.
    """

    name: str
    what: str
    build: Callable[[ModuleType, str], Subject]
    moved: int = 0


def _random() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def _times(shape, random: torch.Generator, on_grid: bool) -> torch.Tensor:
    """Times up to MAX_DELAY: multiples of a step, or at least a twentieth of one away from those.

    In between, within rounding of a multiple, inferno-ai may look up the next sample where we take the exact one.
    """
    drawn = MAX_DELAY / DT * torch.rand(shape, generator=random)
    return drawn.round() * DT if on_grid else (drawn.floor() + 0.05 + 0.9 * drawn.frac()) * DT


def _lif(batch: int, neurons: int) -> Callable[[ModuleType, str], Subject]:
    def build(library: ModuleType, device: str) -> Subject:
        # Strong and of both signs, so that among the first steps are spikes, silence and refractory neurons.
        currents = (500 * torch.rand(batch, neurons, generator=_random()) - 100).to(device)
        cells = library.LIF(neurons, DT, batch_size=batch, **CELLS).to(device)

        def outputs():
            for step in range(5):
                yield Output(f"spikes of step {step}", cells(currents))
            yield Output("voltage", cells.voltage)

        return Subject(outputs, lambda: cells(currents))

    return build


def _filled_synapse(synapse, batch: int, device: str) -> torch.Tensor:
    """Fills the history, and returns input spikes for the next step."""
    spikes = (torch.rand(FILLED + 1, batch, INPUTS, generator=_random()) < 0.1).to(device)
    for step in spikes[:-1]:
        synapse(step)
    return spikes[-1]


def _synapse(library: ModuleType, batch: int, device: str):
    synapse = library.SingleExponentialCurrent(INPUTS, DT, delay=MAX_DELAY, batch_size=batch, **SYNAPSE).to(device)
    return synapse, _filled_synapse(synapse, batch, device)


def _synapse_step(batch: int) -> Callable[[ModuleType, str], Subject]:
    def build(library: ModuleType, device: str) -> Subject:
        synapse, spikes = _synapse(library, batch, device)

        def outputs():
            yield Output("current of a step", synapse(spikes))
            yield Output("recorded current", synapse.current)
            yield Output("recorded spikes", synapse.spike)

        return Subject(outputs, lambda: synapse(spikes))

    return build


def _current_at(batch: int, lookups: int) -> Callable[[ModuleType, str], Subject]:
    def build(library: ModuleType, device: str) -> Subject:
        synapse, _ = _synapse(library, batch, device)
        times = _times((batch, INPUTS, lookups), _random(), on_grid=False).to(device)

        def outputs():
            yield Output("currents of the past", synapse.current_at(times))

        return Subject(outputs, lambda: synapse.current_at(times))

    return build


def _dense(batch: int, delay: float | None, on_grid: bool = True) -> Callable[[ModuleType, str], Subject]:
    def build(library: ModuleType, device: str) -> Subject:
        random = _random()
        connection = library.LinearDense(
            INPUTS,
            OUTPUTS,
            DT,
            synapse=library.SingleExponentialCurrent.partialconstructor(**SYNAPSE),
            delay=delay,
            batch_size=batch,
            weight_init=lambda like: torch.rand(like.shape, generator=random) - 0.5,
            delay_init=lambda like: _times(like.shape, random, on_grid),
        ).to(device)
        # Through the synapse alone, which is fast, so that even slow connections start with a full history.
        spikes = _filled_synapse(connection.synapse, batch, device)

        def outputs():
            yield Output("output currents", connection(spikes))

        return Subject(outputs, lambda: connection(spikes))

    return build


def _lif_case(name: str, batch: int, neurons: int) -> Case:
    count = batch * neurons
    # voltage, refractory time and input are read, the first two and the spikes (one byte each) written
    return Case(f"lif-{name}", f"LIF step, {batch:,} x {neurons:,}", _lif(batch, neurons), moved=21 * count)


CASES = (
    _lif_case("1e3", 1, 1000),
    _lif_case("1e5", 100, 1000),
    _lif_case("1e6", 1000, 1000),
    _lif_case("1e7", 100, 100_000),
    # spikes and the last current are read, the current of this step and its spikes written
    Case("exp-step", "exponential step, 64 x 784", _synapse_step(64), moved=10 * 64 * INPUTS),
    Case("exp-step-large", "exponential step, 1,024 x 784", _synapse_step(1024), moved=10 * 1024 * INPUTS),
    # times and the currents of the past are read, the results written
    Case("exp-current-at", "current_at, 64 x 784 x 10", _current_at(64, 10), moved=12 * 640 * INPUTS),
    Case("dense-1", "dense, delays, batch 1", _dense(1, MAX_DELAY)),
    Case("dense-16", "dense, delays, batch 16", _dense(16, MAX_DELAY)),
    Case("dense-64", "dense, delays, batch 64", _dense(64, MAX_DELAY)),
    Case("dense-16-off-grid", "dense, delays off grid, batch 16", _dense(16, MAX_DELAY, on_grid=False)),
    Case("dense-1-no-delay", "dense, no delays, batch 1", _dense(1, None)),
    Case("dense-64-no-delay", "dense, no delays, batch 64", _dense(64, None)),
)
MEMORY = "dense-64"  # the case whose memory is measured
