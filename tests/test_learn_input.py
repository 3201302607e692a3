"""What learning rules refuse, and that nothing has changed then."""

import copy

import pytest
import torch
from learn_cases import OURS, layer, rule

from inferno_cuda import learn
from inferno_cuda.observe import CAReducer


def everything(name):
    made = layer(OURS, delay=3.0, batch=3)
    homeostasis = name == "homeostasis"
    trainer = learn.LinearHomeostasis(0.1, 0.3, "weight") if homeostasis else rule(OURS, name)
    trainer.register_cell("c", made.cell)
    return made, trainer


@pytest.mark.parametrize(
    "name", ["KernelSTDP", "DelayAdjustedKernelSTDPD", "DelayAdjustedSTDP", "DelayAdjustedMSTDPD", "homeostasis"]
)
def test_another_batch_size_needs_a_clear(name):
    made, trainer = everything(name)
    made(torch.ones(3, 2, 3), post=torch.ones(3, 4))
    made.batchsz = 1
    before = copy.deepcopy(trainer.state_dict())
    with pytest.raises(ValueError, match=r"shape \(3, .*shape \(1, .*call trainer.clear\(\) after a change"):
        made(torch.ones(1, 2, 3), post=torch.ones(1, 4))
    after = trainer.state_dict()
    for key, value in before.items():
        now = after[key]
        assert torch.equal(value.nan_to_num(), now.nan_to_num()) if torch.is_tensor(value) else value == now, key
    trainer.clear()
    made(torch.ones(1, 2, 3), post=torch.ones(1, 4))
    assert all(len(monitor.peek()) == 1 for monitor in trainer.monitors)


def test_a_mean_counts_what_it_records():
    mean = CAReducer(1.0)
    mean(torch.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="shape"):
        mean(torch.ones(3, 2))
    mean(torch.tensor([3.0, 4.0]))
    assert mean.peek().tolist() == [2.0, 3.0]
