"""Copies and files of updaters and what they update; pending updates in checkpoints."""

import copy
import pickle

import pytest
import torch
from test_neural_modeling import dense, full, upper

from inferno_cuda.neural import Accumulator, Clamping

COPIES = pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))], ids=["copy", "pickle"]
)


@COPIES
def test_copies_of_a_connection_update_themselves(duplicate):
    conn = dense()
    conn.updater.weight.upperbound(upper, 3.0, power=2.0)
    conn.updater.weight = full(1)
    before = conn.weight.clone()
    other = duplicate(conn)
    assert other.updater.parent is other and type(other.updater).__name__ == "LinearDenseUpdater"
    other.update()
    torch.testing.assert_close(other.weight, before + (3 - before) ** 2)
    assert torch.equal(conn.weight, before) and conn.updater.weight.pos is not None
    conn.update()
    assert torch.equal(conn.weight, other.weight)


TOGETHER = {
    "attached": lambda c: {"updater": c.updater, "conn": c},
    "apart": lambda c: {"updater": c.defaultupdater(), "conn": c},
    "hook": lambda c: {"hook": Clamping(c.updater, "parent.weight", min=0.0), "conn": c},
}


@pytest.mark.parametrize("order", [1, -1], ids=["updater first", "module first"])
@pytest.mark.parametrize("kind", TOGETHER)
@COPIES
def test_copies_of_updater_and_connection_stay_together_in_any_order(duplicate, kind, order):
    conn = dense()
    before = conn.weight.clone()
    things = TOGETHER[kind](conn)
    copies = duplicate(dict(list(things.items())[::order]))
    other = copies["conn"]
    updater = copies.get("updater", other.updater)
    assert other is not conn and updater.parent is other and other.updater.parent is other
    if kind == "hook":
        assert copies["hook"].module is updater
        copies["hook"].register()
    updater.weight = (None, full(9))
    updater()
    assert torch.equal(conn.weight, before) and conn.updater.parent is conn
    torch.testing.assert_close(other.weight, full(0) if kind == "hook" else before - 9)


def test_a_shallow_copy_of_a_connection_shares_its_updater():
    conn = dense()
    other = copy.copy(conn)
    assert other.updater is conn.updater and conn.updater.parent is conn


def test_updates_that_inferno_saved_are_pending():
    theirs = pytest.importorskip("inferno.neural")
    for saved in ({"pos": 12, "neg": 1}, {"neg": 2}):
        c = theirs.LinearDense(3, 2, 1.0, synapse=theirs.DeltaCurrent.partialconstructor(1.0), bias=True, delay=4.0)
        c.updater = c.defaultupdater()
        for name, count in saved.items():
            for k in range(count):
                setattr(c.updater.weight, name, full(k + 0.25))
        conn = dense()
        conn.updater.weight = full(100)
        keys = list(conn.state_dict())
        state = c.state_dict()
        torch.nn.ModuleDict({"c": conn}).load_state_dict({f"c.{k}": v for k, v in state.items()})
        for name in ("pos", "neg"):
            a, b = getattr(conn.updater.weight, name), getattr(c.updater.weight, name)
            assert b is None if a is None else torch.equal(a, b)
            assert len(getattr(conn.updater.weight, f"_{name}")) == saved.get(name, 0)
        assert list(conn.state_dict()) == keys and "updater_.updates_.weight._neg.0" in state
        c.update()
        conn.update()
        assert torch.equal(conn.weight, c.weight) and conn.updater.weight.neg is None
        conn.updater.load_state_dict({k[9:]: v for k, v in state.items() if k.startswith("updater_.")})
        assert torch.equal(conn.updater.weight._neg[0], full(0.25))
        assert conn.updater.weight._neg[0] is not state["updater_.updates_.weight._neg.0"]


def test_pending_updates_come_in_the_order_of_their_numbers():
    acc = Accumulator()
    acc.load_state_dict({**acc.state_dict(), **{f"_pos.{k}": torch.tensor(float(k)) for k in (10, 9, 0, 2)}})
    assert [u.item() for u in acc._pos] == [0, 2, 9, 10]
    acc.load_state_dict(acc.state_dict())
    assert len(acc._pos) == 4
    with pytest.raises(RuntimeError, match="Unexpected key.*_pos.x"):
        acc.load_state_dict({**acc.state_dict(), "_pos.x": torch.tensor(1.0)})


def test_updates_that_were_saved_join_the_parameter_on_its_device():
    conn = dense().to("meta")
    conn.updater.load_state_dict({**conn.updater.state_dict(), "updates_.weight._pos.0": full(1)})
    assert conn.updater.weight.pos.is_meta


def test_a_copy_of_the_updater_alone_updates_the_same_module():
    conn = dense()
    other = copy.deepcopy(conn.updater)
    before = conn.weight.clone()
    other.weight = full(1)
    other()
    assert other.parent is conn and torch.equal(conn.weight, before + 1) and conn.updater.weight.pos is None
