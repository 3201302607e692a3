"""Synapses between two ranges of neurons: how they are drawn, a chunk at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from .. import ops
from ..state import _check
from . import _values
from ._neurons import Neurons
from .distributions import Constant, Distribution
from .rules import Explicit, OneToOne, PairwiseBernoulli, Rule

CHUNK = 1 << 20  # synapses at once, or pairs that may be connected
_WEIGHTS, _DELAYS = 1, 2  # streams of random numbers, behind that of the connectivity


class Part(NamedTuple):
    """Some synapses: source and target within the network, number that weights and delays are drawn by."""

    source: torch.Tensor
    target: torch.Tensor
    index: torch.Tensor


class Projection:
    """Synapses from some neurons to others; made by :meth:`Network.connect`.

    Attributes:
        source: neurons they come from.
        target: neurons they lead to.
        rule: which there are.
        name: its name.
    """

    def __init__(
        self, number: int, name: str, source: Neurons, target: Neurons, rule: Rule, weight: Any, delay: Any
    ) -> None:
        self.source, self.target, self.rule, self.name = source, target, rule, name
        self._stream = 4 * number
        self._check()
        self._draws = self._count()
        self._weight = self._given("weight", weight)
        self._delay = self._given("delay", delay)

    @property
    def weight(self) -> Distribution | torch.Tensor:
        """What weights are drawn from, in the unit of the target's model; or one for each synapse, or for each pair."""
        return self._weight

    @property
    def delay(self) -> Distribution | torch.Tensor:
        """What delays are drawn from, in ms; or one for each synapse, or for each pair."""
        return self._delay

    def _check(self) -> None:
        rule, sources, targets = self.rule, len(self.source), len(self.target)
        same = self.source == self.target
        overlap = self.source.first < self.target.last and self.target.first < self.source.last
        if not rule._autapses() and overlap and not same:
            raise ValueError(
                f"autapses=False needs the same neurons as source and target, or none that are in both: "
                f"{self.source!r} "
                f"and {self.target!r} have some in common"
            )
        if isinstance(rule, OneToOne) and sources != targets:
            raise ValueError(f"OneToOne needs as many sources as targets, but there are {sources} and {targets}")
        if isinstance(rule, Explicit):
            for name, found, size in (("sources", rule.sources, sources), ("targets", rule.targets, targets)):
                if len(found) and not (0 <= int(found.min()) and int(found.max()) < size):
                    raise ValueError(
                        f"'{name}' has {int(found.min())} to {int(found.max())}, it must be from 0 to {size - 1}: "
                        f"they are "
                        "counted within the population"
                    )

    def _options(self) -> dict[str, Any]:
        """What ops.connect and ops.connect_count take besides the rule."""
        options = {"sources": len(self.source), "targets": len(self.target), **self.rule._parameters()}
        if not isinstance(self.rule, OneToOne):
            options["autapses"] = self.rule._autapses() or self.source != self.target
        if hasattr(self.rule, "multapses"):
            options["multapses"] = self.rule.multapses
        return options

    def _count(self) -> int:
        if isinstance(self.rule, Explicit):
            return len(self.rule.sources)
        return ops.connect_count(self.rule.kind, **self._options())

    @property
    def expected(self) -> float:
        """How many synapses there are; of :class:`PairwiseBernoulli`, on average."""
        return self._draws * (self.rule.p if isinstance(self.rule, PairwiseBernoulli) else 1)

    def _given(self, name: str, value: Any) -> Distribution | torch.Tensor:
        if isinstance(value, Distribution):
            _values.draw(value, 0, self._stream, torch.zeros(1, dtype=torch.int64))  # refuses impossible bounds
            return value
        value = _values.number(name, value)
        if isinstance(value, float):
            return Constant(_check.finite(name, value))
        if not bool(value.isfinite().all()):
            raise ValueError(f"'{name}' must be finite")
        pairs = (len(self.target), len(self.source))
        if value.shape == pairs and value.ndim == 2:
            return value
        if isinstance(self.rule, PairwiseBernoulli):
            raise ValueError(
                f"'{name}' has the shape {tuple(value.shape)}, it must be {pairs} (targets x sources): how many "
                f"synapses "
                "PairwiseBernoulli makes is not known before"
            )
        if value.shape != (self._draws,):
            raise ValueError(
                f"'{name}' has the shape {tuple(value.shape)}, it must be ({self._draws},), one for each synapse, or "
                f"{pairs} "
                "(targets x sources)"
            )
        return value

    def _parts(self) -> Iterator[Part]:
        """All synapses, in the order of their creation."""
        for begin in range(0, self._draws, CHUNK):
            end = min(begin + CHUNK, self._draws)
            if isinstance(self.rule, Explicit):
                ends = (self.rule.sources, self.rule.targets)
                source, target = (x[begin:end].to(torch.int32, copy=True) for x in ends)
                index = torch.arange(begin, end)
            else:
                seed = self.source.network.seed
                source, target, index = ops.connect(
                    self.rule.kind, seed=seed, stream=self._stream, begin=begin, end=end, **self._options()
                )
            yield Part(source, target, index)

    def _value(self, given: Distribution | torch.Tensor, part: Part, kind: int) -> torch.Tensor:
        """float64, one for each synapse of a part, whose neurons are counted within their populations."""
        if isinstance(given, Distribution):
            return _values.draw(given, self.source.network.seed, self._stream + kind, part.index)
        if given.ndim == 2:
            return given[part.target.long(), part.source.long()]
        return given[part.index]

    def _weights(self, part: Part) -> torch.Tensor | float:
        """Of the unit that the target's model has; a number if all are the same."""
        if isinstance(self._weight, Constant):
            return self._weight.value
        return self._value(self._weight, part, _WEIGHTS)

    def _delays(self, part: Part) -> torch.Tensor:
        """In steps, int16."""
        dt = self.source.network.dt
        if isinstance(self._delay, Constant):
            return torch.full((len(part.index),), _steps(self._delay.value, dt), dtype=torch.int16)
        return rounded(self._value(self._delay, part, _DELAYS), dt).to(torch.int16)

    def _weight_bound(self) -> float:
        """No weight is larger; infinite where that is known only once they are drawn."""
        if isinstance(self._weight, Distribution):
            return _values.largest(self._weight)
        return float("inf")

    def _weight_mean(self) -> float:
        """Mean magnitude of the weights, where :meth:`_weight_bound` is finite."""
        # which rounding could put above the largest
        return min(_values.mean_magnitude(self._weight), _values.largest(self._weight))

    def _longest(self) -> float:
        """No delay is longer, in steps; infinite if such a one is drawn."""
        dt = self.source.network.dt
        if not self._draws:
            return 1
        if isinstance(self._delay, torch.Tensor):
            return float(rounded(self._delay.max(), dt))
        bound = _values.largest(self._delay)
        if bound < float("inf"):
            return _steps(bound, dt)
        drawn = (self._value(self._delay, part, _DELAYS) for part in self._parts() if len(part.index))
        return max((float(rounded(delays.max(), dt)) for delays in drawn), default=1)

    def _placed(self, part: Part) -> tuple[torch.Tensor, torch.Tensor]:
        """Source and target of a part counted within the network; those of the part itself are changed."""
        return part.source.add_(self.source.first), part.target.add_(self.target.first)

    def _identity(self) -> str:
        """The same for projections that have the same synapses."""
        said = [f"{self.source!r} -> {self.target!r}", repr(self.rule), _identity(self._weight), _identity(self._delay)]
        if isinstance(self.rule, Explicit):
            said += [_identity(self.rule.sources), _identity(self.rule.targets)]
        return ", ".join(said)

    def __repr__(self) -> str:
        about = "" if isinstance(self.rule, PairwiseBernoulli) else f", {self._draws:,} synapses"
        return f"<{self.name}: {self.source!r} -> {self.target!r}, {self.rule!r}{about}>"


def rounded(delay: torch.Tensor, dt: float) -> torch.Tensor:
    """Delays in ms as steps, halves up, at least one; float64."""
    return (delay.double() / dt).add_(0.5).floor_().clamp_min_(1)


def _steps(delay: float, dt: float) -> int:
    return int(rounded(torch.tensor(delay, dtype=torch.float64), dt))


def check_delay(name: str, delay: Any, dt: float, longest: int) -> None:
    """Refuses delays that are given and too short or too long; those that are drawn are raised to one step.

    Raises:
        ValueError: if one is below half a step, not finite, or longer than ``longest`` steps.
    """
    if isinstance(delay, Distribution) and not isinstance(delay, Constant):
        bound = _values.largest(delay)
        if float("inf") > bound > (longest + 0.5) * dt:
            raise ValueError(
                f"'{name}' may be {bound:g} ms, the longest delay is {longest * dt:g} ms ({longest} steps)"
            )
        return
    values = torch.tensor(delay.value, dtype=torch.float64) if isinstance(delay, Constant) else delay
    if not values.numel():
        return
    if not bool(values.isfinite().all()):
        raise ValueError(f"'{name}' must be finite")
    if values.min() < dt / 2:
        raise ValueError(
            f"'{name}' of {values.min().item():g} ms is below half a step of {dt:g} ms; the shortest delay is one step"
        )
    if values.max() >= (longest + 0.5) * dt:
        raise ValueError(f"'{name}' of {values.max().item():g} ms is above the longest delay, {longest * dt:g} ms")


def _identity(value: Distribution | torch.Tensor) -> str:
    if isinstance(value, torch.Tensor):
        return f"{value.dtype}{tuple(value.shape)}:{zlib.crc32(value.contiguous().numpy()):08x}"
    return repr(value)
