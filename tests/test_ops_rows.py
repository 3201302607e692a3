"""Rows of large sparse networks: every synapse is kept, in its place, in few bytes."""

import itertools

import network_cases as cases
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import ops, testing


def build(synapses, neurons, bounds, ports=1, cuts=(), **options):
    """Rows of synapses that come in chunks."""
    source, target, delay, weight = synapses
    edges = [0, *sorted(cuts), len(source)]
    longest = int(delay.max()) if len(delay) else 1
    builder = ops.RowsBuilder(neurons, bounds, ports, longest, **options)
    for a, b in itertools.pairwise(edges):
        builder.count(source[a:b], target[a:b], weight[a:b])
    builder.allocate()
    for a, b in itertools.pairwise(edges):
        builder.fill(source[a:b], target[a:b], delay[a:b], weight[a:b])
    return builder.finish()


def in_order(source, target, delay, weight):
    order = sorted(range(len(source)), key=lambda i: (source[i], target[i], delay[i], i))
    return source[order], target[order], delay[order], weight[order]


@st.composite
def networks(draw):
    neurons = draw(st.integers(1, 30))
    count = draw(st.integers(0, 200))
    longest = draw(st.sampled_from([1, 2, 60, 255, 256, 40_000]))
    synapses = cases.synapses(draw(st.integers(0, 1000)), neurons, count, longest)
    parts = draw(st.integers(1, 5))
    cuts = draw(st.lists(st.integers(0, count), max_size=3))
    two = draw(st.lists(st.booleans(), min_size=neurons, max_size=neurons))
    return synapses, neurons, parts, cuts, torch.tensor(two).to(torch.uint8) + 1


@given(network=networks(), bits=st.sampled_from([None, 16, 32, 64]))
@settings(max_examples=40, deadline=None)
def test_every_synapse_is_kept_in_its_place(network, bits):
    synapses, neurons, parts, cuts, ports = network
    made = {}
    for name in testing.backends():
        with inferno_cuda.backend(name):
            made[name] = build(synapses, neurons, ops.partition(neurons, 2, parts), ports, cuts, weight_bits=bits)
    rows = made["torch"]
    for other in made.values():
        for name, tensor in rows.tensors().items():
            assert torch.equal(tensor, other.tensors()[name]), name
    kept, wanted = rows.synapses(), in_order(*synapses)
    for mine, expected in zip(kept[:3], wanted[:3], strict=True):
        assert torch.equal(mine, expected)
    assert float((kept.weight - wanted[3].double()).abs().max() if len(kept.weight) else 0) <= rows.quantum / 2
    assert torch.equal(kept.weight, torch.round(kept.weight / rows.quantum) * rows.quantum)
    assert rows.count == len(synapses[0])


@given(network=networks(), ends=st.tuples(*[st.integers(0, 30)] * 4))
@settings(max_examples=25, deadline=None)
def test_synapses_between_ranges(network, ends):
    synapses, neurons, parts, _, ports = network
    rows = build(synapses, neurons, ops.partition(neurons, 2, parts), ports)
    (a, b), (c, d) = (sorted(min(n, neurons) for n in pair) for pair in (ends[:2], ends[2:]))
    every, some = rows.synapses(), rows.synapses((a, b), (c, d))
    inside = (every.source >= a) & (every.source < b) & (every.target >= c) & (every.target < d)
    for mine, other in zip(some, every, strict=True):
        assert torch.equal(mine, other[inside])


def test_six_bytes_a_synapse(backend):
    neurons, count = 300, 60_000
    rows = build(cases.synapses(0, neurons, count, 3), neurons, ops.partition(neurons, 1, 2))
    # 6 for slot and weight; a segment here is for some 33 synapses
    assert rows.nbytes / count < 6.5


def test_four_bytes_a_synapse_with_weights_of_16_bits(backend):
    neurons, count = 300, 60_000
    synapses = cases.synapses(0, neurons, count, 3)
    rows = build(synapses, neurons, ops.partition(neurons, 1, 2), weight_bits=16)
    assert rows.nbytes / count < 4.5
    largest = float(synapses[3].abs().max())
    assert largest / 2**15 <= rows.quantum < largest / 2**13
    again = ops.Rows.from_tensors({name: t.clone() for name, t in rows.tensors().items()})
    for mine, other in zip(again.synapses(), rows.synapses(), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("ports", [1, 2])
@pytest.mark.parametrize("neurons", [1, 2, 7, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("threads", [1, 3, 16])
def test_partition(neurons, threads, ports):
    bounds = ops.partition(neurons, ports, threads)
    sizes = bounds[1:] - bounds[:-1]
    assert bounds[0] == 0 and bounds[-1] == neurons
    assert int(sizes.max()) * ports <= 65_536
    assert int(sizes.max() - sizes.min()) <= 1
    assert len(sizes) >= min(threads, neurons)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_partition_shares_work(threads):
    work = torch.cat([torch.zeros(3000), torch.full((1000,), 5.0), torch.full((50_000,), 1.0)])
    bounds = ops.partition(len(work), 1, threads, work)
    shares = torch.stack([work[a:b].sum() for a, b in itertools.pairwise(bounds.tolist())])
    assert float(shares.max()) < 1.03 * float(shares.mean())
    assert bounds[0] == 0 and bounds[-1] == len(work) and len(shares) == threads


@given(work=st.lists(st.sampled_from([0.0, 1.0, 1e-9, 1e9]), min_size=1, max_size=40), threads=st.integers(1, 50))
def test_a_partition_by_work_leaves_no_range_empty(work, threads):
    bounds = ops.partition(len(work), 1, threads, torch.tensor(work))
    assert len(bounds) == min(threads, len(work)) + 1
    assert bounds[0] == 0 and bounds[-1] == len(work) and bool((bounds.diff() > 0).all())


def test_a_partition_by_work_has_no_more_slots_than_there_are():
    work = torch.zeros(200_000)
    work[-1] = 1.0
    assert int(ops.partition(len(work), 2, 1, work).diff().max()) <= 32_768


@pytest.mark.parametrize("work", [torch.ones(3), torch.full((4,), -1.0), torch.tensor([1.0, 2.0, torch.nan, 1.0])])
def test_work_that_is_refused(work):
    with pytest.raises(ValueError, match="work"):
        ops.partition(4, 1, 2, work)


def test_sums_cannot_overflow_and_the_quantum_is_as_fine_as_that_allows(backend):
    neurons = 4
    target = torch.zeros(1000, dtype=torch.int32)
    weight = torch.rand(1000, generator=torch.Generator().manual_seed(0)) + 1
    rows = ops.rows(target, target, target + 1, weight, neurons=neurons, bounds=ops.partition(neurons, 1, 1))
    multiples = rows.synapses().weight / rows.quantum
    assert 2**30 - 1000 < float(multiples.sum()) <= 2**31 - 1


def test_a_quantum_that_would_be_too_coarse_makes_weights_wide(backend):
    # one weight that dwarfs the mean of many
    ends = torch.arange(100_000, dtype=torch.int32) % 50
    weight = torch.full((100_000,), 1e-3)
    options = {"neurons": 50, "bounds": ops.partition(50, 1, 1)}
    assert ops.rows(ends, ends, ends + 1, weight, **options).weight_bits == 32
    assert ops.rows(ends, ends, ends + 1, weight, dtype=torch.float64, **options).weight_bits == 64
    weight[7] = 1e6
    assert ops.rows(ends, ends, ends + 1, weight, **options).weight_bits == 64
    assert ops.rows(ends, ends, ends + 1, weight, weight_bits=32, **options).weight_bits == 32
    weight[7] = 1.0
    with pytest.raises(ValueError, match="weight_bits was 16; weights of 1 at most .* need 32 bits"):
        ops.rows(ends, ends, ends + 1, weight, weight_bits=16, **options)


def test_a_bound_stands_for_weights_in_the_first_pass(backend):
    source, target, delay, weight = cases.synapses(3, 20, 500, 9)
    made = []
    for first_pass in (weight, 500.0):
        builder = ops.RowsBuilder(20, ops.partition(20, 1, 2), max_delay=9)
        builder.count(source, target, first_pass)
        builder.allocate()
        builder.fill(source, target, delay, weight)
        made.append(builder.finish())
    assert made[1].quantum >= made[0].quantum
    assert torch.allclose(made[0].synapses().weight, made[1].synapses().weight, rtol=0, atol=made[1].quantum)


def test_one_weight_for_all(backend):
    source, target, delay, _ = cases.synapses(4, 20, 300, 5)
    each = ops.rows(source, target, delay, torch.full((300,), 0.3), neurons=20)
    same = ops.rows(source, target, delay, float(torch.tensor(0.3)), neurons=20)
    assert torch.equal(each.synapses().weight, same.synapses().weight)


def test_tensors_make_rows_again():
    rows = cases.mixed_rows(3)
    again = ops.Rows.from_tensors(rows.tensors())
    assert repr(again) == repr(rows)
    for mine, other in zip(again.synapses(), rows.synapses(), strict=True):
        assert torch.equal(mine, other)
    tensors = rows.tensors()
    del tensors["slot.1"]
    with pytest.raises(ValueError, match=r"no 'slot\.1'"):
        ops.Rows.from_tensors(tensors)
    with pytest.raises(ValueError, match="did not fit"):
        ops.Rows.from_tensors(rows.tensors() | {"slot.1": rows.tensors()["slot.0"][:-1]})
    with pytest.raises(ValueError, match="int32"):
        ops.Rows.from_tensors(rows.tensors() | {"begin.0": rows.tensors()["begin.0"].long()})


def test_memory_is_refused_before_it_is_taken():
    source, target, delay, weight = cases.synapses(5, 20, 1000, 5)
    builder = ops.RowsBuilder(20, ops.partition(20, 1, 1), max_delay=5)
    builder.count(source, target, weight)
    assert 6000 <= builder.bytes < builder.peak_bytes
    with pytest.raises(MemoryError, match=f"{builder.peak_bytes:,} bytes .* 5,000 are available"):
        builder.allocate(limit=5000)
    builder.allocate()
    builder.fill(source, target, delay, weight)
    assert builder.finish().nbytes <= builder.bytes * 1.1


def test_refusals_leave_the_builder_as_it_was(backend):
    source, target, delay, weight = cases.synapses(6, 20, 100, 5)
    builder = ops.RowsBuilder(20, ops.partition(20, 1, 2), max_delay=5)
    with pytest.raises(TypeError, match="source was torch.int64"):
        builder.count(source.long(), target, weight)
    with pytest.raises(ValueError, match="target was .* 0 to 19"):
        builder.count(source, target + 10, weight)
    with pytest.raises(ValueError, match="target had 99"):
        builder.count(source, target[1:], weight)
    with pytest.raises(ValueError, match="finite"):
        builder.count(source, target, weight * torch.inf)
    with pytest.raises(TypeError, match="weight was torch.int32"):
        builder.count(source, target, weight.int())
    with pytest.raises(RuntimeError, match="allocate"):
        builder.fill(source, target, delay, weight)
    builder.count(source, target, weight)
    builder.allocate()
    with pytest.raises(RuntimeError, match="allocated already"):
        builder.count(source, target, weight)
    with pytest.raises(ValueError, match="delay was .* 1 to 5"):
        builder.fill(source, target, delay + 3, weight)
    with pytest.raises(ValueError, match="delay was 0"):
        builder.fill(source, target, delay * 0, weight)
    with pytest.raises(RuntimeError, match="0 synapses were filled in of 100"):
        builder.finish()
    builder.fill(source, target, delay, weight)
    with pytest.raises(RuntimeError, match="more synapses than the 100"):
        builder.fill(source[:1], target[:1], delay[:1], weight[:1])
    expected = in_order(source, target, delay, weight)
    assert torch.equal(builder.finish().synapses().delay, expected[2])


def test_weights_above_their_bound_are_noticed(backend):
    source, target, delay, weight = cases.synapses(7, 20, 100, 5)
    builder = ops.RowsBuilder(20, ops.partition(20, 1, 2), max_delay=5)
    builder.count(source, target, 1e-3)
    builder.allocate()
    for bad in (weight, 0.002, -1e300, weight.double() * 1e200):
        with pytest.raises(ValueError, match=r"weight was up to .*; count\(\) was told of 0.001 at most"):
            builder.fill(source, target, delay, bad)
    builder.fill(source, target, delay, 1e-3)
    assert len(builder.finish().synapses().weight) == 100


def test_weights_above_the_bound_of_their_chunk_are_noticed(backend):
    """Where the bound of another chunk is not exceeded; in the end sums are looked at."""
    source, target, delay, _ = cases.synapses(7, 20, 100, 5)
    builder = ops.RowsBuilder(20, ops.partition(20, 1, 2), max_delay=5)
    builder.count(source, target, 1e-3)
    builder.count(source[:1], target[:1], 50.0)
    builder.allocate()
    builder.fill(source, target, delay, 50.0)
    builder.fill(source[:1], target[:1], delay[:1], 50.0)
    with pytest.raises(RuntimeError, match="larger than count"):
        builder.finish()


def test_other_synapses_in_the_second_pass_are_noticed():
    source, target, delay, weight = cases.synapses(8, 20, 100, 5)
    builder = ops.RowsBuilder(20, ops.partition(20, 1, 2), max_delay=5)
    builder.count(source, target, weight)
    builder.allocate()
    builder.fill(source.flip(0), target, delay, weight)
    with pytest.raises(RuntimeError, match="not those that were counted"):
        builder.finish()


def test_bad_partitions_are_refused():
    with pytest.raises(ValueError, match="65536 fit"):
        ops.RowsBuilder(70_000, torch.tensor([0, 70_000]))
    with pytest.raises(ValueError, match="ascend from 0"):
        ops.RowsBuilder(10, torch.tensor([0, 6, 4, 10]))
    with pytest.raises(ValueError, match="max_delay was 0"):
        ops.RowsBuilder(10, ops.partition(10), max_delay=0)
    with pytest.raises(ValueError, match="weight_bits was 8; it must be 16, 32, 64 or None"):
        ops.RowsBuilder(10, ops.partition(10), weight_bits=8)
    with pytest.raises(ValueError, match="ports was 3"):
        ops.RowsBuilder(10, ops.partition(10), ports=3)


@pytest.mark.parametrize("weight", [1e308, -1e308, 1e-320])
@pytest.mark.parametrize("each", [False, True])
def test_weights_whose_sums_are_no_numbers_are_refused(weight, each, backend):
    ends = torch.zeros(20, dtype=torch.int32)
    given = torch.full((20,), weight, dtype=torch.float64) if each else weight
    with pytest.raises(ValueError, match="weights had a mean magnitude of .*; sums of them leave the range"):
        ops.rows(ends, ends, ends + 1, given, neurons=2)


@pytest.mark.parametrize("repeats", [0, 70_000, torch.ones(3, dtype=torch.int64), torch.ones(20)])
def test_repeats_that_are_refused(repeats):
    with pytest.raises(ValueError, match="repeats was"):
        ops.RowsBuilder(20, ops.partition(20), repeats=repeats)


def _damage(rows, name, change):
    tensors = {key: tensor.clone() for key, tensor in rows.tensors().items()}
    change(tensors[name])
    return tensors


@pytest.mark.parametrize(
    ("name", "at", "value", "text"),
    [
        ("segments.0", 0, -5, "segments.0 did not ascend from 0"),
        ("segments.0", 4, 30_000, "segments.0 did not ascend from 0"),
        ("begin.0", 3, 1_000_000, "begin.0 did not ascend from 0"),
        ("begin.0", 0, 2, "begin.0 did not ascend from 0"),
        ("delay.0", 1, 0, "delay.0 had delays of 0 steps"),
        ("slot.0", 7, -1, "slot.0 had places that its 10 neurons do not have"),
        ("slot.0", 7, 10, "slot.0 had places that its 10 neurons do not have"),
        ("ports", 7, 3, "ports had values other than 1 and 2"),
    ],
)
def test_damaged_rows_are_refused(name, at, value, text):
    rng = torch.Generator().manual_seed(1)
    source, target = torch.randint(20, (2, 300), dtype=torch.int32, generator=rng)
    rows = ops.rows(source, target, source % 5 + 1, 0.5, neurons=20, bounds=ops.partition(20, 1, 2))
    ops.Rows.from_tensors(rows.tensors())
    with pytest.raises(ValueError, match=text):
        ops.Rows.from_tensors(_damage(rows, name, lambda tensor: tensor.index_fill_(0, torch.tensor(at), value)))


def test_the_mean_of_weights_that_are_bounded_says_how_fine_they_must_be(backend):
    ends, target = torch.zeros(20, dtype=torch.int32), torch.arange(20, dtype=torch.int32)
    for mean, refused in ((0.51, False), (0.49, True)):
        builder = ops.RowsBuilder(20, ops.partition(20), weight_bits=16)
        builder.count(ends, target, 64.0, mean)  # steps of 1/256: with 1/512, 64 would be more than 32,767 of them
        if refused:
            with pytest.raises(ValueError, match="64 at most and 0.49 on average .* need 32 bits"):
                builder.allocate()
        else:
            builder.allocate()
    builder = ops.RowsBuilder(20, ops.partition(20))
    with pytest.raises(ValueError, match="mean was 65.0; it must be 0 to 64"):
        builder.count(ends, target, 64.0, 65.0)
    with pytest.raises(TypeError, match="mean was given beside weights one by one"):
        builder.count(ends, target, torch.ones(20), 1.0)
    assert builder.synapses == 0


def test_sums_without_room_are_those_of_a_neuron_whose_weights_are_not_0():
    target = torch.cat([torch.zeros(65_537), torch.ones(65_540)]).int()
    for sign in (1.0, -1.0):
        weight = torch.where(target == 0, sign, 0.0)
        with pytest.raises(ValueError, match="neuron 0 has 65,537 synapses"):
            ops.rows(target * 0, target, target * 0 + 1, weight, weight_bits=32, neurons=2, repeats=65_535)


def test_repeats_that_leave_no_room_for_sums_are_refused(backend):
    ends = torch.zeros(65_537, dtype=torch.int32)
    options = {"neurons": 1, "repeats": 65_535}
    for bits in (16, 32):
        with pytest.raises(ValueError, match=f"weight_bits was {bits}; neuron 0 has 65,537 synapses .* 65,535 times"):
            ops.rows(ends, ends, ends + 1, 1.0, weight_bits=bits, **options)
    # by default they get the room
    assert ops.rows(ends, ends, ends + 1, 1.0, **options).weight_bits == 64
    with pytest.raises(ValueError, match="multiples of 32, more than 1/128 of the average; they need 64 bits"):
        ops.rows(ends[:60_000], ends[:60_000], ends[:60_000] + 1, 1.0, weight_bits=16, **options)
    with pytest.raises(ValueError, match="weight_bits was 32; weights of 1 on average .* they need 64 bits"):
        ops.rows(ends[:60_000], ends[:60_000], ends[:60_000] + 1, 1.0, weight_bits=32, **options)
