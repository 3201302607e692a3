"""Synapses of a large sparse network, kept as rows: what a spike sends lies side by side, sorted by delay."""

from __future__ import annotations

import itertools
import math
import os
from typing import NamedTuple

import torch

from .. import reference
from .common import shape_text

MAX_SLOTS = 65536  # of a partition: they are kept in 2 bytes
MAX_DELAY = 65535  # steps
_NARROW_LIMIT, _WIDE_LIMIT = 2.0**31 - 1, 2.0**53
_COARSEST = 2.0**-16  # of the mean weight: what a quantum may be before weights are kept in 8 bytes
_PARTS = ("segments", "delay", "begin", "slot", "weight")


class Synapses(NamedTuple):
    """Synapses as arrays of one length: int32 ``source``, ``target`` and ``delay`` in steps, float64 ``weight``."""

    source: torch.Tensor
    target: torch.Tensor
    delay: torch.Tensor
    weight: torch.Tensor


def partition(neurons: int, ports: int = 1, threads: int | None = None) -> torch.Tensor:
    """Ranges of targets that threads own: int64 ``[P + 1]``, where each of P begins and the last ends.

    Args:
        neurons: how many there are.
        ports: 1 or 2, the most of any neuron.
        threads: as many ranges, or more where 65,536 slots would not hold one; None: torch's number of threads.
    """
    _check_ports(ports, neurons)
    threads = torch.get_num_threads() if threads is None else threads
    if threads < 1:
        raise ValueError(f"threads was {threads}; it must be at least 1")
    smallest = -(-neurons * int(ports) // MAX_SLOTS)
    count = max(1, min(threads, neurons), smallest)
    while neurons > 0 and max(_sizes(neurons, count)) * ports > MAX_SLOTS:
        count += 1
    return torch.tensor([neurons * p // count for p in range(count + 1)])


def _sizes(neurons: int, count: int) -> list[int]:
    return [neurons * (p + 1) // count - neurons * p // count for p in range(count)]


def _check_ports(ports, neurons: int) -> None:
    if isinstance(ports, torch.Tensor):
        if ports.dtype != torch.uint8 or ports.shape != (neurons,):
            text = f"{ports.dtype} of shape {shape_text(ports.shape)}"
            raise ValueError(f"ports was {text}; it must be 1, 2 or uint8 of shape ({neurons},)")
        if neurons and not bool(((ports == 1) | (ports == 2)).all()):
            raise ValueError("ports had values other than 1 and 2")
    elif ports not in (1, 2):
        raise ValueError(f"ports was {ports!r}; it must be 1, 2 or a uint8 tensor of one value per neuron")


def _check_bounds(bounds: torch.Tensor, neurons: int, ports: int) -> torch.Tensor:
    if bounds.dtype != torch.int64 or bounds.ndim != 1 or len(bounds) < 2:
        raise ValueError(f"bounds was {bounds.dtype} of shape {shape_text(bounds.shape)}; it must be int64 [P + 1]")
    numbers = bounds.tolist()
    ordered = all(a <= b for a, b in itertools.pairwise(numbers))
    if numbers[0] != 0 or numbers[-1] != neurons or not ordered:
        raise ValueError(f"bounds was {numbers}; it must ascend from 0 to the number of neurons, {neurons}")
    widest = max(b - a for a, b in itertools.pairwise(numbers))
    if widest * ports > MAX_SLOTS:
        raise ValueError(f"bounds had a range of {widest} neurons; with {ports} ports at most {MAX_SLOTS // ports} fit")
    return bounds.cpu()


class Rows:
    """The synapses of a network, ready to be simulated; made by :class:`RowsBuilder`, :func:`rows` or from tensors.

    Attributes:
        neurons: how many sources and targets there are.
        bounds: int64 ``[P + 1]``, the ranges of targets.
        ports: uint8 ``[neurons]``, 2 where negative weights are summed apart.
        wide: whether weights are kept as float64, otherwise as int32 multiples of the quantum.
        quantum: a power of two of which all weights are multiples, so that their sums are exact.
        min_delay, max_delay: of all synapses, steps; both 1 where there are none.
        count: number of synapses.
        nbytes: bytes of all tensors.
    """

    def __init__(self, tensors: dict[str, torch.Tensor]):
        self._tensors = tensors
        self.bounds, self.ports = tensors["bounds"], tensors["ports"]
        self.neurons = len(self.ports)
        self.quantum = float(tensors["quantum"])
        self.parts = [tuple(tensors[f"{name}.{p}"] for name in _PARTS) for p in range(len(self.bounds) - 1)]
        self.wide = self.parts[0][4].dtype == torch.float64
        self.count = sum(len(part[3]) for part in self.parts)
        extremes = [(int(d.min()), int(d.max())) for d in (part[1].int() & 0xFFFF for part in self.parts) if len(d)]
        self.min_delay = min((low for low, _ in extremes), default=1)
        self.max_delay = max((high for _, high in extremes), default=1)
        self.nbytes = sum(tensor.nbytes for tensor in tensors.values())

    @property
    def device(self) -> torch.device:
        return self.parts[0][3].device

    def tensors(self) -> dict[str, torch.Tensor]:
        """All tensors by name; :meth:`from_tensors` takes them back."""
        return dict(self._tensors)

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> Rows:
        """Rows from what :meth:`tensors` gave.

        Raises:
            ValueError: tensors are missing, or do not fit each other.
        """
        for name in ("bounds", "ports", "quantum"):
            if name not in tensors:
                raise ValueError(f"tensors had no {name!r}")
        bounds = tensors["bounds"].cpu()
        _check_bounds(bounds, len(tensors["ports"]), 1)
        missing = [f"{name}.{p}" for p in range(len(bounds) - 1) for name in _PARTS if f"{name}.{p}" not in tensors]
        if missing:
            raise ValueError(f"tensors had no {missing[0]!r}")
        for p in range(len(bounds) - 1):
            _check_part(p, *(tensors[f"{name}.{p}"] for name in _PARTS), len(tensors["ports"]))
        return cls({**tensors, "bounds": bounds})

    def to(self, device: torch.device | str) -> Rows:
        """The same rows on a device; these, if they are there."""
        if torch.device(device) == self.device:
            return self
        kept = ("bounds", "quantum")
        return Rows({name: t if name in kept else t.to(device) for name, t in self._tensors.items()})

    def synapses(self, sources: tuple[int, int] | None = None, targets: tuple[int, int] | None = None) -> Synapses:
        """The synapses between two ranges ``(begin, end)`` of neurons; None: all.

        Sorted by source, target, delay, and then in the order of their creation.
        """
        sources, targets = sources or (0, self.neurons), targets or (0, self.neurons)
        columns = []
        for p, part in enumerate(self.parts):
            if int(self.bounds[p + 1]) <= targets[0] or int(self.bounds[p]) >= targets[1]:
                continue
            found = reference.rows_synapses(self.bounds, p, *_only(sources, *part), self.quantum)
            keep = (found[1] >= targets[0]) & (found[1] < targets[1])
            columns.append([column[keep] for column in found])
        if not columns:
            like = {"device": self.device}
            empty = [torch.zeros(0, dtype=torch.int32, **like) for _ in range(3)]
            return Synapses(*empty, torch.zeros(0, dtype=torch.float64, **like))
        source, target, delay, weight = (torch.cat(column) for column in zip(*columns, strict=True))
        # within a source and a target, memory is in the order of delays and of creation
        order = torch.argsort(source.long() * self.neurons + target, stable=True)
        return Synapses(source[order], target[order], delay[order], weight[order])

    def __repr__(self) -> str:
        kept = "float64" if self.wide else f"int32 multiples of {self.quantum:g}"
        each = self.nbytes / self.count if self.count else 0.0
        return (
            f"Rows({self.count:,} synapses between {self.neurons:,} neurons, weights: {kept}, "
            f"delays of {self.min_delay} to {self.max_delay} steps, {self.nbytes:,} bytes, {each:.1f} each)"
        )


def _only(sources, segments, delay, begin, slot, weight):
    """A partition without the segments of other sources."""
    low, high = sources
    segments = segments.clone()
    first, last = int(segments[low]), int(segments[high])
    segments = segments.clamp(first, last) - first
    begin = begin[first : last + 1]
    span = slice(int(begin[0]), int(begin[-1])) if len(begin) else slice(0, 0)
    return segments, delay[first:last], begin - span.start, slot[span], weight[span]


def _check_part(p, segments, delay, begin, slot, weight, neurons):
    kinds = (torch.int32, torch.int16, torch.int32, torch.int16)
    for name, tensor, kind in zip(_PARTS, (segments, delay, begin, slot), kinds, strict=False):
        if tensor.dtype != kind or tensor.ndim != 1:
            text = f"{tensor.dtype} of shape {shape_text(tensor.shape)}"
            raise ValueError(f"{name}.{p} was {text}; it must be {kind} with one dimension")
    if weight.dtype not in (torch.int32, torch.float64):
        raise ValueError(f"weight.{p} was {weight.dtype}; it must be torch.int32 or torch.float64")
    fits = len(segments) == neurons + 1 and len(begin) == len(delay) + 1 and slot.shape == weight.shape
    if not fits or int(segments[-1]) != len(delay) or int(begin[-1]) != len(slot):
        raise ValueError(f"tensors of partition {p} did not fit each other")


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


class RowsBuilder:
    """Makes :class:`Rows` of synapses that come in chunks, twice: to be counted, and to be put in their places.

    Beside the final tensors there are only one or two bytes a synapse for its delay, and one chunk. A chunk of about a
    million synapses keeps all threads busy.

    Args:
        neurons: sources and targets are ``0..neurons - 1``.
        bounds: the ranges of targets, see :func:`partition`.
        ports: 1; 2 where negative weights are to be summed apart; or uint8 ``[neurons]`` of these.
        max_delay: the largest delay, in steps.
        wide: whether weights are kept as float64 and not as int32 multiples of the quantum; None: for float64, and
            where the quantum would be more than 2^-16 of the mean weight.
        dtype: of the state that is going to be simulated.

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

    def __init__(self, neurons, bounds, ports=1, max_delay=1, wide=None, dtype=torch.float32):
        _check_ports(ports, neurons)
        if not 1 <= max_delay <= MAX_DELAY:
            raise ValueError(f"max_delay was {max_delay}; it must be 1 to {MAX_DELAY} steps")
        if dtype not in (torch.float32, torch.float64):
            raise TypeError(f"dtype was {dtype}; it must be torch.float32 or torch.float64")
        if not isinstance(ports, torch.Tensor):
            ports = torch.full((neurons,), ports, dtype=torch.uint8)
        most = int(ports.max()) if neurons else 1
        self.neurons, self.ports, self.max_delay = neurons, ports.cpu().contiguous(), max_delay
        self.bounds = _check_bounds(bounds, neurons, most)
        self.wide = dtype == torch.float64 if wide is None else bool(wide)
        self._may_widen = wide is None
        parts = len(self.bounds) - 1
        self._counts = torch.zeros(parts, neurons, dtype=torch.int64)
        self._load = torch.zeros(2, neurons, dtype=torch.float64)
        self._degree = torch.zeros(neurons, dtype=torch.int32)
        self._nonzero = 0
        self._slots = self._cursor = self._total = None
        self._quantum = 1.0
        self._filled = 0

    @property
    def synapses(self) -> int:
        """Number of synapses that were counted."""
        return int(self._counts.sum())

    @property
    def bytes(self) -> int:
        """About as many bytes as the rows will take: exact but for segments, of which there may be fewer."""
        count = self.synapses
        segments = min(count, int(torch.clamp(self._counts, max=self.max_delay).sum()))
        return count * (10 if self.wide else 6) + segments * 6 + self._counts.numel() * 4 + self.neurons

    @property
    def peak_bytes(self) -> int:
        """The most bytes that building takes, without chunks."""
        delays = self.synapses * (1 if self.max_delay < 256 else 2)
        return self.bytes + delays + self._counts.nbytes * 2 + self._load.nbytes * 2 + self._degree.nbytes

    def _check_ends(self, source, target):
        for name, ends in (("source", source), ("target", target)):
            if ends.dtype != torch.int32 or ends.ndim != 1:
                text = f"{ends.dtype} of shape {shape_text(ends.shape)}"
                raise TypeError(f"{name} was {text}; it must be int32 with one dimension")
        if source.shape != target.shape:
            raise ValueError(f"target had {len(target)} elements; source has {len(source)}")
        for name, ends in (("source", source), ("target", target)):
            if len(ends) and not (int(ends.min()) >= 0 and int(ends.max()) < self.neurons):
                low, high = int(ends.min()), int(ends.max())
                raise ValueError(f"{name} was {low} to {high}; it must be 0 to {self.neurons - 1}")

    def _check_weight(self, weight, like):
        if not isinstance(weight, torch.Tensor):
            weight = float(weight)
            if not math.isfinite(weight):
                raise ValueError(f"weight was {weight}; it must be finite")
            return weight
        if weight.dtype not in (torch.float32, torch.float64) or weight.shape != like.shape:
            text = f"{weight.dtype} of shape {shape_text(weight.shape)}"
            raise TypeError(f"weight was {text}; it must be a number, or float32 or float64 of shape ({len(like)},)")
        if not bool(torch.isfinite(weight).all()):
            raise ValueError("weight had values that are not finite")
        return weight

    def count(self, source: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | float) -> None:
        """First pass: counts a chunk.

        Args:
            source, target: int32 ``[n]``.
            weight: float32 or float64 ``[n]``, or a number that no weight of the chunk exceeds in magnitude, so that
                weights need not be drawn twice.

        Raises:
            TypeError, ValueError: wrong dtypes, shapes or numbers of neurons; nothing was counted then.
            RuntimeError: :meth:`allocate` was called before.
        """
        if self._slots is not None:
            raise RuntimeError("count: the synapses were allocated already; count all of them before")
        self._check_ends(source, target)
        weight = self._check_weight(weight, source)
        bound, tensor = (0.0, weight) if isinstance(weight, torch.Tensor) else (abs(weight), None)
        self._nonzero += int((weight != 0).sum()) if tensor is not None else len(source) * (weight != 0)
        into = self._counts, self._load, self._degree
        reference.rows_count_(source, target, tensor, bound, self.bounds, self.ports, *into)

    def _choose_quantum(self) -> float:
        limit = _WIDE_LIMIT if self.wide else _NARROW_LIMIT
        # rounding may add half a quantum for each synapse
        room = limit - self._degree.double() / 2
        needed = float((self._load / room).max()) if self.neurons else 0.0
        if needed == 0:
            return 1.0
        fraction, exponent = math.frexp(needed)
        return math.ldexp(1.0, exponent - 1 if fraction == 0.5 else exponent)

    def allocate(self, limit: int | None = None) -> None:
        """Ends the first pass: chooses the quantum and takes the memory.

        Args:
            limit: bytes that may be taken; None: what the system has to give.

        Raises:
            MemoryError: it is not enough, and how much is; nothing was taken then.
            ValueError: a range of targets has more than 2^31 - 1 synapses.
        """
        if self._slots is not None:
            raise RuntimeError("allocate: was called already")
        self._quantum = self._choose_quantum()
        mean = float(self._load.sum()) / self._nonzero if self._nonzero else 0.0
        if not self.wide and self._may_widen and self._quantum > _COARSEST * mean > 0:
            self.wide = True
            self._quantum = self._choose_quantum()
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
        weight = torch.float64 if self.wide else torch.int32
        delay = torch.uint8 if self.max_delay < 256 else torch.int16
        self._slots, self._delays, self._weights = (
            [torch.empty(size, dtype=dtype) for size in sizes.tolist()] for dtype in (torch.int16, delay, weight)
        )
        ends = torch.cumsum(self._counts, 1)
        self._first = torch.cat([torch.zeros(len(ends), 1, dtype=torch.int64), ends], 1)
        self._cursor = self._first[:, :-1].clone(memory_format=torch.contiguous_format)
        self._total = torch.zeros(2, self.neurons, dtype=torch.float64 if self.wide else torch.int64)

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
        weight = self._check_weight(weight, source)
        if delay.dtype not in (torch.int16, torch.int32, torch.int64) or delay.shape != source.shape:
            text = f"{delay.dtype} of shape {shape_text(delay.shape)}"
            raise TypeError(f"delay was {text}; it must be int16 or int32 of shape ({len(source)},)")
        if len(delay) and not (int(delay.min()) >= 1 and int(delay.max()) <= self.max_delay):
            low, high = int(delay.min()), int(delay.max())
            raise ValueError(f"delay was {low} to {high} steps; it must be 1 to max_delay, {self.max_delay}")
        if self._filled + len(source) > self.synapses:
            raise RuntimeError(f"fill: more synapses than the {self.synapses:,} that were counted")
        if not isinstance(weight, torch.Tensor):
            weight = torch.full(source.shape, weight, dtype=torch.float64)
        reference.rows_fill_(
            *(source, target, delay, weight, self._quantum, self.bounds, self.ports, self._cursor, self._total),
            *(self._slots, self._delays, self._weights),
        )
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
        limit = _WIDE_LIMIT * self._quantum if self.wide else _NARROW_LIMIT
        if most > limit:
            raise RuntimeError("finish: weights were larger than count() was told; sums of them might overflow")
        tensors = {"bounds": self.bounds, "ports": self.ports}
        tensors["quantum"] = torch.tensor(self._quantum, dtype=torch.float64)
        for p in range(len(self._slots)):
            slot, delay, weight = self._slots[p], self._delays[p], self._weights[p]
            self._slots[p] = self._delays[p] = self._weights[p] = None
            part = (*reference.rows_sort_(self._first[p], slot, delay, weight), slot, weight)
            tensors |= {f"{name}.{p}": tensor for name, tensor in zip(_PARTS, part, strict=True)}
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
    wide: bool | None = None,
    dtype: torch.dtype = torch.float32,
) -> Rows:
    """:class:`Rows` of explicit synapses: int32 ends, delays in steps, weights."""
    most = int(ports.max()) if isinstance(ports, torch.Tensor) and neurons else ports
    bounds = partition(neurons, most) if bounds is None else bounds
    longest = int(delay.max()) if len(delay) else 1
    builder = RowsBuilder(neurons, bounds, ports, max(longest, 1), wide, dtype)
    builder.count(source, target, weight)
    builder.allocate()
    builder.fill(source, target, delay, weight)
    return builder.finish()
