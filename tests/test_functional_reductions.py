"""Reductions over one dimension, several, or all, and kernels of spike-time differences."""

import inspect
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda import functional as F

PLAIN = ["sum", "divsum", "min", "max", "absmin", "absmax", "mean", "quantile", "median", "geomean"]
NAN = ["nansum", "nandivsum", "nanmean", "nanquantile", "nanmedian", "nangeomean"]
NAMES = PLAIN + NAN
KERNELS = ["exp_stdp_post_kernel", "exp_stdp_pre_kernel"]
NUMPY = {
    "sum": np.sum, "nansum": np.nansum, "min": np.min, "max": np.max, "mean": np.mean, "nanmean": np.nanmean,
    "median": np.median, "nanmedian": np.nanmedian,
    "quantile": lambda a, axis, keepdims: np.quantile(a, 0.5, axis=axis, keepdims=keepdims),
    "nanquantile": lambda a, axis, keepdims: np.nanquantile(a, 0.5, axis=axis, keepdims=keepdims),
    "geomean": lambda a, **k: np.exp(np.mean(np.log(a), **k)),
    "nangeomean": lambda a, **k: np.exp(np.nanmean(np.log(a), **k)),
}  # fmt: skip
nan = math.nan


def positive(*shape, dtype=torch.float64):
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(3)) + 0.5


@pytest.mark.parametrize("name", NAMES + KERNELS)
def test_parameters_are_those_of_inferno(name):
    upstream = pytest.importorskip("inferno").functional
    ours, theirs = (inspect.signature(getattr(f, name)).parameters for f in (F, upstream))
    a, b = ([(p.name, p.kind, p.default) for p in side.values()] for side in (ours, theirs))
    assert a == b


@pytest.mark.parametrize("name", [n for n in NAMES if n != "nangeomean"])
@pytest.mark.parametrize("dim", [None, 0, -1, (0, 2), (1,)])
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_equal_inferno(name, dim, keepdim, dtype):
    upstream = pytest.importorskip("inferno").functional
    if isinstance(dim, tuple) and ("quantile" in name or "median" in name):
        dim = dim[0]
    data = torch.randn(3, 4, 5, dtype=dtype, generator=torch.Generator().manual_seed(1))
    data = data.abs() + 0.1 if "geomean" in name else data
    if name in NAN:
        data[0, 0, 0] = data[2, 1, 3] = nan
    data = data.transpose(0, 1)
    ours, theirs = (getattr(f, name)(data, dim, keepdim, denom=4, q=0.3, unknown=1) for f in (F, upstream))
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, equal_nan=True)


@pytest.mark.parametrize("name", list(NUMPY))
@pytest.mark.parametrize("dim", [None, 1, (0, 1), (2, 0), (0, 1, 2), (-1, 0), ()])
@pytest.mark.parametrize("keepdim", [False, True])
def test_d42_every_reduction_takes_several_dimensions(name, dim, keepdim):
    data = positive(3, 2, 5)
    if name in NAN:
        data[1, 1, 2] = nan
    axis = tuple(range(3)) if dim in (None, ()) else dim
    ours = getattr(F, name)(data, dim, keepdim)
    theirs = torch.as_tensor(np.asarray(NUMPY[name](data.numpy(), axis=axis, keepdims=keepdim)))
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs)


def test_d42_nangeomean_counts_ones():
    assert F.nangeomean(torch.tensor([1.0, 4.0]), 0).item() == pytest.approx(2.0)
    assert F.nangeomean(torch.tensor([1.0, nan, 4.0]), 0).item() == pytest.approx(2.0)
    assert F.nangeomean(torch.ones(3)).item() == 1.0
    assert F.nangeomean(torch.full((2,), nan)).isnan()
    assert F.nangeomean(torch.tensor([nan, math.inf])).item() == math.inf


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=9), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_nan_reductions_are_the_others_without_nan(values, count):
    data = torch.tensor(values, dtype=torch.float64)
    holes = torch.cat([data, torch.full((count,), nan, dtype=torch.float64)])
    holes = holes[torch.randperm(len(holes), generator=torch.Generator().manual_seed(count))]
    for name in NAN:
        torch.testing.assert_close(getattr(F, name)(holes, 0), getattr(F, name.removeprefix("nan"))(data, 0))


def test_zeros_are_left_out_of_geometric_means():
    assert F.geomean(torch.tensor([0.0, 1.0, 4.0])).item() == pytest.approx(2.0)
    assert F.geomean(torch.zeros(2)).item() == 0.0
    assert F.geomean(torch.tensor([-1.0, 4.0])).isnan() and F.geomean(torch.tensor([nan, 4.0])).isnan()


def test_signs_of_absolute_extremes():
    rows = torch.tensor([[-3.0, -6.0], [3.0, 6.0], [1.0, -4.0]])
    assert F.absmin(rows, 1).tolist() == [-3.0, 3.0, -1.0]
    assert F.absmax(rows, 1).tolist() == [-6.0, 6.0, 4.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_quantiles_of_half_types(dtype):
    data = positive(7, 3).to(dtype)
    for name in ("quantile", "median", "nanmedian"):
        result = getattr(F, name)(data, 0)
        assert result.dtype == dtype and torch.equal(result, getattr(F, name)(data.float(), 0).to(dtype))


def test_rules_of_quantiles():
    data = torch.tensor([1.0, 2.0, 3.0])
    results = [F.quantile(data, q=0.3, interpolation=r).item() for r in ("lower", "lowest", "higher", "midpoint")]
    assert results == [1.0, 1.0, 2.0, 1.5]
    with pytest.raises(RuntimeError, match="interpolation"):
        F.quantile(data, interpolation="x")


@pytest.mark.parametrize("name", NAMES)
def test_dimensions_that_do_not_exist(name):
    with pytest.raises(IndexError):
        getattr(F, name)(torch.ones(2, 3), 2)
    with pytest.raises(RuntimeError):
        getattr(F, name)(torch.ones(2, 3), (0, -2))


@pytest.mark.parametrize("name", NAMES)
def test_scalars_and_single_elements(name):
    assert getattr(F, name)(torch.tensor(2.0)).item() == pytest.approx(2.0)
    assert getattr(F, name)(torch.tensor([[2.0]]), (0, 1), True).shape == (1, 1)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernels_equal_inferno(name, dtype):
    upstream = pytest.importorskip("inferno").functional
    diff = torch.cat([torch.randn(50, dtype=dtype) * 20, torch.tensor([0.0, -0.0, math.inf, -math.inf, nan])])
    ours, theirs = (getattr(f, name)(diff, -0.3, 20.0, unknown=1) for f in (F, upstream))
    torch.testing.assert_close(ours, theirs, equal_nan=True, rtol=1e-6, atol=0)


def test_kernels_split_the_exponential():
    diff = torch.tensor([-4.0, 0.0, 4.0])
    e = math.exp(-1.0)
    torch.testing.assert_close(F.exp_stdp_post_kernel(diff, 2.0, 4.0), torch.tensor([0.0, 2.0, 2 * e]))
    torch.testing.assert_close(F.exp_stdp_pre_kernel(diff, 2.0, 4.0), torch.tensor([2 * e, 0.0, 0.0]))


def test_everything_of_inferno_is_there():
    upstream = pytest.importorskip("inferno").functional
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        public = {n for n, v in vars(upstream).items() if not n.startswith("_") and not inspect.ismodule(v)}
    assert public <= set(F.__all__)
    assert all(hasattr(F, name) for name in F.__all__)
