"""A network while it runs: its rows, its state, and what the engine is told of its populations."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from .. import ops
from . import _build
from ._models import MEMBRANE
from ._neurons import Neurons, Population
from ._stimuli import StepCurrent

if TYPE_CHECKING:
    from .network import Network

_CALL = 0.3  # seconds of a call of the engine, between which progress is shown and Ctrl-C is heard
_FEWEST = 10  # steps of a call, but where a current changes
_SAMPLES = 1 << 26  # bytes of membrane potentials of a call


class _Segment(NamedTuple):
    """Neurons of one population that have the same stimuli."""

    population: Population
    neurons: Neurons
    op: Any


class Runner:
    """Everything of a network that is there to run it; made anew by nobody but :class:`Network`.

    Attributes:
        rows: the synapses; None before the network is built.
        state: of the engine; None before the network is built.
        stale: whether the engine's populations are to be made anew.
        counted_from: step from which on spikes are counted.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.rows: ops.Rows | None = None
        self.state: ops.SimulationState | None = None
        self.stale = True
        self.counted_from = 0
        self._counts: torch.Tensor | None = None
        self._segments: list[_Segment] = []
        self._steps_a_call, self._pace = _FEWEST, math.inf  # seconds of a step

    @property
    def step(self) -> int:
        return 0 if self.state is None else self.state.step

    @property
    def started(self) -> bool:
        return self.step > 0

    @property
    def counts(self) -> torch.Tensor:
        """Spikes of every neuron, int64 ``[trials, size]``."""
        if self._counts is None:
            return torch.zeros(self._network.trials, self._network.size, dtype=torch.int64)
        return self._counts

    @property
    def counted_steps(self) -> int:
        return self.step - self.counted_from

    def clear_counts(self) -> None:
        self.counted_from = self.step
        if self._counts is not None:
            self._counts.zero_()

    def ports(self) -> torch.Tensor:
        """How many sums of arriving weights each neuron has, uint8 ``[size]``."""
        if self.rows is not None:
            return self.rows.ports.cpu()
        found = torch.ones(self._network.size, dtype=torch.uint8)
        for population in self._network.populations:
            found[population.first : population.last] = self._op(population, population).ports
        return found

    def check_parameters(self, population: Population, parameters: dict[str, Any]) -> None:
        """Refuses parameters that the model cannot have.

        Raises:
            ValueError: says which, and what it must be.
        """
        given = {name: value for name, value in parameters.items() if name != "current"}
        wanted = ops.spiking_population(
            population.model, population.first, population.last, dt=self._network.dt, **given
        ).ports
        if self.rows is not None and wanted > int(self.rows.ports[population.first]):
            raise ValueError(
                f"tau_syn_ex and tau_syn_in of {population!r} were equal when the network was built, so that their "
                "currents are one; they must stay equal"
            )
        self._op(population, population, parameters)

    def _op(
        self,
        population: Population,
        chosen: Neurons,
        parameters: dict | None = None,
        stimuli: tuple = (),
        ports: int | None = None,
    ) -> Any:
        """What the engine is told of some neurons of a population; ports are those of the whole population."""
        network = self._network
        begin, end = chosen.first - population.first, chosen.last - population.first
        given = dict(population._parameters if parameters is None else parameters)
        for name, value in given.items():
            given[name] = value[begin:end] if isinstance(value, torch.Tensor) else value
        if self.rows is not None and len(population):
            ports = int(self.rows.ports[population.first])
        current = given.pop("current", 0.0)
        return ops.spiking_population(
            population.model,
            *(chosen.first, chosen.last),
            dt=network.dt,
            ports=ports,
            current=current,
            stimuli=stimuli,
            dtype=network.dtype,
            device=network.device,
            **given,
        )

    def build(self, progress: bool) -> None:
        """Makes the rows, and the state at time 0."""
        if self.rows is not None:
            return
        network = self._network
        self._refresh()
        rows = _build.build(network, progress)
        like = {"trials": network.trials, "dtype": network.dtype, "device": network.device}
        state = ops.SimulationState.zeros([s.op for s in self._segments], **like)
        self._counts = torch.zeros(network.trials, network.size, dtype=torch.int64, device=network.device)
        self.rows, self.state = rows, state
        for population in network.populations:
            for name, initial in population._initial.items():
                self._put(population, name, 0, len(population), initial)

    def resume(self, state: ops.SimulationState, counts: torch.Tensor, counted_from: int) -> None:
        """Goes on from another state of the same network."""
        self.state, self._counts, self.counted_from, self.stale = state, counts, counted_from, True

    def forget(self) -> None:
        """The network has changed before its first step: it is to be built again."""
        for population in self._network.populations:
            if self.state is not None and population._parameters:
                initial = {name: self.read_state(population, name) for name in population._states}
                population.__dict__["_initial"] = initial
        self.rows = self.state = self._counts = None
        self.stale = True

    def ports_of(self, population: Population) -> int:
        """How many sums of arriving weights each of its neurons has."""
        if self.rows is not None and len(population):
            return int(self.rows.ports[population.first])
        return self._op(population, population).ports

    def _row(self, population: Population, name: str) -> torch.Tensor:
        """A state variable of a population, ``[trials, n]``, where the engine has it."""
        row = population.variables.index(name)
        return self.state.values[row, :, population.first : population.last]

    def read_state(self, population: Population, name: str) -> torch.Tensor:
        """A state variable in its unit, float64 ``[trials, n]``."""
        if name in population._initial and self.state is None:
            return population._initial[name].clone()
        offset = population._parameters.get("E_L", 0.0) if name == MEMBRANE else 0.0
        if self.state is not None:
            return self._row(population, name).double().cpu() + offset
        start = population._parameters.get("rest_v", offset) if name == MEMBRANE else 0.0
        return torch.as_tensor(start, dtype=torch.float64).expand(self._network.trials, len(population)).clone()

    def write_state(self, population: Population, name: str, begin: int, end: int, value: float | torch.Tensor) -> None:
        """A state variable of neurons of a population; a number, ``[n]`` or ``[trials, n]``."""
        if self.state is not None:
            self._put(population, name, begin, end, value)
            return
        initial = self.read_state(population, name)
        initial[:, begin:end] = value
        population._initial[name] = initial

    def _put(self, population: Population, name: str, begin: int, end: int, value: float | torch.Tensor) -> None:
        offset = population._parameters.get("E_L", 0.0) if name == MEMBRANE else 0.0
        offset = offset[begin:end] if isinstance(offset, torch.Tensor) else offset
        values = torch.as_tensor(value, dtype=torch.float64) - offset
        self._row(population, name)[:, begin:end] = values.to(self.state.values)

    def _refresh(self) -> None:
        """Makes the engine's populations anew: each a range of neurons with the same model and stimuli."""
        network, segments = self._network, []
        drives = [s for s in network.stimuli if not isinstance(s, StepCurrent)]
        for population in network.populations:
            ends = {at for s in drives for at in (s.neurons.first, s.neurons.last)}
            inside = {at for at in ends if population.first < at < population.last}
            for first, last in itertools.pairwise(sorted({population.first, population.last, *inside})):
                neurons = Neurons(network, first, last)
                ports = self._op(population, population).ports
                if population._generators is not None:
                    drawn = population._generators._op()
                    stimuli = () if drawn is None else (drawn,)
                else:
                    here = [s for s in drives if s.neurons.first <= first and last <= s.neurons.last]
                    stimuli = tuple(s._op(ports) for s in here)
                op = self._op(population, neurons, stimuli=stimuli, ports=ports)
                segments.append(_Segment(population, neurons, op))
        self._segments = segments
        self.stale = False

    def _with_step_currents(self) -> tuple[list[Any], float]:
        """The engine's populations at the present step, and the step at which a current changes next."""
        currents = [s for s in self._network.stimuli if isinstance(s, StepCurrent)]
        made = []
        for segment in self._segments:
            first, last = segment.neurons.first, segment.neurons.last
            here = [s for s in currents if s.neurons.first < last and first < s.neurons.last]
            if not here:
                made.append(segment.op)
                continue
            total = segment.neurons.get("current")
            for stimulus in here:
                whole = torch.zeros(self._network.size, dtype=torch.float64)
                whole[stimulus.neurons.first : stimulus.neurons.last] = stimulus._at(self.step)
                total = total + whole[first:last]
            made.append(segment.op.replace(current=total))
        return made, min((s._next_change(self.step) for s in currents), default=math.inf)

    def advance(self, last: int) -> int:
        """Runs some steps, up to step ``last`` at most, and hands what happened to the recorders; steps that it ran."""
        if self.stale:
            self._refresh()
        network, first = self._network, self.step
        populations, change = self._with_step_currents()
        probe, every = self._probe()
        steps = int(min(last - first, change - first, self._steps_a_call))
        if probe is not None:
            bytes_a_sample = max(1, len(probe.neurons) * network.trials * network.dtype.itemsize)
            steps = max(1, min(steps, every * _SAMPLES // bytes_a_sample))
        given = [p._generators._given(first, first + steps) for p in network.populations if p._generators is not None]
        given = [spikes for spikes in given if spikes is not None and len(spikes)]
        started = time.perf_counter()
        done = ops.simulate(
            self.rows,
            populations,
            self.state,
            steps,
            seed=network.seed,
            record=self._recorded(),
            counts=self._counts,
            probe=probe,
            given=(torch.cat(given) - torch.tensor([first, 0, 0])).to(network.device) if given else None,
            threads=network.threads,
        )
        self._keep(first, done, every)
        self._choose_steps(steps, time.perf_counter() - started)
        return steps

    def _choose_steps(self, steps: int, seconds: float) -> None:
        """How many steps the next call makes.

        One call that took long, beside which the machine did something else, must not make the next ones short: a call
        has a cost of its own.
        """
        self._pace = min(seconds / steps, 1.5 * self._pace)
        self._steps_a_call = max(_FEWEST, int(min(4 * steps, _CALL / max(self._pace, 1e-9))))

    def _recorded(self) -> torch.Tensor | None:
        recorders = self._network._spike_recorders
        if not recorders:
            return None
        mask = torch.zeros(self._network.size, dtype=torch.bool)
        for recorder in recorders:
            mask |= recorder._mask(self._network.size)
        return mask.to(self._network.device)

    def _probe(self) -> tuple[Any, int]:
        recorders = self._network._state_recorders
        if not recorders:
            return None, 1
        every = math.gcd(*(recorder.every for recorder in recorders))
        neurons = torch.cat([recorder.neurons for recorder in recorders])
        return ops.Probe(neurons, every, torch.cat([recorder._rows() for recorder in recorders])), every

    def _keep(self, first: int, done: Any, every: int) -> None:
        network = self._network
        for recorder in network._spike_recorders:
            mask = recorder._mask(network.size).to(done.spikes.device)
            recorder._add(first, done.spikes[mask[done.spikes[:, 1].long()]])
        begin = 0
        ends = torch.arange(first // every + 1, self.step // every + 1) * every
        for recorder in network._state_recorders:
            chosen = ends % recorder.every == 0
            values = done.probed[chosen.to(done.probed.device), :, begin : begin + len(recorder.neurons)]
            recorder._add(ends[chosen], values + recorder._offset().to(values))
            begin += len(recorder.neurons)
