"""Steps of a large sparse network: what arrives, what neurons make of it, and what their spikes send on."""

from typing import NamedTuple

import torch

from .rows import rows_synapses
from .spiking import spiking_step
from .stimuli import noise_of, words
from .words import poisson_count


class Group(NamedTuple):
    """Neurons first..last-1, which share a model.

    Attributes:
        form: a :class:`SpikingForm`; its step is None for generators.
        numbers: ``[K]`` or ``[K, last - first]`` in the dtype of the state.
        drive: constant current times gain, ``[1]`` or ``[last - first]``.
        stimuli: ("poisson", table, weight, stream, port), ("noise", mean, std, interval, stream) or, of generators,
            ("spikes", table, stream).
    """

    first: int
    last: int
    form: object
    numbers: torch.Tensor
    drive: torch.Tensor
    stimuli: tuple = ()


class Synapses(NamedTuple):
    """All synapses sorted by source, whose own are ``begin[s]..begin[s + 1]-1``; weights as they are kept."""

    begin: torch.Tensor
    target: torch.Tensor
    port: torch.Tensor
    delay: torch.Tensor
    weight: torch.Tensor


def sorted_synapses(bounds, partitions, neurons):
    """Synapses of all partitions; `partitions` holds (segments, delay, begin, slot, weight) of each."""
    parts = []
    for p, (segments, delay, begin, slot, weight) in enumerate(partitions):
        source, target, steps, _ = rows_synapses(bounds, p, segments, delay, begin, slot, weight, 1.0)
        port = (slot.long() & 0xFFFF) // max(int(bounds[p + 1] - bounds[p]), 1)
        parts.append((source.long(), target.long(), port, steps.long(), weight))
    source, target, port, steps, weight = (torch.cat(column) for column in zip(*parts, strict=True))
    order = torch.argsort(source, stable=True)
    numbers = torch.arange(neurons + 1, device=source.device)
    begin = torch.searchsorted(source[order], numbers)
    weight = weight if weight.is_floating_point() else weight.long()
    return Synapses(begin, target[order], port[order], steps[order], weight[order])


def send_(ring, synapses, step, fired_at, neuron, trial):
    """Adds what spikes of step `fired_at` send to the slots of `ring` ``[D, B, ports, N]`` from `step` on."""
    lengths = synapses.begin[neuron + 1] - synapses.begin[neuron]
    starts = torch.cumsum(lengths, 0) - lengths
    spike = torch.repeat_interleave(torch.arange(len(neuron), device=neuron.device), lengths)
    at = synapses.begin[neuron][spike] + torch.arange(len(spike), device=neuron.device) - starts[spike]
    arrival = fired_at[spike] + synapses.delay[at]
    keep = arrival >= step
    at, spike, arrival = at[keep], spike[keep], arrival[keep]
    places = (arrival % len(ring), trial[spike], synapses.port[at], synapses.target[at])
    ring.index_put_(places, synapses.weight[at], accumulate=True)


def _words(group, trials, neurons, seed, stream, moment):
    return words(seed, stream, moment, group.first, group.last, neurons, trials, group.drive.device)


def _stimulate(group, arrivals, drive, step, seed, neurons):
    """Adds to what arrives, ``[B, n]`` for each port, and to the drive, ``[B, n]``."""
    batch, dtype = len(drive), drive.dtype
    for kind, *stimulus in group.stimuli:
        if kind == "poisson":
            table, weight, stream, port = stimulus
            count = poisson_count(table.to(drive.device), _words(group, batch, neurons, seed, stream, step))
            arrivals[port] = arrivals[port] + count.to(dtype) * torch.tensor(weight, dtype=dtype, device=drive.device)
        else:
            mean, std, interval, stream = stimulus
            drawn = _words(group, batch, neurons, seed, stream, step // interval)
            drive = drive + noise_of(drawn, mean, std).to(dtype) * group.numbers[0]
    return arrivals, drive


def _generate(group, batch, step, seed, neurons):
    fired = torch.zeros(batch, group.last - group.first, dtype=torch.int64, device=group.drive.device)
    for _, table, stream in group.stimuli:
        fired = fired + poisson_count(table.to(fired.device), _words(group, batch, neurons, seed, stream, step))
    return fired


def _step_group(group, values, refrac, arriving, quantum, step, seed):
    """One step of a group, in place; returns how often each neuron fires, int64 ``[B, n]``."""
    span = slice(group.first, group.last)
    _, batch, neurons = values.shape
    if group.form.step is None:
        return _generate(group, batch, step, seed, neurons)
    arrivals = [sums[:, span].to(values.dtype) * quantum for sums in arriving.unbind(1)]
    drive = group.drive.expand(batch, group.last - group.first)
    arrivals, drive = _stimulate(group, arrivals, drive, step, seed, neurons)
    x = [values[k, :, span] for k in range(len(group.form.variables))]
    after, left, fired = spiking_step(group.form, group.numbers, x, refrac[:, span], arrivals, drive)
    for k, value in enumerate(after):
        values[k, :, span] = value
    refrac[:, span] = left
    return fired.long()


def simulate(synapses, groups, values, refrac, flight, start, steps, *, seed, quantum, ring_slots, given, probe):
    """Runs steps start..start+steps-1; changes `values` ``[K, B, N]`` and `refrac` ``[B, N]`` in place.

    Args:
        flight: int64 ``[m, 3]``, spikes of earlier steps (step, neuron, trial).
        quantum: what accumulated weights are multiplied with; 1 for values.
        ring_slots: more than the largest delay.
        given: int64 ``[m, 3]``, spikes of generators (step, neuron, trial).
        probe: None or (neurons, every, variables): a variable for each neuron.

    Returns:
        (spikes int64 ``[n, 3]``: step, neuron, trial, sorted by step, trial and neuron; probed values or None).
    """
    _, batch, neurons = values.shape
    ports = 1 + int(synapses.port.max()) if len(synapses.port) else 1
    ports = max([ports, *(group.form.ports for group in groups)])
    ring = torch.zeros(ring_slots, batch, ports, neurons, dtype=synapses.weight.dtype, device=values.device)
    send_(ring, synapses, start, *flight.unbind(1))
    spikes, probed = [], []
    for step in range(start, start + steps):
        arriving = ring[step % ring_slots]
        fired = [_step_group(group, values, refrac, arriving, quantum, step, seed) for group in groups]
        fired = torch.cat([torch.zeros(batch, 0, dtype=torch.int64, device=values.device), *fired], 1)
        arriving.zero_()
        now = given[given[:, 0] == step]
        fired.index_put_((now[:, 2], now[:, 1]), torch.ones_like(now[:, 0]), accumulate=True)
        trial, neuron = fired.nonzero(as_tuple=True)
        times = fired[trial, neuron]
        trial, neuron = torch.repeat_interleave(trial, times), torch.repeat_interleave(neuron, times)
        spikes.append(torch.stack([torch.full_like(neuron, step), neuron, trial], 1))
        send_(ring, synapses, step + 1, *spikes[-1].unbind(1))
        if probe is not None and (step + 1) % probe[1] == 0:
            probed.append(values[probe[2], :, probe[0]].T)
    spikes = torch.cat([torch.zeros(0, 3, dtype=torch.int64, device=values.device), *spikes])
    if probe is None:
        return spikes, None
    empty = values.new_zeros(0, batch, len(probe[0]))
    return spikes, torch.cat([empty, *(sample[None] for sample in probed)])
