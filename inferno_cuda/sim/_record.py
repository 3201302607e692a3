"""Recorders of spikes, and of membrane potentials and what else neurons have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ._models import MEMBRANE
from ._neurons import Neurons

if TYPE_CHECKING:
    from .network import Network


class SpikeFile:
    """A .npy file that grows: a structured array of step, neuron and, with several trials, trial.

    Raises:
        FileExistsError: if there is such a file already.
    """

    def __init__(self, path: str | os.PathLike, trials: int) -> None:
        self.path = Path(path)
        fields = [("step", "<i8"), ("neuron", "<i4"), *([("trial", "<i4")] if trials > 1 else [])]
        self._dtype = np.dtype(fields)
        self._count = 0
        try:
            file = open(self.path, "xb")
        except FileExistsError as error:
            error.strerror = "a recorder writes a new file, but there is this one already"
            raise
        with file:
            self._header(file)
            self._begin = file.tell()

    def _header(self, file) -> None:
        # numpy leaves room in the header for the first dimension to grow
        info = {"descr": self._dtype.descr, "fortran_order": False, "shape": (self._count,)}
        np.lib.format.write_array_header_1_0(file, info)

    def add(self, steps: np.ndarray, spikes: np.ndarray) -> None:
        rows = np.empty(len(steps), self._dtype)
        rows["step"], rows["neuron"] = steps, spikes[:, 0]
        if spikes.shape[1] > 1:
            rows["trial"] = spikes[:, 1]
        with open(self.path, "rb+") as file:
            # behind what counts, and not at the end: an earlier write may have failed half-way, such as on a full disk
            file.seek(self._begin + self._count * self._dtype.itemsize)
            file.write(rows.tobytes())
            self._count += len(rows)
            # what a crash leaves behind the count in the header is not read
            file.flush()
            file.seek(0)
            self._header(file)

    def read(self) -> np.ndarray:
        if not self._count:
            return np.empty(0, self._dtype)
        return np.load(self.path, mmap_mode="r")

    def clear(self) -> None:
        self._count = 0
        with open(self.path, "wb") as file:
            self._header(file)


class SpikeRecorder:
    """Records the spikes of neurons; made by :meth:`Network.record_spikes`.

    Attributes:
        path: the file that the spikes are in; None: they are in memory, on the device of the network.
    """

    def __init__(self, network: Network, chosen: Sequence[Neurons], path: str | os.PathLike | None) -> None:
        self._network = network
        self._chosen = tuple(chosen)
        self._file = None if path is None else SpikeFile(path, network.trials)
        self._parts: list[tuple[int, torch.Tensor]] = []

    @property
    def neurons_of(self) -> tuple[Neurons, ...]:
        """The neurons that are recorded."""
        return self._chosen or (Neurons(self._network, 0, self._network.size),)

    @property
    def path(self) -> Path | None:
        return None if self._file is None else self._file.path

    def _mask(self, size: int) -> torch.Tensor:
        mask = torch.zeros(size, dtype=torch.bool)
        for part in self.neurons_of:
            mask[part.first : part.last] = True
        return mask

    def _add(self, first: int, spikes: torch.Tensor) -> None:
        """``[n, 3]`` of (step behind ``first``, neuron, trial)."""
        spikes = spikes if self._network.trials > 1 else spikes[:, :2]
        if self._file is not None:
            rows = spikes.cpu().numpy()
            self._file.add(rows[:, 0].astype(np.int64) + first + 1, rows[:, 1:])
        elif len(spikes):
            self._parts.append((first + 1, spikes.clone()))

    def _column(self, number: int) -> torch.Tensor:
        if self._file is not None:
            found = self._file.read()
            return torch.from_numpy(np.array(found[found.dtype.names[number]]))
        if number == 0:
            parts = [part[:, 0].to(torch.int64) + first for first, part in self._parts]
        else:
            parts = [part[:, number] for _, part in self._parts]
        if parts:
            return torch.cat(parts)
        return torch.empty(0, dtype=torch.int32 if number else torch.int64, device=self._network.device)

    def __len__(self) -> int:
        """Spikes so far."""
        return self._file._count if self._file is not None else sum(len(part) for _, part in self._parts)

    @property
    def steps(self) -> torch.Tensor:
        """Ends of the steps of the spikes, int64, ascending; step ``k`` ends at the time ``k * dt``."""
        return self._column(0)

    @property
    def times(self) -> torch.Tensor:
        """Times of the spikes, ms, float64, ascending; a spike is at the end of its step."""
        return self.steps.double() * self._network.dt

    @property
    def neurons(self) -> torch.Tensor:
        """Who spiked, int32, numbers within the network. :meth:`of` counts within a population."""
        return self._column(1)

    @property
    def trials(self) -> torch.Tensor:
        """In which trial, int32."""
        return self._column(2) if self._network.trials > 1 else torch.zeros_like(self.neurons)

    def of(self, neurons: Neurons, trial: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The spikes of some of the recorded neurons.

        Args:
            neurons: whose.
            trial: of which trial; None: of all.

        Returns:
            times (ms, float64) and neurons (int64, counted from the first of ``neurons``), as ``sim.statistics`` takes
            them.

        Raises:
            ValueError: if not all of the neurons are recorded, or there is no such trial.
        """
        if neurons.network is not self._network:
            raise ValueError(f"{neurons!r} belongs to another network")
        if not bool(self._mask(self._network.size)[neurons.first : neurons.last].all()):
            raise ValueError(f"not all of {neurons!r} are recorded, only {', '.join(map(repr, self.neurons_of))}")
        who = self.neurons
        chosen = (who >= neurons.first) & (who < neurons.last)
        if trial is not None:
            if not 0 <= trial < self._network.trials:
                raise ValueError(f"'trial' of {trial} must be from 0 to {self._network.trials - 1}")
            chosen &= self.trials == trial
        return self.times[chosen], who[chosen].long() - neurons.first

    def clear(self) -> None:
        """Forgets all spikes, also those in the file."""
        self._parts.clear()
        if self._file is not None:
            self._file.clear()

    def __repr__(self) -> str:
        where = f", in {self.path}" if self.path else ""
        return f"<{len(self):,} spikes of {', '.join(map(repr, self.neurons_of))}{where}>"


class StateRecorder:
    """Records a state variable of neurons; made by :meth:`Network.record_state`.

    Attributes:
        neurons: the neurons that are recorded, numbers within the network, int64 ``[n]``.
        every: steps from one sample to the next.
        variable: its name, one of :attr:`Population.variables`.
    """

    _called = "{0.variable} values"

    def __init__(self, network: Network, neurons: torch.Tensor, every: int, variable: str) -> None:
        self._network = network
        self.neurons = neurons
        self.every = every
        self.variable = variable
        self._parts: list[tuple[torch.Tensor, torch.Tensor]] = []

    def _add(self, steps: torch.Tensor, values: torch.Tensor) -> None:
        if len(steps):
            self._parts.append((steps, values.clone()))

    @property
    def times(self) -> torch.Tensor:
        """Times of the samples, ms, float64, the ends of steps, multiples of ``every`` steps."""
        steps = [steps for steps, _ in self._parts]
        return (torch.cat(steps) if steps else torch.empty(0, dtype=torch.int64)).double() * self._network.dt

    @property
    def values(self) -> torch.Tensor:
        """The values, ``[samples, trials, n]``, in the dtype of the network and the unit of the variable."""
        if self._parts:
            return torch.cat([values for _, values in self._parts])
        shape = (0, self._network.trials, len(self.neurons))
        return torch.empty(shape, dtype=self._network.dtype, device=self._network.device)

    def _rows(self) -> torch.Tensor:
        """Where the engine's state has the variable of each neuron, int64 ``[n]``.

        Raises:
            ValueError: if it has it no more.
        """
        rows = torch.zeros_like(self.neurons)
        for population in self._network.populations:
            here = (self.neurons >= population.first) & (self.neurons < population.last)
            if self.variable not in population.variables and bool(here.any()):
                raise ValueError(
                    f"{population!r} had {self.variable!r} when its recorder was made, now it has "
                    f"{', '.join(population.variables)}: the parameters have changed in between"
                )
            if bool(here.any()):
                rows[here] = population.variables.index(self.variable)
        return rows

    def _offset(self) -> torch.Tensor:
        """What is added to the engine's values, float64 ``[n]``: it counts potentials of NEST's models from E_L."""
        found = torch.zeros(self._network.size, dtype=torch.float64)
        for population in self._network.populations:
            if self.variable == MEMBRANE and "E_L" in population._parameters:
                found[population.first : population.last] = population.get("E_L")
        return found[self.neurons]

    def clear(self) -> None:
        """Forgets all samples."""
        self._parts.clear()

    def __repr__(self) -> str:
        samples = sum(len(steps) for steps, _ in self._parts)
        what = self._called.format(self)
        return f"<{samples:,} samples of {len(self.neurons):,} {what}, every {self.every} steps>"


class VoltageRecorder(StateRecorder):
    """Records membrane potentials, mV; made by :meth:`Network.record_voltage`."""

    _called = "membrane potentials"

    def __init__(self, network: Network, neurons: torch.Tensor, every: int) -> None:
        super().__init__(network, neurons, every, MEMBRANE)
