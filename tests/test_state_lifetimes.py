"""Who owns state and how long it lives: inference mode, state_dicts, assigned tensors, copies, bad values."""

import copy
import pickle

import pytest
import torch

from inferno_cuda.state import Module, RecordTensor, ShapedTensor


def recorder(duration=3.0, value=None, **options):
    m = Module()
    RecordTensor.create(m, "r", 1.0, duration, torch.zeros(2, 3) if value is None else value, **options)
    ShapedTensor.create(m, "s", torch.zeros(2, 3))
    return m


def change_in_inference_mode(m, how):
    with torch.inference_mode():
        if how == "held":
            m.r.hold()
            m.r.push(torch.ones(2, 3))
        elif how == "time":
            m.r.duration = 5.0
            m.r.push(torch.ones(2, 3))
        elif how == "initialize":
            m.r.initialize((2, 3))
        elif how == "assign":
            m.r.value, m.s.value = torch.ones(4, 2, 3), torch.ones(2, 3)
        elif how == "graph":
            m.r.push(torch.ones(2, 3))
            m.r.reset(1.0)
        elif how == "cast":
            m.double()
        else:
            m.load_state_dict(m.state_dict(), assign=True)


@pytest.mark.parametrize("how", ["held", "time", "initialize", "assign", "graph", "cast", "load"])
def test_state_outlives_inference_mode(how):
    m = recorder()
    if how == "graph":
        m.r.push(torch.ones(2, 3, requires_grad=True))
    change_in_inference_mode(m, how)
    assert not m.r.value.is_inference() and not m.s.value.is_inference() and not m._extras["_r_pointer"].is_inference()
    m.r.push(torch.ones(2, 3, dtype=m.r.value.dtype))
    m.r.write(torch.ones(2, 3), 2)
    m.r.align()
    m.r.dt = 0.5
    m.load_state_dict(m.state_dict())
    m.r.push(torch.ones(2, 3, requires_grad=True))
    m.r.reset()
    m.s.value.fill_(1.0)


def test_modules_built_in_inference_mode_work_after_it():
    with torch.inference_mode():
        m = recorder()
    m.r.push(torch.ones(2, 3))
    assert m.r.pointer == 1 and m.r.peek().sum() == 6


def test_a_state_dict_is_a_snapshot():
    m, other = recorder(batch_innermost=True), recorder()
    m.r.push(torch.ones(2, 3))
    saved = m.state_dict()
    m.r.push(torch.full((2, 3), 2.0))
    m.s.value.fill_(5.0)
    other.load_state_dict(saved)
    assert other.r.pointer == 1 and other.r.peek().sum() == 6 and not other.s.value.any()
    assert m.state_dict(keep_vars=True)["_r_data"] is m.r.value
    del m.r.value
    assert m.state_dict()["_r_data"].numel() == 0


def test_assigned_tensors_are_not_written_to():
    m = recorder()
    given, shaped = torch.zeros(4, 2, 3), torch.zeros(2, 3)
    m.r.value, m.s.value = given, shaped
    m.r.push(torch.ones(2, 3))
    m.s.value.fill_(1.0)
    assert not given.any() and not shaped.any()
    saved = m.state_dict()
    before = {k: v.clone() for k, v in saved.items() if isinstance(v, torch.Tensor)}
    m.load_state_dict(saved, assign=True)
    m.r.push(torch.full((2, 3), 7.0))
    m.s.value.fill_(7.0)
    assert all(torch.equal(saved[k], v) for k, v in before.items())


def test_gradients_pass_an_assignment():
    m, given = recorder(), torch.zeros(4, 2, 3, requires_grad=True)
    m.r.value = given
    m.r.peek().sum().backward()
    assert given.grad.sum() == 6


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_leave_the_graph_behind(duplicate):
    m, x = recorder(batch_innermost=True), torch.ones(2, 3, requires_grad=True)
    m.r.push(2 * x)
    m.s.value = 3 * x
    new = duplicate(m)
    assert not new.r.value.requires_grad and not new.s.value.requires_grad
    assert torch.equal(new.r.value, m.r.value) and torch.equal(new.s.value, m.s.value)
    assert m.r.value.requires_grad and m.s.value.requires_grad
    new.r.push(torch.zeros(2, 3))
    (m.r.peek() + m.s.value).sum().backward()
    assert torch.equal(x.grad, torch.full((2, 3), 5.0))


@pytest.mark.parametrize("changes", [{"dt": float("inf")}, {"duration": float("inf")}, {"dt": 1e-320}])
def test_times_must_be_finite(changes):
    m = recorder()
    m.r.push(torch.ones(2, 3))
    (name, value), before = next(iter(changes.items())), (m.r.dt, m.r.duration, m.r.pointer, m.r.value.clone())
    with pytest.raises(ValueError, match=name if value == float("inf") else "too many steps"):
        setattr(m.r, name, value)
    assert (m.r.dt, m.r.duration, m.r.pointer) == before[:3] and torch.equal(m.r.value, before[3])
    with pytest.raises(ValueError):
        RecordTensor(Module(), "r", changes.get("dt", 1.0), changes.get("duration", 3.0), None)


@pytest.mark.parametrize("bad", [{"_r_pointer": "x"}, {"_r_pointer": 2**70}, {"_r_dt": 0.0}, {"n": torch.ones(1)}])
def test_extras_are_all_checked_before_any_is_written(bad):
    m = recorder(persist_temporal=True)
    m.register_extra("n", 1)
    m.r.push(torch.ones(2, 3))
    before = m.get_extra_state()
    with pytest.raises((ValueError, TypeError)):
        m.set_extra_state({"n": 2, "_r_duration": 9.0, "_r_pointer": 0, **bad})
    assert m.get_extra_state() == before
