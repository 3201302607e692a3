"""Applying updates: every bound, kernel against reference, outer products against dense updates, errors."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.functional import bounding
from inferno_cuda.testing import DTYPES, assert_identical

POWERS = (1.0, 2.0, 3.0, None)
LIMITS = [(None, None)]
LIMITS += [(ops.Limit(1.5, True, power), ops.Limit(-0.5, False, power, 2.5)) for power in POWERS]
LIMITS += [(ops.Limit(1.5, True, 2.0, 0.7), None), (None, ops.Limit(-0.5, False, 3.0))]


def uniform(*shape, seed=0, dtype=torch.float32):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def side(batch, size, rate, seed, dtype, spikes):
    rng = torch.Generator().manual_seed(seed)
    some = torch.rand(batch, size, generator=rng) < rate
    return some if spikes else torch.where(some, uniform(batch, size, seed=seed + 1, dtype=dtype), 0.0)


def outers(batch, outputs, inputs, seed=0, dtype=torch.float32):
    """Spikes of outputs with traces of inputs, the other way round, few values of both, nothing."""
    made = []
    for k, (rate, other) in enumerate([(0.1, 0.9), (0.9, 0.1), (0.2, 0.2), (0.0, 0.5)]):
        post = side(batch, outputs, rate, seed + 10 * k, dtype, k == 0)
        made.append(ops.OuterProduct(post, side(batch, inputs, other, seed + 10 * k + 5, dtype, k == 1), 0.5 + k))
    return made


def both(call):
    results = []
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            results.append(call())
    return results


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_kernel_equals_reference(native, device, dtype):
    for upper, lower in LIMITS:
        for shape in ((1,), (7, 13), (3, 700)):
            given = [uniform(*shape, seed=k, dtype=dtype).to(device) for k in range(3)]

            def changed(pos, neg, given=given, upper=upper, lower=lower):
                param = given[0].clone()
                ops.apply_updates_(param, pos, neg, upper=upper, lower=lower)
                return param

            for pos, neg in ((given[1], given[2]), (given[1], None), (None, given[2])):
                expected, actual = both(lambda: changed(pos, neg))  # noqa: B023
                assert_identical(actual, expected, f"{upper} {lower} {shape}")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (9, 5), (5, 1100), (300, 3)], ids=str)
def test_outer_products_equal_the_reference(native, device, dtype, shape):
    for upper, lower in LIMITS:
        every = [ops.OuterProduct(o[0].to(device), o[1].to(device), o[2]) for o in outers(3, *shape, dtype=dtype)]
        for pos, neg in ((every[:1], every[1:2]), (every, ()), (every[2:], every[:2]), ((), every[3:])):
            results = []
            for name in ("torch", "native"):
                param = uniform(*shape, dtype=dtype).to(device)
                with inferno_cuda.backend(name):
                    ops.apply_updates_(param, pos, neg, upper=upper, lower=lower)
                results.append(param)
            assert_identical(results[1], results[0], f"{upper} {lower}")


@settings(max_examples=25, deadline=None)
@given(batch=st.integers(0, 4), outputs=st.integers(0, 9), inputs=st.integers(0, 9), seed=st.integers(0, 999))
def test_outer_products_equal_dense_updates(native_or_skip, batch, outputs, inputs, seed):
    pos, neg = (
        outers(batch, outputs, inputs, seed, torch.float64),
        outers(batch, outputs, inputs, seed + 7, torch.float64),
    )
    param = uniform(outputs, inputs, seed=seed, dtype=torch.float64)
    dense = [sum(o.scale * o.post.double().t() @ o.pre.double() for o in every) for every in (pos, neg)]
    expected = param + (1.5 - param) * dense[0] - torch.where(param > 0.5, dense[1], 0.0)
    ops.apply_updates_(param, pos, neg, upper=ops.Limit(1.5, True), lower=ops.Limit(0.5, False, None))
    torch.testing.assert_close(param, expected)


def test_what_no_spike_meets_stays(backend):
    param = torch.full((3, 4), torch.nan)
    post = torch.tensor([[False, True, False]])
    pre = torch.tensor([[1.0, 0.0, 2.0, 0.0]])
    param[1] = 1.0
    ops.apply_updates_(param, [ops.OuterProduct(post, pre)], upper=ops.Limit(2.0, True))
    assert_identical(param[1], torch.tensor([2.0, 1.0, 3.0, 1.0]))
    assert param[[0, 2]].isnan().all()


def test_more_outer_products_than_the_kernel_takes(backend):
    every = outers(2, 4, 5) * 3
    param, other = torch.zeros(4, 5), torch.zeros(4, 5)
    ops.apply_updates_(param, every)
    for outer in every:
        ops.apply_updates_(other, [outer])
    torch.testing.assert_close(param, other)


def test_other_powers_run_in_torch(backend):
    param, pos = uniform(4, 5), uniform(4, 5, seed=1)
    expected = param + bounding.bound_upper_power(param, pos, 1.5, power=1.7)
    ops.apply_updates_(param, pos, upper=ops.Limit(1.5, True, 1.7))
    torch.testing.assert_close(param, expected)


def test_layout_does_not_matter(backend):
    for make in (lambda: uniform(5, 4).t(), lambda: uniform(4, 10)[:, ::2]):
        expected = make().contiguous()
        param = make()
        pos, every = (
            uniform(5, 4, seed=2).t(),
            [ops.OuterProduct(o[0].t().contiguous().t(), *o[1:]) for o in outers(2, 4, 5)],
        )
        for target in (expected, param):
            ops.apply_updates_(target, pos[:, : target.shape[1]], upper=ops.Limit(1.5, True))
            ops.apply_updates_(target, (), every)
        torch.testing.assert_close(param, expected)


def test_errors_name_the_argument_and_change_nothing(backend):
    param = torch.ones(3, 4)
    good = ops.OuterProduct(torch.ones(2, 3), torch.ones(2, 4))
    for arguments, options, error, message in [
        ((torch.ones(3), None), {}, ValueError, r"pos had shape \(3,\)"),
        ((None, torch.ones(3, 4).double()), {}, TypeError, "neg was torch.float64"),
        (([good, ops.OuterProduct(torch.ones(2, 3), torch.ones(1, 4))],), {}, ValueError, r"pos\[1\].pre had shape"),
        (([ops.OuterProduct(torch.ones(2, 3).double(), torch.ones(2, 4))],), {}, TypeError, r"pos\[0\].post was"),
        ((torch.ones(3, 4),), {"upper": 1.0}, TypeError, "upper was float"),
        ((torch.ones(3, 4, requires_grad=True),), {}, RuntimeError, "pos requires a gradient"),
        ((param,), {}, RuntimeError, "overlaps"),
    ]:
        with pytest.raises(error, match=message):
            ops.apply_updates_(param, *arguments, **options)
    assert_identical(param, torch.ones(3, 4))
    with pytest.raises(RuntimeError, match="param requires a gradient"):
        ops.apply_updates_(torch.ones(3, 4, requires_grad=True), torch.ones(3, 4))
    with pytest.raises(ValueError, match="param was expanded"):
        ops.apply_updates_(torch.ones(3, 1).expand(3, 4), torch.ones(3, 4))
    with pytest.raises(ValueError, match="outer products"):
        ops.apply_updates_(torch.ones(3), [good])


def test_a_graph_that_saved_the_parameter_notices(backend):
    param, x = torch.ones(2, 2), torch.ones(2, 2, requires_grad=True)
    for pos in (torch.ones(2, 2), [ops.OuterProduct(torch.ones(1, 2), torch.ones(1, 2))]):
        y = (x * param).sum()
        ops.apply_updates_(param, pos)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()
