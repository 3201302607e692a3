"""Connection rules: their definitions, their independence of chunks, and kernel against reference."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import inferno_cuda
from inferno_cuda import ops, reference
from inferno_cuda.testing import assert_identical

DRAWN = {"fixed_indegree": "indegree", "fixed_outdegree": "outdegree", "fixed_total_number": "number"}
SEEDS = st.integers(0, 2**64 - 1)


def synapses(rule, sources, targets, *, begin=0, end=None, seed=1, stream=4, **options):
    if end is None:
        end = ops.connect_count(rule, sources, targets, **options)
    given = {"seed": seed, "stream": stream, "sources": sources, "targets": targets}
    return ops.connect(rule, begin=begin, end=end, **given, **options)


@st.composite
def drawn_rules(draw):
    """A rule with random parameters that are possible: name, sources, targets, options."""
    rule = draw(st.sampled_from([*DRAWN, "all_to_all", "one_to_one", "pairwise_bernoulli"]))
    sources, targets = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    autapses, multapses = draw(st.booleans()) or rule == "one_to_one", draw(st.booleans())
    if rule == "one_to_one" or not autapses:
        targets = sources
    options = {"autapses": autapses, "multapses": multapses}
    rows, columns = (sources, targets) if rule == "fixed_outdegree" else (targets, sources)
    columns -= not autapses
    if rule in DRAWN:
        pairs = columns * rows if rule == "fixed_total_number" else columns
        most = 0 if not pairs else 80 if multapses else pairs
        options[DRAWN[rule]] = draw(st.integers(0, most))
    elif rule == "pairwise_bernoulli":
        options["p"] = draw(st.floats(0, 1).filter(lambda p: p == 0 or p > 1e-6))
    return rule, sources, targets, options


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "index", "stream", "attempt", "words"),
    [
        (0, 0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (2**64 - 1, -1, 2**32 - 1, 2**32 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            *(0x299F31D0A4093822, 0x85A308D3243F6A88 - 2**64, 0x13198A2E, 0x03707344),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_has_the_published_words(seed, index, stream, attempt, words):
    made = reference.philox(seed, stream, torch.tensor([index]), attempt)
    assert [f"{int(word):08x}" for word in made] == words.split()


def test_integers_below_are_uniform_and_in_range():
    words = reference.philox(3, 0, torch.arange(60_000))
    counts = torch.bincount(reference.below(*words[:2], 6), minlength=6)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    top, zero = torch.tensor([2**32 - 1]), torch.tensor([0])
    for count in (1, 7, 2**31 - 1):
        assert reference.below(top, top, count) == count - 1 and reference.below(zero, zero, count) == 0


# -- rules ------------------------------------------------------------------------------------------------------------


def test_one_to_one(backend):
    source, target, index = synapses("one_to_one", 5, 5, begin=1, end=4)
    assert source.tolist() == target.tolist() == index.tolist() == [1, 2, 3]
    assert source.dtype == target.dtype == torch.int32 and index.dtype == torch.int64


def test_all_to_all(backend):
    source, target, index = synapses("all_to_all", 3, 2)
    assert source.tolist() == [0, 1, 2, 0, 1, 2] and target.tolist() == [0, 0, 0, 1, 1, 1]
    assert index.tolist() == list(range(6))
    source, target, _ = synapses("all_to_all", 3, 3, autapses=False)
    assert source.tolist() == [1, 2, 0, 2, 0, 1] and target.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_certain_pair_is_connected_and_an_impossible_one_is_not(backend):
    for known, wanted in zip(synapses("all_to_all", 7, 5), synapses("pairwise_bernoulli", 7, 5, p=1), strict=True):
        assert torch.equal(known, wanted)
    assert all(len(made) == 0 for made in synapses("pairwise_bernoulli", 7, 5, p=0))


@settings(deadline=None, max_examples=150)
@given(made=drawn_rules(), seed=SEEDS, mode=st.sampled_from(inferno_cuda.testing.backends()))
def test_rules_keep_what_they_promise(made, seed, mode):
    rule, sources, targets, options = made
    with inferno_cuda.backend(mode):
        source, target, index = synapses(rule, sources, targets, seed=seed, **options)
    count = ops.connect_count(rule, sources, targets, **options)
    assert len(source) == len(target) == len(index)
    assert ((0 <= source) & (source < sources) & (0 <= target) & (target < targets)).all()
    if not options["autapses"]:
        assert (source != target).all()
    if not options["multapses"] or rule not in DRAWN:
        assert len({*zip(source.tolist(), target.tolist(), strict=True)}) == len(source)
    if rule == "pairwise_bernoulli":
        assert ((0 <= index) & (index < count)).all() and (index.diff() > 0).all()
    else:
        assert torch.equal(index, torch.arange(count))
    if rule in ("fixed_indegree", "all_to_all"):
        degree = options.get("indegree", sources - (not options["autapses"]))
        assert torch.equal(target.long(), torch.arange(targets).repeat_interleave(degree))
    if rule == "fixed_outdegree":
        assert torch.equal(source.long(), torch.arange(sources).repeat_interleave(options["outdegree"]))
    if rule == "fixed_total_number":
        assert count == options["number"]


@settings(deadline=None, max_examples=60)
@given(made=drawn_rules(), seed=SEEDS, cuts=st.lists(st.floats(0, 1), max_size=4), data=st.data())
def test_chunks_and_backends_make_the_same_synapses(made, seed, cuts, data):
    rule, sources, targets, options = made
    count = ops.connect_count(rule, sources, targets, **options)
    with inferno_cuda.backend("torch"):
        whole = synapses(rule, sources, targets, seed=seed, **options)
    ends = sorted(int(cut * count) for cut in cuts)
    with inferno_cuda.backend(data.draw(st.sampled_from(inferno_cuda.testing.backends()))):
        chunks = [
            synapses(rule, sources, targets, begin=begin, end=end, seed=seed, **options)
            for begin, end in zip([0, *ends], [*ends, count], strict=True)
        ]
    for parts, expected in zip(zip(*chunks, strict=True), whole, strict=True):
        assert_identical(torch.cat(parts), expected)


@pytest.mark.parametrize("multapses", [True, False])
@pytest.mark.parametrize("autapses", [True, False])
@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("fixed_indegree", {"indegree": 700}),
        ("fixed_outdegree", {"outdegree": 700}),
        ("fixed_total_number", {"number": 1_000_000}),
        ("pairwise_bernoulli", {"p": 0.1}),
        ("all_to_all", {}),
    ],
)
def test_many_synapses_have_the_reference_s_bits(native, device, rule, options, autapses, multapses):
    options = options | {"autapses": autapses, "multapses": multapses}
    begin = 123_457
    part = {"begin": begin, "end": begin + 100_003, "seed": 2**63 + 5, "device": device, **options}
    for threads in (1, 3):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        made = synapses(rule, 3000, 3000, **part)
        torch.set_num_threads(before)
        with inferno_cuda.backend("torch"):
            expected = synapses(rule, 3000, 3000, **part)
        for values, wanted in zip(made, expected, strict=True):
            assert_identical(values, wanted)


def test_the_last_numbers_of_huge_rules(native):
    big = 2**31 - 1
    for rule, options in [
        ("all_to_all", {}),
        ("fixed_indegree", {"indegree": 2**30}),
        ("fixed_indegree", {"indegree": 2**30, "multapses": False}),
        ("fixed_total_number", {"number": 2**61, "multapses": False}),
        ("pairwise_bernoulli", {"p": 2.0**-20}),
    ]:
        count = ops.connect_count(rule, big, big, **options)
        made = synapses(rule, big, big, begin=count - 1000, end=count, **options)
        with inferno_cuda.backend("torch"):
            expected = synapses(rule, big, big, begin=count - 1000, end=count, **options)
        for values, wanted in zip(made, expected, strict=True):
            assert_identical(values, wanted)
        assert (made[0] >= 0).all() and (made[1] >= 0).all()


# -- statistics -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("autapses", [True, False])
@pytest.mark.parametrize("multapses", [True, False])
@pytest.mark.parametrize("rule", DRAWN)
def test_all_pairs_are_drawn_equally_often(rule, multapses, autapses):
    """Over many seeds, the number of synapses of each pair; without multapses it varies less."""
    neurons, rounds, seeds = 8, 24 if rule == "fixed_total_number" else 3, 250
    options = {"autapses": autapses, "multapses": multapses, DRAWN[rule]: rounds}
    counts = torch.zeros(neurons, neurons)
    for seed in range(seeds):
        source, target, _ = synapses(rule, neurons, neurons, seed=seed, **options)
        counts.index_put_((target.long(), source.long()), torch.ones(len(source)), accumulate=True)
    possible = torch.ones(neurons, neurons, dtype=torch.bool) if autapses else ~torch.eye(neurons, dtype=torch.bool)
    assert (counts[~possible] == 0).all()
    seen = counts[possible].double()
    assert seen.sum() == seeds * neurons * 3
    scale = 1.0
    if not multapses:
        columns = neurons - (not autapses)
        pairs = neurons * columns if rule == "fixed_total_number" else columns
        scale = (pairs - rounds) / (pairs - 1)
    assert stats.chi2(len(seen) - 1).sf(float(((seen - seen.mean()) ** 2 / seen.mean()).sum() / scale)) > 1e-4


def test_probabilities_of_pairs(backend):
    for p in (0.02, 0.5):
        source, target, _ = synapses("pairwise_bernoulli", 700, 900, p=p)
        assert abs(len(source) - 630_000 * p) < 4 * math.sqrt(630_000 * p * (1 - p))
        for ends, size in ((source, 700), (target, 900)):
            counts = torch.bincount(ends, minlength=size).double()
            statistic = ((counts - counts.mean()) ** 2).sum() / (counts.mean() * (1 - p))
            assert 1e-4 < stats.chi2(size - 1).sf(float(statistic)) < 1 - 1e-4


@pytest.mark.parametrize("count", [*range(1, 40), 100, 1000, 65_537])
def test_permutations(count):
    keys = torch.arange(3).repeat_interleave(count)
    places = reference.permuted(torch.arange(count).repeat(3), count, 5, 2, keys).view(3, count)
    assert torch.equal(places.sort().values, torch.arange(count).expand(3, -1))
    assert count < 15 or len({*map(tuple, places.tolist())}) == 3


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7, 9, 16, 30])
def test_ordered_pairs_of_a_permutation_are_equally_likely(count):
    rows = 40_000
    keys = torch.arange(rows).repeat_interleave(2)
    first, second = reference.permuted(torch.tensor([0, 1]).repeat(rows), count, 11, 6, keys).view(rows, 2).T
    seen = torch.bincount(first * count + second, minlength=count**2).view(count, count)
    assert (seen.diagonal() == 0).all()
    assert stats.chisquare(seen[~torch.eye(count, dtype=torch.bool)].numpy()).pvalue > 1e-4


def test_seeds_and_streams_differ(backend):
    options = {"indegree": 50, "multapses": False}
    made = [synapses("fixed_indegree", 1000, 4, seed=s, stream=t, **options)[0] for s in (0, 2**32) for t in (0, 4)]
    for i, one in enumerate(made):
        assert all((one != other).float().mean() > 0.9 for other in made[i + 1 :])


# -- edges and refusals -----------------------------------------------------------------------------------------------


def test_nothing_to_connect(backend):
    for rule, sources, targets, options in [
        ("all_to_all", 0, 5, {}),
        ("one_to_one", 0, 0, {}),
        ("all_to_all", 1, 1, {"autapses": False}),
        ("fixed_indegree", 0, 0, {"indegree": 3}),
        ("fixed_indegree", 4, 4, {"indegree": 0, "multapses": False}),
        ("fixed_total_number", 0, 4, {"number": 0}),
        ("pairwise_bernoulli", 0, 4, {"p": 0.3}),
    ]:
        assert ops.connect_count(rule, sources, targets, **options) == 0
        made = synapses(rule, sources, targets, **options)
        assert [m.dtype for m in made] == [torch.int32, torch.int32, torch.int64] and all(m.shape == (0,) for m in made)
    assert all(m.shape == (0,) for m in synapses("all_to_all", 3, 3, begin=4, end=4))


@pytest.mark.parametrize(
    ("error", "says", "changed"),
    [
        (ValueError, "rule was 'ring'; it must be one of 'one_to_one'", {"rule": "ring"}),
        (ValueError, "sources was -1; it must be a number of neurons", {"sources": -1}),
        (ValueError, "targets was 2147483648", {"targets": 2**31}),
        (TypeError, "targets was 2.0; it must be an integer", {"targets": 2.0}),
        (ValueError, "sources were 4, targets 5; for autapses=False", {"targets": 5, "autapses": False}),
        (
            *(ValueError, "sources were 4, targets 5; for one_to_one"),
            {"rule": "one_to_one", "targets": 5, "indegree": None},
        ),
        (ValueError, "nothing but autapses", {"rule": "one_to_one", "autapses": False, "indegree": None}),
        (TypeError, "parameters of fixed_indegree were number; they must be indegree", {"indegree": None, "number": 3}),
        (TypeError, "parameters of all_to_all were indegree; they must be none", {"rule": "all_to_all"}),
        (TypeError, "indegree was 2.5; it must be an integer", {"indegree": 2.5}),
        (TypeError, "indegree was True; it must be an integer", {"indegree": True}),
        (ValueError, "indegree was -3; it must be at least 0", {"indegree": -3}),
        (ValueError, "indegree was 5; without multapses it must be at most 4", {"indegree": 5, "multapses": False}),
        (ValueError, "at most 3", {"indegree": 4, "multapses": False, "autapses": False}),
        (ValueError, "indegree was 2; it must be 0 where there is no pair", {"sources": 0}),
        (ValueError, "it must be below 2\\^62", {"targets": 2**31 - 1, "indegree": 2**60}),
        (
            *(ValueError, "number was 3; it must be 0 where there is no pair"),
            {"rule": "fixed_total_number", "indegree": None, "number": 3, "targets": 0},
        ),
        (ValueError, "p was 1.5; it must be a prob", {"rule": "pairwise_bernoulli", "indegree": None, "p": 1.5}),
        (ValueError, "0 or from 2\\^-32", {"rule": "pairwise_bernoulli", "indegree": None, "p": 1e-11}),
        (ValueError, "p was nan; it must be finite", {"rule": "pairwise_bernoulli", "indegree": None, "p": math.nan}),
        (ValueError, "seed was -1; it must be at least 0", {"seed": -1}),
        (ValueError, "seed was 18446744073709551616", {"seed": 2**64}),
        (ValueError, "stream was 4294967296", {"stream": 2**32}),
        (ValueError, "begin was 9; it must be at least 0 and at most 8", {"begin": 9}),
        (ValueError, "end was 9; it must be at least begin, 3, and at most 8", {"begin": 3, "end": 9}),
        (ValueError, "end was 2; it must be at least begin, 3", {"begin": 3, "end": 2}),
    ],
)
def test_refusals(error, says, changed):
    options = {"rule": "fixed_indegree", "sources": 4, "targets": 4, "indegree": 2, "begin": 0, "end": 2, "seed": 0}
    options = {name: value for name, value in (options | {"stream": 0} | changed).items() if value is not None}
    with pytest.raises(error, match=says):
        ops.connect(options.pop("rule"), **options)
