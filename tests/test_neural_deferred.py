"""Deferred updates: what reads them sees tensors, what applies them changes what dense ones would."""

import copy
import io

import pytest
import torch
from connection_cases import DELTA

from inferno_cuda import neural, ops
from inferno_cuda.functional import bounding as bd
from inferno_cuda.neural import Deferred
from inferno_cuda.testing import assert_identical

BOUNDS = {
    "none": lambda acc: None,
    "upper": lambda acc: acc.upperbound(bd.bound_upper_multiplicative, 1.0),
    "halves": lambda acc: (
        acc.upperbound(bd.bound_upper_power, 1.0, power=0.5),
        acc.lowerbound(bd.bound_lower_scaled_power, 0.0, power=2.0, range=1.5),
    ),
    "scaled": lambda acc: (
        acc.upperbound(bd.bound_upper_scaled_multiplicative, 1.0, range=2.0),
        acc.lowerbound(bd.bound_lower_sharp, 0.5),
    ),
    "swapped": lambda acc: acc.upperbound(bd.bound_lower_multiplicative, 0.0),
    "power": lambda acc: acc.fullbound(bd.bound_power, 1.0, None, upper_power=2.0, lower_power=3.0),
    "scaled power": lambda acc: acc.fullbound(bd.bound_scaled_power, 1.0, -0.5, upper_power=0.3, lower_power=1.0),
    "multiplicative": lambda acc: acc.fullbound(bd.bound_multiplicative, None, 0.0),
    "scaled multiplicative": lambda acc: acc.fullbound(bd.bound_scaled_multiplicative, 1.0, 0.0),
    "sharp": lambda acc: acc.fullbound(bd.bound_sharp, 0.8, 0.2),
    "own": lambda acc: acc.upperbound(lambda param, update, limit: update * 2, 1.0),
}


def deferred(outputs=4, inputs=5, seed=0):
    rng = torch.Generator().manual_seed(seed)
    post = torch.rand(3, outputs, generator=rng) < 0.2
    return Deferred(ops.OuterProduct(post, torch.rand(3, inputs, generator=rng), 0.05))


def linear(kind=neural.LinearDense, **options):
    torch.manual_seed(0)
    shape = (4,) if kind is neural.LinearLateral else (5, 4)
    connection = kind(*shape, 1.0, synapse=DELTA, **options)
    connection.updater = connection.defaultupdater()
    return connection


@pytest.mark.parametrize("name", BOUNDS)
def test_applied_as_dense_ones(backend, name):
    one, other = linear(), linear()
    for step in range(3):
        for acc in (one.updater.weight, other.updater.weight):
            BOUNDS[name](acc)
        pos, neg = [deferred(seed=10 * step + k) for k in range(2)], deferred(seed=10 * step + 5)
        for update in pos:
            one.updater.weight.pos = update
            other.updater.weight.pos = update.dense().clone()
        if step:
            one.updater.weight.neg, other.updater.weight.neg = neg, neg.dense().clone()
        before = other.weight.detach().clone()
        other.updater.weight.reduction(lambda stacked, dim: stacked.sum(dim))  # the path of torch
        one.update()
        other.update()
        torch.testing.assert_close(one.weight, other.weight)
        assert not torch.equal(before, one.weight)


def test_both_kinds_side_by_side(backend):
    one, other = linear(), linear()
    update, tensor = deferred(), torch.rand(4, 5)
    one.updater.weight = update, tensor
    one.updater.weight.pos = tensor
    other.updater.weight = update.dense() + tensor, tensor
    one.update()
    other.update()
    torch.testing.assert_close(one.weight, other.weight)


def test_reading_gives_tensors():
    acc, update, tensor = neural.Accumulator(), deferred(), torch.rand(4, 5)
    acc.pos = update
    acc.pos, acc.neg = tensor, update
    assert_identical(acc.pos, update.dense() + tensor)
    assert_identical(acc._pos[0], update.dense())
    assert_identical(acc._pos[-1], tensor)
    assert [type(u) for u in acc._pos] == [type(u) for u in acc._pos[:]] == [torch.Tensor] * 2
    assert {key: type(value) for key, value in acc._unsaved().items()} == dict.fromkeys(
        ("_pos.0", "_pos.1", "_neg.0"), torch.Tensor
    )
    acc.reduction(torch.amax)
    assert_identical(acc.pos, torch.maximum(update.dense(), tensor))
    del acc.pos
    assert acc.pos is None and acc.neg is not None


def test_copies_keep_what_is_deferred():
    acc = neural.Accumulator()
    acc.pos, acc.neg = deferred(), torch.rand(4, 5)
    file = io.BytesIO()
    torch.save(acc, file)
    file.seek(0)
    for other in (copy.deepcopy(acc), torch.load(file, weights_only=False)):
        assert isinstance(list.__getitem__(other._pos, 0), Deferred)
        assert_identical(other.pos, acc.pos)
        assert_identical(other.neg, acc.neg)
        other.clear()
        assert acc.pos is not None


def test_moves_with_the_module():
    acc = neural.Accumulator()
    acc.pos = deferred()
    acc.double()
    assert acc._pos[0].dtype == acc.pos.dtype == torch.float64


def test_rows_and_columns():
    post, pre = torch.tensor([[True, False, True], [True, False, False]]), torch.tensor([[0.0, 1.0], [0.0, 2.0]])
    update = Deferred(ops.OuterProduct(post, pre, 2.0))
    assert update.rows().tolist() == [0, 2] and update.columns().tolist() == [1]
    assert update.shape == (3, 2) and update.dtype == torch.float32 and update.device.type == "cpu"
    assert_identical(update.dense(), torch.tensor([[0.0, 6.0], [0.0, 0.0], [0.0, 2.0]]))
    assert update.dense() is update.dense()


def test_errors():
    with pytest.raises(ValueError, match="at least one"):
        Deferred()
    with pytest.raises(TypeError, match="there must be one"):
        Deferred(ops.OuterProduct(torch.ones(1, 2), torch.ones(1, 2).double()))
    connection = linear()
    before = connection.weight.clone()
    connection.updater.weight = deferred(), torch.rand(4, 4)
    with pytest.raises((RuntimeError, ValueError)):
        connection.update()
    assert_identical(connection.weight.detach(), before)


def test_masked_weights_stay_masked(backend):
    connection = linear(neural.LinearLateral)
    connection.updater.weight = Deferred(ops.OuterProduct(torch.ones(1, 4), torch.ones(1, 4)))
    connection.update()
    assert not connection.weight.diagonal().any() and (connection.weight.sum(1) > 3).all()


def test_hooks_and_subclasses_are_called(backend):
    calls = []

    class Watched(neural.LinearDense):
        @property
        def weight(self):
            return super().weight

        @weight.setter
        def weight(self, value):
            calls.append("setter")
            neural.LinearDense.weight.fset(self, value.clamp(max=0.5))

    connection = linear(Watched)
    calls.clear()
    connection.updater.weight = Deferred(ops.OuterProduct(torch.ones(1, 4), torch.ones(1, 5)))
    connection.update()
    assert calls == ["setter"] and (connection.weight <= 0.5).all()
    connection = linear()
    connection.updater.weight.register_forward_hook(lambda module, args, out: torch.zeros_like(out))
    connection.updater.weight = deferred()
    connection.update()
    assert not connection.weight.any()


def test_a_clamp_follows(backend):
    connection = linear()
    clamp = neural.Clamping(connection, "updater.parent.weight", max=0.5)
    clamp.register()
    connection.updater.weight = Deferred(ops.OuterProduct(torch.ones(1, 4), torch.ones(1, 5)))
    connection.update()
    connection(torch.zeros(1, 5))
    assert (connection.weight <= 0.5).all()


def test_updates_of_the_parameter_itself(backend):
    connection = linear()
    doubled = 2 * connection.weight.detach().clone()
    connection.updater.weight = connection.weight
    connection.update()
    assert_identical(connection.weight.detach(), doubled)
