"""Sums over synapses that are listed one by one, by output."""

from typing import NamedTuple

import torch

from .delayed_run import DENSE, Inputs, term_of
from .delayed_sum import ring_series


class Links(NamedTuple):
    """Which input each synapse is from.

    Attributes:
        source: ``[S]``, the input.
        start: ``[O + 1]``: the synapses of output o are those from ``start[o]`` to ``start[o + 1]``.
        degree: number of synapses of the output that has the most.
    """

    source: torch.Tensor
    start: torch.Tensor
    degree: int


class _Listed(Inputs):
    """What the synapses of a list see of a series; j is the input of each."""

    def at(self, age, j):
        times = torch.where(age == self.slots, self.outside, self.steps + (self.slots - 1 - age))
        return self.channels[j, times].movedim(1, -1)


def sparse_run(series, weight, bias, slot, factor, links, *, slots, linear, scale, overbound, slope=None):
    """The sums of every step: ``y[t, b, o] = bias[o]`` plus ``weight[s] * z[t, b, s]`` for the synapses s of o.

    ``z`` is the sample of input ``source[s]`` that lies ``slot[s]`` before step t, with ``factor`` as for
    :func:`delayed_dense`. Terms are added one by one in the order of the list, which fixes the rounding for every
    backend. The first terms of all outputs are added, then the second ones: nothing of size B x S exists.

    Args:
        series: ``[slots - 1 + T, B, I]``: the past, oldest first, then the steps.
        weight, slot, factor: ``[S]``; slot None: all 0.
        links: which synapses there are.
        slope: how to differentiate with respect to the delays, or None.

    Returns:
        ``[T, B, O]``.
    """
    inputs = _Listed(series, weight, slots, scale, overbound, geometry=DENSE)
    compute = inputs.channels.dtype
    first, last = links.start[:-1], links.start[1:]
    shape = (len(series) - slots + 1, series.shape[1], 1, 1, len(first))
    total = torch.zeros(shape, dtype=compute, device=weight.device)
    for number in range(links.degree):
        exists = first + number < last
        synapse = torch.where(exists, first + number, 0)
        age = torch.zeros_like(synapse) if slot is None else slot[synapse].long()
        values = (None if x is None else x[synapse] for x in (factor, None if slope is None else slope.shift))
        coefficient = torch.where(exists, weight[synapse].to(compute), 0.0)
        source = links.source[synapse].long()
        term = term_of(inputs, source, coefficient, age, next(values), linear, slope, next(values))
        total = total + torch.where(exists, term, 0.0)
    if bias is not None:
        total = total + bias.to(compute)
    return total.movedim(-1, 2).flatten(2).to(weight.dtype).contiguous()


def delayed_sparse(data, pointer, weight, bias, slot, factor, links, **options):
    """``y[b, o] = bias[o]`` plus ``weight[s] * z[s, b]`` for the synapses s of o: one step of :func:`sparse_run`.

    data: ring [N, B, I]. weight, slot, factor: [S]. Result: [B, O].
    """
    series = ring_series(data, pointer)
    return sparse_run(series, weight, bias, slot, factor, links, slots=len(data), **options).squeeze(0)
