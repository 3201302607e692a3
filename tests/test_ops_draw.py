"""Random numbers by index: distributions, bounds, and kernel against reference."""

import math
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

import inferno_cuda
from inferno_cuda import ops, reference
from inferno_cuda.reference.words import log, sqrt
from inferno_cuda.testing import assert_identical

NUMBERS = {
    "uniform": {"low": -1.5, "high": 2.5},
    "normal": {"mean": 0.4, "std": 0.7},
    "lognormal": {"mu": -0.3, "sigma": 0.5},
}
LAWS = {
    "uniform": stats.uniform(-1.5, 4),
    "normal": stats.norm(0.4, 0.7),
    "lognormal": stats.lognorm(0.5, scale=math.exp(-0.3)),
}


def draw(distribution, count=1000, seed=1, stream=5, index=None, **options):
    index = torch.arange(count) if index is None else index
    return ops.draw(distribution, seed=seed, stream=stream, index=index, **options)


# -- distributions ----------------------------------------------------------------------------------------------------


def test_a_constant(backend):
    assert draw("constant", 3, value=2.5, dtype=torch.float32).tolist() == [2.5] * 3


@pytest.mark.parametrize("distribution", NUMBERS)
def test_numbers_follow_their_law(backend, distribution):
    values = draw(distribution, 50_000, **NUMBERS[distribution])
    assert values.dtype == torch.float64
    assert stats.kstest(values.numpy(), LAWS[distribution].cdf).pvalue > 1e-3


@pytest.mark.parametrize("stride", [1, 2, 4, 2**32])
def test_neighbouring_numbers_are_independent(backend, stride):
    values = draw("normal", index=torch.arange(40_000) * stride, mean=0, std=1).numpy()
    for lag in (1, 2, 7):
        assert abs(np.corrcoef(values[:-lag], values[lag:])[0, 1]) < 4.5 / math.sqrt(len(values))


@pytest.mark.parametrize(("low", "high"), [(0.1, None), (None, 0.5), (0.1, 0.5)])
@pytest.mark.parametrize("distribution", ["normal", "lognormal"])
def test_numbers_outside_the_bounds_are_drawn_again(backend, distribution, low, high):
    values = draw(distribution, 50_000, low=low, high=high, bounded="redraw", **NUMBERS[distribution])
    law = LAWS[distribution]
    below, above = law.cdf(-np.inf if low is None else low), law.cdf(np.inf if high is None else high)
    assert stats.kstest((law.cdf(values.numpy()) - below) / (above - below), "uniform").pvalue > 1e-3
    free = draw(distribution, 50_000, **NUMBERS[distribution])
    inside = (free >= (-math.inf if low is None else low)) & (free <= (math.inf if high is None else high))
    assert torch.equal(values[inside], free[inside]) and not inside.all()


def test_numbers_outside_the_bounds_are_clipped(backend):
    values = draw("normal", low=0.1, high=0.5, bounded="clip", **NUMBERS["normal"])
    assert torch.equal(values, draw("normal", **NUMBERS["normal"]).clamp(0.1, 0.5))


def test_rare_numbers_are_still_found(backend):
    values = draw("normal", 20, mean=0, std=1, low=2.0, bounded="redraw")
    assert (values >= 2).all() and len(values.unique()) == 20


def test_without_spread_there_is_one_number(backend):
    assert (draw("normal", mean=1.5, std=0) == 1.5).all()
    assert (draw("normal", mean=1.5, std=0, low=1.5, high=1.5, bounded="redraw") == 1.5).all()
    assert (draw("uniform", low=2, high=2) == 2).all()
    assert (draw("lognormal", mu=0, sigma=0) == 1).all()


# -- arithmetic -------------------------------------------------------------------------------------------------------


def test_uniform_numbers_stay_inside():
    zero, top = torch.tensor([0]), torch.tensor([2**32 - 1])
    assert reference.uniform(zero, zero) == 2.0**-53 and reference.uniform(top, top) == 1 - 2.0**-53


def test_the_quantile_of_the_normal_distribution():
    u = torch.cat([torch.rand(20_000, dtype=torch.float64), torch.logspace(-16, -1, 500, dtype=torch.float64)])
    known = special.ndtri(u.numpy())
    np.testing.assert_allclose(reference.normal_quantile(u).numpy(), known, rtol=3e-15, atol=1e-16)
    assert reference.normal_quantile(torch.tensor([0.5], dtype=torch.float64)) == 0
    assert reference.normal_quantile(u)[0].item() == pytest.approx(statistics.NormalDist().inv_cdf(u[0].item()), 1e-15)


def test_logarithm_and_root():
    x = torch.cat([torch.logspace(-300, 300, 3000, dtype=torch.float64), torch.linspace(0.5, 2, 3001).double()])
    np.testing.assert_allclose(log(x).numpy(), np.log(x.numpy()), rtol=1e-15, atol=1e-18)
    np.testing.assert_allclose(sqrt(x).numpy(), np.sqrt(x.numpy()), rtol=3e-16)


# -- kernel against reference -----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(
    distribution=st.sampled_from(sorted(NUMBERS)),
    shape=st.sampled_from([(0,), (1,), (7,), (511,), (513,), (3, 5), (2, 0), (), (1500,)]),
    bounded=st.sampled_from([None, "redraw", "clip"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**64 - 1),
    stream=st.integers(0, 2**32 - 1),
    where=st.integers(0, 999),
    transposed=st.booleans(),
)
def test_kernels_have_the_reference_s_bits(
    native_or_skip, distribution, shape, bounded, dtype, seed, stream, where, transposed
):
    index = torch.randint(-(2**63), 2**63 - 1, shape, generator=torch.Generator().manual_seed(where))
    index = index.T if transposed and index.ndim == 2 else index
    bounds = {} if bounded is None or distribution == "uniform" else {"low": 0.2, "high": 0.9, "bounded": bounded}
    options = {"index": index, "dtype": dtype, "seed": seed, "stream": stream, **bounds, **NUMBERS[distribution]}
    values = draw(distribution, **options)
    assert values.shape == index.shape and values.dtype == dtype
    with inferno_cuda.backend("torch"):
        assert_identical(values, draw(distribution, **options))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distribution", NUMBERS)
def test_many_numbers_on_any_number_of_threads(native, device, distribution, dtype):
    options = {"dtype": dtype, "index": torch.arange(70_000, device=device), **NUMBERS[distribution]}
    with inferno_cuda.backend("torch"):
        expected = draw(distribution, **options)
    before = torch.get_num_threads()
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        values = draw(distribution, **options)
        torch.set_num_threads(before)
        assert_identical(values, expected)


def test_a_number_depends_on_its_index_alone(backend):
    order = torch.randperm(3000)
    options = {"low": 0.1, "bounded": "redraw", **NUMBERS["normal"]}
    assert torch.equal(draw("normal", index=order, **options), draw("normal", 3000, **options)[order])


def test_float32_is_float64_rounded_once(backend):
    for distribution, numbers in NUMBERS.items():
        one, two = (draw(distribution, dtype=dtype, **numbers) for dtype in (torch.float32, torch.float64))
        assert torch.equal(one, two.float())


# -- Poisson ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0, 1e-9, 0.01, 0.5, 1.28, 2.32, 30, 800.5])
def test_poisson_tables(mean):
    table = ops.poisson_table(mean)
    assert table.dtype == torch.int64 and (table.diff() >= 0).all() and (table < 2**32).all()
    known = stats.poisson(mean).cdf(np.arange(len(table) + 1)) * 2**32
    assert np.abs(table.numpy() - known[:-1]).max(initial=0) <= 0.501
    assert known[-1] >= 2**32 - 0.51
    # of the whole range of words
    below = torch.cat([torch.tensor([0]), table, torch.tensor([2**32])]).diff().double() / 2**32
    average = float((below * torch.arange(len(below))).sum())
    assert average == pytest.approx(mean, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("mean", [0.5, 2.32, 30])
def test_poisson_numbers_follow_their_law(mean):
    words = torch.stack(reference.philox(7, 2**31, torch.arange(20_000)), -1).flatten()
    counts = torch.bincount(reference.poisson_count(ops.poisson_table(mean), words)).numpy()
    expected = stats.poisson(mean).pmf(np.arange(len(counts))) * len(words)
    common = expected > 8
    seen = np.append(counts[common], counts[~common].sum())
    wanted = np.append(expected[common], len(words) - expected[common].sum())
    assert stats.chisquare(seen, wanted).pvalue > 1e-3


def test_words_at_the_steps_of_a_table():
    table, words = torch.tensor([10, 20, 20, 30]), torch.tensor([0, 9, 10, 19, 20, 29, 30, 2**32 - 1])
    assert reference.poisson_count(table, words).tolist() == [0, 0, 1, 1, 3, 3, 4, 4]


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "says", "distribution", "options"),
    [
        (ValueError, "distribution was 'cauchy'; it must be one of 'constant'", "cauchy", {}),
        (TypeError, "parameters of normal were mean; they must be mean, std", "normal", {"mean": 0}),
        (TypeError, "parameters of uniform were low; they must be low, high", "uniform", {"low": 0}),
        (TypeError, "parameters of constant were none; they must be value", "constant", {}),
        (ValueError, "std was -1.0; it must be at least 0", "normal", {"mean": 0, "std": -1}),
        (ValueError, "sigma was -1.0; it must be at least 0", "lognormal", {"mu": 0, "sigma": -1}),
        (ValueError, "mean was inf; it must be finite", "normal", {"mean": math.inf, "std": 1}),
        (TypeError, "mean was '1'; it must be a number", "normal", {"mean": "1", "std": 1}),
        (ValueError, "high was 0.0; it must be at least low, 1.0", "uniform", {"low": 1, "high": 0}),
        (ValueError, "bounded was None and the bounds 0.0, None", "normal", {"mean": 0, "std": 1, "low": 0}),
        (ValueError, "bounded was 'clip' and the bounds None", "normal", {"mean": 0, "std": 1, "bounded": "clip"}),
        (ValueError, "bounded was 'wrap'", "normal", {"mean": 0, "std": 1, "low": 0, "bounded": "wrap"}),
        (ValueError, "there must be none", "constant", {"value": 0, "low": 0, "bounded": "clip"}),
        (
            *(ValueError, "high was 1.0; it must be at least low, 2.0", "normal"),
            {"mean": 0, "std": 1, "low": 2, "high": 1, "bounded": "clip"},
        ),
        (
            *(ValueError, "between which 2.9e-07 of all numbers lie", "normal"),
            {"mean": 0, "std": 1, "low": 5, "bounded": "redraw"},
        ),
        (
            *(ValueError, "between which 0 of all numbers lie", "lognormal"),
            {"mu": 0, "sigma": 1, "high": -1, "bounded": "redraw"},
        ),
        (
            *(ValueError, "between which 0 of all numbers lie", "normal"),
            {"mean": 0, "std": 0, "low": 1, "bounded": "redraw"},
        ),
        (TypeError, "dtype was torch.float16", "constant", {"value": 0, "dtype": torch.float16}),
        (TypeError, "index was torch.int32; it must be", "constant", {"value": 0, "index": torch.arange(3).int()}),
        (TypeError, "index was 3; it must be an int64", "constant", {"value": 0, "index": 3}),
        (ValueError, "seed was -1", "constant", {"value": 0, "seed": -1}),
        (TypeError, "stream was 1.0", "constant", {"value": 0, "stream": 1.0}),
    ],
)
def test_refusals(error, says, distribution, options):
    with pytest.raises(error, match=says):
        draw(distribution, **options)


@pytest.mark.parametrize(
    ("mean", "error"), [(-0.1, ValueError), (2e6, ValueError), (math.nan, ValueError), ("1", TypeError)]
)
def test_means_of_poisson_numbers_that_are_refused(mean, error):
    with pytest.raises(error, match="mean was"):
        ops.poisson_table(mean)


@pytest.mark.parametrize("distribution", ["normal", "lognormal"])
def test_how_much_has_to_lie_between_the_bounds(distribution):
    law, numbers = LAWS[distribution], NUMBERS[distribution]
    for share, suffices in ((1.01e-3, True), (0.99e-3, False)):
        middle = {"low": law.ppf(0.3), "high": law.ppf(0.3 + share)}
        for bounds in ({"low": law.isf(share)}, {"high": law.ppf(share)}, middle):
            if suffices:
                assert draw(distribution, 0, bounded="redraw", **bounds, **numbers).shape == (0,)
            else:
                with pytest.raises(ValueError, match="between which 0.00099 of all"):
                    draw(distribution, 0, bounded="redraw", **bounds, **numbers)
