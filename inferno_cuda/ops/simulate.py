"""Running a large sparse network: many steps in one call."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch

from .. import reference
from .common import shape_text
from .rows import Rows
from .spiking import Population
from .stimuli import NoiseCurrent, PoissonDrive, RandomSpikes

_MAX_NEURONS = 2**31 - 1


@dataclasses.dataclass(eq=False)
class SimulationState:
    """All that changes in a simulation; to be saved and gone on from, bit for bit, on any number of threads.

    Attributes:
        values: ``[K, B, N]``, the state variables of each population's model in its rows; voltages in mV above E_L.
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
        """Voltages at E_L, no currents, nothing refractory, no spikes."""
        neurons = populations[-1].last if populations else 0
        rows = max((len(p.variables) for p in populations), default=0)
        values = torch.zeros(max(rows, 1), trials, neurons, dtype=dtype, device=device)
        refrac = torch.zeros(trials, neurons, dtype=torch.int16, device=device)
        return cls(values, refrac, torch.zeros(0, 3, dtype=torch.int64, device=device))

    def tensors(self) -> dict[str, torch.Tensor]:
        """All of it as tensors; :meth:`from_tensors` takes them back."""
        fields = {"values": self.values, "refrac": self.refrac, "flight": self.flight}
        return fields | {"step": torch.tensor(self.step)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> SimulationState:
        missing = [name for name in ("values", "refrac", "flight", "step") if name not in tensors]
        if missing:
            raise ValueError(f"tensors had no {missing[0]!r}")
        return cls(tensors["values"], tensors["refrac"], tensors["flight"], int(tensors["step"]))


class Probe(NamedTuple):
    """State variables to be read: of `neurons` (int64 ``[M]``), whenever another `every` steps have passed since step
    0; `variable` is the row of the state, 0 for voltages."""

    neurons: torch.Tensor
    every: int = 1
    variable: int = 0


class Simulated(NamedTuple):
    """What a run recorded.

    Attributes:
        spikes: int32 ``[n, 3]``: steps since the start of the run, neuron, trial; sorted by step, trial and neuron. Or
            None.
        probed: ``[samples, B, M]``, or None.
    """

    spikes: torch.Tensor | None
    probed: torch.Tensor | None


def _check_populations(populations, neurons: int, state: SimulationState) -> None:
    at = 0
    for k, p in enumerate(populations):
        if not isinstance(p, Population):
            raise TypeError(f"populations[{k}] was {type(p).__name__}; it must be a Population")
        if p.first != at:
            raise ValueError(f"populations[{k}] began at neuron {p.first}; it must begin at {at}, where the last ended")
        at = p.last
        if p.numbers.dtype != state.values.dtype or p.numbers.device != state.values.device:
            like = f"{state.values.dtype} on {state.values.device}"
            raise ValueError(f"populations[{k}] was {p.numbers.dtype} on {p.numbers.device}; the state is {like}")
        if len(p.variables) > len(state.values):
            raise ValueError(f"state.values had {len(state.values)} rows; populations[{k}] has {len(p.variables)}")
        kinds = (RandomSpikes,) if p.model == "generator" else (PoissonDrive, NoiseCurrent)
        for stimulus in p.stimuli:
            if not isinstance(stimulus, kinds):
                allowed = " or ".join(kind.__name__ for kind in kinds)
                raise TypeError(f"populations[{k}]: a stimulus was {type(stimulus).__name__}; it must be {allowed}")
            if isinstance(stimulus, PoissonDrive) and stimulus.port >= p.ports:
                raise ValueError(f"populations[{k}]: port of a PoissonDrive was {stimulus.port}; there is only port 0")
    if at != neurons:
        raise ValueError(f"populations had {at} neurons; rows have {neurons}")


def _check_state(state: SimulationState, neurons: int) -> None:
    values, refrac, flight = state.values, state.refrac, state.flight
    if values.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"state.values was {values.dtype}; it must be torch.float32 or torch.float64")
    if values.ndim != 3 or values.shape[2] != neurons or not values.is_contiguous():
        text = f"({len(values)}, trials, {neurons})" if values.ndim else f"(variables, trials, {neurons})"
        raise ValueError(f"state.values had shape {shape_text(values.shape)}; it must be {text}, contiguous")
    if refrac.dtype != torch.int16 or refrac.shape != values.shape[1:] or not refrac.is_contiguous():
        text = f"{refrac.dtype} of shape {shape_text(refrac.shape)}"
        raise ValueError(f"state.refrac was {text}; it must be int16 of shape {shape_text(values.shape[1:])}")
    if flight.dtype != torch.int64 or flight.ndim != 2 or flight.shape[1] != 3:
        text = f"{flight.dtype} of shape {shape_text(flight.shape)}"
        raise ValueError(f"state.flight was {text}; it must be int64 of shape (spikes, 3)")
    if refrac.device != values.device or flight.device != values.device:
        raise ValueError("state: values, refrac and flight must be on one device")
    _check_spikes("state.flight", flight, neurons, values.shape[1])
    if len(flight) and int(flight[:, 0].max()) >= state.step:
        raise ValueError(f"state.flight had a spike of step {int(flight[:, 0].max())}; the next step is {state.step}")


def _check_spikes(name: str, spikes: torch.Tensor, neurons: int, trials: int) -> None:
    if not len(spikes):
        return
    for column, what, size in ((1, "neurons", neurons), (2, "trials", trials)):
        low, high = int(spikes[:, column].min()), int(spikes[:, column].max())
        if low < 0 or high >= size:
            raise ValueError(f"{name} had {what} {low} to {high}; they must be 0 to {size - 1}")


def _given(given, populations, state, steps: int, neurons: int) -> torch.Tensor:
    """Given spikes by absolute step, each of one trial, sorted."""
    trials = state.values.shape[1]
    like = {"dtype": torch.int64, "device": state.values.device}
    if given is None:
        return torch.zeros(0, 3, **like)
    if given.is_floating_point() or given.ndim != 2 or given.shape[1] != 3:
        text = f"{given.dtype} of shape {shape_text(given.shape)}"
        raise ValueError(f"given was {text}; it must be int of shape (spikes, 3): step, neuron, trial or -1")
    given = given.to(**like)
    every = given[given[:, 2] == -1]
    copies = [torch.cat([every[:, :2], torch.full_like(every[:, :1], trial)], 1) for trial in range(trials)]
    given = torch.cat([given[given[:, 2] != -1], *copies])
    _check_spikes("given", given, neurons, trials)
    if len(given) and not (int(given[:, 0].min()) >= 0 and int(given[:, 0].max()) < steps):
        low, high = int(given[:, 0].min()), int(given[:, 0].max())
        raise ValueError(f"given had steps {low} to {high}; they must be 0 to {steps - 1}")
    silent = torch.ones(neurons, dtype=torch.bool, device=given.device)
    for p in populations:
        if p.model == "generator":
            silent[p.first : p.last] = False
    if bool(silent[given[:, 1]].any()):
        neuron = int(given[:, 1][silent[given[:, 1]]][0])
        raise ValueError(f"given had neuron {neuron}, which is no generator")
    given = given + torch.tensor([state.step, 0, 0], device=given.device)
    order = torch.argsort((given[:, 0] * trials + given[:, 2]) * neurons + given[:, 1], stable=True)
    return given[order]


def _check_probe(probe, state, neurons: int) -> None:
    if probe is None:
        return
    chosen, every, variable = probe
    if chosen.dtype != torch.int64 or chosen.ndim != 1:
        text = f"{chosen.dtype} of shape {shape_text(chosen.shape)}"
        raise ValueError(f"probe.neurons was {text}; it must be int64 with one dimension")
    if len(chosen) and not (int(chosen.min()) >= 0 and int(chosen.max()) < neurons):
        low, high = int(chosen.min()), int(chosen.max())
        raise ValueError(f"probe.neurons was {low} to {high}; it must be 0 to {neurons - 1}")
    if every < 1:
        raise ValueError(f"probe.every was {every}; it must be at least 1 step")
    if not 0 <= variable < len(state.values):
        raise ValueError(f"probe.variable was {variable}; the state has rows 0 to {len(state.values) - 1}")


def _check_outputs(record, counts, state, neurons: int) -> None:
    if isinstance(record, torch.Tensor) and (record.dtype != torch.bool or record.shape != (neurons,)):
        text = f"{record.dtype} of shape {shape_text(record.shape)}"
        raise ValueError(f"record was {text}; it must be None, True, False or bool of shape ({neurons},)")
    shape = tuple(state.values.shape[1:])
    if counts is not None and (counts.dtype != torch.int64 or counts.shape != shape or not counts.is_contiguous()):
        text = f"{counts.dtype} of shape {shape_text(counts.shape)}"
        raise ValueError(f"counts was {text}; it must be int64 of shape {shape}, contiguous")


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
    NEST's order; a spike of step s has the time ``(s + 1) * dt``.

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
            stands for two spikes.
        threads: at most so many, and no more than rows have partitions; None: torch's number of threads. CPU only.

    Raises:
        TypeError, ValueError: arguments do not fit each other; nothing was changed then.
    """
    _check_state(state, rows.neurons)
    _check_populations(populations, rows.neurons, state)
    if rows.device != state.values.device:
        raise ValueError(f"rows were on {rows.device}; the state is on {state.values.device}")
    if steps < 0:
        raise ValueError(f"steps was {steps}; it must not be negative")
    if threads is not None and threads < 1:
        raise ValueError(f"threads was {threads}; it must be at least 1")
    _check_outputs(record, counts, state, rows.neurons)
    _check_probe(probe, state, rows.neurons)
    given = _given(given, populations, state, steps, rows.neurons)
    spikes, probed = _run_reference(rows, populations, state, steps, seed, given, probe)
    if counts is not None:
        counts.index_put_((spikes[:, 2], spikes[:, 1]), torch.ones_like(spikes[:, 1]), accumulate=True)
    _keep_flight(state, spikes, rows.max_delay, steps)
    return Simulated(_recorded(spikes, record, state.step - steps), probed)


def _recorded(spikes, record, start: int):
    if record is None or record is False:
        return None
    if record is not True:
        spikes = spikes[record[spikes[:, 1]]]
    return (spikes - torch.tensor([start, 0, 0], device=spikes.device)).to(torch.int32)


def _keep_flight(state: SimulationState, spikes: torch.Tensor, max_delay: int, steps: int) -> None:
    """Spikes of the last max_delay steps, of which the oldest arrive in the next one."""
    state.step += steps
    every = torch.cat([state.flight, spikes])
    state.flight = every[every[:, 0] + max_delay >= state.step].contiguous()


def _plain(stimulus) -> tuple:
    if isinstance(stimulus, PoissonDrive):
        return "poisson", stimulus.table, stimulus.weight, stimulus.stream, stimulus.port
    if isinstance(stimulus, NoiseCurrent):
        return "noise", stimulus.mean, stimulus.std, stimulus.interval, stimulus.stream
    return "spikes", stimulus.table, stimulus.stream


def _run_reference(rows, populations, state, steps, seed, given, probe):
    synapses = reference.sorted_synapses(rows.bounds, rows.parts, rows.neurons)
    groups = [
        reference.Group(p.first, p.last, p.form, p.numbers, p.drive, tuple(map(_plain, p.stimuli)))
        for p in populations
    ]
    return reference.simulate(
        *(synapses, groups, state.values, state.refrac, state.flight, state.step, steps),
        seed=seed,
        quantum=1.0 if rows.wide else rows.quantum,
        ring_slots=rows.max_delay + 1,
        given=given,
        probe=probe,
    )
