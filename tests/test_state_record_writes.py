"""RecordTensor: when a write is in place, what a graph keeps, and the layout in memory."""

import copy

import pytest
import torch
from torch import nn

from inferno_cuda import functional as F
from inferno_cuda.state import Module, RecordTensor


def recorder(shape=(2, 3), duration=4.0, dtype=torch.float32, **kwargs):
    module = Module()
    RecordTensor.create(module, "r", 1.0, duration, torch.zeros(shape, dtype=dtype), **kwargs)
    return module


WRITES = {
    "push": lambda r, x, inplace: r.push(x, inplace),
    "write": lambda r, x, inplace: r.write(x, 2, inplace),
    "writerange": lambda r, x, inplace: r.writerange(x.unsqueeze(-1), 1, inplace=inplace),
    "writerange_each": lambda r, x, inplace: r.writerange(
        x.unsqueeze(-1), torch.ones(x.shape, dtype=torch.int64), inplace=inplace
    ),
    "insert": lambda r, x, inplace: r.insert(x, 1.25, inplace=inplace),
    "insert_each": lambda r, x, inplace: r.insert(x, torch.full(x.shape, 1.25), inplace=inplace),
}
each_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


@each_write
def test_writes_without_a_graph_keep_the_storage(write):
    m = recorder()
    storage, pointer = m.r.value, m._extras["_r_pointer"]
    for _ in range(6):
        write(m.r, torch.rand(2, 3), False)
    with torch.no_grad():
        write(m.r, torch.rand(2, 3, requires_grad=True), False)
    assert m.r.value is storage and m._extras["_r_pointer"] is pointer and not storage.requires_grad
    assert storage.any()


@each_write
def test_writes_with_a_graph_leave_the_old_storage(write):
    m = recorder()
    storage, pointer, x = m.r.value, m._extras["_r_pointer"], torch.rand(2, 3, requires_grad=True)
    write(m.r, x, False)
    assert m.r.value is not storage and not storage.any() and m.r.value.requires_grad
    assert m._extras["_r_pointer"] is pointer
    write(m.r, torch.zeros(2, 3), False)
    with torch.no_grad():
        before = m.r.value
        write(m.r, torch.zeros(2, 3), False)
        assert m.r.value is not before


@each_write
@pytest.mark.parametrize("innermost", [False, True])
def test_inplace_and_functional_writes_agree(write, innermost):
    torch.manual_seed(0)
    a, b = recorder(batch_innermost=innermost), recorder(batch_innermost=innermost)
    for _ in range(6):
        x = torch.rand(2, 3)
        write(a.r, x, True)
        write(b.r, x.clone().requires_grad_(), False)
        assert torch.equal(a.r.value, b.r.value) and a.r.pointer == b.r.pointer
        assert a.r.value.stride() == b.r.value.stride()


@each_write
def test_inplace_cuts_the_graph(write):
    m = recorder()
    storage, x = m.r.value, torch.rand(2, 3, requires_grad=True)
    write(m.r, x, True)
    assert m.r.value is storage and not m.r.value.requires_grad and storage.any()


def test_gradients_reach_every_recorded_input():
    m = recorder(shape=(2,), duration=3.0)
    inputs = [torch.full((2,), float(i), requires_grad=True) for i in range(5)]
    for x in inputs:
        m.r.push(x * x)
    time = torch.tensor([0.25, 1.0], requires_grad=True)
    m.r.select(time, F.interp_linear).sum().backward()
    grads = [None if x.grad is None else x.grad.tolist() for x in inputs]
    assert grads == [[0, 0], [0, 0], [0, 0], [0.25 * 6, 6], [0.75 * 8, 0]]
    torch.testing.assert_close(time.grad[0], torch.tensor(-7.0))


def test_gradients_of_all_ways_to_read():
    m = recorder(shape=(2,), duration=3.0)
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    for k in range(1, 4):
        m.r.push(k * x)
    reads = {
        9: m.r.peek() + m.r.read(2) + m.r.read(3) + m.r.pop(),
        6: m.r.readrange(3).sum(-1),
        3: m.r.readrange(1, torch.tensor([0, 0]), forward=True).squeeze(-1),
        2: m.r.select(0.0, F.interp_next),
        1.5: m.r.select(torch.tensor([0.5, 0.5]), lambda prev, newer, *args: (prev + newer) / 2),
    }
    for factor, value in reads.items():
        (grad,) = torch.autograd.grad(value.sum(), x, retain_graph=True)
        assert grad.tolist() == [factor] * 2, factor


def test_a_reset_or_a_change_of_duration_ends_the_graph():
    m = recorder(shape=(2,))
    x = torch.ones(2, requires_grad=True)
    for end in (m.r.reset, lambda: setattr(m.r, "duration", m.r.duration + 1)):
        m.r.push(x * x)
        m.r.peek().sum().backward()
        end()
        assert not m.r.value.requires_grad


def test_align_carries_the_graph():
    m = recorder(shape=(2,), batch_innermost=True)
    x = torch.ones(2, requires_grad=True)
    m.r.push(3 * x)
    m.r.align(2)
    m.r.peek().sum().backward()
    assert x.grad.tolist() == [3, 3]


@pytest.mark.parametrize("innermost", [False, True])
@pytest.mark.parametrize("change", [*WRITES.values(), lambda r, *_: r.reset(), lambda r, *_: r.align(2)])
def test_held_storage_is_copied_before_it_changes(change, innermost):
    m = recorder(batch_innermost=innermost)
    for i in range(5):
        m.r.push(torch.full((2, 3), float(i)))
    kept, values = m.r.value, m.r.value.clone()
    m.r.hold()
    change(m.r, torch.rand(2, 3), False)
    copied = m.r.value
    assert copied is not kept and torch.equal(kept, values) and copied.stride() == kept.stride()
    assert not torch.equal(copied, kept)
    m.r.push(torch.rand(2, 3))
    assert m.r.value is copied


def test_a_new_storage_is_not_held():
    m = recorder()
    m.r.hold()
    m.r.value = torch.zeros(4, 2, 3)
    new = m.r.value
    m.r.push(torch.ones(2, 3))
    assert m.r.value is new


def test_a_graph_that_saved_the_held_storage_is_right():
    m, weight = recorder(shape=(3,)), torch.ones(3, requires_grad=True)
    m.r.push(torch.full((3,), 2.0))
    out = (m.r.value[0] * weight).sum()
    m.r.hold()
    for _ in range(8):
        m.r.push(torch.zeros(3))
    out.backward()
    assert weight.grad.tolist() == [2, 2, 2]


def test_what_was_read_stays_as_it_was():
    m = recorder(shape=(2,), duration=1.0)
    m.r.push(torch.ones(2))
    read = [m.r.peek(), m.r.latest, m.r.read(), m.r.readrange(1)[:, 0], m.r.select(0.0), m.r.select(torch.zeros(2))]
    m.r.push(torch.zeros(2))
    assert all(x.tolist() == [1, 1] for x in read)
    assert m.r.pop().tolist() == [0, 0]


def is_innermost(value):
    """Memory order [N][*rest][B], whatever the shape says."""
    return value.movedim(1, -1).is_contiguous()


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2), (1, 3), (4, 1), (4, 1, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bool])
def test_batch_innermost(shape, dtype):
    m = recorder(shape, dtype=dtype, batch_innermost=True, constraints={0: shape[0]})
    plain = recorder(shape, dtype=dtype, constraints={0: shape[0]})

    def size(batch):
        return (batch, *shape[1:])

    def both(action):
        results = [action(x.r) for x in (m, plain)]
        assert is_innermost(m.r.value), action
        assert torch.equal(m.r.value, plain.r.value) and m.r.pointer == plain.r.pointer
        if isinstance(results[0], torch.Tensor):
            assert torch.equal(*results)

    torch.manual_seed(0)
    batch = shape[0]
    for _ in range(7):
        x = torch.rand(size(batch)).round().to(dtype)
        both(lambda r, x=x: r.push(x))
    both(lambda r: r.align(2))
    both(lambda r: setattr(r, "duration", 6.0))
    both(lambda r: setattr(r, "dt", 2.0))
    both(lambda r: r.write(torch.ones(size(batch), dtype=dtype), 2))
    both(lambda r: r.reconstrain(0, 5))
    both(lambda r: r.push(torch.ones(size(5), dtype=dtype)))
    both(lambda r: r.peek())
    time = torch.rand(size(5)) * 4
    both(lambda r: r.select(time))
    both(lambda r: r.readrange(3))
    both(lambda r: r.reset())
    both(lambda r: r.initialize(size(2)))
    saved = copy.deepcopy(m.state_dict())
    both(lambda r: r.push(torch.ones(size(2), dtype=dtype)))
    m.load_state_dict(saved)
    assert is_innermost(m.r.value) and not m.r.value.any()


def test_batch_innermost_after_the_first_push_and_for_parameters():
    m = Module()
    RecordTensor.create(m, "r", 1.0, 4.0, None, batch_innermost=True)
    m.r.push(torch.ones(4, 3))
    RecordTensor.create(m, "p", 1.0, 4.0, nn.Parameter(torch.ones(4, 3)), batch_innermost=True)
    m.p.push(torch.rand(4, 3))
    m.p.duration = 6.0
    for handle in (m.r, m.p):
        assert is_innermost(handle.value) and handle.value.stride(1) == 1


def test_non_contiguous_and_expanded_arguments():
    m, plain = recorder((3, 2)), recorder((3, 2))
    odd = {
        "transposed": torch.rand(2, 3).t(),
        "expanded": torch.rand(3, 1).expand(3, 2),
        "strided": torch.rand(6, 2)[::2],
    }
    for x in odd.values():
        for write in WRITES.values():
            write(m.r, x, False)
            write(plain.r, x.contiguous(), False)
            assert torch.equal(m.r.value, plain.r.value)
    time = torch.tensor([[0.0, 1.0, 2.5]]).expand(3, 3)[:, :2]
    assert torch.equal(m.r.select(time), plain.r.select(time.contiguous()))
    m.r.value = m.r.value.movedim(0, -1).contiguous().movedim(-1, 0)
    m.r.push(torch.ones(3, 2))
    plain.r.push(torch.ones(3, 2))
    assert torch.equal(m.r.value, plain.r.value) and torch.equal(m.r.select(time), plain.r.select(time))
