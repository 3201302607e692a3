"""Synapses of rules and numbers of distributions in csrc, CPU and emulated, against their reference."""

import numpy as np
import pytest
import torch
from core_py import BACKENDS, assert_same, load
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import reference
from inferno_cuda.reference import words

core = load()
SEEDS = st.integers(0, 2**64 - 1)
STREAMS = st.integers(0, 2**32 - 1)


def parts_of(count, cut, backend):
    """CPU loops take ranges in any order, kernels all items at once."""
    return [{}] if backend == "emulated" else [{"range": (cut, count)}, {"range": (0, cut)}]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rule", reference.RULES[:-1])
@settings(deadline=None, max_examples=40)
@given(
    neurons=st.integers(2, 3000),
    share=st.floats(0, 1),
    count=st.integers(1, 1500),
    place=st.floats(0, 1),
    autapses=st.booleans(),
    multapses=st.booleans(),
    seed=SEEDS,
    stream=STREAMS,
)
def test_rules(backend, rule, neurons, share, count, place, autapses, multapses, seed, stream):
    autapses = autapses or rule == "one_to_one"
    columns = neurons - (not autapses)
    per_row = 1 + int(share * (columns - 1))
    total = {"one_to_one": neurons, "fixed_indegree": neurons * per_row, "fixed_outdegree": neurons * per_row}
    total = total.get(rule, neurons * columns)
    count = min(count, total)
    first = int(place * (total - count))
    wiring = reference.Wiring(rule, neurons, columns, autapses, multapses, per_row, 0, total)
    row, column = np.zeros(count, np.int32), np.zeros(count, np.int32)
    index = np.zeros(count, np.int64)
    for part in parts_of(count, count // 3, backend):
        getattr(core, backend).connect(
            row, column, index, rule=reference.RULES.index(rule), autapses=autapses, multapses=multapses, seed=seed,
            stream=stream, rows=neurons, columns=columns, per_row=per_row, first=first, **part,
        )  # fmt: skip
    made = (row, column, index) if rule == "fixed_outdegree" else (column, row, index)
    expected = reference.connect(wiring, seed=seed, stream=stream, begin=first, end=first + count)
    for values, wanted in zip(made, expected, strict=True):
        assert_same(torch.from_numpy(values), wanted)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(deadline=None, max_examples=30)
@given(
    count=st.integers(1, 5000),
    first=st.integers(0, 2**60),
    threshold=st.sampled_from([0, 1, 2**30, 2**31 + 1, 2**32 - 1, 2**32]),
    seed=SEEDS,
    stream=STREAMS,
)
def test_pairs(backend, count, first, threshold, seed, stream):
    kept = np.zeros(count, bool)
    for part in parts_of(count, count // 3, backend):
        given = {"seed": seed, "stream": stream, "threshold": threshold, "first": first}
        getattr(core, backend).bernoulli(kept, **given, **part)
    wiring = reference.Wiring("pairwise_bernoulli", 1, 1, True, True, 0, threshold, first + count)
    _, _, index = reference.connect(wiring, seed=seed, stream=stream, begin=first, end=first + count)
    assert np.array_equal(np.flatnonzero(kept) + first, index.numpy())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("distribution", reference.DISTRIBUTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@settings(deadline=None, max_examples=20)
@given(
    count=st.integers(0, 1500),
    bounds=st.sampled_from([(-np.inf, np.inf), (0.2, np.inf), (-np.inf, 0.9), (0.2, 0.9)]),
    redraw=st.booleans(),
    seed=SEEDS,
    stream=STREAMS,
)
def test_draws(backend, distribution, dtype, count, bounds, redraw, seed, stream):
    index = torch.randint(2**62, (count,), generator=torch.Generator().manual_seed(count))
    out = torch.zeros(count, dtype=dtype)
    given = {"seed": seed, "stream": stream, "a": -0.1, "b": 0.8, "low": bounds[0], "high": bounds[1], "redraw": redraw}
    for part in parts_of(count, count // 3, backend):
        number = reference.DISTRIBUTIONS.index(distribution)
        getattr(core, backend).draw(out.numpy(), index.numpy(), distribution=number, **given, **part)
    assert_same(out, reference.draw(distribution, index=index, dtype=dtype, **given))


def test_logarithms_and_quantiles():
    u = torch.cat([torch.rand(50_000, dtype=torch.float64), torch.logspace(-15.9, -1, 3000, dtype=torch.float64)])
    assert_same(torch.from_numpy(core.normal_quantile(u.numpy())), reference.normal_quantile(u))
    wide = torch.logspace(-300, 300, 3001, dtype=torch.float64)
    assert_same(torch.from_numpy(core.log(wide.numpy())), words.log(wide))
    assert_same(torch.from_numpy(core.sqrt(wide.numpy())), words.sqrt(wide))
