"""Synapses of large sparse networks as rows: sorted by (source, delay), one set of rows for each range of targets.

A chunk of synapses is placed behind those of earlier chunks with the same source, so the order of creation is kept.
"""

import torch


def _place(source, target, bounds):
    part = torch.searchsorted(bounds, target.long(), right=True) - 1
    return part, source.long()


def _slots(target, part, weight, bounds, ports):
    """Where a weight is added in its partition: negative weights of neurons with two ports to the second one."""
    target = target.long()
    width = bounds[part + 1] - bounds[part]
    second = (ports[target] > 1) & (weight < 0)
    return second * width + (target - bounds[part])


def rows_count_(source, target, weight, bound, bounds, ports, counts, load, degree):
    """Adds a chunk to the sizes of rows and to what its weights can amount to.

    Args:
        source, target: int32 ``[n]``.
        weight: ``[n]`` or None; then `bound` is the largest magnitude.
        bounds: int64 ``[P + 1]``. ports: uint8 ``[N]``.
        counts: int64 ``[P, N]``, synapses of a source. load: float64 ``[2, N]``, sums of magnitudes of a target's
            weights by port. degree: int32 ``[N]``, synapses of a target.
    """
    part, source = _place(source, target, bounds)
    counts.view(-1).index_add_(0, part * counts.shape[1] + source, torch.ones_like(part))
    target = target.long()
    degree.index_add_(0, target, torch.ones_like(target, dtype=torch.int32))
    if weight is None:
        load += torch.zeros_like(load[0]).index_add_(0, target, torch.full(target.shape, bound, dtype=torch.float64))
    else:
        second = (ports[target] > 1) & (weight < 0)
        load.view(-1).index_add_(0, second * load.shape[1] + target, weight.double().abs())


def rows_fill_(source, target, delay, weight, quantum, bounds, ports, cursor, total, slots, delays, weights):
    """Writes a chunk behind the earlier ones.

    Args:
        cursor: int64 ``[P, N]``, where the next synapse of a source goes in its partition; moved on.
        total: float64 or int64 ``[2, N]``, sums of magnitudes in quanta, by port.
        slots, delays, weights: a tensor for each partition, written to.
    """
    part, source = _place(source, target, bounds)
    # ties to even
    multiples = torch.round(weight.double() / quantum)
    values = multiples * quantum if weights[0].is_floating_point() else multiples.long()
    slot = _slots(target, part, weight, bounds, ports)
    key = part * cursor.shape[1] + source
    order = torch.argsort(key, stable=True)
    key, part = key[order], part[order]
    _, lengths = torch.unique_consecutive(key, return_counts=True)
    starts = torch.cumsum(lengths, 0) - lengths
    rank = torch.arange(len(key), device=key.device) - torch.repeat_interleave(starts, lengths)
    at = cursor.view(-1)[key] + rank
    cursor.view(-1).index_add_(0, key, torch.ones_like(key))
    second = (ports[target.long()] > 1) & (weight < 0)
    total.view(-1).index_add_(0, second * total.shape[1] + target, values.abs().to(total.dtype))
    for p in range(len(slots)):
        mine = part == p
        where, chosen = at[mine], order[mine]
        slots[p][where] = slot[chosen].to(torch.int16)
        delays[p][where] = delay[chosen].to(delays[p].dtype)
        weights[p][where] = values[chosen].to(weights[p].dtype)


def rows_sort_(first, slot, delay, weight):
    """Sorts the synapses of each source by delay, in place, and says where the segments of one delay are.

    Args:
        first: int64 ``[N + 1]``, where the synapses of a source begin.
        slot, delay, weight: ``[S]`` of one partition.

    Returns:
        (segments of a source int32 ``[N + 1]``, delay of a segment int16, begin of a segment int32 with the end of
        the last behind it).
    """
    count, neurons = len(slot), len(first) - 1
    source = torch.repeat_interleave(torch.arange(neurons, device=first.device), first[1:] - first[:-1])
    wide = delay.long() if delay.dtype == torch.uint8 else delay.long() & 0xFFFF
    key = source * 65536 + wide
    order = torch.argsort(key, stable=True)
    slot.copy_(slot[order].clone())
    weight.copy_(weight[order].clone())
    keys, lengths = torch.unique_consecutive(key[order], return_counts=True)
    begin = torch.zeros(len(keys) + 1, dtype=torch.int32, device=first.device)
    begin[1:] = torch.cumsum(lengths, 0)
    segments = torch.searchsorted(keys, torch.arange(neurons + 1, device=first.device) * 65536).to(torch.int32)
    assert count == int(begin[-1])
    return segments, (keys % 65536).to(torch.int16), begin


def rows_synapses(bounds, partition, segments, delay, begin, slot, weight, quantum):
    """Source, target, delay and weight of all synapses of one partition, in the order of memory."""
    low, high = int(bounds[partition]), int(bounds[partition + 1])
    lengths = (begin[1:] - begin[:-1]).long()
    neurons = torch.arange(len(segments) - 1, device=slot.device)
    of_segment = torch.repeat_interleave(neurons, (segments[1:] - segments[:-1]).long())
    source = torch.repeat_interleave(of_segment, lengths).to(torch.int32)
    target = ((slot.long() & 0xFFFF) % max(high - low, 1) + low).to(torch.int32)
    steps = torch.repeat_interleave(delay.long() & 0xFFFF, lengths).to(torch.int32)
    value = weight.double() if weight.is_floating_point() else weight.double() * quantum
    return source, target, steps, value
