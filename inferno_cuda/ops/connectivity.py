"""Which input and output each synapse of a sparse connection joins, prepared for both directions of its sums."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .common import shape_text

LONGEST = 2**31 - 1


class Connectivity(NamedTuple):
    """Synapses in the order of their outputs, then of their inputs, then as they were given; see :func:`connectivity`.

    S is the number of synapses, I that of inputs, O that of outputs. Several synapses may join the same two.

    Attributes:
        source: ``[S]``, int32, the input of each synapse.
        target: ``[S]``, int32, its output, ascending.
        order: ``[S]``, int32: the number that each synapse had when it was given. ``given[order]`` are values that
            were given for each synapse, in the order of this list.
        start: ``[O + 1]``, int64: the synapses of output o are those from ``start[o]`` to ``start[o + 1]``.
        by_source: ``[S]``, int32: numbers of the synapses in the order of their inputs, then of this list.
        source_start: ``[I + 1]``, int64: as ``start``, of the inputs in ``by_source``.
        target_by_source: ``[S]``, int32: the outputs in that order.
        degree: number of synapses of the output that has the most.
    """

    source: torch.Tensor
    target: torch.Tensor
    order: torch.Tensor
    start: torch.Tensor
    by_source: torch.Tensor
    source_start: torch.Tensor
    target_by_source: torch.Tensor
    degree: int

    @property
    def inputs(self) -> int:
        """Number of inputs, I."""
        return len(self.source_start) - 1

    @property
    def outputs(self) -> int:
        """Number of outputs, O."""
        return len(self.start) - 1

    @property
    def synapses(self) -> int:
        """Number of synapses, S."""
        return len(self.source)

    def to(self, device: torch.device | str) -> Connectivity:
        """The same on a device."""
        return Connectivity(*(x.to(device) if isinstance(x, torch.Tensor) else x for x in self))


def _numbers(name: str, values: torch.Tensor, end: int) -> torch.Tensor:
    if values.dtype.is_floating_point or values.dtype.is_complex or values.dtype == torch.bool:
        raise TypeError(f"{name} was {values.dtype}; it must have integers")
    if values.ndim != 1:
        raise ValueError(f"{name} had shape {shape_text(values.shape)}; it must be (synapses,)")
    if len(values) > LONGEST:
        raise ValueError(f"{name} had {len(values)} entries; there can be at most 2^31 - 1 synapses")
    if len(values):
        low, high = (int(x) for x in values.aminmax())
        if low < 0 or high >= end:
            raise ValueError(f"{name} had entries from {low} to {high}; they must be within 0 and {end - 1}")
    return values.long()


def _starts(numbers: torch.Tensor, rows: int) -> torch.Tensor:
    """Where each row of ascending numbers begins, and the end."""
    counts = torch.bincount(numbers, minlength=rows)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def connectivity(source: torch.Tensor, target: torch.Tensor, *, inputs: int, outputs: int) -> Connectivity:
    """Prepares sums over synapses that are listed one by one. Waits for the device.

    Args:
        source: ``[S]``, integers: the input of each synapse, in any order; duplicates are synapses of their own.
        target: ``[S]``, integers: the output of each synapse.
        inputs: number of inputs.
        outputs: number of outputs.

    Returns:
        the synapses in the order of their outputs, then of their inputs, then as given.

    Raises:
        ValueError: shapes or devices do not fit, or an entry is out of range.
        TypeError: source or target are no integers.

    Example:
        >>> import torch
        >>> from inferno_cuda import ops
        >>> links = ops.connectivity(torch.tensor([2, 0, 1]), torch.tensor([1, 1, 0]), inputs=3, outputs=2)
        >>> links.source, links.target
        (tensor([1, 0, 2], dtype=torch.int32), tensor([0, 1, 1], dtype=torch.int32))
        >>> links.order  # of which of the synapses given these are
        tensor([2, 1, 0], dtype=torch.int32)
    """
    for name, count in (("inputs", inputs), ("outputs", outputs)):
        if not 0 < count <= LONGEST:
            raise ValueError(f"{name} was {count}; it must be positive and below 2^31")
    source, target = _numbers("source", source, inputs), _numbers("target", target, outputs)
    if len(source) != len(target) or source.device != target.device:
        raise ValueError(
            f"source had {len(source)} entries on {source.device}, target {len(target)} on {target.device}; there must "
            "be as many, on one device"
        )
    order = (target * inputs + source).argsort(stable=True)
    return sorted_connectivity(source[order], target[order], order, inputs, outputs)


def sorted_connectivity(
    source: torch.Tensor, target: torch.Tensor, order: torch.Tensor, inputs: int, outputs: int
) -> Connectivity:
    """As :func:`connectivity` for synapses in their final order, which nobody checks."""
    by_source = source.argsort(stable=True)
    start = _starts(target, outputs)
    return Connectivity(
        source.int(),
        target.int(),
        order.int(),
        start,
        by_source.int(),
        _starts(source, inputs),
        target[by_source].int(),
        int(start.diff().max()),
    )
