"""Running a large sparse network: many steps in one call."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch

from .. import reference
from ._simulate_checks import check_outputs, check_populations, check_probe, check_repeats, check_state, given_spikes
from ._simulate_native import Run, recorded
from .backend import runs_native
from .rows import Rows
from .spiking import Population
from .stimuli import NoiseCurrent, PoissonDrive


@dataclasses.dataclass(eq=False)
class SimulationState:
    """All that changes in a simulation; to be saved and gone on from, bit for bit, on any number of threads.

    Attributes:
        values: ``[K, B, N]``, the state variables of each population's model in its rows; voltages in mV, those of
            NEST's models above E_L.
        refrac: int16 ``[B, N]``, steps that are left of the refractory period.
        flight: int64 ``[m, 3]``, (step, neuron, trial) of the spikes that may still be on their way.
        step: the step that comes next.
    """

    values: torch.Tensor
    refrac: torch.Tensor
    flight: torch.Tensor
    step: int = 0

    @classmethod
    def zeros(cls, populations, trials=1, dtype=torch.float32, device="cpu") -> SimulationState:
        """Voltages at rest, no currents, no adaptation, nothing refractory, no spikes."""
        neurons = populations[-1].last if populations else 0
        rows = max((len(p.variables) for p in populations), default=0)
        values = torch.zeros(max(rows, 1), trials, neurons, dtype=dtype, device=device)
        for p in populations:
            values[0, :, p.first : p.last] = torch.as_tensor(p.rest, dtype=torch.float64).to(values)
        refrac = torch.zeros(trials, neurons, dtype=torch.int16, device=device)
        return cls(values, refrac, torch.zeros(0, 3, dtype=torch.int64, device=device))

    def tensors(self) -> dict[str, torch.Tensor]:
        """All of it as tensors; ``from_tensors`` takes them back."""
        fields = {"values": self.values, "refrac": self.refrac, "flight": self.flight}
        return fields | {"step": torch.tensor(self.step)}

    def advance(self, spikes: torch.Tensor, max_delay: int, steps: int) -> None:
        """Moves the next step on; keeps those of earlier and these spikes that may arrive from then on."""
        self.step += steps
        every = torch.cat([self.flight, spikes])
        self.flight = every[every[:, 0] + max_delay >= self.step].contiguous()

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> SimulationState:
        missing = [name for name in ("values", "refrac", "flight", "step") if name not in tensors]
        if missing:
            raise ValueError(f"tensors had no {missing[0]!r}")
        return cls(tensors["values"], tensors["refrac"], tensors["flight"], int(tensors["step"]))


class Probe(NamedTuple):
    """State variables to be read: of `neurons` (int64 ``[M]``), whenever another `every` steps have passed since step
    0; `variable` is the row of the state, 0 for voltages: one for all, or one for each (int64 ``[M]``)."""

    neurons: torch.Tensor
    every: int = 1
    variable: int | torch.Tensor = 0


class Simulated(NamedTuple):
    """What a run recorded.

    Attributes:
        spikes: int32 ``[n, 3]``: steps since the start of the run, neuron, trial; sorted by step, trial and neuron. Or
            None.
        probed: ``[samples, B, M]``, or None.
    """

    spikes: torch.Tensor | None
    probed: torch.Tensor | None


def simulate(
    rows: Rows,
    populations: list[Population],
    state: SimulationState,
    steps: int,
    *,
    seed: int = 0,
    record: bool | torch.Tensor | None = None,
    counts: torch.Tensor | None = None,
    probe: Probe | None = None,
    given: torch.Tensor | None = None,
    threads: int | None = None,
) -> Simulated:
    """Runs a network for `steps` steps and changes `state` in place.

    A neuron that fires in step s adds its weights to what arrives at its targets in step s + delay. Within a step: the
    membrane is integrated with the currents from before the step, unless the refractory period lasts; currents decay
    and take up what arrives in this step; the membrane is compared with the threshold (``>=``) and reset. This is
    NEST's order, and that of its models; the neurons of ``inferno_cuda.neural`` take up what arrives first, as their
    modules do. A spike of step s has the time ``(s + 1) * dt``.

    Sums of arriving weights are exact, so results depend neither on the number of threads nor on the backend.

    Args:
        rows: the synapses.
        populations: the neurons, without gaps from 0 to the last one.
        state: see :class:`SimulationState`.
        steps: how many.
        seed: of the stimuli's random numbers, 64 bits.
        record: which neurons' spikes are returned: True for all, or bool ``[N]``.
        counts: int64 ``[B, N]``, to which the number of spikes is added.
        probe: state variables to be returned.
        given: int ``[n, 3]``, spikes of generators: (step from now, neuron, trial or -1 for all). The same row twice
            stands for two spikes; rows must have room for them, see ``repeats`` of :class:`RowsBuilder`.
        threads: at most so many, and no more than rows have partitions; None: torch's number of threads. CPU only.

    Raises:
        TypeError, ValueError: arguments do not fit each other; nothing was changed then.
    """
    check_state(state, rows.neurons)
    check_populations(populations, rows, state)
    if rows.device != state.values.device:
        raise ValueError(f"rows were on {rows.device}; the state is on {state.values.device}")
    if not 0 <= steps < 2**31:
        raise ValueError(f"steps was {steps}; it must be 0 to 2^31 - 1")
    if threads is not None and threads < 1:
        raise ValueError(f"threads was {threads}; it must be at least 1")
    check_outputs(record, counts, state, rows.neurons)
    check_probe(probe, state, rows.neurons)
    if probe is not None:
        neurons = probe.neurons.to(state.values.device)
        variable = torch.as_tensor(probe.variable, device=neurons.device)
        probe = Probe(neurons, probe.every, variable.expand(neurons.shape))
    if isinstance(record, torch.Tensor):
        record = record.to(state.values.device)
    given = given_spikes(given, populations, state, steps, rows.neurons)
    check_repeats(populations, given, rows)
    if steps == 0:
        return _nothing(state, record, probe)
    if runs_native(state.values, "simulate"):
        threads = torch.get_num_threads() if threads is None else threads
        run = Run(rows, populations, state, steps, seed, record, counts, probe, given)
        return Simulated(*(run.on_cpu(threads) if state.values.is_cpu else run.on_device()))
    spikes, probed = _run_reference(rows, populations, state, steps, seed, given, probe)
    if counts is not None:
        counts.index_put_((spikes[:, 2], spikes[:, 1]), torch.ones_like(spikes[:, 1]), accumulate=True)
    state.advance(spikes, rows.max_delay, steps)
    return Simulated(recorded(spikes, record, state.step - steps), probed)


def _nothing(state: SimulationState, record, probe: Probe | None) -> Simulated:
    _, trials, _ = state.values.shape
    spikes = torch.zeros(0, 3, dtype=torch.int32, device=state.values.device)
    probed = None if probe is None else state.values.new_zeros(0, trials, len(probe.neurons))
    return Simulated(None if record is None or record is False else spikes, probed)


def _plain(stimulus) -> tuple:
    if isinstance(stimulus, PoissonDrive):
        return "poisson", stimulus.table, stimulus.weight, stimulus.stream, stimulus.port
    if isinstance(stimulus, NoiseCurrent):
        return "noise", stimulus.mean, stimulus.std, stimulus.interval, stimulus.stream
    return "spikes", stimulus.table, stimulus.stream


def _run_reference(rows, populations, state, steps, seed, given, probe):
    synapses = reference.sorted_synapses(rows.bounds, rows.parts, rows.neurons)
    groups = [
        reference.Group(p.first, p.last, p.form, p.numbers, p.drive, tuple(map(_plain, p.stimuli))) for p in populations
    ]
    return reference.simulate(
        *(synapses, groups, state.values, state.refrac, state.flight, state.step, steps),
        seed=seed,
        quantum=rows.unit,
        ring_slots=rows.max_delay + 1,
        given=given,
        probe=probe,
    )
