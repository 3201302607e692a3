"""ShapedTensor: constraints, resizing, ownership."""

import pytest
import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from inferno_cuda.state import Module, RecordTensor, ShapedTensor


def holding(value, constraints=None, **kwargs):
    module = Module()
    ShapedTensor.create(module, "s", value, constraints, **kwargs)
    return module


def test_data_lives_on_the_owner():
    m = holding(torch.ones(2, 3), {0: 2})
    assert m.s.attributes == ("_s_data", "_s_constraints") and m.s.owner is m and m.s.name == "s"
    assert m._buffers["_s_data"] is m.s.value and list(m.state_dict()) == ["_s_data", "_extra_state"]
    m.s.constraints[0] = 9
    assert m.s.constraints == {0: 2}
    m.s.value = torch.zeros(5)
    assert m._s_data.shape == (5,) and not m.s.valid
    assert list(holding(torch.ones(1), persist_data=False).state_dict()) == ["_extra_state"]


def test_constraints_persist_as_an_extra():
    m = holding(torch.ones(2), {0: 2}, persist_constraints=True)
    saved = m.get_extra_state()
    m.s.reconstrain(0, 3)
    assert saved == {"_s_constraints": {0: 2}} and m._s_constraints == {0: 3}


@pytest.mark.parametrize("name, error", [(3, TypeError), ("a.b", ValueError), ("", ValueError), ("1a", ValueError)])
def test_name_must_be_an_identifier(name, error):
    with pytest.raises(error, match="name"):
        ShapedTensor(Module(), name, None)


@pytest.mark.parametrize(
    "value",
    [None, torch.empty(0), torch.empty(0, dtype=torch.bool), UninitializedBuffer(), UninitializedParameter()],
    ids=["none", "empty", "empty_bool", "buffer", "parameter"],
)
def test_ignored_values_meet_any_constraint(value):
    m = holding(value, {0: 2, -1: 7})
    assert m.s.ignored and m.s.valid
    m.s.reconstrain(0, 9)
    assert m.s.constraints == {0: 9, -1: 7} and m.s.ignored
    m.s.value = torch.zeros(9, 7) if not isinstance(value, nn.Parameter) else nn.Parameter(torch.zeros(9, 7))
    assert not m.s.ignored and m.s.valid


def test_uninitialized_parameter_is_filled_by_a_tensor():
    m = holding(UninitializedParameter())
    m.s.value = torch.ones(2)
    assert type(m.s.value) is nn.Parameter and m.s.value.tolist() == [1, 1]


def test_initial_value_must_fit():
    with pytest.raises(RuntimeError, match="constraints"):
        holding(torch.ones(2), {0: 3})
    m = holding(torch.ones(2), {0: 2})
    with pytest.raises(RuntimeError):
        ShapedTensor.create(m, "s", torch.ones(2), {0: 3})
    assert m.s.value.tolist() == [1, 1]


def test_dimensionality():
    for constraints, strict, loose in [({}, 0, 0), ({0: 2, -1: 3}, 2, 1), ({2: 1}, 3, 3), ({-2: 1}, 2, 2)]:
        m = holding(None, constraints)
        assert m.s.dimensionality == strict
        m.s.strict = False
        assert m.s.dimensionality == loose


def test_live_assignment_is_tested():
    m = holding(torch.ones(2), {0: 2})
    m.s.value = torch.ones(3)
    m.s.value = torch.ones(2)
    m.s.live = True
    with pytest.raises(ValueError, match="constraints"):
        m.s.value = torch.ones(3)
    m.s.value = None
    assert m.s.ignored


def test_parameter_keeps_its_identity():
    p = nn.Parameter(torch.ones(2))
    m = holding(p, {0: 2})
    m.s.value = torch.zeros(3)
    assert m.s.value is p and p.shape == (3,)
    m.s.reconstrain(0, 4)
    assert m.s.value is p and p.shape == (4,)
    with pytest.raises(RuntimeError, match="None"):
        m.s.value = None
    q = nn.Parameter(torch.zeros(2))
    m.s.value = q
    assert m.s.value is q and list(m.parameters()) == [q]


def test_resize():
    x = torch.arange(4)
    assert ShapedTensor.resize(x, 0, 4) is x
    assert ShapedTensor.resize(x, 0, 2).tolist() == [2, 3]
    assert ShapedTensor.resize(x, 0, 2, preserve_tail=False).tolist() == [0, 1]
    assert ShapedTensor.resize(x, 0, 6).tolist() == [0, 0, 0, 1, 2, 3]
    assert ShapedTensor.resize(x, 0, 6, preserve_tail=False, fill=7).tolist() == [0, 1, 2, 3, 7, 7]
    assert ShapedTensor.resize(x.view(2, 2).bool(), -1, 3).tolist() == [[False, False, True], [False, True, True]]


def test_reconstrain():
    m = holding(torch.ones(2, 3), {0: 2})
    with pytest.raises(ValueError, match="would be invalidated by constraint of size 4 on dim 1"):
        m.s.reconstrain(1, 4)
    m.s.reconstrain(1, 3)
    assert m.s.reconstrain(0, 4).tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]]
    assert m.s.reconstrain(0, 1).tolist() == [[1, 1, 1]]
    with pytest.raises(ValueError, match="dim"):
        m.s.reconstrain(5, None)
    m.s.value = torch.ones(7, 7)
    with pytest.raises(RuntimeError, match="has been invalidated"):
        m.s.reconstrain(-1, 7)
    with pytest.raises(RuntimeError, match="has been invalidated"):
        m.s.reconstrain(1, None)
    assert m.s.constraints == {0: 1}


def test_d16_recreating_under_a_name_replaces_cleanly():
    m = Module()
    RecordTensor.create(m, "r", 1.0, 3.0, torch.zeros(2))
    RecordTensor.create(m, "r", 1.0, 3.0, torch.ones(2))
    assert m.r.value.tolist() == [[1, 1]] * 3
    ShapedTensor.create(m, "r", nn.Parameter(torch.ones(2)))
    assert list(m.state_dict()) == ["_r_data", "_extra_state"] and m.state_dict()["_extra_state"] == {}
    RecordTensor.create(m, "r", 1.0, 3.0, torch.ones(2), persist_temporal=True)
    assert not list(m.parameters()) and m.r.dt == 1.0
    RecordTensor.create(m, "r", 2.0, 3.0, torch.ones(2), persist_data=False)
    assert list(m.state_dict()["_extra_state"]) == ["_r_pointer"] and list(m.state_dict()) == ["_extra_state"]


def test_d16_also_without_the_attribute():
    m = Module()
    for value in (nn.Parameter(torch.zeros(2)), torch.ones(2), nn.Parameter(torch.zeros(2))):
        handle = RecordTensor(m, "r", 1.0, 3.0, value)
        assert handle.value.shape == (3, 2) and isinstance(handle.value, nn.Parameter) == bool(list(m.parameters()))


def test_deleting_the_handle_removes_its_data():
    m = Module()
    RecordTensor.create(m, "r", 1.0, 3.0, torch.zeros(2))
    ShapedTensor.create(m, "s", torch.zeros(2))
    m.alias = m.s
    before = set(m.__dict__)
    del m.r
    assert list(m.state_dict()) == ["_s_data", "_extra_state"] and not m._extras
    assert before - set(m.__dict__) == {"r", "_r_constraints", "_r_dt", "_r_duration", "_r_inclusive"}
    del m.s
    assert m.alias.value is not None
    del m.alias
    assert not m._buffers


def test_a_handle_does_not_keep_its_owner():
    m = holding(torch.ones(2), {0: 2})
    handle = m.s
    del m
    assert handle.owner is None and not handle.valid
    with pytest.raises(RuntimeError, match="no longer exists"):
        handle.value  # noqa: B018


@pytest.mark.parametrize("kind", [nn.Module, lambda: type("Plain", (), {})()], ids=["nn", "plain"])
def test_other_owners(kind):
    owner = kind()
    RecordTensor.create(owner, "r", 1.0, 3.0, torch.zeros(2))
    owner.r.push(torch.ones(2))
    owner.r.push(torch.full((2,), 2.0))
    assert owner.r.pointer == 2 and owner.r.readrange(2).tolist() == [[1, 2], [1, 2]]
    if isinstance(owner, nn.Module):
        assert list(owner.state_dict()) == ["_r_data"]
        owner.to("meta")
        assert owner.r._pointer_tensor.device.type == "meta"
