"""How simulate calls the engines of the compiled library."""

from __future__ import annotations

import contextlib
import dataclasses

import torch

from ..reference import SPIKING_FORMS
from .native import status
from .stimuli import NoiseCurrent, PoissonDrive

_KINDS = {key: number for number, key in enumerate(SPIKING_FORMS)}  # csrc/core/spiking.h: SpikingKind
_MOST_SPIKES = 2**25  # that a call on a device has memory for, 12 bytes each

if status.loaded:
    _raw_simulate = torch.ops.inferno_cuda.simulate.default
    _raw_device = torch.ops.inferno_cuda.simulate_device.default


def recorded(spikes: torch.Tensor, record: bool | torch.Tensor | None, start: int) -> torch.Tensor | None:
    """Of spikes by absolute step those that are asked for, by step since `start`."""
    if record is None or record is False:
        return None
    if record is not True:
        spikes = spikes[record[spikes[:, 1]]]
    return (spikes - torch.tensor([start, 0, 0], device=spikes.device)).to(torch.int32)


def _packed_stimuli(populations, device) -> tuple[list[torch.Tensor], list[int], list[float]]:
    """Tables, (kind, port, stream, interval) and (weight, mean, std) of all stimuli: csrc/torch/simulate.cpp."""
    tables, integers, reals = [], [], []
    for stimulus in (stimulus for p in populations for stimulus in p.stimuli):
        if isinstance(stimulus, NoiseCurrent):
            tables.append(torch.zeros(0, dtype=torch.int64, device=device))
            integers += [1, 0, stimulus.stream, stimulus.interval]
            reals += [0.0, stimulus.mean, stimulus.std]
        else:
            drives = isinstance(stimulus, PoissonDrive)
            tables.append(stimulus.table.to(device).contiguous())
            integers += [0 if drives else 2, stimulus.port if drives else 0, stimulus.stream, 1]
            reals += [stimulus.weight if drives else 0.0, 0.0, 0.0]
    return tables, integers, reals


def _signed(seed: int) -> int:
    seed &= 2**64 - 1
    return seed - 2**64 if seed >= 2**63 else seed


def _chosen(record, neurons: int) -> torch.Tensor | None:
    if record is None or record is False:
        return None
    return torch.ones(neurons, dtype=torch.bool) if record is True else record.contiguous()


@dataclasses.dataclass
class Run:
    """Arguments of simulate that were checked; `given` by absolute step."""

    rows: object
    populations: list
    state: object
    steps: int
    seed: int
    record: bool | torch.Tensor | None
    counts: torch.Tensor | None
    probe: tuple | None
    given: torch.Tensor

    def __post_init__(self):
        self._total = self.steps

    def _shared(self, threads: int) -> tuple:
        """What both engines take; spikes by step since the start."""
        rows, state, probe = self.rows, self.state, self.probe
        start = torch.tensor([state.step, 0, 0], device=state.values.device)
        kinds = [(_KINDS[p.kind], p.first, p.last, len(p.stimuli)) for p in self.populations]
        tables, stimuli, reals = _packed_stimuli(self.populations, state.values.device)
        ports = max([1, rows.most_ports, *(p.ports for p in self.populations)])
        every = 1 if probe is None else probe.every
        probed = None if probe is None else probe.variable * rows.neurons + probe.neurons
        delays = rows.min_delay, rows.max_delay
        return (
            *([tensor for part in rows.parts for tensor in part], rows.bounds, rows.unit),
            [tensor.contiguous() for p in self.populations for tensor in (p.numbers, p.drive)],
            *([number for kind in kinds for number in kind], tables, stimuli, reals),
            *(state.values, state.refrac),
            *((spikes - start).to(torch.int32) for spikes in (state.flight, self.given)),
            *(self.counts, probed),
            [state.step, self.steps, *delays, _signed(self.seed), ports, every, threads],
        )

    def on_cpu(self, threads: int, phases: torch.Tensor | None = None):
        """(spikes, probed). `phases`, float64 ``[threads, 3]``: CPU seconds of delivery, update and exchange."""
        record = _chosen(self.record, self.rows.neurons)
        with self._all_or_nothing():
            spikes, flight, probed = _raw_simulate(*self._shared(threads), record, phases)
        flight = flight.long() + torch.tensor([self.state.step, 0, 0])
        self.state.advance(flight, self.rows.max_delay, self.steps)
        return None if record is None else spikes, self._probed(probed)

    def _probed(self, values: torch.Tensor) -> torch.Tensor | None:
        """What was probed; engines do not tell probes of no neurons from none."""
        if self.probe is None or len(self.probe.neurons):
            return None if self.probe is None else values
        step, every = self.state.step, self.probe.every
        return values.new_zeros(step // every - (step - self._total) // every, values.shape[1], 0)

    @contextlib.contextmanager
    def _all_or_nothing(self):
        """Puts the state back where memory or threads give out in the middle of a run."""
        written = [t for t in (self.state.values, self.state.refrac, self.counts) if t is not None]
        before = [tensor.clone() for tensor in written]
        try:
            yield
        except BaseException:
            for tensor, old in zip(written, before, strict=True):
                tensor.copy_(old)
            raise

    def on_device(self):
        """(spikes, probed), in as few calls as there is memory for their spikes."""
        state, total = self.state, self.steps
        spikes, probed, left = [], [], total
        while left > 0:
            self.steps = min(left, max(1, _MOST_SPIKES // max(self.most_spikes(), 1)))
            fired, sample = self._call()
            spikes.append(recorded(fired, self.record, state.step - self.steps - (total - left)))
            probed.append(sample)
            left -= self.steps
        spikes = None if spikes[0] is None else torch.cat(spikes)
        return spikes, self._probed(torch.cat(probed))

    def most_spikes(self) -> int:
        """More than these no step has, besides those that are given; generators may fire more than once."""
        trials, _ = self.state.refrac.shape
        return trials * sum(p.size * max([1, sum(_entries(s) for s in p.stimuli)]) for p in self.populations)

    def _call(self):
        """One call: all spikes, by absolute step and sorted, and what was probed."""
        state, device = self.state, self.state.values.device
        trials, neurons = state.refrac.shape
        until = state.step + self.steps
        later, self.given = self.given[self.given[:, 0] >= until], self.given[self.given[:, 0] < until]
        edges = torch.arange(state.step, until + 1, device=device)
        begin = torch.searchsorted(self.given[:, 0].contiguous(), edges)
        capacity = self.steps * self.most_spikes() + len(self.given)
        spikes, ends, probed = _raw_device(*self._shared(0), begin, capacity)
        self.given = later
        count = int(ends[self.steps - 1])
        spikes = spikes[:count].long() + torch.tensor([state.step, 0, 0], device=device)
        order = torch.argsort((spikes[:, 0] * trials + spikes[:, 2]) * neurons + spikes[:, 1])
        state.advance(spikes[order], self.rows.max_delay, self.steps)
        return spikes[order], probed


def _entries(stimulus) -> int:
    return len(stimulus.table) if hasattr(stimulus, "table") and not isinstance(stimulus, PoissonDrive) else 0
