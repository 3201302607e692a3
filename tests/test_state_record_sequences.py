"""RecordTensor: many observations pushed at once."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_cuda.state import Module, RecordTensor


def recorder(slots, shape=(2, 3), value=True, **kwargs):
    module = Module()
    RecordTensor.create(module, "r", 1.0, float(slots), torch.zeros(shape) if value else None, **kwargs)
    return module


@settings(max_examples=60, deadline=None)
@given(
    slots=st.integers(1, 6),
    before=st.integers(0, 7),
    steps=st.integers(0, 15),
    shape=st.lists(st.integers(1, 3), max_size=3),
    innermost=st.booleans(),
    graph=st.booleans(),
    value=st.booleans(),
)
def test_a_sequence_is_that_many_pushes(slots, before, steps, shape, innermost, graph, value):
    once, each = (recorder(slots, shape, value, batch_innermost=innermost and bool(shape)) for _ in range(2))
    for x in torch.rand(before, *shape):
        once.r.push(x)
        each.r.push(x)
    obs = torch.rand(steps, *shape).requires_grad_(graph)
    storage = once.r.value
    once.r.push_sequence(obs)
    for x in obs:
        each.r.push(x)
    assert once.r.pointer == each.r.pointer
    if value or before or steps:
        assert torch.equal(once.r.value, each.r.value) and once.r.value.stride() == each.r.value.stride()
        assert once.r.value.requires_grad == each.r.value.requires_grad == (graph and steps > 0)
        assert once.r.value is storage or graph or not (value or before)
    else:
        assert once.r.ignored


def test_gradients_are_those_of_pushes():
    once, each = recorder(3), recorder(3)
    obs = torch.rand(5, 2, 3, requires_grad=True)
    cost = torch.rand(3, 2, 3)
    once.r.push_sequence(obs[:2])
    once.r.push_sequence(obs[2:])
    for x in obs:
        each.r.push(x)
    got, wanted = (torch.autograd.grad((m.r.value * cost).sum(), obs)[0] for m in (once, each))
    assert torch.equal(got, wanted) and got[2:].all() and not got[:2].any()


def test_it_casts_and_writes_in_place_where_asked():
    m = recorder(3)
    m.r.push_sequence(torch.ones(2, 2, 3, dtype=torch.float64, requires_grad=True), inplace=True)
    assert m.r.value.dtype == torch.float32 and m.r.value.sum() == 12 and not m.r.value.requires_grad


def test_a_held_storage_is_copied_first():
    m = recorder(3)
    held = m.r.value
    m.r.hold()
    m.r.push_sequence(torch.ones(2, 2, 3))
    assert not held.any() and m.r.value.sum() == 12


@pytest.mark.parametrize("shape", [(), (4, 3), (4, 2, 2), (0, 2, 2)])
def test_other_shapes_leave_the_record(shape):
    m = recorder(3)
    with pytest.raises(ValueError, match="obs"):
        m.r.push_sequence(torch.ones(shape))
    assert m.r.pointer == 0 and not m.r.value.any()
