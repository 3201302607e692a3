"""Accumulators and updaters: reduction, bounds, application."""

import gc

import pytest
import torch

from inferno_cuda.neural import Accumulator, DeltaCurrent, LinearDense, Updatable, Updater
from inferno_cuda.state import Module


def dense(**options):
    torch.manual_seed(0)
    conn = LinearDense(3, 2, 1.0, synapse=DeltaCurrent.partialconstructor(1.0), bias=True, delay=4.0, **options)
    conn.updater = conn.defaultupdater()
    return conn


def full(value):
    return torch.full((2, 3), float(value))


def upper(param, update, limit, power=1.0):
    return (limit - param) ** power * update


def lower(param, update, limit, power=1.0):
    return (param - limit) ** power * update


def both(param, pos, neg, most, least, gain=1.0):
    return gain * ((most - param) * pos - (param - least) * neg)


# -- Accumulator ------------------------------------------------------------------------------------------------------


def test_updates_append_and_sum():
    acc = Accumulator()
    assert acc.pos is None and acc.neg is None and acc.update(full(1)) is None
    acc.pos, acc.pos, acc.pos, acc.neg = full(1), None, full(2), full(5)
    assert torch.equal(acc.pos, full(3)) and torch.equal(acc.neg, full(5)) and torch.equal(acc._pos[-1], full(2))
    assert torch.equal(acc.update(full(0)), full(-2)) and torch.equal(acc(full(1)), full(-1))
    acc.pos = full(4)
    assert torch.equal(acc.pos, full(7))
    del acc.pos
    assert acc.pos is None and torch.equal(acc.neg, full(5)) and torch.equal(acc(full(1)), full(-4))
    acc.clear()
    param = full(1)
    assert acc.neg is None and acc(param) is param


def test_only_positive_updates():
    acc = Accumulator()
    acc.pos = full(2)
    assert torch.equal(acc.update(full(0)), full(2))


def test_reduction():
    acc = Accumulator()
    acc.reduction(torch.amax)
    acc.pos, acc.pos = full(2), full(6)
    assert torch.equal(acc.pos, full(6))
    acc.reduction()
    assert torch.equal(acc.pos, full(8))


def test_half_bounds():
    acc = Accumulator()
    acc.upperbound(upper, 3.0, power=2.0)
    acc.lowerbound(lower, -1.0)
    x = full(1)
    acc.pos = full(2)
    assert torch.equal(acc.update(x), full(8))
    acc.neg = full(3)
    assert torch.equal(acc.update(x), full(8 - 6))
    del acc.pos
    assert torch.equal(acc.update(x), full(-6))
    acc.lowerbound(None)
    assert torch.equal(acc.update(x), full(-3))


def test_full_bound_and_half_bounds_replace_each_other():
    acc = Accumulator()
    acc.pos, acc.neg = full(2), full(3)
    acc.upperbound(upper, 3.0)
    acc.fullbound(both, 5.0, 0.0, gain=2.0)
    x = full(1)
    assert torch.equal(acc.update(x), full(2 * (8 - 3)))
    del acc.neg
    assert torch.equal(acc.update(x), full(16))
    acc.neg = full(3)
    del acc.pos
    assert torch.equal(acc.update(x), full(-6))
    acc.lowerbound(lower, -1.0)
    assert torch.equal(acc.update(x), full(-6))
    acc.pos = full(2)
    assert torch.equal(acc.update(x), full(2 - 6))
    acc.fullbound(both, 5.0, 0.0)
    acc.fullbound(None)
    assert torch.equal(acc.update(x), full(-1))


def test_result_has_the_dtype_of_the_parameter():
    acc = Accumulator()
    acc.pos = full(1).double()
    assert acc(full(1)).dtype == torch.float32


def test_pending_updates_follow_the_module_and_cut_graphs():
    acc = Accumulator()
    acc.pos = full(1).requires_grad_() * 2
    assert not acc.pos.requires_grad
    acc.double()
    assert acc.pos.dtype == acc._pos[0].dtype == torch.float64
    assert acc.to("meta").pos.is_meta


def test_bad_updates_raise():
    acc = Accumulator()
    with pytest.raises(TypeError, match="pos"):
        acc.pos = 1.0
    with pytest.raises(TypeError, match="neg"):
        acc.neg = [1.0]
    assert acc.pos is None and acc.neg is None


# -- Updater ----------------------------------------------------------------------------------------------------------


def test_properties():
    conn = dense()
    up = conn.updater
    assert type(up).__name__ == "LinearDenseUpdater" and isinstance(up, Updater) and up.parent is conn
    assert up.names == ("weight", "bias", "delay") and isinstance(up.weight, Accumulator)
    up.weight = full(1)
    up.weight = (full(2), None)
    up.weight = [None, full(4)]
    assert torch.equal(up.weight.pos, full(3)) and torch.equal(up.weight.neg, full(4))
    up.bias = torch.ones(2)
    del up.weight
    assert up.weight.pos is None and up.weight.neg is None and up.bias.pos is not None
    up.clear()
    assert up.bias.pos is None


def test_default_updater_has_the_parameters_there_are():
    conn = dense()
    assert conn.defaultupdater("dt", exclude_weight=True, exclude_delay=True).names == ("bias", "dt")
    plain = LinearDense(3, 2, 1.0, synapse=DeltaCurrent.partialconstructor(1.0))
    assert plain.defaultupdater().names == ("weight",) and plain.updater is None and not plain.updatable
    still = LinearDense(3, 2, 1.0, synapse=DeltaCurrent.partialconstructor(1.0), delay=0.0)
    assert still.defaultupdater().names == ("weight", "delay")


def test_update_applies_and_clears():
    conn = dense()
    weight, bias, parameter = conn.weight.clone(), conn.bias.clone(), conn.weight
    conn.updater.weight = (full(1), full(3))
    conn.updater.bias = torch.ones(2)
    conn.update(clear=False)
    torch.testing.assert_close(conn.weight, weight - 2)
    torch.testing.assert_close(conn.bias, bias + 1)
    conn.update()
    torch.testing.assert_close(conn.weight, weight - 4)
    conn.update()
    torch.testing.assert_close(conn.weight, weight - 4)
    assert conn.weight is parameter and not conn.weight.requires_grad


def test_updatesome():
    conn = dense()
    weight, bias = conn.weight.clone(), conn.bias.clone()
    conn.updater.weight, conn.updater.bias = full(1), torch.ones(2)
    conn.updatesome("weight")
    torch.testing.assert_close(conn.weight, weight + 1)
    assert torch.equal(conn.bias, bias) and conn.updater.weight.pos is None and conn.updater.bias.pos is not None
    conn.updatesome("bias", "weight", clear=False)
    torch.testing.assert_close(conn.bias, bias + 1)
    assert conn.updater.bias.pos is not None


def test_an_update_may_leave_the_range_of_delays_so_that_a_hook_can_repair_it(backend):
    conn = dense()
    conn.updater.delay = (None, full(1))
    conn.update()
    assert torch.equal(conn.delay, full(-1)) and not conn(torch.ones(1, 3)).ne(conn.bias).any()
    conn.updater.register_forward_hook(lambda up, *_: setattr(up.parent, "delay", up.parent.delay.clamp(min=0)))
    conn.updater.delay = (None, full(1))
    conn.update()
    assert torch.equal(conn.delay, full(0))
    with pytest.raises(ValueError, match="delay"):
        conn.delay = full(-1)


def test_a_failing_update_changes_nothing():
    conn = dense()
    before = conn.weight.clone()
    conn.updater.weight, conn.updater.bias = full(1), torch.ones(2)
    conn.updater.bias.fullbound(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        conn.update()
    assert torch.equal(conn.weight, before)


@pytest.mark.parametrize("bad, error", [(torch.ones(5, 2), ValueError), (torch.ones(1, 1, 2), ValueError)])
def test_an_update_that_does_not_fit_changes_nothing(bad, error):
    conn = dense()
    weight, bias = conn.weight.clone(), conn.bias.clone()
    conn.updater.weight, conn.updater.bias = full(1), bad
    with pytest.raises(error, match="'bias'"):
        conn.update()
    assert torch.equal(conn.weight, weight) and torch.equal(conn.bias, bias) and conn.updater.weight.pos is not None


def test_an_update_keeps_dtypes():
    class Careless(Accumulator):
        def forward(self, param, **kwargs):
            return (param + self.update(param)).double()

    conn = dense()
    conn.updater.updates_["bias"] = Careless()
    conn.updater.weight, conn.updater.bias = full(1), torch.ones(2)
    before = conn.weight.clone()
    with pytest.raises(TypeError, match="'bias'.*float64.*float32"):
        conn.update()
    assert torch.equal(conn.weight, before)


def test_a_pair_is_checked_before_anything_is_pending():
    conn = dense()
    for pair, name in (((full(1), "no"), "neg"), ((3, full(1)), "pos")):
        with pytest.raises(TypeError, match=f"'{name}'"):
            conn.updater.weight = pair
        assert conn.updater.weight.pos is None and conn.updater.weight.neg is None


def test_parameters_of_any_module_are_written_in_place():
    linear = torch.nn.Linear(3, 2)
    weight, before = linear.weight, linear.weight.detach().clone()
    updater = Updater(linear, "weight", "bias")
    updater.weight = (full(2), full(1))
    updater()
    assert linear.weight is weight and weight.is_leaf and weight.requires_grad
    assert torch.equal(weight, before + 1)


def test_works_with_any_updatable_module():
    class Own(Updatable, Module):
        def __init__(self):
            Module.__init__(self)
            Updatable.__init__(self)
            self.gain = torch.ones(2)

        def defaultupdater(self):
            return Updater(self, "gain")

    own = Own()
    own.updater = own.defaultupdater()
    own.updater.gain = torch.ones(2)
    own.update()
    assert type(own.updater).__name__ == "OwnUpdater" and torch.equal(own.gain, torch.full((2,), 2.0))


def test_updater_can_be_replaced_and_removed():
    conn = dense()
    del conn.updater
    assert conn.updater is None and not conn.updatable
    conn.update()
    conn.clear()
    conn.updater = conn.defaultupdater()
    assert "updater_.updates_.weight._extra_state" in conn.state_dict()
    conn.updater = None
    assert not conn.updatable
    with pytest.raises(TypeError):
        conn.updater = 3


def test_clear_drops_pending_updates_and_history(backend):
    conn = dense()
    conn(torch.ones(1, 3))
    conn.updater.weight = full(1)
    conn.clear()
    assert conn.updater.weight.pos is None and not conn.synapse.spike.any()


def test_bad_names_and_lost_modules_raise():
    conn = dense()
    with pytest.raises(RuntimeError, match="nothing, neither"):
        Updater(conn, "weight", "nothing", "neither")
    with pytest.raises(KeyError):
        conn.updater("nothing")
    updater = conn.defaultupdater()
    del conn
    gc.collect()
    assert updater.parent is None
    with pytest.raises(RuntimeError, match="module"):
        updater()
