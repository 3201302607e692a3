"""No spike is lost or doubled, at any delay, load and length of a row, and wherever the ring of steps wraps around.

Generators fire onto neurons that sum up what arrives; weights are small integers, so that sums are exact in float32,
too, and every step of every neuron is compared with a sum over all synapses.
"""

import itertools

import network_cases as cases
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import ops, testing


def arrived(synapses, fired, size):
    """What has arrived by the end of each step, float64 ``[steps, size]``; ``fired`` counts spikes ``[steps, n]``."""
    source, target, delay, weight = synapses
    steps = len(fired)
    sums = torch.zeros(steps, size, dtype=torch.float64)
    for late in delay.unique().tolist():
        these = delay == late
        if late < steps:
            values = fired[: steps - late, source[these].long()] * weight[these].double()
            sums[late:].index_add_(1, target[these].long(), values)
    return sums.cumsum(0)


def summed(backend, synapses, fired, size, parts=1, threads=1, cuts=(), dtype=torch.float64):
    """The same from a run that is interrupted at the cuts."""
    steps, generators = fired.shape
    rows, populations = cases.summing_network(*synapses, size, generators, parts, backend, dtype)
    state, seen = ops.SimulationState.zeros(populations, dtype=dtype), []
    probe = ops.Probe(torch.arange(size))
    for a, b in itertools.pairwise([0, *sorted(cuts), steps]):
        at, who = fired[a:b].nonzero().unbind(1)
        times = fired[a:b][at, who].long()
        spikes = torch.stack([at, who, torch.zeros_like(at)], 1).repeat_interleave(times, 0)
        with inferno_cuda.backend(backend):
            out = ops.simulate(rows, populations, state, b - a, given=spikes, probe=probe, threads=threads)
        seen.append(out.probed[:, 0])
    return torch.cat(seen).double()


def synapses(rng, generators, size, count, delays):
    source = torch.randint(generators, (count,), dtype=torch.int32, generator=rng)
    target = torch.randint(generators, size, (count,), dtype=torch.int32, generator=rng)
    delay = delays[torch.randint(len(delays), (count,), generator=rng)].int()
    return source, target, delay, torch.randint(-3, 4, (count,), generator=rng).float()


@given(
    seed=st.integers(0, 999),
    longest=st.sampled_from([1, 2, 3, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257]),
    shortest=st.integers(1, 20),
    load=st.sampled_from([0.002, 0.1, 0.7, 1.0]),
    most=st.sampled_from([1, 1, 5]),
    parts=st.integers(1, 4),
    threads=st.integers(1, 3),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    data=st.data(),
)
@settings(max_examples=12, deadline=None)
def test_rings_wrap_around_under_any_load(seed, longest, shortest, load, most, parts, threads, dtype, data):
    rng = torch.Generator().manual_seed(seed)
    generators, size, steps = 4, 17, 2 * longest + 40
    # the delays at which a ring of any size would lose or repeat something
    delays = torch.tensor(sorted({min(shortest, longest), max(1, longest // 2), max(1, longest - 1), longest}))
    given_synapses = synapses(rng, generators, size, 60, delays)
    fired = (torch.rand(steps, generators, generator=rng) < load).double()
    fired *= torch.randint(1, most + 1, fired.shape, generator=rng)
    cuts = data.draw(st.lists(st.integers(0, steps), max_size=4))
    expected = arrived(given_synapses, fired, size)[:, generators:]
    for backend in testing.backends():
        found = summed(backend, given_synapses, fired, size, parts, threads, cuts, dtype)
        assert torch.equal(found[:, generators:], expected), backend


LENGTHS = [0, 1, 15, 16, 17, 31, 32, 33, 65_535, 65_536, 65_537]


@pytest.mark.parametrize("delays", [[1], [2, 3, 40]])
@pytest.mark.parametrize("length", LENGTHS)
def test_rows_of_any_length(length, delays, backend):
    """One long row between two short ones, onto few neurons and so with multapses."""
    rng = torch.Generator().manual_seed(length)
    size, generators = 40, 3
    columns = synapses(rng, 1, size - 2, length, torch.tensor(delays))
    few = synapses(rng, 1, size - 2, 2, torch.tensor(delays))
    made = [(few, 0), (columns, 1), (few, 2)]
    joined = tuple(torch.cat([part[k] for part, _ in made]) for k in range(4))
    source = torch.cat([torch.full_like(part[0], number) for part, number in made])
    together = (source, joined[1] + 2, *joined[2:])
    fired = torch.zeros(60, generators, dtype=torch.float64)
    fired[0], fired[7:10, 1], fired[9, 2], fired[19] = 1, 1, 2, 1
    expected = arrived(together, fired, size)[:, generators:]
    for parts, threads, dtype in ((1, 1, torch.float32), (3, 2, torch.float64)):
        found = summed(backend, together, fired, size, parts, threads, (8, 9), dtype)
        assert torch.equal(found[:, generators:], expected)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_row_onto_more_neurons_than_a_range_of_targets_has(threads, backend):
    size = 66_000
    target = torch.arange(1, size, dtype=torch.int32)
    given_synapses = (torch.zeros_like(target), target, target % 3 + 1, (target % 5).float())
    fired = torch.tensor([[1.0], [1.0], [0.0], [2.0], [0.0], [0.0], [0.0]], dtype=torch.float64)
    found = summed(backend, given_synapses, fired, size, parts=2, threads=threads, cuts=(2,), dtype=torch.float32)
    assert torch.equal(found[:, 1:], arrived(given_synapses, fired, size)[:, 1:])
