"""What drives neurons from outside."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import ops
from ..state import _check
from . import _values
from ._neurons import Neurons

if TYPE_CHECKING:
    from .network import Network

#: Streams of random numbers of stimuli; two for each.
STREAMS = 1 << 31
MOST_SPIKES = 3000  # mean of a step: the table of their probabilities has then less than ops.stimuli.MAX_COUNT entries


def to_steps(name: str, times: Any, dt: float) -> torch.Tensor:
    """Times in steps, int64.

    Raises:
        ValueError: if a time is not finite, or no multiple of the step up to rounding.
    """
    times = _values.tensor(name, times)
    steps = (times / dt).round()
    off = ~((times - steps * dt).abs() <= 1e-6 * dt + 1e-12 * times.abs())
    if bool(off.any()):
        raise ValueError(
            f"'{name}' has {times[off][0].item():g} ms, it must be a multiple of the step of {dt:g} ms: "
            f"round it, such as by {dt:g} * np.round({name} / {dt:g})"
        )
    return steps.to(torch.int64)


def _rate(network: Network, rate: float) -> float:
    rate = _values.scalar(_check.span, "rate", rate)
    if rate * network.dt / 1000 > MOST_SPIKES:
        most = MOST_SPIKES * 1000 / network.dt
        raise ValueError(f"'rate' of {rate:g} Hz must be at most {most:g} Hz, {MOST_SPIKES} spikes in a step")
    return rate


class Stimulus:
    """Base of what :meth:`Network.poisson`, :meth:`Network.noise_current` and :meth:`Network.step_current` return.

    Attributes:
        neurons: which neurons it drives.
    """

    def __init__(self, neurons: Neurons, number: int) -> None:
        self.neurons = neurons
        self._stream = STREAMS + 2 * number

    def _renewed(self) -> None:
        self.neurons.network._run.stale = True

    def _identity(self) -> str:
        """The same for stimuli that do the same."""
        return repr(self)


class PoissonDrive(Stimulus):
    """Poisson spikes onto every neuron, independent of those of the others: what :meth:`Network.poisson` returns."""

    def __init__(self, neurons: Neurons, number: int, rate: float, weight: float) -> None:
        super().__init__(neurons, number)
        self._rate, self._weight = _rate(neurons.network, rate), _values.scalar(_check.finite, "weight", weight)

    @property
    def rate(self) -> float:
        """Spikes a second onto one neuron, Hz. Can be set between runs."""
        return self._rate

    @rate.setter
    def rate(self, value: float) -> None:
        self._rate = _rate(self.neurons.network, value)
        self._renewed()

    @property
    def weight(self) -> float:
        """Of a spike, in the unit of the weights of the target's synapses. Can be set between runs."""
        return self._weight

    @weight.setter
    def weight(self, value: float) -> None:
        self._weight = _values.scalar(_check.finite, "weight", value)
        self._renewed()

    def _op(self, ports: int) -> Any:
        table = ops.poisson_table(self.rate * self.neurons.network.dt / 1000)
        port = 1 if self.weight < 0 and ports == 2 else 0
        return ops.PoissonDrive(table, self.weight, self._stream, port=port)

    def __repr__(self) -> str:
        return f"<Poisson drive of {self.neurons!r}: {self.rate:g} Hz, weight {self.weight:g}>"


class NoiseCurrent(Stimulus):
    """Normal noise that is constant over an interval: what :meth:`Network.noise_current` returns."""

    def __init__(self, neurons: Neurons, number: int, mean: float, std: float, steps: int) -> None:
        super().__init__(neurons, number)
        self._mean, self._steps = _values.scalar(_check.finite, "mean", mean), steps
        self._std = _values.scalar(_check.span, "std", std)

    @property
    def mean(self) -> float:
        """pA. Can be set between runs."""
        return self._mean

    @mean.setter
    def mean(self, value: float) -> None:
        self._mean = _values.scalar(_check.finite, "mean", value)
        self._renewed()

    @property
    def std(self) -> float:
        """Standard deviation, pA. Can be set between runs."""
        return self._std

    @std.setter
    def std(self, value: float) -> None:
        self._std = _values.scalar(_check.span, "std", value)
        self._renewed()

    def _op(self, ports: int) -> Any:
        return ops.NoiseCurrent(self.mean, self.std, self._steps, self._stream)

    def __repr__(self) -> str:
        every = self._steps * self.neurons.network.dt
        return f"<noise current into {self.neurons!r}: {self.mean:g} +- {self.std:g} pA, every {every:g} ms>"


class StepCurrent(Stimulus):
    """A current that changes at given times: what :meth:`Network.step_current` returns."""

    def __init__(self, neurons: Neurons, number: int, times: Any, amplitudes: Any) -> None:
        super().__init__(neurons, number)
        self._steps = to_steps("times", times, neurons.network.dt).reshape(-1)
        self._amplitudes = _values.tensor("amplitudes", amplitudes).clone()
        if self._amplitudes.ndim == 0 or len(self._amplitudes) != len(self._steps):
            shape = tuple(self._amplitudes.shape)
            raise ValueError(f"'amplitudes' of shape {shape} must have one row for each of {len(self._steps)} 'times'")
        if self._amplitudes.shape[1:] not in ((), (len(neurons),)):
            raise ValueError(
                f"'amplitudes' has the shape {tuple(self._amplitudes.shape)}, it must be ({len(self._steps)},) or "
                f"({len(self._steps)}, {len(neurons)})"
            )
        if bool((self._steps.diff() <= 0).any()) or bool((self._steps < 0).any()):
            raise ValueError("'times' must not be negative, and every time must be after the one before it")
        if not bool(self._amplitudes.isfinite().all()):
            raise ValueError("'amplitudes' must be finite")

    def _at(self, step: int) -> torch.Tensor | float:
        """pA during a step: a number, or one for each neuron."""
        row = int(torch.searchsorted(self._steps, step, right=True)) - 1
        return self._amplitudes[row] if row >= 0 else 0.0

    def _next_change(self, step: int) -> float:
        """The first step after ``step`` in which the current is another one."""
        row = int(torch.searchsorted(self._steps, step, right=True))
        return int(self._steps[row]) if row < len(self._steps) else float("inf")

    def _identity(self) -> str:
        values = zlib.crc32(self._amplitudes.contiguous().numpy(), zlib.crc32(self._steps.numpy()))
        return f"{self!r} {values:08x}"

    def __repr__(self) -> str:
        return f"<step current into {self.neurons!r}: {len(self._steps)} steps>"


class Generators:
    """What makes a population of generators spike."""

    #: Generators whose spikes the engine draws have an op.
    def _op(self) -> Any:
        return None

    def _given(self, first: int, last: int) -> torch.Tensor | None:
        """int64 ``[n, 3]`` of (step, neuron, trial) of steps first..last-1; -1: all trials."""
        return None

    def _repeats(self) -> int:
        """No generator fires more often in one step."""
        return 1


class RandomSource(Generators):
    """Poisson spikes of generators."""

    def __init__(self, network: Network, number: int, rate: float) -> None:
        self._network, self._stream = network, STREAMS + 2 * number
        self.rate = _rate(network, rate)

    def _op(self) -> Any:
        return ops.RandomSpikes(ops.poisson_table(self.rate * self._network.dt / 1000), self._stream)

    def _repeats(self) -> int:
        return max(1, len(self._op().table))

    def __repr__(self) -> str:
        return f"Poisson spikes, {self.rate:g} Hz"


class GivenSource(Generators):
    """Spikes at given times."""

    def __init__(self, network: Network, first: int, size: int, times: Any, neurons: Any, trials: Any) -> None:
        steps = to_steps("times", times, network.dt).reshape(-1) - 1
        if len(steps) and int(steps.min()) < network._run.step:
            raise ValueError(
                f"'times' has {(int(steps.min()) + 1) * network.dt:g} ms, spikes must be after {network.time:g} ms: "
                "a spike is at the end of its step"
            )
        neurons = _one_each("neurons", neurons, steps, size)
        trials = torch.full_like(steps, -1) if trials is None else _one_each("trials", trials, steps, network.trials)
        order = torch.argsort(steps, stable=True)
        self._spikes = torch.stack([steps, neurons + first, trials], 1)[order]

    def _given(self, first: int, last: int) -> torch.Tensor | None:
        steps = self._spikes[:, 0].contiguous()
        begin, end = torch.searchsorted(steps, torch.tensor([first, last])).tolist()
        return self._spikes[begin:end]

    def _repeats(self) -> int:
        everywhere = self._spikes[:, 2] == -1
        kinds = (spikes for spikes in (self._spikes[everywhere], self._spikes[~everywhere]) if len(spikes))
        return max(1, sum(int(torch.unique(spikes, dim=0, return_counts=True)[1].max()) for spikes in kinds))

    def __repr__(self) -> str:
        return f"{len(self._spikes):,} given spikes ({zlib.crc32(self._spikes.numpy()):08x})"


def _one_each(name: str, given: Any, steps: torch.Tensor, size: int) -> torch.Tensor:
    found = torch.as_tensor(np.array(given)) if not isinstance(given, torch.Tensor) else given
    if found.numel() and (found.is_floating_point() or found.dtype == torch.bool):
        raise TypeError(f"'{name}' is of {found.dtype}, it must hold integers")
    found = found.to("cpu", torch.int64)
    found = found.expand(len(steps)) if found.ndim == 0 else found
    if found.shape != steps.shape:
        raise ValueError(f"'{name}' has the shape {tuple(found.shape)}, it must be ({len(steps)},) like 'times'")
    if found.numel() and not (0 <= int(found.min()) and int(found.max()) < size):
        raise ValueError(f"'{name}' has {int(found.min())} to {int(found.max())}, it must be from 0 to {size - 1}")
    return found.clone()
