"""From projections to rows of synapses: in two passes, a chunk at a time."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch
from tqdm import tqdm

from .. import ops
from ..neural.sequence._interrupt import Interrupt
from ..ops._rows_checks import magnitude
from ..ops.rows_builder import synapse_bytes
from ._projection import CHUNK, Projection
from ._stimuli import StepCurrent
from .distributions import Distribution, LogNormal

if TYPE_CHECKING:
    from .network import Network

LONGEST_DELAY = 2**15 - 1  # steps
# What a step of a neuron, and random numbers for it, cost: as much as so many synapses whose sources fire at 5 Hz.
_NEURON, _STIMULUS = 2000, 2500
_CHUNK_BYTES = 100 * CHUNK  # what the arrays of a chunk take, from random numbers to weights


class Memory(NamedTuple):
    """What a network takes, in bytes; made by :meth:`Network.memory_needed`.

    Attributes:
        neurons: how many there are.
        synapses: how many there are; an expectation where a rule leaves it to chance.
        rows: bytes of the synapses while the network runs.
        state: bytes of the neurons' state, and of the sums of weights that are to arrive: of one step on a CPU, of all
            steps up to the longest delay on a GPU.
        building: the most bytes that are needed at one time, while the network is built.
    """

    neurons: int
    synapses: int
    rows: int
    state: int
    building: int

    def __str__(self) -> str:
        each = f" ({self.rows / self.synapses:.1f} each)" if self.synapses else ""
        return (
            f"{self.neurons:,} neurons take {size_text(self.state)}, {self.synapses:,} synapses "
            f"{size_text(self.rows)}{each}; "
            f"building needs {size_text(self.building)}"
        )


def size_text(size: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    raise AssertionError


def estimate(network: Network, parts: int | None = None) -> Memory:
    """Without drawing a synapse. Segments, of which there is one for each delay of a neuron, are an estimate.

    Of a network that is built, synapses and their bytes are known. To count the ranges of targets takes memory for each
    neuron; ``parts`` gives their number instead.
    """
    ports = network._run.ports()
    parts = len(_partition(network, ports)) - 1 if parts is None else parts
    synapses = segments = 0.0
    for projection in network.projections:
        synapses += projection.expected
        segments += _segments(projection, parts)
    bits = network.weight_bits or (64 if network.dtype == torch.float64 else 32)
    rows = int(synapses * synapse_bytes(bits) + segments * 6 + parts * 4 * network.size + 9 * network.size)
    state = network.trials * network.size * (4 * network.dtype.itemsize + 2 + 8) + _sums(network, bits, ports)
    if network._run.rows is not None:
        synapses, rows = network._run.rows.count, network._run.rows.nbytes
    building = rows + 2 * int(synapses) + (16 * parts + 40) * network.size + _CHUNK_BYTES
    return Memory(network.size, int(synapses), rows, state, building + state)


def _sums(network: Network, bits: int, ports: torch.Tensor) -> int:
    """Bytes of the sums of arriving weights."""
    each = network.trials * network.size * (int(ports.max()) if len(ports) else 1) * (8 if bits == 64 else 4)
    if network.device.type == "cpu":
        return each
    longest = max((_likely_longest(projection) for projection in network.projections), default=1)
    return each * (1 + min(longest, LONGEST_DELAY))


def _likely_longest(projection: Projection) -> int:
    """Steps; where delays have no bound, more than all but one in a billion have."""
    delay, dt = projection._delay, projection.source.network.dt
    if isinstance(delay, LogNormal) and delay.high is None:
        return math.ceil(min(math.exp(delay.mu + 6 * delay.sigma) / dt, LONGEST_DELAY))
    return int(projection._longest())


def _partition(network: Network, ports: torch.Tensor) -> torch.Tensor:
    """Ranges of targets that take about the same time: by their synapses, and by the neurons' own steps."""
    work = torch.zeros(network.size, dtype=torch.float64)
    for population in network.populations:
        work[population.first : population.last] = 0 if population._generators is not None else _NEURON
    for stimulus in network.stimuli:
        if not isinstance(stimulus, StepCurrent):
            work[stimulus.neurons.first : stimulus.neurons.last] += _STIMULUS
    for projection in network.projections:
        target = projection.target
        work[target.first : target.last] += projection.expected / max(len(target), 1)
    return ops.partition(network.size, int(ports.max()) if len(ports) else 1, network.threads, work)


def _segments(projection: Projection, parts: int) -> float:
    """Expected number of different delays, over the neurons of the source and the partitions."""
    sources = len(projection.source)
    each = projection.expected / max(sources, 1) / parts
    delay, dt = projection._delay, projection.source.network.dt
    if isinstance(delay, Distribution):
        given = delay._parameters()
        spread = {"constant": 0.0, "uniform": 0.0, "normal": 3.5 * given.get("std", 0)}.get(delay.kind, math.inf)
        if delay.kind == "uniform":
            spread = given["high"] - given["low"]
        delays = 1 + spread / dt
    else:
        delays = 1 + float(delay.max() - delay.min()) / dt if delay.numel() else 1.0
    if math.isinf(delays):
        return sources * parts * each
    return sources * parts * delays * -math.expm1(-each / delays)


def refuse_what_does_not_fit(network: Network) -> None:
    """Before anything is drawn or allocated.

    Raises:
        MemoryError: says how much is needed, and how much there is.
    """
    available = ops.available_memory()
    for parts in (1, None):  # of neurons that do not even fit in one range, ranges are not counted
        needed = estimate(network, parts)
        if available is not None and needed.building > available:
            raise MemoryError(
                f"the network does not fit: {needed}, and {size_text(available)} are available. "
                "Fewer neurons or synapses, or dtype=torch.float32 instead of float64, take less"
            )


def build(network: Network, progress: bool) -> ops.Rows:
    """Draws all synapses twice: to count them, and to put them where they belong.

    Raises:
        MemoryError: if it will not fit.
        ValueError: if a delay is too long.
        KeyboardInterrupt: on Ctrl-C, between two chunks; nothing has changed then.
    """
    refuse_what_does_not_fit(network)
    ports = network._run.ports()
    longest = max(map(_longest_delay, network.projections), default=1)
    bounds, options = _partition(network, ports), {"weight_bits": network.weight_bits, "dtype": network.dtype}
    builder = ops.RowsBuilder(network.size, bounds, ports, longest, repeats=_repeats(network), **options)
    total = 2 * sum(projection._draws for projection in network.projections)
    with Interrupt() as interrupt, _bar(total, progress) as bar:
        largest, means = dict.fromkeys(network.projections, 0.0), {}
        for projection, part in _chunks(network, interrupt, bar):
            bound = projection._weight_bound()
            mean = None if math.isinf(bound) else projection._weight_mean()
            weights = projection._weights(part) if mean is None else bound
            with _naming(lambda counted=projection: counted):
                builder.count(*projection._placed(part), weights, mean)
            largest[projection] = max(largest[projection], magnitude(weights))
            if projection not in means:
                means[projection] = _mean_magnitude(weights) if mean is None else mean
        with _naming(lambda: _heaviest(network, builder.fullest, largest)):
            builder.allocate()
        _warn_of_rounding(means, builder.quantum)
        for projection, part in _chunks(network, interrupt, bar):
            delays, weights = projection._delays(part), projection._weights(part)
            builder.fill(*projection._placed(part), delays, weights)
        rows = builder.finish()
    return rows.to(network.device)


def _mean_magnitude(weights: torch.Tensor | float) -> float:
    if not isinstance(weights, torch.Tensor):
        return abs(weights)
    return float(weights.abs().mean(dtype=torch.float64)) if len(weights) else 0.0


def _warn_of_rounding(means: dict[Projection, float], quantum: float) -> None:
    """Says which weights the network's heavier ones leave little of."""
    for projection, mean in means.items():
        if 0 < mean < 10 * quantum:
            what = "mostly to 0" if mean < quantum / 2 else f"by up to {50 * quantum / mean:.0f} % of that"
            warnings.warn(
                f"{projection!r}: weights of {mean:g} on average are rounded to multiples of {quantum:g}, {what}, "
                "beside the larger ones of the network; more weight_bits keep them apart",
                UserWarning,
                stacklevel=2,
            )


def _longest_delay(projection: Projection) -> int:
    longest = projection._longest()
    if longest > LONGEST_DELAY:
        raise ValueError(
            f"{projection!r}: a delay of {longest:g} steps was drawn, the longest one is {LONGEST_DELAY} steps; give "
            "the distribution a bound, high="
        )
    return int(longest)


@contextlib.contextmanager
def _naming(whose: Callable[[], Projection | None]) -> Iterator[None]:
    """Says whose weights are bad."""
    try:
        yield
    except ValueError as error:
        named = whose()
        raise ValueError(str(error) if named is None else f"{named!r}: {error}") from error


def _heaviest(network: Network, neuron: int | None, largest: dict[Projection, float]) -> Projection | None:
    """The projection that adds most to the sums of a neuron; of all, without one, that with the largest weights."""
    if neuron is None:
        return max(largest, key=largest.get, default=None)
    often = _repeats(network)

    def load(projection: Projection) -> float:
        source, target = projection.source, projection.target
        if not len(source) or not target.first <= neuron < target.last:
            return 0.0
        times = float(often[source.first : source.last].max())
        return largest[projection] * times * projection.expected / len(target)

    return max(largest, key=load, default=None)


def _repeats(network: Network) -> torch.Tensor:
    """How often each neuron may fire in a step: generators more than once."""
    found = torch.ones(network.size, dtype=torch.int64)
    for population in network.populations:
        if population._generators is not None:
            found[population.first : population.last] = population._generators._repeats()
    return found


def _chunks(network: Network, interrupt: Interrupt, bar) -> Iterator:
    for projection in network.projections:
        left = projection._draws
        for part in projection._parts():
            interrupt.check()
            yield projection, part
            if bar is not None:
                bar.update(min(CHUNK, left))
            left -= CHUNK


def _bar(total: int, progress: bool):
    options = {"desc": "building", "unit": " synapses", "unit_scale": True, "leave": False}
    return tqdm(total=total, **options) if progress else contextlib.nullcontext()
