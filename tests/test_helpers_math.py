"""Numbers, smoothing, spike trains."""

import inspect
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda as inferno
from inferno_cuda import core

nan, inf = math.nan, math.inf


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", core.__all__)
def test_parameters_are_those_of_inferno(name):
    upstream = pytest.importorskip("inferno")
    ours, theirs = (inspect.signature(getattr(i, name)).parameters for i in (inferno, upstream))
    a, b = ([(p.name, p.kind, p.default) for p in side.values()] for side in (ours, theirs))
    assert a == b


@pytest.mark.parametrize(
    "x", [2, True, 2.5, 1 + 2j, np.float32(2), np.float64(2), np.int64(2), np.ones(3), torch.ones(2), torch.tensor(3)]
)
@pytest.mark.parametrize("name", ["exp", "sqrt"])
def test_exp_and_sqrt_equal_inferno(name, x):
    upstream = pytest.importorskip("inferno")
    ours, theirs = (getattr(i, name)(x) for i in (inferno, upstream))
    assert type(ours) is type(theirs)
    assert bool((ours == theirs).all() if hasattr(ours, "all") else ours == theirs)


@pytest.mark.parametrize("x", ["2", [2.0], None])
def test_exp_and_sqrt_refuse_the_rest(x):
    for function in (inferno.exp, inferno.sqrt):
        with pytest.raises(TypeError, match="'x' must be a number, a tensor or an array"):
            function(x)
    with pytest.raises(ValueError):
        inferno.sqrt(-1.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [2.0, -3, 2j])
@pytest.mark.parametrize("order", [1, 2, 3.0])
@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_normalize_computes_half_types_in_float32(dtype, scale, order):
    data = torch.tensor([[0.0, 0.0, 0.0], [3e4, 6e4, -9.0], [1e-3, 0.0, 0.1]]).to(dtype)
    found = inferno.normalize(data, order, scale, 1)
    expected = scale * torch.nn.functional.normalize(data.float(), p=order, dim=1)
    assert found.dtype == (scale * data).dtype
    rounded = expected.to(found.dtype).to(expected.dtype)
    assert torch.equal(found.to(expected.dtype), rounded) and not rounded[0].any() and rounded[1].all()


@pytest.mark.parametrize("args", [(2,), (1, 3.0), (2, 1.5, 0), (2, 1.5, (0, 2)), (inf, 2j, -1), (0.5, 1.0, None, 0.1)])
def test_normalize_equals_inferno(args):
    upstream = pytest.importorskip("inferno")
    data = torch.randn(3, 4, 5, generator=seeded())
    assert torch.equal(inferno.normalize(data, *args), upstream.normalize(data, *args))


@pytest.mark.parametrize("dim", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("source", [{}, {"srcmin": -3.0}, {"srcmin": -1.0, "srcmax": 2.0}])
@pytest.mark.parametrize("result", [(0.0, 1.0), (1.0, -1.0), (None, 1.0), (0.5, None), (None, None)])
def test_rescale_equals_inferno(result, source, dim):
    upstream = pytest.importorskip("inferno")
    data = torch.randn(4, 6, generator=seeded()).T
    ours, theirs = (i.rescale(data, *result, **source, dim=dim) for i in (inferno, upstream))
    torch.testing.assert_close(ours, theirs)


def test_d50_rescaled_constants_are_finite():
    assert inferno.rescale(torch.ones(3), 0.0, 1.0).tolist() == [0.0, 0.0, 0.0]
    mixed = torch.tensor([[1.0, 1.0], [1.0, 2.0]])
    assert inferno.rescale(mixed, -1.0, 1.0, dim=1).tolist() == [[-1.0, -1.0], [-1.0, 1.0]]
    assert inferno.rescale(torch.full((2,), 4.0), None, 9.0).tolist() == [4.0, 4.0]
    assert inferno.rescale(torch.ones(2, dtype=torch.int64), 0.5, 1.0).tolist() == [0.5, 0.5]
    assert inferno.rescale(torch.ones(2), 0.5, 1.0, srcmin=3.0, srcmax=3.0).tolist() == [0.5, 0.5]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12), st.floats(-5, 5), st.floats(-5, 5))
@settings(max_examples=60, deadline=None)
def test_rescaled_data_fill_the_result(values, low, high):
    scaled = inferno.rescale(torch.tensor(values, dtype=torch.float64), low, high)
    assert scaled.isfinite().all()
    assert scaled.min() >= min(low, high) - 1e-9 and scaled.max() <= max(low, high) + 1e-9


def test_smoothing_equals_inferno():
    upstream = pytest.importorskip("inferno")
    levels, trends = [None, None], [None, None]
    for obs in torch.randn(6, 3, generator=seeded()):
        for k, i in enumerate((inferno, upstream)):
            levels[k], trends[k] = i.holt_linear_smoothing(obs, levels[k], trends[k], alpha=0.3, beta=0.2)
        assert (trends[0] is None) == (trends[1] is None)
        torch.testing.assert_close(levels[0], levels[1])
        if trends[0] is not None:
            torch.testing.assert_close(trends[0], trends[1])
    simple = [i.exponential_smoothing(levels[0], levels[0] * 2, alpha=torch.tensor(0.3)) for i in (inferno, upstream)]
    torch.testing.assert_close(*simple)
    assert inferno.exponential_smoothing(levels[0], None, alpha=0.3) is levels[0]


def test_holt_follows_a_line():
    level = trend = None
    for t in range(5):
        level, trend = inferno.holt_linear_smoothing(torch.tensor(3.0 + 2 * t), level, trend, alpha=0.3, beta=0.7)
    torch.testing.assert_close(level, torch.tensor(11.0))
    torch.testing.assert_close(trend, torch.tensor(2.0))


@pytest.mark.parametrize("shape", [(20,), (20, 3), (15, 2, 3), (1, 4), (0, 3), (5, 0), (7, 1)])
@pytest.mark.parametrize("time_first", [True, False])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4, 1.0])
@pytest.mark.parametrize("dtype", [torch.bool, torch.float64])
def test_isi_equals_inferno(shape, time_first, rate, dtype):
    upstream = pytest.importorskip("inferno")
    spikes = (torch.rand(shape, generator=seeded(3)) < rate).to(dtype)
    if 0 in shape[1:]:
        assert inferno.isi(spikes, 0.5).shape == (0, *shape[1:])
        return
    spikes = spikes if time_first else spikes.movedim(0, -1)
    ours, theirs = (i.isi(spikes, 0.5, time_first) for i in (inferno, upstream))
    assert ours.dtype == theirs.dtype
    torch.testing.assert_close(ours, theirs, equal_nan=True, rtol=0, atol=0)


def test_isi_values():
    spikes = torch.tensor([[1, 0, 1, 1, 0, 1], [0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1]])
    expected = torch.tensor([[1.0, 0.5, 1.0], [nan, nan, nan], [0.5, 2.0, nan]])
    torch.testing.assert_close(inferno.isi(spikes, 0.5, time_first=False), expected, equal_nan=True)
    torch.testing.assert_close(inferno.isi(spikes.T, 0.5), expected.T, equal_nan=True)
    with pytest.raises(ValueError, match="'spikes' was a scalar"):
        inferno.isi(torch.tensor(True), 1.0)


def table(a, b, cost):
    """Victor and Purpura's table, entry by entry."""
    g = np.zeros((len(a) + 1, len(b) + 1))
    g[:, 0], g[0, :] = range(len(a) + 1), range(len(b) + 1)
    for i, j in itertools.product(range(1, len(a) + 1), range(1, len(b) + 1)):
        move = cost * abs(a[i - 1] - b[j - 1])
        g[i, j] = min(g[i - 1, j] + 1, g[i, j - 1] + 1, g[i - 1, j - 1] + move)
    return g[-1, -1]


times = st.lists(st.floats(0, 50), max_size=8).map(sorted)


@given(times, times, st.lists(st.floats(0, 5), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_victor_purpura_is_the_least_cost(a, b, costs):
    x, y = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    cost = torch.tensor(costs, dtype=torch.float64)
    got = inferno.victor_purpura_pair_dist(x, y, cost)
    assert got.tolist() == pytest.approx([table(a, b, c) for c in costs], abs=1e-9)
    assert torch.equal(got, inferno.victor_purpura_pair_dist(y.flip(0), x, cost))


@given(times, times, times, st.floats(0, 5))
@settings(max_examples=60, deadline=None)
def test_victor_purpura_is_a_metric(a, b, c, cost):
    def distance(x, y):
        return inferno.victor_purpura_pair_dist(torch.tensor(x), torch.tensor(y), cost).item()

    assert distance(a, a) == 0
    assert distance(a, b) == distance(b, a) <= len(a) + len(b)
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-4


@pytest.mark.parametrize("cost", [0.0, 0.3, 1.0, torch.tensor(0.3), torch.tensor([0.1, 2.0])])
@pytest.mark.parametrize("sizes", [(7, 9), (9, 7), (1, 1), (0, 3), (3, 0), (0, 0)])
def test_victor_purpura_equals_inferno(cost, sizes):
    upstream = pytest.importorskip("inferno")
    a, b = (torch.rand(n, generator=seeded(n)).sort().values * 20 for n in sizes)
    ours, theirs = (i.victor_purpura_pair_dist(a, b, cost) for i in (inferno, upstream))
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs.to(ours.dtype))


def test_victor_purpura_of_whole_numbers():
    a, b = torch.tensor([1, 3]), torch.tensor([2, 7])
    got = inferno.victor_purpura_pair_dist(a, b, torch.tensor([1, 0]))
    assert got.tolist() == [3.0, 0.0] and got.dtype == torch.float32


def test_victor_purpura_of_infinite_and_bad_costs():
    a, b = torch.tensor([1.0, 3.0]), torch.tensor([1.0, 4.0])
    assert inferno.victor_purpura_pair_dist(a, a, inf).item() == 0.0
    assert inferno.victor_purpura_pair_dist(a, b, inf).item() == 2.0
    for bad in (-1.0, nan, torch.tensor([1.0, -1.0])):
        with pytest.raises(ValueError, match="'cost' of .* must be nonnegative"):
            inferno.victor_purpura_pair_dist(a, b, bad)
    with pytest.raises(ValueError, match="'t1' had shape"):
        inferno.victor_purpura_pair_dist(a, b[None], 1.0)


def test_victor_purpura_is_precise_for_long_trains():
    a = torch.arange(3000, dtype=torch.float64) * 10
    assert inferno.victor_purpura_pair_dist(a, a + 0.125, 1.0).item() == 375.0
