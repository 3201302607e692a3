"""Trainers as PyTorch modules: copies, files, checkpoints, dtypes; and the layers that they can train."""

import copy
import io
import pickle

import pytest
import torch
from learn_cases import LONGEST, OURS, RULES, SIGNALS, layer, off_grid, rule, spikes

import inferno_cuda
from inferno_cuda import learn


class Whole(torch.nn.Module):
    """A layer and its trainer in one module."""

    def __init__(self, name, delayed=False, batch=2, trainer_first=False):
        super().__init__()
        self.name, self.batch, self.steps = name, batch, 0
        made = layer(OURS, delay=LONGEST, delay_init=off_grid, batch=batch)
        homeostasis = name == "homeostasis"
        trainer = learn.LinearHomeostasis(0.1, 0.3, "weight") if homeostasis else rule(OURS, name, delayed=delayed)
        trainer.register_cell("cell", made.cell)
        for key, part in sorted({"layer": made, "trainer": trainer}.items(), reverse=trainer_first):
            setattr(self, key, part)

    def run(self, steps, apply=True):
        for _ in range(steps):
            post = spikes(1, self.batch, 4, seed=self.steps + 999)[0]
            self.layer(spikes(1, self.batch, 2, 3, seed=self.steps)[0], post=post)
            signal = (SIGNALS["mixed"](self.batch, self.steps),) if self.name in RULES and RULES[self.name][2] else ()
            self.trainer(*signal)
            if apply:
                self.layer.update()
            self.steps += 1
        return self

    def bits(self):
        state = {key: value for key, value in self.state_dict().items()}
        tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
        return tensors, {key: value for key, value in state.items() if key not in tensors}


def assert_same(one, other):
    (a, extras_a), (b, extras_b) = one.bits(), other.bits()
    assert extras_a == extras_b and set(a) == set(b)
    for key, value in a.items():
        assert value.dtype == b[key].dtype
        assert torch.equal(value.nan_to_num(nan=-7.0), b[key].nan_to_num(nan=-7.0)), key


EVERY = [*RULES, "homeostasis"]
WAYS = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "pair": lambda module: _from_pair(module),
}


def _from_pair(module):
    new = copy.copy(module)
    new._modules = dict(zip(("trainer", "layer"), copy.deepcopy((module.trainer, module.layer)), strict=True))
    return new


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", EVERY)
def test_copies_go_on_alike_and_apart(name, way):
    original = Whole(name, trainer_first=way == "pickle").run(6)
    new = WAYS[way](original)
    assert new.trainer.get_cell("cell")[0] is new.layer.cell
    assert dict(new.layer.cell.monitors) == dict(new.trainer.named_monitors_of("cell"))
    assert_same(new, original)
    new.run(5)
    untouched = original.layer.connection.weight.clone()
    original.run(5)
    assert_same(new, original)
    held = "delay" if name.endswith("D") else "weight"
    assert held == "delay" or not torch.equal(untouched, original.layer.connection.weight)
    new.trainer.eval()
    assert all(monitor.registered for monitor in original.trainer.monitors)


def test_a_copy_of_the_trainer_alone_has_no_cells():
    whole = Whole("MSTDPET").run(3)
    alone = copy.deepcopy(whole.trainer)
    assert not list(alone)
    alone(1.0)
    whole.run(2)


@pytest.mark.parametrize("name", EVERY)
def test_state_dict_resumes(name):
    original = Whole(name).run(6)
    file = io.BytesIO()
    torch.save(original.state_dict(), file)
    file.seek(0)
    resumed = Whole(name)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    resumed.steps = original.steps
    assert_same(resumed.run(6), original.run(6))


@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("name", EVERY)
def test_checkpoints_resume_bit_for_bit(name, pending, tmp_path):
    pytest.importorskip("safetensors")
    original = Whole(name, delayed=name in RULES and RULES[name][3]).run(6).run(2, apply=not pending)
    inferno_cuda.save_checkpoint(tmp_path / "run.safetensors", original, {"steps": original.steps})
    resumed = Whole(name, delayed=name in RULES and RULES[name][3])
    resumed.steps = inferno_cuda.load_checkpoint(tmp_path / "run.safetensors", resumed)["steps"]
    assert_same(resumed, original)
    assert_same(resumed.run(6), original.run(6))
