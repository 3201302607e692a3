"""Copies and files: deepcopy, pickle, torch.save, state_dict, and checkpoints shared with inferno-ai."""

import copy
import io
import pickle

import pytest
import torch

from inferno_cuda.state import Module, RecordTensor, ShapedTensor, VirtualTensor


class Synapse(Module):
    def __init__(self, dtype=torch.float32, **kwargs):
        super().__init__()
        ShapedTensor.create(self, "trace", torch.zeros(2, 3), {0: 2}, persist_constraints=True)
        RecordTensor.create(self, "spike_", 1.0, 3.0, torch.zeros(2, 3, dtype=dtype), {0: 2}, inclusive=True, **kwargs)
        VirtualTensor.create(self, "current", "derive")
        self.register_extra("steps", 0)

    def derive(self, dtype, device):
        return self.spike_.peek().to(dtype) * 2

    def forward(self, x):
        self.spike_.push(x)
        self.steps += 1
        return self.current.value


class Network(Module):
    def __init__(self):
        super().__init__()
        self.first = Synapse()
        self.alias = self.first
        self.second = Synapse(batch_innermost=True)


def through_pickle(module):
    return pickle.loads(pickle.dumps(module))


def through_torch_save(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def assert_independent(old, new):
    value, pointer = old.spike_.value.clone(), old.spike_.pointer
    assert new.spike_.owner is new and new.trace.owner is new and new.current.owner is new
    assert new.spike_ is not old.spike_ and new.spike_.attributes == old.spike_.attributes
    assert torch.equal(new.spike_.value, value) and new.spike_.pointer == pointer and new.steps == old.steps
    assert new.spike_.value.stride() == old.spike_.value.stride()
    assert torch.equal(new(torch.full((2, 3), 7.0)), torch.full((2, 3), 14.0))
    new.trace.value.fill_(5.0)
    new.spike_.duration = 7.0
    assert torch.equal(old.spike_.value, value) and old.spike_.pointer == pointer
    assert old.spike_.recordsz == 4 and old.trace.value.sum() == 0 and new.spike_.recordsz == 8


COPIES = [copy.deepcopy, through_pickle, through_torch_save]


@pytest.mark.parametrize("duplicate", COPIES)
def test_d17_d48_copies_are_independent(duplicate):
    net = Network()
    for i in range(6):
        net.first(torch.full((2, 3), float(i)))
        net.second(torch.full((2, 3), float(-i)))
    new = duplicate(net)
    assert new.alias is new.first and new.first is not net.first
    assert_independent(net.first, new.first)
    assert_independent(net.second, new.second)


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_copied_handle_needs_its_owner(duplicate):
    synapse = Synapse()
    handle = duplicate(synapse.spike_)
    assert handle is not synapse.spike_ and handle.owner is not synapse
    pair = duplicate([synapse.spike_, synapse])
    assert pair[0] is pair[1].spike_ and pair[0].owner is pair[1]
    dead = Synapse().spike_
    assert dead.owner is None and duplicate(dead).owner is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bool])
@pytest.mark.parametrize("innermost", [False, True])
def test_state_dict_round_trip(dtype, innermost):
    torch.manual_seed(0)
    synapse = Synapse(dtype, batch_innermost=innermost)
    for _ in range(6):
        synapse(torch.rand(2, 3).round(decimals=1) * (torch.rand(2, 3) < 0.5))
    file = io.BytesIO()
    torch.save(synapse.state_dict(), file)
    file.seek(0)
    other = Synapse(dtype)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.spike_.value, synapse.spike_.value) and other.steps == 6
    for _ in range(5):
        assert torch.equal(other.spike_.pop(), synapse.spike_.pop())


def test_a_snapshot_survives_pushes_in_place():
    synapse = Synapse()
    synapse(torch.ones(2, 3))
    saved = copy.deepcopy(synapse.state_dict())
    synapse(torch.zeros(2, 3))
    synapse.load_state_dict(saved)
    assert synapse.spike_.peek().sum() == 6 and synapse.spike_.pointer == 1


def test_layout_survives_moves_and_casts():
    synapse = Synapse(batch_innermost=True)
    for _ in range(2):
        synapse(torch.rand(2, 3))
    synapse.double()
    assert synapse.spike_.value.stride() == (6, 1, 2)


def test_temporal_state_is_loaded():
    def make(dt):
        m = Module()
        RecordTensor.create(m, "r", dt, dt * 3, torch.zeros(1), persist_temporal=True, persist_constraints=True)
        return m

    old, new = make(0.5), make(1.0)
    old.r.push(torch.ones(1))
    new.load_state_dict(old.state_dict())
    assert (new.r.dt, new.r.duration, new.r.recordsz, new.r.pointer) == (0.5, 1.5, 3, 1)
    assert new.r.select(0.5).item() == 0 and new.r.select(0.0).item() == 1


def test_checkpoints_are_exchanged_with_inferno():
    upstream = pytest.importorskip("inferno")

    def fill(library):
        m = library.Module()
        library.RecordTensor.create(m, "spike_", 1.0, 3.0, torch.zeros(2, dtype=torch.bool), inclusive=True)
        library.ShapedTensor.create(m, "voltage_", torch.full((2,), -60.0))
        library.VirtualTensor.create(m, "v", lambda owner, dtype, device: torch.ones(1))
        m.register_extra("steps", 3)
        return m

    import inferno_cuda.state as ours

    theirs, mine = fill(upstream), fill(ours)
    for i in range(6):
        theirs.spike_.push(torch.tensor([i % 2 == 0, i % 3 == 0]))
    mine.load_state_dict(theirs.state_dict())
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert torch.equal(mine.spike_.readrange(4), torch.stack([theirs.spike_.read(k) for k in (4, 3, 2, 1)], -1))

    mine.spike_.push(torch.tensor([True, True]))
    back = fill(upstream)
    back.load_state_dict(mine.state_dict())
    assert back.spike_.pointer == mine.spike_.pointer == 3 and back.steps == 3
    assert torch.equal(back.spike_.value, mine.spike_.value)
