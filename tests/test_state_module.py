"""Module: extras, attribute access, loading."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from inferno_cuda.state import Module, RecordTensor, VirtualTensor


def recorder(pushes=0, slots=4.0):
    module = Module()
    RecordTensor.create(module, "r", 1.0, slots, torch.zeros(1))
    for i in range(1, pushes + 1):
        module.r.push(torch.tensor([float(i)]))
    return module


def test_extras_are_attributes_and_state():
    m = Module()
    m.register_extra("count", 3)
    assert m.count == 3 and "count" in dir(m) and m.get_extra("count") == 3
    m.count = 4
    assert m.state_dict() == OrderedDict(_extra_state=OrderedDict(count=4))
    m.register_extra("count", None)
    assert m.count is None
    del m.count
    with pytest.raises(AttributeError, match="count"):
        m.count  # noqa: B018


@pytest.mark.parametrize(
    "name, value, error, text",
    [
        (3, 1, TypeError, "string"),
        ("a.b", 1, KeyError, "must not contain"),
        ("", 1, KeyError, "empty"),
        ("training", 1, KeyError, "attribute 'training' already exists"),
        ("x", torch.ones(1), TypeError, "cannot assign 'Tensor' object to 'x'"),
        ("x", nn.Linear(1, 1), TypeError, "cannot assign 'Linear' object to 'x'"),
    ],
)
def test_register_extra_refuses(name, value, error, text):
    with pytest.raises(error, match=text):
        Module().register_extra(name, value)


def test_an_extra_never_becomes_a_tensor():
    m = Module()
    m.register_extra("x", 1)
    with pytest.raises(TypeError, match="cannot assign 'Tensor'"):
        m.x = torch.ones(2)
    with pytest.raises(TypeError, match="cannot assign 'Tensor'"):
        m.set_extra_state({"x": torch.ones(2)})
    assert m.x == 1


def test_get_extra_follows_a_path():
    m = Module()
    m.sub = Module()
    m.sub.register_extra("y", 1)
    m.lin = nn.Linear(1, 1)
    assert m.get_extra("sub.y") == 1
    for target in ("sub.z", "lin.weight", "zz.y", "training", "", "sub"):
        with pytest.raises(AttributeError):
            m.get_extra(target)


def test_set_extra_state_adds_and_never_removes():
    m = Module()
    m.register_extra("old", 1)
    m.set_extra_state({"new": 2})
    assert (m.old, m.new) == (1, 2)


def test_attributes_before_init():
    class Early(Module):
        def __init__(self):
            self.size = 3
            super().__init__()

    assert Early().size == 3


def test_properties_take_parameters_and_modules():
    class Holder(Module):
        @property
        def weight(self):
            return self.weight_

        @weight.setter
        def weight(self, value):
            self.weight_ = value

        @property
        def fixed(self):
            return 1

    m = Holder()
    m.weight = nn.Parameter(torch.ones(2))
    assert list(m._parameters) == ["weight_"]
    m.weight = nn.Parameter(torch.zeros(2))
    assert m.weight.sum() == 0
    with pytest.raises(AttributeError):
        m.fixed = nn.Parameter(torch.ones(1))
    assert "fixed" not in m._parameters


def test_d22_methods_can_be_overridden_on_the_instance():
    class Doubler(Module):
        def forward(self, x):
            return 2 * x

    m = Doubler()
    m.forward = lambda x: x
    assert m(3) == 3 and Doubler()(3) == 6


def test_d05_state_dict_is_a_snapshot():
    m = recorder(pushes=1)
    saved = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in m.state_dict().items()}
    m.r.push(torch.tensor([2.0]))
    assert saved["_extra_state"] == {"_r_pointer": 1}
    m.load_state_dict(saved)
    assert m.r.pointer == 1 and m.r.peek().item() == 1.0


def test_counters_look_like_ints_and_are_written_in_place():
    m = recorder(pushes=2)
    held = m._extras["_r_pointer"]
    assert type(m._r_pointer) is int and m._r_pointer == 2
    assert type(m.get_extra("_r_pointer")) is int and type(m.get_extra_state()["_r_pointer"]) is int
    m._r_pointer = 3
    m.set_extra_state({"_r_pointer": 1})
    assert m._extras["_r_pointer"] is held and held.item() == 1


def test_casts_leave_counters_alone():
    m = recorder(pushes=2)
    for cast in (m.double, m.half, lambda: m.type(torch.float64), lambda: m.to(torch.bfloat16)):
        cast()
        assert m._extras["_r_pointer"].dtype == torch.int64 and m.r.pointer == 2
    m.to_empty(device="cpu")
    assert m.r.pointer == 2


def test_counters_move_with_the_module():
    m = recorder(pushes=2)
    m.to("meta")
    assert m._extras["_r_pointer"].device == m.r.value.device == torch.device("meta")
    m.to_empty(device="cpu")
    assert m.r.pointer == 0


def test_a_pointer_from_outside_is_brought_into_range():
    m = recorder(pushes=2)
    m.set_extra_state({"_r_pointer": -1})
    assert m.r.pointer == 3


def test_virtual_tensor_follows_its_owner():
    class Ones(Module):
        constant = 3

        def make(self, dtype, device):
            return torch.arange(3, dtype=dtype, device=device)

    m = Ones()
    VirtualTensor.create(m, "v", "make")
    VirtualTensor.create(m, "w", lambda owner, dtype, device: torch.ones(owner.constant), torch.bool, persist=True)
    assert m.v.attributes == ("_v_ref",) and m.v.attributes.ref == "_v_ref" and m.v.name == "v" and m.v.owner is m
    assert m.v.value.dtype == torch.float32 and list(m.state_dict()) == ["_w_ref", "_extra_state"]
    m.double()
    assert m.v.value.dtype == torch.float64 and m.w.value.dtype == torch.bool
    m.w.dtype = torch.int32
    assert m.w.value.tolist() == [1, 1, 1] and m.w.value.dtype == torch.int32
    m.w.to(torch.float16)
    assert m.w.dtype == torch.float16
    m.w.device = "meta"
    assert m.w.value.device == m.w.device == torch.device("meta")
    with pytest.raises(AttributeError, match="materializer"):
        VirtualTensor(m, "x", "nope")
    with pytest.raises(TypeError, match="materializer"):
        VirtualTensor(m, "x", "constant")
    with pytest.raises(TypeError, match="materializer"):
        VirtualTensor(m, "x", 3)
    del m.v
    assert not hasattr(m, "_v_ref")
