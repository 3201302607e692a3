"""Accumulators and updaters against inferno-ai 0.0.5, under any order of calls."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda.neural as ours

theirs = pytest.importorskip("inferno.neural")


def upper(param, update, limit, power=1.0):
    return (limit - param) ** power * update


def lower(param, update, limit, /, gain=1.0):
    return gain * (param - limit) * update


def both(param, pos, neg, most, least, *, gain=1.0):
    up = pos if most is None else (most - param) * pos
    down = neg if least is None else (param - least) * neg
    return gain * (up - down)


def tensor(value):
    return torch.tensor([[value, -value, 0.5]])


CALLS = {
    "pos": lambda acc, v: setattr(acc, "pos", tensor(v)),
    "neg": lambda acc, v: setattr(acc, "neg", tensor(v)),
    "no pos": lambda acc, v: setattr(acc, "pos", None),
    "drop pos": lambda acc, v: delattr(acc, "pos"),
    "drop neg": lambda acc, v: delattr(acc, "neg"),
    "clear": lambda acc, v: acc.clear(anything=v),
    "upper": lambda acc, v: acc.upperbound(upper, v + 3, power=2.0),
    "lower": lambda acc, v: acc.lowerbound(lower, v - 3, gain=0.5),
    "full": lambda acc, v: acc.fullbound(both, v + 3, v - 3, gain=2.0),
    "full without limits": lambda acc, v: acc.fullbound(both),
    "no upper": lambda acc, v: acc.upperbound(None),
    "no lower": lambda acc, v: acc.lowerbound(None),
    "no full": lambda acc, v: acc.fullbound(None),
}
calls = st.lists(st.tuples(st.sampled_from(sorted(CALLS)), st.sampled_from([-1.0, 0.25, 2.0])), max_size=10)


def agree(a, b):
    assert (a is None) == (b is None)
    if a is not None:
        torch.testing.assert_close(a, b.detach())


@settings(max_examples=150, deadline=None)
@given(calls)
def test_accumulators_agree_after_any_calls(sequence):
    a, b = ours.Accumulator(), theirs.Accumulator()
    param = torch.tensor([[0.5, -0.25, 1.0]])
    for name, value in sequence:
        CALLS[name](a, value)
        CALLS[name](b, value)
        agree(a.pos, b.pos)
        agree(a.neg, b.neg)
        agree(a.update(param), b.update(param))
        agree(a(param), b(param))


@pytest.mark.parametrize("reduce", [torch.sum, torch.mean, torch.amax, lambda x, dim: x.prod(dim)])
def test_reductions_agree(reduce):
    a, b = ours.Accumulator(), theirs.Accumulator()
    for acc in (a, b):
        acc.reduction(reduce)
        for value in (0.25, 2.0, -1.0):
            acc.pos, acc.neg = tensor(value), tensor(value + 1)
    agree(a.pos, b.pos)
    agree(a.neg, b.neg)


def dense(neural):
    torch.manual_seed(3)
    conn = neural.LinearDense(3, 2, 1.0, synapse=neural.DeltaCurrent.partialconstructor(1.0), bias=True, delay=4.0)
    conn.updater = conn.defaultupdater()
    return conn


def test_updaters_agree():
    a, b = dense(ours), dense(theirs)
    assert a.updater.names == b.updater.names and type(a.updater).__name__ == type(b.updater).__name__
    for conn in (a, b):
        fired = []
        conn.updater.register_forward_hook(lambda *_, fired=fired: fired.append(1))
        up = conn.updater
        up.weight = (torch.full((2, 3), 0.5), torch.full((2, 3), 0.25))
        up.weight = [None, torch.full((2, 3), 1.0)]
        up.bias = torch.ones(2)
        up.delay = None
        conn.updatesome("bias", clear=False)
        conn.updatesome("bias", "weight")
        up.weight = torch.full((2, 3), 2.0)
        del up.weight
        conn.update(clear=False)
        conn.update()
        assert len(fired) == 5 and up.weight.pos is None and up.bias.pos is None
    for name in ("weight", "bias", "delay"):
        agree(getattr(a, name).detach(), getattr(b, name))


@pytest.mark.parametrize("exclude", [{}, {"exclude_weight": True}, {"exclude_bias": True}, {"exclude_delay": True}])
@pytest.mark.parametrize("includes", [(), ("dt",)])
def test_default_updaters_agree(exclude, includes):
    names = [dense(n).defaultupdater(*includes, **exclude).names for n in (ours, theirs)]
    assert names[0] == names[1]


@pytest.mark.parametrize("bad", [lambda n: n.Updater(dense(n), "weight", "nothing"),
                                 lambda n: setattr(dense(n).updater, "weight", (1, 2, 3)),
                                 lambda n: n.Updater(dense(n), "weight")(),
                                 lambda n: dense(n).updatesome("nothing")])  # fmt: skip
def test_errors_are_of_the_same_class(bad):
    raised = []
    for neural in (ours, theirs):
        with pytest.raises(Exception) as info:
            bad(neural)
        raised.append(info.type)
    assert raised[0] is raised[1]
