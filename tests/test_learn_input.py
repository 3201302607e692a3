"""What learning rules refuse, and that nothing has changed then."""

import copy

import pytest
import torch
from learn_cases import OURS, layer, rule

from inferno_cuda import learn
from inferno_cuda.learn._terms import Kept, reduced_parts
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


def stepped(name="MSTDP", **options):
    made = layer(OURS, batch=3, delay=3.0)
    trainer = rule(OURS, name, **options)
    trainer.register_cell("c", made.cell)
    made(torch.ones(3, 2, 3), post=torch.ones(3, 4))
    return made, trainer


@pytest.mark.parametrize("name", ["MSTDP", "MSTDPET", "DelayAdjustedMSTDP"])
@pytest.mark.parametrize(
    ("error", "match", "args", "kwargs"),
    [
        (ValueError, "'signal' of nan", (float("nan"),), {}),
        (ValueError, "'signal' of nan", (torch.tensor(float("nan")),), {}),
        (TypeError, "'signal' of type list must be a number", ([1.0, 2.0, 3.0],), {}),
        (TypeError, "'signal' of type NoneType", (None,), {}),
        (ValueError, "'scale' has the shape", (1.0, torch.ones(3)), {}),
        (ValueError, "'scale' of nan", (torch.ones(3), float("nan")), {}),
        (TypeError, "'scale' of type str", (1.0, "much"), {}),
        (TypeError, "'cells' of type int", (1.0,), {"cells": 3}),
        (AttributeError, "'cells' .'other'.", (1.0,), {"cells": "other"}),
    ],
)
def test_signals(name, error, match, args, kwargs):
    made, trainer = stepped(name)
    with pytest.raises(error, match=match):
        trainer(*args, **kwargs)
    assert made.updater.weight.pos is None and made.updater.weight.neg is None


def test_one_cell_by_its_name():
    made, trainer = stepped()
    trainer.register_cell("other", made.cell)
    trainer(1.0, cells="c")
    assert len(made.updater.weight._pos) == 1


def test_samples_without_a_signal_take_no_part():
    changes = []
    for signal in ([0.5, float("nan"), -0.25], [0.5, 0.0, -0.25]):
        made, trainer = stepped()
        trainer(torch.tensor(signal))
        changes.append((made.updater.weight.pos, made.updater.weight.neg))
    for one, other in zip(*changes, strict=True):
        torch.testing.assert_close(one, other)


def kernel(time, *, tau):
    return time / tau


def scalar(time, *, tau):
    return (time / tau).sum()


def tupled(time, *, tau):
    return (time / tau,)


@pytest.mark.parametrize("which", ["kernel_post", "kernel_pre"])
@pytest.mark.parametrize(
    ("function", "kwargs", "error", "match"),
    [
        (kernel, {}, TypeError, "with a time and .*tau"),
        (kernel, {"tau": 1.0, "rate": 2.0}, TypeError, "with a time and .*rate"),
        (scalar, {"tau": 1.0}, ValueError, r"returned is a tensor of shape \(\), .* \(3, 4, 6, 1\)"),
        (tupled, {"tau": 1.0}, TypeError, "returned is of type tuple"),
    ],
)
def test_kernels(which, function, kwargs, error, match):
    made = layer(OURS, batch=3)
    given = {"kernel_post": kernel, "kernel_pre": kernel} | {which: function}
    also = {"kernel_post_kwargs": {"tau": 2.0}, "kernel_pre_kwargs": {"tau": 2.0}} | {f"{which}_kwargs": kwargs}
    trainer = learn.KernelSTDP(**given, **also)
    with pytest.raises(error, match=f"'{which}' .*{match}|what '{which}' {match}"):
        trainer.register_cell("c", made.cell)
        made(torch.ones(3, 2, 3), post=torch.ones(3, 4))
        trainer()
    assert made.updater.weight.pos is None and ("c" in trainer.cells_) == (match.startswith("returned"))


@pytest.mark.parametrize("shape", [(3,), (5,), (2, 4), (1, 1, 4)])
def test_targets_that_do_not_fit(shape):
    made = layer(OURS, batch=3)
    trainer = learn.LinearHomeostasis(0.1, None, "weight")
    if shape != (2, 4):  # fits other numbers of samples
        with pytest.raises(ValueError, match="'target' has the shape"):
            trainer.register_cell("c", made.cell, target=torch.full(shape, 0.5))
        assert not list(trainer.named_cells) and not list(trainer.monitors)
    trainer.register_cell("c", made.cell)
    made(torch.ones(3, 2, 3), post=torch.ones(3, 4))
    with pytest.raises(ValueError, match=r"'target' has the shape .*broadcast to \(3, 4\)"):
        trainer(torch.full(shape, 0.5))
    assert made.updater.weight.pos is None
    for fits in ((3, 4), (4,), (3, 1), ()):
        trainer(torch.full(fits, 0.5))


@pytest.mark.parametrize("signal", [0.5, torch.tensor([0.5, -0.5, 0.25])])
@pytest.mark.parametrize(
    ("reduction", "error", "match"),
    [
        (lambda terms, dim: torch.max(terms, dim), TypeError, "of type"),
        (lambda terms, dim: terms, ValueError, "of shape"),
        (lambda terms, dim: terms.sum(), ValueError, r"of shape \(\)"),
        (lambda terms, dim: terms.sum(dim, keepdim=True), ValueError, r"of shape \(1, "),
    ],
)
def test_reductions(reduction, error, match, signal):
    made, trainer = stepped(reduction=reduction)
    with pytest.raises(error, match=f"what 'batch_reduction' returned is .*{match}"):
        trainer(signal)
    assert made.updater.weight.pos is None


def test_cells_of_another_package():
    class Cell:
        pass

    with pytest.raises(TypeError, match=r"inferno_cuda\.neural.*Cell, but is of type test_learn_input\.Cell: take"):
        learn.STDP(1.0, -1.0, 9.0, 9.0).register_cell("c", Cell())


def test_a_cell_that_cannot_be_recorded_is_not_kept():
    made = layer(OURS)
    trainer = learn.STDP(float("inf"), -1.0, 9.0, 9.0)
    with pytest.raises(ValueError, match="amplitude"):
        trainer.register_cell("c", made.cell)
    assert not list(trainer.named_cells) and not list(trainer.monitors) and not len(trainer.aux_states_)
    assert len(trainer.register_cell("c", made.cell, lr_post=1.0).monitors) == 4


@pytest.mark.parametrize("reduction", [torch.sum, torch.mean])
def test_signals_on_a_device_are_not_waited_for(reduction):
    # tensors without values cannot be read
    values, counted, factor = torch.empty(3, 4, 5), torch.empty(3, dtype=torch.bool), torch.empty(3)
    parts = [(Kept(values.to("meta")), counted.to("meta"))] * 2
    assert reduced_parts(parts, factor.to("meta"), reduction).shape == (4, 5)
