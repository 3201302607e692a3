"""What is attached to the neurons of a network: stimuli and recorders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from ..state import _check
from . import _stimuli
from ._models import GENERATOR, MEMBRANE
from ._neurons import Neurons, Population
from ._record import SpikeRecorder, StateRecorder, VoltageRecorder
from ._runner import Runner


class Attaching:
    """The part of :class:`Network` that drives and records."""

    dt: float
    size: int
    _populations: list[Population]
    _stimuli: list[_stimuli.Stimulus]
    _spike_recorders: list[SpikeRecorder]
    _state_recorders: list[StateRecorder]
    _sources: int
    _run: Runner

    def poisson(self, target: Neurons | str, rate: float, weight: float) -> _stimuli.PoissonDrive:
        """Drives every neuron with Poisson spikes of its own.

        Args:
            target: the neurons.
            rate: of all spikes onto one neuron, Hz.
            weight: of a spike, in the unit of the weights of synapses.

        Returns:
            the stimulus, whose rate and weight can be changed between runs.

        Raises:
            ValueError: if an argument does not fit.
        """
        return self._add_stimulus(_stimuli.PoissonDrive, target, rate, weight)

    def noise_current(
        self, target: Neurons | str, mean: float, std: float, interval: float | None = None
    ) -> _stimuli.NoiseCurrent:
        """Drives every neuron with a normally distributed current of its own.

        Args:
            target: the neurons.
            mean: pA.
            std: standard deviation, pA.
            interval: how long a drawn value holds, ms; None: one step.

        Returns:
            the stimulus, whose mean and standard deviation can be changed between runs.

        Raises:
            ValueError: if an argument does not fit; the interval must be a multiple of the step.
        """
        steps = (
            1 if interval is None else int(_stimuli.to_steps("interval", _check.step("interval", interval), self.dt))
        )
        return self._add_stimulus(_stimuli.NoiseCurrent, target, mean, std, max(1, steps))

    def step_current(self, target: Neurons | str, times: Any, amplitudes: Any) -> _stimuli.StepCurrent:
        """Drives neurons with a current that changes at given times.

        Args:
            target: the neurons.
            times: ms, ascending, multiples of ``dt``: from then on, the step that begins there included, the current
                has the amplitude that belongs to the time. Before the first one it is 0.
            amplitudes: pA: one for each time, or ``[times, neurons]``.

        Returns:
            the stimulus.

        Raises:
            ValueError: if an argument does not fit.
        """
        return self._add_stimulus(_stimuli.StepCurrent, target, times, amplitudes)

    def _add_stimulus(self, kind: type, target: Neurons | str, *arguments: Any) -> Any:
        target = self._owned("target", target)
        for population in target._populations():
            if population.model == GENERATOR:
                raise ValueError(f"'target' {target!r} has generators among them, which take no input")
        made = kind(target, self._sources, *arguments)
        self._sources += 1
        self._stimuli.append(made)
        self._run.stale = True
        return made

    def record_spikes(self, *neurons: Neurons | str, file: str | os.PathLike | None = None) -> SpikeRecorder:
        """Records spikes from now on.

        Args:
            *neurons: whose; none: of the whole network, also of populations that are made later.
            file: a new .npy file for them, which grows and is read memory-mapped; None: memory of the device.

        Returns:
            the recorder.

        Raises:
            FileExistsError: if there is such a file.
            TypeError, ValueError: if there are no such neurons.
        """
        chosen = [self._owned("neurons", part) for part in neurons]
        made = SpikeRecorder(self, chosen, file)
        self._spike_recorders.append(made)
        return made

    def record_voltage(self, neurons: Neurons | str | Sequence[int], every: float | None = None) -> VoltageRecorder:
        """Records membrane potentials from now on.

        Args:
            neurons: whose: neurons, or numbers within the network.
            every: ms from one sample to the next; None: every step.

        Returns:
            the recorder.

        Raises:
            TypeError, ValueError: if there are no such neurons, or ``every`` is no multiple of the step.
        """
        made = VoltageRecorder(self, *self._to_be_recorded(neurons, MEMBRANE, every))
        self._state_recorders.append(made)
        return made

    def record_state(
        self, neurons: Neurons | str | Sequence[int], variable: str, every: float | None = None
    ) -> StateRecorder:
        """Records a state variable from now on.

        Args:
            neurons: whose: neurons, or numbers within the network.
            variable: which, one of :attr:`Population.variables` of all of them, such as ``"threshold_adaptation"``.
            every: ms from one sample to the next; None: every step.

        Returns:
            the recorder.

        Raises:
            TypeError, ValueError: if there are no such neurons, some have no such variable, or ``every`` is no multiple
                of the step.
        """
        made = StateRecorder(self, *self._to_be_recorded(neurons, variable, every), variable)
        self._state_recorders.append(made)
        return made

    def _to_be_recorded(self, neurons: Any, variable: str, every: float | None) -> tuple[torch.Tensor, int]:
        """Numbers of neurons, and steps from one sample to the next."""
        if isinstance(neurons, (str, Neurons)):
            chosen = self._owned("neurons", neurons).indices
        else:
            chosen = torch.as_tensor(neurons).reshape(-1)
            if len(chosen) and (chosen.is_floating_point() or chosen.dtype == torch.bool):
                raise TypeError(f"'neurons' is of {chosen.dtype}, it must hold integers")
            chosen = chosen.to("cpu", torch.int64)
            if len(chosen) and not (0 <= int(chosen.min()) and int(chosen.max()) < self.size):
                raise ValueError(f"'neurons' has {chosen.tolist()}, they must be from 0 to {self.size - 1}")
        for population in self._populations:
            if not bool(((chosen >= population.first) & (chosen < population.last)).any()):
                continue
            if population.model == GENERATOR:
                raise ValueError(f"'neurons' has generators among them ({population.name}), which have no potential")
            if variable not in population.variables:
                raise ValueError(
                    f"'variable' of {variable!r} is none of {population!r}: they have {', '.join(population.variables)}"
                )
        steps = 1 if every is None else int(_stimuli.to_steps("every", _check.step("every", every), self.dt))
        return chosen, steps

    def stop_recording(self, recorder: SpikeRecorder | StateRecorder) -> None:
        """A recorder of this network keeps what it has, and gets no more.

        Raises:
            ValueError: if it does not record this network.
        """
        for recorders in (self._spike_recorders, self._state_recorders):
            if recorder in recorders:
                recorders.remove(recorder)
                return
        raise ValueError(f"{recorder!r} does not record this network")
