"""Dense connections: the plan of the delays is kept until they change."""

import copy
import pickle

import pytest
import torch
from dense_cases import delays, dense, naive
from states import run, spikes

from inferno_cuda import ops
from inferno_cuda.neural import SingleExponentialCurrent


@pytest.fixture
def plans(monkeypatch):
    """Counts the plans that are made."""
    made = []
    original = ops.delay_plan
    monkeypatch.setattr(ops, "delay_plan", lambda *a, **k: made.append(1) or original(*a, **k))
    return made


def test_plan_is_made_once(backend, plans):
    conn = dense(delay=3.0)
    for x in spikes(6, 1, 5):
        conn(x)
        assert conn.delayedby == 3.0 and conn.selector.shape == (1, 5, 4) and repr(conn) and conn.biased is False
    conn.weight = torch.zeros(4, 5)
    conn(torch.ones(1, 5))
    assert len(plans) == 1


CHANGES = {
    "setter": lambda c: setattr(c, "delay", torch.full((4, 5), 2.0)),
    "in place": lambda c: c.delay_.fill_(2.0),
    "data, read anew": lambda c: c.delay.data.fill_(2.0),
    "item": lambda c: c.delay.data.__setitem__((0, 0), 2.0),
    "new data": lambda c: setattr(c.delay_, "data", torch.full((4, 5), 2.0)),
    "state_dict": lambda c: c.load_state_dict({**c.state_dict(), "delay_": torch.full((4, 5), 2.0)}),
    "time constant": lambda c: setattr(c.synapse, "time_constant", 40.0),
    "step": lambda c: setattr(c, "dt", 0.7),
    "history": lambda c: setattr(c.synapse, "delay", 1.0),
    "synapse": lambda c: setattr(c, "synapse", SingleExponentialCurrent.partialconstructor(1.0, 9.0)(5, 0.7, 2.0, 1)),
    "updater": lambda c: (setattr(c.updater, "delay", torch.ones(4, 5)), c.update()),
    "optimizer": lambda c: (setattr(c.delay_, "grad", torch.ones(4, 5)), torch.optim.SGD([c.delay_], 0.5).step()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(backend, change):
    conn = dense(delay=3.0, bias=True)
    conn.updater = conn.defaultupdater()
    conn.delay = delays(conn, high=2.4)
    run(conn, spikes(5, 1, 5))
    CHANGES[change](conn)
    for x in spikes(8, 1, 5, seed=1):
        y = conn(x)
        torch.testing.assert_close(y, naive(conn))


def test_reused_memory_is_not_mistaken(backend):
    conn = dense(64, 64, delay=9.0)
    run(conn, spikes(9, 1, 64))
    for value in range(6):
        # the first tensor is freed by then, so the third may get its address
        conn.delay_.data = torch.zeros(64, 64)
        conn.delay_.data = torch.full((64, 64), float(value))
        torch.testing.assert_close(conn(spikes(1, 1, 64, seed=value)[0]), naive(conn))


def test_plan_is_not_copied(backend, plans):
    conn = dense(delay=3.0)
    conn(torch.ones(1, 5))
    for other in (copy.deepcopy(conn), pickle.loads(pickle.dumps(conn))):
        assert other._plans._plan is None and conn._plans._plan is not None
        assert torch.equal(other(torch.ones(1, 5)), copy.deepcopy(conn)(torch.ones(1, 5)))


def test_inference_mode(backend):
    with torch.inference_mode():
        inside = dense(delay=3.0)
        inside.delay = delays(inside)
    outside = dense(delay=3.0)
    outside.delay = delays(outside)
    inputs = spikes(8, 1, 5)
    expected = run(outside, inputs)
    with torch.inference_mode():
        torch.testing.assert_close(run(inside, inputs), expected)
        inside.delay_.data.fill_(1.0)
        torch.testing.assert_close(inside(inputs[0]), naive(inside))
    mixed = dense(delay=3.0)
    mixed.delay = delays(mixed)
    with torch.inference_mode():
        first = run(mixed, inputs[:4])
        mixed.delay_.fill_(1.0)
        torch.testing.assert_close(mixed(inputs[4]), naive(mixed))
        mixed.delay = delays(mixed)
    torch.testing.assert_close(first.clone(), expected[:4])
