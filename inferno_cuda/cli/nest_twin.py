"""The network of `inferno_cuda.sim` in NEST (https://www.nest-simulator.org): same synapses, parameters, potentials.

Or NEST draws the synapses by its own rules, so that nothing but the model is shared.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType

import numpy as np
import torch

from .. import sim
from . import nest_rules

MODELS = {"iaf_psc_exp", "iaf_psc_delta", "iaf_psc_alpha", "iaf_cond_exp"}


def installed() -> bool:
    return importlib.util.find_spec("nest") is not None


def version() -> str:
    """Of NEST."""
    return _load().__version__


def _load() -> ModuleType:
    import nest

    nest.verbosity = nest.VerbosityLevel.ERROR
    return nest


def _reset(nest: ModuleType) -> None:
    """Forgets all networks. NEST faults at another number of OpenMP threads than its own, which torch sets, too."""
    torch.set_num_threads(nest.local_num_threads)
    nest.ResetKernel()


class NestTwin:
    """The twin of a network that has not run yet.

    Args:
        net: populations of NEST's models, generators of given spikes, Poisson drives.
        threads: of NEST.
        seed: None: synapses are those of the network, one by one. Otherwise the seed of NEST, which then draws synapses
            by its own rules; initial potentials are still those of the network, and Poisson spikes NEST's in any case.

    Raises:
        ValueError: if there is something in the network that has no twin.
    """

    def __init__(self, net: sim.Network, threads: int, seed: int | None = None) -> None:
        if net.trials != 1 or any(not isinstance(stimulus, sim.PoissonDrive) for stimulus in net.stimuli):
            raise ValueError("only networks of one trial and with Poisson drives have a twin in NEST")
        self._threads = torch.get_num_threads()
        self._nest, self._dt = _load(), net.dt
        _reset(self._nest)
        self._nest.SetKernelStatus({"resolution": net.dt, "local_num_threads": threads, "print_time": False})
        if seed is not None:
            self._nest.rng_seed = seed
        self._nodes = [self._population(population) for population in net.populations]
        ids = np.concatenate([np.asarray(nodes.tolist()) for nodes in self._nodes])
        self._number_of = np.zeros(ids.max() + 1, dtype=np.int64)
        self._number_of[ids] = np.arange(len(ids))
        if seed is None:
            self._connect(net.synapses(), ids)
        else:
            for projection in net.projections:
                nest_rules.connect(self._nest, projection, ids)
        for stimulus in net.stimuli:
            self._drive(stimulus, ids)
        self._recorder = self._nest.Create("spike_recorder")
        for population, nodes in zip(net.populations, self._nodes, strict=True):
            if population.model in MODELS:
                self._nest.Connect(nodes, self._recorder)

    def _population(self, population: sim.Population):
        size = len(population)
        if population.model == "generator":
            return self._generators(population, size)
        if population.model not in MODELS:
            raise ValueError(f"the model {population.model!r} has no twin in NEST")
        nodes = self._nest.Create(population.model, size)
        known = nodes[0].get()
        values = {name: population.get(name) for name in population.parameters if name in known}
        values["I_e"] = values["I_e"] + population.get("current")
        for name, value in values.items():
            nodes.set({name: value[0].item() if bool((value == value[0]).all()) else value.tolist()})
        nodes.V_m = population.V_m[0].tolist()
        return nodes

    def _generators(self, population: sim.Population, size: int):
        spikes = population.given_spikes
        if spikes is None:
            raise ValueError(f"the spikes of {population!r} are random, and have no twin in NEST")
        # parrots take part in connections as neurons do; the generators' spikes reach them after one step
        parrots, times = self._nest.Create("spike_generator", size), spikes[0].numpy()
        order = np.argsort(spikes[1].numpy(), kind="stable")
        ends = np.searchsorted(spikes[1].numpy()[order], np.arange(size + 1))
        for k in range(size):
            mine = np.sort(times[order[ends[k] : ends[k + 1]]])
            if len(mine):
                at, count = np.unique(mine.round(6), return_counts=True)
                parrots[k].set(spike_times=at, spike_multiplicities=count)
        return parrots

    def _connect(self, synapses, ids: np.ndarray) -> None:
        source, target = (ids[column.cpu().numpy()] for column in (synapses.source, synapses.target))
        if not len(source):
            return
        delay = np.round(synapses.delay.cpu().numpy() * self._dt, 6)
        self._nest.Connect(source, target, "one_to_one", {"weight": synapses.weight.cpu().numpy(), "delay": delay})

    def _drive(self, stimulus: sim.PoissonDrive, ids: np.ndarray) -> None:
        generator = self._nest.Create("poisson_generator", params={"rate": stimulus.rate})
        targets = nest_rules.nodes(self._nest, stimulus.neurons, ids)
        self._nest.Connect(generator, targets, syn_spec={"weight": stimulus.weight, "delay": self._dt})

    @property
    def synapses(self) -> int:
        """How many NEST has, those of drives and of the recorder included."""
        return self._nest.num_connections

    def run(self, duration: float) -> None:
        """Runs for some ms."""
        self._nest.Simulate(duration)

    def close(self) -> None:
        """Returns the memory, and gives torch back its threads; there is nothing to run any more."""
        _reset(self._nest)
        torch.set_num_threads(self._threads)

    def spikes(self) -> torch.Tensor:
        """Steps and neurons of all spikes so far, int64 ``[n, 2]``, sorted."""
        events = self._recorder.events
        steps = np.round(events["times"] / self._dt).astype(np.int64)
        neurons = self._number_of[events["senders"]]
        order = np.lexsort((neurons, steps))
        return torch.from_numpy(np.stack([steps[order], neurons[order]], 1))
