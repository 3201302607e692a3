"""Building the rows of a large sparse network, a chunk of synapses at a time."""

from __future__ import annotations

import math
import os

import torch

from .. import reference
from ._rows_checks import check_mean, check_range, check_repeats, check_weight, magnitude
from .backend import runs_native
from .common import shape_text
from .native import status
from .rows import PARTS, Rows, check_bounds, check_ports, partition

MAX_DELAY = 65535  # steps
_LIMITS = {16: 2.0**31 - 1, 32: 2.0**31 - 1, 64: 2.0**53}  # of the sums, in quanta
_LARGEST = {16: 2.0**15 - 1, 32: math.inf, 64: math.inf}  # of a weight, in quanta
_COARSEST = 2.0**-16  # of the mean weight: what a quantum may be before weights are kept in 8 bytes
_COARSEST_OF_16 = 2.0**-7  # where 16 bits were asked for: rounding changes a weight by at most 1/256 of the mean
_FINEST = 2.0**-1000  # quantum
_BYTES = {16: 4, 32: 6, 64: 10}  # of a synapse


def synapse_bytes(weight_bits: int) -> int:
    """What a synapse takes, besides its share in a segment."""
    return _BYTES[weight_bits]


if status.loaded:
    _raw_count = torch.ops.inferno_cuda.rows_count_.default
    _raw_fill = torch.ops.inferno_cuda.rows_fill_.default
    _raw_sort = torch.ops.inferno_cuda.rows_sort_.default
    _raw_large_pages = torch.ops.inferno_cuda.large_pages_.default


def available_memory() -> int | None:
    """Bytes that can be had without swapping, or None where the system does not say."""
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    names = ("SC_AVPHYS_PAGES", "SC_PAGE_SIZE")
    return math.prod(map(os.sysconf, names)) if set(names) <= set(os.sysconf_names) else None


def _memory(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    memory = torch.empty(shape, dtype=dtype)
    if runs_native(memory, "rows"):
        _raw_large_pages(memory)
    return memory


class RowsBuilder:
    """Makes :class:`Rows` of synapses that come in chunks, twice: to be counted, and to be put in their places.

    Beside the final tensors there are only one or two bytes a synapse for its delay, and one chunk. A chunk of about a
    million synapses keeps all threads busy.

    Args:
        neurons: sources and targets are ``0..neurons - 1``.
        bounds: the ranges of targets, see :func:`partition`.
        ports: 1; 2 where negative weights are to be summed apart; or uint8 ``[neurons]`` of these.
        max_delay: the largest delay, in steps.
        weight_bits: 32 for weights that are kept as int32 multiples of the quantum; 64 as float64; None for 32, but 64
            with a state of float64, and where the quantum would be more than 2^-16 of the mean weight. 16 rounds
            weights to multiples of a power of two of 1 to 2 times 1/32,767 of the largest magnitude that
            :meth:`count` was told of, or more where sums need it, and takes two thirds of the memory. Much smaller
            weights may become 0; steps of more than 1/128 of the mean magnitude are refused.
        dtype: of the state that is going to be simulated.
        repeats: how often each source may fire in one step: 1, but for generators; or int ``[neurons]``. Sums have room
            for as many of each weight.

    Raises:
        ValueError, TypeError: an argument is out of its range.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> builder = ops.RowsBuilder(3, ops.partition(3), max_delay=4)
        >>> source, target = torch.tensor([0, 0], dtype=torch.int32), torch.tensor([1, 2], dtype=torch.int32)
        >>> builder.count(source, target, weight=0.5)
        >>> builder.allocate()
        >>> builder.fill(source, target, torch.tensor([4, 1]), 0.5)
        >>> builder.finish().synapses().delay
        tensor([4, 1], dtype=torch.int32)
    """

    def __init__(self, neurons, bounds, ports=1, max_delay=1, weight_bits=None, dtype=torch.float32, repeats=1):
        check_ports(ports, neurons)
        if not 1 <= max_delay <= MAX_DELAY:
            raise ValueError(f"max_delay was {max_delay}; it must be 1 to {MAX_DELAY} steps")
        if dtype not in (torch.float32, torch.float64):
            raise TypeError(f"dtype was {dtype}; it must be torch.float32 or torch.float64")
        if weight_bits not in (None, *_BYTES):
            raise ValueError(f"weight_bits was {weight_bits!r}; it must be 16, 32, 64 or None")
        if not isinstance(ports, torch.Tensor):
            ports = torch.full((neurons,), ports, dtype=torch.uint8)
        most = int(ports.max()) if neurons else 1
        self.neurons, self.ports, self.max_delay = neurons, ports.cpu().contiguous(), max_delay
        self.bounds = check_bounds(bounds, neurons, most)
        self.weight_bits = weight_bits or (64 if dtype == torch.float64 else 32)
        self._may_widen = weight_bits is None
        self._repeats = check_repeats(repeats, neurons)
        parts = len(self.bounds) - 1
        self._counts = torch.zeros(parts, neurons, dtype=torch.int64)
        self._load = torch.zeros(2, neurons, dtype=torch.float64)
        self._degree = torch.zeros(neurons, dtype=torch.int32)
        self._nonzero = 0
        self._magnitude = self._largest = 0.0
        self._slots = self._cursor = self._total = None
        self._quantum = 1.0
        self._filled = 0

    @property
    def synapses(self) -> int:
        """Number of synapses that were counted."""
        return int(self._counts.sum())

    @property
    def quantum(self) -> float:
        """What weights are rounded to multiples of; 1 before :meth:`allocate` chooses it."""
        return self._quantum

    @property
    def bytes(self) -> int:
        """About as many bytes as the rows will take, exact but for segments, of which there may be fewer."""
        count = self.synapses
        segments = min(count, int(torch.clamp(self._counts, max=self.max_delay).sum()))
        return count * synapse_bytes(self.weight_bits) + segments * 6 + self._counts.numel() * 4 + self.neurons

    @property
    def peak_bytes(self) -> int:
        """The most bytes that building takes, without chunks."""
        delays = self.synapses * (1 if self.max_delay < 256 else 2)
        return self.bytes + delays + self._counts.nbytes * 2 + self._load.nbytes * 2 + self._degree.nbytes

    def _check_ends(self, source, target):
        for name, ends in (("source", source), ("target", target)):
            if ends.dtype != torch.int32 or ends.ndim != 1 or not ends.is_cpu:
                text = f"{ends.dtype} of shape {shape_text(ends.shape)} on {ends.device}"
                raise TypeError(f"{name} was {text}; it must be int32 with one dimension, on the CPU")
        if source.shape != target.shape:
            raise ValueError(f"target had {len(target)} elements; source has {len(source)}")
        for name, ends in (("source", source), ("target", target)):
            check_range(name, ends, 0, self.neurons - 1, "")

    def count(
        self, source: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | float, mean: float | None = None
    ) -> None:
        """First pass: counts a chunk.

        Args:
            source, target: int32 ``[n]``.
            weight: float32 or float64 ``[n]``, or a number that no weight of the chunk exceeds in magnitude, so that
                weights need not be drawn twice.
            mean: of that number, the mean magnitude of the weights; None: the number itself. It says how fine weights
                must be.

        Raises:
            TypeError, ValueError: wrong dtypes, shapes or numbers of neurons; nothing was counted then.
            RuntimeError: :meth:`allocate` was called before.
        """
        if self._slots is not None:
            raise RuntimeError("count: the synapses were allocated already; count all of them before")
        self._check_ends(source, target)
        weight = check_weight(weight, source)
        bound, tensor = (0.0, weight) if isinstance(weight, torch.Tensor) else (abs(weight), None)
        mean = check_mean(mean, weight)
        self._nonzero += int(weight.count_nonzero()) if tensor is not None else len(source) * (weight != 0)
        self._magnitude += float(weight.abs().sum(dtype=torch.float64)) if tensor is not None else len(source) * mean
        self._largest = max(self._largest, magnitude(weight))
        if self._repeats is not None:
            often = self._repeats[source.long()]
            bound *= int(often.max()) if len(often) else 1
            tensor = None if tensor is None else tensor.double() * often
        count = _raw_count if runs_native(self._counts, "rows") else reference.rows_count_
        chunk = source.contiguous(), target.contiguous(), None if tensor is None else tensor.contiguous(), bound
        count(*chunk, self.bounds, self.ports, self._counts, self._load, self._degree)

    def _rooms(self) -> torch.Tensor:
        """What sums of each neuron have for weights, in quanta: ``[neurons]``, float64."""
        # rounding may add half a quantum for each synapse, as often as its source fires
        most = 1 if self._repeats is None else int(self._repeats.max())
        return _LIMITS[self.weight_bits] - self._degree.double() * (most / 2)

    def _choose_quantum(self) -> float:
        """Infinite where no quantum is coarse enough."""
        room, load = self._rooms(), self._load.amax(0)
        if bool(((room <= 0) & (load > 0)).any()):
            return math.inf
        needed = float(torch.where(load > 0, load / room, 0.0).max()) if self.neurons else 0.0
        needed = max(needed, self._largest / _LARGEST[self.weight_bits])
        if needed == 0:
            return 1.0
        fraction, exponent = math.frexp(needed)
        return math.ldexp(1.0, exponent - 1 if fraction == 0.5 else exponent)

    @property
    def fullest(self) -> int | None:
        """The neuron whose sums leave the least room; None if the largest weight needs more."""
        if not self.neurons:
            return None
        needed = torch.where(self._load.amax(0) > 0, self._load.amax(0) / self._rooms(), 0.0)
        needed = torch.where(needed < 0, math.inf, needed)
        neuron = int(needed.argmax())
        return neuron if float(needed[neuron]) >= self._largest / _LARGEST[self.weight_bits] else None

    def _check_quantum(self, mean: float) -> None:
        """Refuses one that is too coarse or too fine for weights of a mean magnitude."""
        finite = math.isfinite(float(self._load.sum()))
        if self._quantum == math.inf and finite:
            neuron = int(torch.where(self._load.amax(0) > 0, self._rooms(), math.inf).argmin())
            raise ValueError(
                f"weight_bits was {self.weight_bits}; neuron {neuron} has {int(self._degree[neuron]):,} synapses whose "
                f"sources may fire up to {int(self._repeats.max()):,} times in a step, which leaves no room for their "
                "sum; it needs 64 bits, fewer synapses or fewer spikes in a step"
            )
        if self.weight_bits == 16 and self._quantum > _COARSEST_OF_16 * mean > 0:
            # sums have as much room in 32 bits
            bits = 32 if self.fullest is None else 64
            raise ValueError(
                f"weight_bits was 16; weights of {self._largest:g} at most and {mean:g} on average would be rounded to "
                f"multiples of {self._quantum:g}, more than 1/128 of the average; they need {bits} bits"
            )
        if self.weight_bits == 32 and finite and self._quantum > mean > _FINEST:
            raise ValueError(
                f"weight_bits was 32; weights of {mean:g} on average would be rounded to multiples of "
                f"{self._quantum:g}, beside the largest sums; they need 64 bits"
            )
        if not finite or self._quantum < _FINEST or 0 < mean < self._quantum:
            raise ValueError(f"weights had a mean magnitude of {mean:g}; sums of them leave the range of float64")

    def allocate(self, limit: int | None = None) -> None:
        """Ends the first pass: chooses the quantum and takes the memory.

        Args:
            limit: bytes that may be taken; None: what the system has to give.

        Raises:
            MemoryError: it is not enough, and how much is; nothing was taken then.
            ValueError: a range of targets has more than 2^31 - 1 synapses, or weights are too large or too small.
        """
        if self._slots is not None:
            raise RuntimeError("allocate: was called already")
        self._quantum = self._choose_quantum()
        mean = self._magnitude / self._nonzero if self._nonzero else 0.0
        if self.weight_bits == 32 and self._may_widen and self._quantum > _COARSEST * mean > 0:
            self.weight_bits = 64
            self._quantum = self._choose_quantum()
        self._check_quantum(mean)
        limit = available_memory() if limit is None else limit
        if limit is not None and self.peak_bytes > limit:
            raise MemoryError(
                f"{self.synapses:,} synapses need {self.peak_bytes:,} bytes while they are built, {self.bytes:,} "
                f"afterwards; {limit:,} are available"
            )
        sizes = self._counts.sum(1)
        if int(sizes.max()) >= 2**31:
            p = int(sizes.argmax())
            raise ValueError(f"bounds: range {p} has {int(sizes[p]):,} synapses; make more ranges, of less than 2^31")
        delay = torch.uint8 if self.max_delay < 256 else torch.int16
        self._delays = [_memory(size, dtype=delay) for size in sizes.tolist()]
        places = [self._places(size) for size in sizes.tolist()]
        self._slots, self._weights = ([pair[k] for pair in places] for k in (0, 1))
        ends = torch.cumsum(self._counts, 1)
        self._first = torch.cat([torch.zeros(len(ends), 1, dtype=torch.int64), ends], 1)
        self._cursor = self._first[:, :-1].clone(memory_format=torch.contiguous_format)
        self._total = torch.zeros(2, self.neurons, dtype=torch.float64 if self.weight_bits == 64 else torch.int64)

    def _places(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Memory for slots and weights."""
        if self.weight_bits == 16:
            return _memory(size, 2, dtype=torch.int16).unbind(1)
        weight = torch.float64 if self.weight_bits == 64 else torch.int32
        return _memory(size, dtype=torch.int16), _memory(size, dtype=weight)

    def fill(self, source, target, delay, weight) -> None:
        """Second pass: the same chunks in the same order, now with delays and weights.

        Args:
            source, target: int32 ``[n]``.
            delay: int16 or int32 ``[n]``, 1 to max_delay steps.
            weight: float32 or float64 ``[n]``, or a number.

        Raises:
            TypeError, ValueError: wrong dtypes, shapes or values; nothing was written then.
            RuntimeError: :meth:`allocate` was not called yet, or there are more synapses than were counted.
        """
        if self._slots is None:
            raise RuntimeError("fill: no memory was taken yet; call allocate() after all chunks were counted")
        self._check_ends(source, target)
        weight = check_weight(weight, source)
        if delay.dtype not in (torch.int16, torch.int32, torch.int64) or delay.shape != source.shape:
            text = f"{delay.dtype} of shape {shape_text(delay.shape)}"
            raise TypeError(f"delay was {text}; it must be int16 or int32 of shape ({len(source)},)")
        check_range("delay", delay, 1, self.max_delay, " steps")
        # a number in float32 may be a little above what it is in float64
        spare = torch.finfo(torch.float32).eps if getattr(weight, "dtype", None) == torch.float32 else 0.0
        if magnitude(weight) > self._largest * (1 + spare):
            raise ValueError(f"weight was up to {magnitude(weight):g}; count() was told of {self._largest:g} at most")
        if self._filled + len(source) > self.synapses:
            raise RuntimeError(f"fill: more synapses than the {self.synapses:,} that were counted")
        where = self.bounds, self.ports, self._cursor, self._total, self._slots, self._delays, self._weights
        ends = source.contiguous(), target.contiguous(), delay.to(torch.int32).contiguous()
        if runs_native(self._counts, "rows"):
            each = isinstance(weight, torch.Tensor)
            values = (weight.contiguous(), 0.0) if each else (None, weight)
            _raw_fill(*ends, *values, self._quantum, *where)
        else:
            reference.rows_fill_(*ends, torch.as_tensor(weight).expand(len(source)), self._quantum, *where)
        self._filled += len(source)

    def finish(self) -> Rows:
        """Sorts by delay; the builder is used up.

        Raises:
            RuntimeError: chunks differ from those that were counted, or weights exceed what was said of them.
        """
        if self._slots is None or self._filled != self.synapses:
            raise RuntimeError(f"finish: {self._filled:,} synapses were filled in of {self.synapses:,} counted")
        if not torch.equal(self._cursor, self._first[:, 1:]):
            raise RuntimeError("finish: the chunks of the second pass were not those that were counted")
        most = float(self._total.max()) if self.neurons else 0.0
        limit = _LIMITS[self.weight_bits] * (self._quantum if self.weight_bits == 64 else 1)
        if most > limit:
            raise RuntimeError("finish: weights were larger than count() was told; sums of them might overflow")
        tensors = {"bounds": self.bounds, "ports": self.ports}
        tensors["quantum"] = torch.tensor(self._quantum, dtype=torch.float64)
        if self._repeats is not None:
            tensors["repeats"] = self._repeats
        for p in range(len(self._slots)):
            slot, delay, weight = self._slots[p], self._delays[p], self._weights[p]
            self._slots[p] = self._delays[p] = self._weights[p] = None
            if runs_native(slot, "rows"):
                segments = _raw_sort(self._first[p], slot, delay, weight, self.max_delay)
            else:
                segments = reference.rows_sort_(self._first[p], slot, delay, weight)
            part = (*segments, slot, weight)
            tensors |= {f"{name}.{p}": tensor for name, tensor in zip(PARTS, part, strict=True)}
        self._filled = -1
        return Rows(tensors)


def rows(
    source: torch.Tensor,
    target: torch.Tensor,
    delay: torch.Tensor,
    weight: torch.Tensor | float,
    *,
    neurons: int,
    ports: int | torch.Tensor = 1,
    bounds: torch.Tensor | None = None,
    weight_bits: int | None = None,
    dtype: torch.dtype = torch.float32,
    repeats: int | torch.Tensor = 1,
) -> Rows:
    """:class:`Rows` of explicit synapses: int32 ends, delays in steps, weights.

    Further arguments are those of :class:`RowsBuilder`.
    """
    most = int(ports.max()) if isinstance(ports, torch.Tensor) and neurons else ports
    bounds = partition(neurons, most) if bounds is None else bounds
    longest = int(delay.max()) if len(delay) else 1
    builder = RowsBuilder(neurons, bounds, ports, max(longest, 1), weight_bits, dtype, repeats)
    builder.count(source, target, weight)
    builder.allocate()
    builder.fill(source, target, delay, weight)
    return builder.finish()
