"""Synapses of a large sparse network, kept as rows: what a spike sends lies side by side, sorted by delay."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch

from .. import reference
from .common import shape_text

MAX_SLOTS = 65536  # of a partition: they are kept in 2 bytes
PARTS = ("segments", "delay", "begin", "slot", "weight")


class Synapses(NamedTuple):
    """Synapses as arrays of one length: int32 ``source``, ``target`` and ``delay`` in steps, float64 ``weight``."""

    source: torch.Tensor
    target: torch.Tensor
    delay: torch.Tensor
    weight: torch.Tensor


def partition(
    neurons: int, ports: int = 1, threads: int | None = None, work: torch.Tensor | None = None
) -> torch.Tensor:
    """Ranges of targets that threads own: int64 ``[P + 1]``, where each of P begins and the last ends.

    Args:
        neurons: how many there are.
        ports: 1 or 2, the most of any neuron.
        threads: as many ranges, or more where 65,536 slots would not hold one; None: torch's number of threads.
        work: ``[neurons]``, what each neuron costs, such as its number of synapses; ranges are then made to cost the
            same, and not to have the same number of neurons.

    Raises:
        ValueError: an argument is out of its range, or `work` is negative, not finite or of another length.
    """
    check_ports(ports, neurons)
    threads = torch.get_num_threads() if threads is None else threads
    if threads < 1:
        raise ValueError(f"threads was {threads}; it must be at least 1")
    work = torch.ones(neurons, dtype=torch.float64) if work is None else _check_work(work, neurons)
    widest = MAX_SLOTS // int(ports)
    done = torch.cumsum(work, 0)
    count = max(1, min(threads, neurons), -(-neurons // widest))
    while int((bounds := _shares(done, count)).diff().max()) > widest:
        count += 1
    return bounds


def _check_work(work: torch.Tensor, neurons: int) -> torch.Tensor:
    if work.shape != (neurons,):
        raise ValueError(f"work was of shape {shape_text(work.shape)}; it must be ({neurons},)")
    work = work.double().cpu()
    if not bool((work.isfinite() & (work >= 0)).all()):
        raise ValueError("work had values that are negative or not finite")
    # a range of many neurons without work would need more slots than there are
    return work + work.mean() / 64 if bool(work.any()) else torch.ones_like(work)


def _shares(done: torch.Tensor, count: int) -> torch.Tensor:
    """Where to cut, for `count` ranges that add about the same to `done`; none is empty if there are enough neurons."""
    neurons = len(done)
    if not neurons:
        return torch.zeros(count + 1, dtype=torch.int64)
    ends = done[-1] * torch.arange(1, count) / count
    cuts = torch.searchsorted(done, ends.to(done)) + 1
    inner = torch.arange(1, count)
    # each behind the last one, and with enough neurons left for the others
    cuts = torch.cummax(cuts - inner, 0).values + inner if count > 1 else cuts
    cuts = torch.minimum(cuts, neurons - count + inner)
    return torch.cat([torch.tensor([0]), cuts, torch.tensor([neurons])])


def check_ports(ports, neurons: int) -> None:
    if isinstance(ports, torch.Tensor):
        if ports.dtype != torch.uint8 or ports.shape != (neurons,):
            text = f"{ports.dtype} of shape {shape_text(ports.shape)}"
            raise ValueError(f"ports was {text}; it must be 1, 2 or uint8 of shape ({neurons},)")
        if neurons and not bool(((ports == 1) | (ports == 2)).all()):
            raise ValueError("ports had values other than 1 and 2")
    elif ports not in (1, 2):
        raise ValueError(f"ports was {ports!r}; it must be 1, 2 or a uint8 tensor of one value per neuron")


def check_bounds(bounds: torch.Tensor, neurons: int, ports: int) -> torch.Tensor:
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
        weight_bits: 64 for weights that are kept as float64, 32 or 16 for int32 or int16 multiples of the quantum.
        quantum: a power of two of which all weights are multiples, so that their sums are exact.
        min_delay: the shortest delay, steps; 1 where there are no synapses.
        max_delay: the longest delay, steps; 1 where there are no synapses.
        count: number of synapses.
        most_ports: 1 or 2, the most of any neuron.
        repeats: int32 ``[neurons]``, how often each source may fire in a step; None: once.
        nbytes: bytes of all tensors.
    """

    def __init__(self, tensors: dict[str, torch.Tensor]):
        self._tensors = tensors = _side_by_side(tensors)
        self.bounds, self.ports = tensors["bounds"], tensors["ports"]
        self.neurons = len(self.ports)
        self.quantum = float(tensors["quantum"])
        self.repeats = tensors.get("repeats")
        self.most_ports = int(self.ports.max()) if self.neurons else 1
        self.parts = [tuple(tensors[f"{name}.{p}"] for name in PARTS) for p in range(len(self.bounds) - 1)]
        self.weight_bits = self.parts[0][4].dtype.itemsize * 8
        self.count = sum(len(part[3]) for part in self.parts)
        extremes = [(int(d.min()), int(d.max())) for d in (part[1].int() & 0xFFFF for part in self.parts) if len(d)]
        self.min_delay = min((low for low, _ in extremes), default=1)
        self.max_delay = max((high for _, high in extremes), default=1)
        self.nbytes = sum(tensor.nbytes for tensor in tensors.values())

    @property
    def unit(self) -> float:
        """The quantum, with which sums of weights as they are kept are multiplied; 1 where they are kept in 64 bits."""
        return 1.0 if self.weight_bits == 64 else self.quantum

    @property
    def device(self) -> torch.device:
        return self.parts[0][3].device

    def tensors(self) -> dict[str, torch.Tensor]:
        """All tensors by name, contiguous; :meth:`from_tensors` takes them back.

        With weights of 16 bits slots and weights are copies.
        """
        return {name: tensor.contiguous() for name, tensor in self._tensors.items()}

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
        ports = tensors["ports"]
        check_ports(ports, ports.numel())
        check_bounds(bounds, len(ports), int(ports.max()) if len(ports) else 1)
        repeats = tensors.get("repeats")
        if repeats is not None and (repeats.dtype != torch.int32 or repeats.shape != ports.shape):
            text = f"{repeats.dtype} of shape {shape_text(repeats.shape)}"
            raise ValueError(f"repeats was {text}; it must be int32 of shape ({len(ports)},)")
        missing = [f"{name}.{p}" for p in range(len(bounds) - 1) for name in PARTS if f"{name}.{p}" not in tensors]
        if missing:
            raise ValueError(f"tensors had no {missing[0]!r}")
        for p in range(len(bounds) - 1):
            part = [tensors[f"{name}.{p}"] for name in PARTS]
            _check_part(p, *part, len(ports))
            _check_contents(p, *part[:4], ports[int(bounds[p]) : int(bounds[p + 1])])
        if len({tensors[f"weight.{p}"].dtype for p in range(len(bounds) - 1)}) > 1:
            raise ValueError("weights had different dtypes in different partitions")
        return cls({**tensors, "bounds": bounds})

    def to(self, device: torch.device | str) -> Rows:
        """The same rows on a device; these, if they are there."""
        if torch.device(device) == self.device:
            return self
        kept = ("bounds", "quantum", "repeats")  # read by the host
        return Rows({name: t if name in kept else t.to(device) for name, t in self._tensors.items()})

    def out_degrees(self) -> torch.Tensor:
        """How many synapses each neuron sends its spikes through, int64 ``[neurons]``."""
        total = torch.zeros(self.neurons, dtype=torch.int64, device=self.device)
        for segments, _, begin, _, _ in self.parts:
            total += begin.long()[segments.long()].diff()
        return total

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
        bits = self.weight_bits
        kept = "float64" if bits == 64 else f"int{bits} multiples of {self.quantum:g}"
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


def _side_by_side(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors, those of slots and weights of 16 bits as columns of one, since engines read both at once.

    Files and copies have them apart.
    """
    found = dict(tensors)
    for name, weight in tensors.items():
        slot_name = name.replace("weight", "slot")
        if not name.startswith("weight.") or weight.dtype != torch.int16:
            continue
        slot = tensors[slot_name]
        beside = slot.data_ptr() % 4 == 0 and weight.data_ptr() == slot.data_ptr() + 2
        if beside and slot.stride() == weight.stride() == (2,):
            continue
        found[slot_name], found[name] = torch.stack([slot, weight], 1).unbind(1)
    return found


def _check_part(p, segments, delay, begin, slot, weight, neurons):
    kinds = (torch.int32, torch.int16, torch.int32, torch.int16)
    for name, tensor, kind in zip(PARTS, (segments, delay, begin, slot), kinds, strict=False):
        if tensor.dtype != kind or tensor.ndim != 1:
            text = f"{tensor.dtype} of shape {shape_text(tensor.shape)}"
            raise ValueError(f"{name}.{p} was {text}; it must be {kind} with one dimension")
    if weight.dtype not in (torch.int16, torch.int32, torch.float64):
        raise ValueError(f"weight.{p} was {weight.dtype}; it must be torch.int16, torch.int32 or torch.float64")
    fits = len(segments) == neurons + 1 and len(begin) == len(delay) + 1 and slot.shape == weight.shape
    if not fits or int(segments[-1]) != len(delay) or int(begin[-1]) != len(slot):
        raise ValueError(f"tensors of partition {p} did not fit each other")


def _check_contents(p, segments, delay, begin, slot, ports):
    """What the engines take for granted: they look up where these numbers point, unchecked."""
    for name, ends in (("segments", segments), ("begin", begin)):
        if int(ends[0]) != 0 or not bool((ends[1:] >= ends[:-1]).all()):
            raise ValueError(f"{name}.{p} did not ascend from 0")
    if not bool((delay != 0).all()):
        raise ValueError(f"delay.{p} had delays of 0 steps; they must be at least 1")
    slots, width = slot.int() & 0xFFFF, len(ports)
    if not len(slots):
        return
    fits = int(slots.max()) < 2 * width and bool((ports[slots % width] > slots // width).all())
    if not fits:
        raise ValueError(f"slot.{p} had places that its {width} neurons do not have")
