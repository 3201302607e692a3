"""Large sparse networks of spiking neurons."""

from __future__ import annotations

import os

import torch

from .. import ops
from ..state import _check
from . import _build, _store, _text
from ._attaching import Attaching
from ._build import Memory
from ._making import Making
from ._neurons import Neurons, Population
from ._projection import Projection
from ._record import SpikeRecorder, StateRecorder, VoltageRecorder
from ._run import run_steps
from ._runner import Runner
from ._stimuli import NoiseCurrent, PoissonDrive, StepCurrent, Stimulus, to_steps

__all__ = [
    "Memory",
    "Network",
    "Neurons",
    "NoiseCurrent",
    "PoissonDrive",
    "Population",
    "Projection",
    "SpikeRecorder",
    "StateRecorder",
    "StepCurrent",
    "Stimulus",
    "VoltageRecorder",
]


class Network(Making, Attaching):
    """A network of spiking neurons with sparse connections, each synapse with a weight and a delay of its own.

    Populations are made first, then connected; stimuli and recorders can come at any time. :meth:`run` builds the
    network if :meth:`build` has not done so. Times are in ms, potentials in mV, currents in pA, capacitances in pF,
    conductances in nS, rates in Hz, as in NEST.

    A run depends on nothing but what was written down and the seed: number of threads, backend and device change no
    spike.

    Args:
        dt: length of a step, ms.
        seed: of all random numbers, 0 to 2**64 - 1.
        trials: how many independent copies of the neurons run side by side on the same synapses; each has its own
            initial values and stimuli.
        dtype: of the neurons' state, ``torch.float32`` or ``torch.float64``.
        device: where the network runs.
        threads: on the CPU; None: as many as torch has (:func:`torch.get_num_threads`).
        weight_bits: how weights are kept. 32: as multiples of a power of two that is so small that the sum of all
            weights of a neuron just fits. 64: as float64. None: 32 bits, but 64 with a `dtype` of float64, and where
            the smallest weights would be rounded beside the largest sums. 16: weights are rounded to multiples of a
            coarser power of two, 1 to 2 times 1/32,767 of the largest magnitude that their distributions can give, or
            more where sums need it, which takes two thirds of the memory; much smaller weights become 0, and where the
            steps are more than 1/128 of the mean magnitude of all weights, those given as 0 left out, that is refused.
            See :meth:`explain`.

    Raises:
        TypeError, ValueError: if an argument is none of the above, or there is no such device here.

    Example:
        >>> from inferno_cuda import sim
        >>> net = sim.Network(seed=1)
        >>> exc = net.population(400, "iaf_psc_exp", name="exc", V_m=sim.Uniform(-70.0, -55.0))
        >>> inh = net.population(100, "iaf_psc_exp", name="inh")
        >>> _ = net.connect(exc, exc + inh, sim.FixedInDegree(40), weight=20.0, delay=sim.Uniform(0.5, 2.0))
        >>> _ = net.connect(inh, exc + inh, sim.FixedInDegree(10), weight=-100.0, delay=1.0)
        >>> _ = net.poisson(exc + inh, rate=8000.0, weight=20.0)
        >>> spikes = net.record_spikes(exc)
        >>> net.run(100.0)
        >>> net
        <network: 500 neurons in 2 populations, 25,000 synapses, at 100 ms>
        >>> times, neurons = spikes.of(exc)
        >>> len(times) == exc.counts.sum()
        tensor(True)
    """

    def __init__(
        self,
        dt: float = 0.1,
        seed: int = 0,
        trials: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        threads: int | None = None,
        weight_bits: int | None = None,
    ) -> None:
        self._dt = _check.step("dt", dt)
        self._seed = _check.integer("seed", seed)
        if not 0 <= self._seed < 2**64:
            raise ValueError(f"'seed' of {seed} must be from 0 to 2**64 - 1")
        self._trials = _check.size("trials", trials)
        self._dtype = _check.one_of("dtype", dtype, (torch.float32, torch.float64))
        self._device = _device(device)
        self.threads = None if threads is None else _check.size("threads", threads)
        self._weight_bits = _check.one_of("weight_bits", weight_bits, (None, 16, 32, 64))
        self._populations: list[Population] = []
        self._projections: list[Projection] = []
        self._stimuli: list[Stimulus] = []
        self._sources = 0
        self._spike_recorders: list[SpikeRecorder] = []
        self._state_recorders: list[StateRecorder] = []
        self._run = Runner(self)

    @property
    def dt(self) -> float:
        """Length of a step, ms."""
        return self._dt

    @property
    def seed(self) -> int:
        """Of all random numbers."""
        return self._seed

    @property
    def trials(self) -> int:
        """How many copies run side by side."""
        return self._trials

    @property
    def dtype(self) -> torch.dtype:
        """Of the neurons' state."""
        return self._dtype

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

    @property
    def weight_bits(self) -> int | None:
        """In how many bits weights are kept, if that was asked for."""
        return self._weight_bits

    @property
    def populations(self) -> tuple[Population, ...]:
        """All populations, in the order in which they were made."""
        return tuple(self._populations)

    @property
    def projections(self) -> tuple[Projection, ...]:
        """All projections, in the order in which they were made."""
        return tuple(self._projections)

    @property
    def stimuli(self) -> tuple[Stimulus, ...]:
        """All stimuli but sources of spikes, in the order in which they were made."""
        return tuple(self._stimuli)

    @property
    def size(self) -> int:
        """Number of neurons, generators included."""
        return self._populations[-1].last if self._populations else 0

    @property
    def synapse_count(self) -> int:
        """Number of synapses; builds the network if that is not done."""
        self._run.build(False)
        return self._run.rows.count

    @property
    def time(self) -> float:
        """How long the network has run, ms."""
        return self._run.step * self.dt

    @property
    def rates(self) -> dict[str, float]:
        """Mean rate of each population, Hz, over the time since the network was made or :meth:`clear`."""
        return {population.name: population.rate for population in self._populations}

    def __getitem__(self, name: str) -> Population:
        """A population by its name."""
        for population in self._populations:
            if population.name == name:
                return population
        raise KeyError(
            f"there is no population {name!r}; there are {', '.join(p.name for p in self._populations) or 'none'}"
        )

    def clear(self) -> None:
        """Empties all recorders and counts spikes anew, such as after a time in which the network settled."""
        for recorder in (*self._spike_recorders, *self._state_recorders):
            recorder.clear()
        self._run.clear_counts()

    def memory_needed(self) -> Memory:
        """What the network takes, without building it."""
        return _build.estimate(self)

    def build(self, progress: bool = False) -> None:
        """Draws all synapses and lays them out. Nothing happens if that is done.

        Args:
            progress: whether a bar shows the progress (tqdm).

        Raises:
            MemoryError: if it will not fit, before anything is allocated; says what it needs and what there is.
            KeyboardInterrupt: on Ctrl-C; the network is as before.
        """
        self._run.build(progress)

    def run(self, duration: float, progress: bool = False) -> None:
        """Runs the network for some time, from where it is.

        Ctrl-C stops at the end of a step: all is valid, and another call goes on from there.

        Args:
            duration: ms, a multiple of ``dt``.
            progress: whether a bar shows model time, real-time factor (wall-clock over model time, smaller is faster)
                and the time that is left.

        Raises:
            ValueError: if the time is negative or no multiple of ``dt``.
            MemoryError: as of :meth:`build`.
            KeyboardInterrupt: on Ctrl-C, with a note that says at which time.
        """
        duration = _check.span("duration", duration)
        steps = int(to_steps("duration", duration, self.dt))
        if not self._populations:
            raise ValueError("the network has no neurons: make some with population()")
        self._run.build(progress)
        run_steps(self._run, self.dt, steps, progress)

    @property
    def rows(self) -> ops.Rows:
        """All synapses as the engine keeps them; builds the network if that is not done."""
        self._run.build(False)
        return self._run.rows

    def synapses(self, source: Neurons | str | None = None, target: Neurons | str | None = None) -> ops.Synapses:
        """The synapses between neurons, as they are simulated; builds the network if that is not done.

        Args:
            source: neurons they come from; None: all.
            target: neurons they lead to; None: all.

        Returns:
            ``source``, ``target`` (int32, numbers within the network), ``delay`` (int32, steps) and ``weight``
            (float64, rounded as :meth:`explain` says), sorted by source, target and delay.

        Raises:
            TypeError, ValueError: if there are no such neurons.
        """
        chosen = {}
        for name, neurons in (("sources", source), ("targets", target)):
            if neurons is not None:
                owned = self._owned(name.removesuffix("s"), neurons)
                chosen[name] = (owned.first, owned.last)
        self._run.build(False)
        return self._run.rows.synapses(**chosen)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the state, from which :meth:`load` resumes bit for bit: potentials, currents, refractory times,
        spikes under way, counts of spikes, parameters, time. Synapses are not in it, nor is what was recorded.

        Args:
            path: the file; one that is there is replaced once the new one is complete.

        Raises:
            ImportError: without the package safetensors.
            OSError: if the file cannot be written.
        """
        self._run.build(False)
        _store.save(self, path)

    def load(self, path: str | os.PathLike) -> None:
        """Takes on the state that :meth:`save` wrote, of a network that was made by the same calls.

        Args:
            path: the file.

        Raises:
            ImportError: without the package safetensors.
            OSError: if the file cannot be read.
            CheckpointError: if the file is damaged, or of a network that differs; it says in what. The network is as
                before then.
        """
        _store.load(self, path)

    def explain(self) -> str:
        """What runs where and why, and how the synapses are kept; builds the network if that is not done."""
        self._run.build(False)
        return _text.explanation(self)

    def __repr__(self) -> str:
        return _text.summary(self)


def _device(device: torch.device | str) -> torch.device:
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"'device' of {device!r} cannot be used: {reason}") from error
    return found
