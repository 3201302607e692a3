"""States of another batch size: taken on with it, or without what belongs to single samples."""

import pytest
import torch
from checkpoint_cases import CASES, connection, inputs, neuron, recurrent, run, serial
from states import assert_same_state, states

import inferno_cuda as inferno
from inferno_cuda import load_checkpoint, load_state, save_checkpoint

ADAPTIVE = ("threshold_adaptation_", "current_adaptation_")


def library(name):
    if name == "ours":
        return inferno
    theirs = pytest.importorskip("inferno")
    pytest.importorskip("inferno.neural")
    pytest.importorskip("inferno.extra")
    return theirs


def batch_sizes(module):
    return {m.batchsz for m in module.modules() if hasattr(m, "batchsz")}


@pytest.mark.parametrize("source", ["ours", "theirs"])
@pytest.mark.parametrize("name", CASES)
def test_the_model_takes_on_the_batch_size_of_the_state(name, source):
    start = CASES[name](library(source), batch=3)
    steps = list(inputs(start, 20, batch=3))
    run(start, steps[:8])
    model = CASES[name](inferno, batch=2, seed=4)
    run(model, inputs(model, 3))
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict(start.state_dict())
    load_state(model, start.state_dict(), batchsz="state")
    assert_same_state(states(model), states(start))
    assert batch_sizes(model) == {3}
    for mine, other in zip(run(model, steps[8:]), run(start, steps[8:]), strict=True):
        for a, b in zip(mine, other, strict=True):
            assert torch.equal(a, b) if a.dtype == torch.bool else torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("source", ["ours", "theirs"])
@pytest.mark.parametrize("batchsz, after", [("model", 2), (5, 5), (1, 1), (3, 3)])
@pytest.mark.parametrize("name", CASES)
def test_the_model_starts_at_rest_with_another_batch_size(name, batchsz, after, source):
    start = CASES[name](library(source), batch=3)
    run(start, inputs(start, 8, batch=3))
    model, fresh = CASES[name](inferno, batch=2, seed=4), CASES[name](inferno, batch=after)
    run(model, inputs(model, 3))
    load_state(model, start.state_dict(), batchsz=batchsz)
    assert batch_sizes(model) == {after}
    wanted, saved = states(fresh), states(start)
    for key, value in states(model).items():
        # the parameters of the fresh model are those of the saved one
        like = (saved if key.endswith(ADAPTIVE) else wanted)[key]
        assert torch.equal(value, like) if isinstance(value, torch.Tensor) else value == like, key
    assert states(model).keys() == wanted.keys()
    steps = list(inputs(model, 3, batch=after))
    assert run(model, steps)[0][0].shape[0] == after


def refused(model, state, error, match, **options):
    before, sizes, ids = states(model), batch_sizes(model), [id(b) for b in model.buffers()]
    with pytest.raises(error, match=match):
        load_state(model, state, **options)
    assert_same_state(states(model), before)
    assert batch_sizes(model) == sizes and [id(b) for b in model.buffers()] == ids


@pytest.mark.parametrize("batchsz", ["state", "model", 5])
def test_what_does_not_fit_leaves_the_model_alone(batchsz):
    start, model = recurrent(inferno, batch=3), recurrent(inferno, seed=3)
    run(start, inputs(start, 3, batch=3))
    run(model, inputs(model, 3))
    good = start.state_dict()
    weight = "connections_.feedfwd.weight_"
    refused(model, {**good, "more": torch.ones(1)}, RuntimeError, "more", batchsz=batchsz)
    refused(model, {k: v for k, v in good.items() if k != weight}, RuntimeError, weight, batchsz=batchsz)
    refused(model, {**good, weight: torch.ones(2, 2)}, RuntimeError, "size mismatch", batchsz=batchsz)


def test_bad_arguments():
    model = serial(inferno)
    state = model.state_dict()
    for bad, error in (("both", ValueError), (0, ValueError), (2.5, ValueError), (None, TypeError), ([3], TypeError)):
        refused(model, state, error, "batchsz", batchsz=bad)
    refused(model, "file", TypeError, "'state' must be an instance of Mapping")
    with pytest.raises(TypeError, match="'model' must be an instance of Module"):
        load_state(state, model)
    mixed = {**state, "neurons_.serial._refrac__data": torch.zeros(5, 4)}
    refused(model, mixed, ValueError, "5 samples", batchsz="state")
    refused(model, {**state, "neurons_.serial._refrac__data": torch.zeros(())}, RuntimeError, "size", batchsz="state")


def test_plain_modules_and_shared_parts():
    def build(batch, seed):
        conn, lif = connection(inferno, "LinearDense", batch=batch, seed=seed), neuron(inferno, "LIF", batch=batch)
        norm = torch.nn.BatchNorm1d(4)
        return torch.nn.ModuleDict({"conn": conn, "lif": lif, "again": lif, "norm": norm})

    start, model = build(4, 0), build(1, 1)
    start["norm"](torch.rand(4, 4))
    start["lif"](torch.full((4, 4), 100.0))
    load_state(model, start.state_dict(), batchsz="state")
    assert_same_state(states(model), states(start))
    load_state(model, start.state_dict(), batchsz=6)
    assert model["lif"].batchsz == 6 and model["conn"].synapse.batchsz == 6
    assert torch.equal(model["norm"].running_mean, start["norm"].running_mean)


def test_checkpoints_of_another_batch_size(tmp_path):
    start = serial(inferno, batch=3)
    steps = list(inputs(start, 9, batch=3))
    run(start, steps[:4])
    save_checkpoint(tmp_path / "c", start)
    model = serial(inferno, batch=1, seed=2)
    before = states(model)
    with pytest.raises(inferno.CheckpointError, match="size mismatch"):
        load_checkpoint(tmp_path / "c", model)
    assert_same_state(states(model), before)
    load_checkpoint(tmp_path / "c", model, batchsz="model")
    assert model.neuron.batchsz == 1 and not model.synapse.spike_.value.any()
    assert torch.equal(model.neuron.threshold_adaptation, start.neuron.threshold_adaptation)
    load_checkpoint(tmp_path / "c", model, batchsz="state")
    assert all(torch.equal(a, b) for mine, other in zip(run(model, steps[4:]), run(start, steps[4:]), strict=True)
               for a, b in zip(mine, other, strict=True))  # fmt: skip


def test_models_of_inferno_ai_are_refused():
    theirs = pytest.importorskip("inferno.neural")
    model = torch.nn.Sequential(theirs.DeltaCurrent(3, 1.0, spike_charge=1.0))
    with pytest.raises(TypeError, match="'0' is a module of inferno-ai.*from_inferno"):
        load_state(model, model.state_dict(), batchsz=2)


def differentiated(name):
    """A model after a step with a gradient; a later backward reaches the input through what the model holds."""
    model = CASES[name](inferno)
    x = (torch.rand(2, 4) * 60).requires_grad_()
    model(x)
    return model, x


def held(model):
    return model.current if hasattr(model, "current") else model.voltage


@pytest.mark.parametrize("name", ["LIF", "ALIF", "AdEx", "SingleExponentialCurrent"])
@pytest.mark.parametrize("how", ["load_state_dict", "load_checkpoint", "load_state", "assign"])
def test_a_loaded_state_is_not_part_of_the_graph_before(name, how, tmp_path):
    start = CASES[name](inferno)
    run(start, inputs(start, 3))
    model, before = differentiated(name)
    assert any(b.requires_grad for b in model.buffers())
    if how == "load_checkpoint":
        save_checkpoint(tmp_path / "c", start)
        load_checkpoint(tmp_path / "c", model)
    elif how == "load_state":
        load_state(model, start.state_dict())
    else:
        model.load_state_dict(start.state_dict(), assign=how == "assign")
    assert not any(b.requires_grad for b in model.buffers())
    assert_same_state(states(model), states(start))
    after = torch.rand(2, 4, requires_grad=True)
    model(after)
    held(model).sum().backward()
    assert before.grad is None and after.grad.any()


@pytest.mark.parametrize("name", ["LIF", "ALIF", "SingleExponentialCurrent"])
@pytest.mark.parametrize("batchsz", ["state", "model"])
def test_a_failed_load_leaves_the_graph(name, batchsz):
    (model, x), (same, y) = differentiated(name), differentiated(name)
    with torch.no_grad():
        y.copy_(x)
    same.load_state_dict(model.state_dict())
    same.clear()
    same(y)
    with pytest.raises(RuntimeError, match="more"):
        load_state(model, {**CASES[name](inferno, batch=3).state_dict(), "more": torch.ones(1)}, batchsz=batchsz)
    for module, value in ((model, x), (same, y)):
        module(torch.ones(2, 4))
        held(module).sum().backward()
        assert value.grad.any()
    assert torch.equal(x.grad, y.grad)


@pytest.mark.parametrize("fails", [True, False])
def test_a_load_keeps_the_promise_to_a_graph_over_the_history(fails):
    model, same = (connection(inferno, "LinearDense", "DeltaCurrent") for _ in range(2))
    for conn in (model, same):
        run(conn, inputs(conn, 4, seed=5))
        conn.weight.requires_grad_()
    steps = list(inputs(model, 2))
    total = model(*steps[0]).sum()
    assert model.synapse.spike_._held
    if fails:
        other = connection(inferno, "LinearDense", "DeltaCurrent", batch=3).state_dict()
        with pytest.raises(RuntimeError, match="size mismatch"):
            load_state(model, {**other, "weight_": torch.ones(2, 2)}, batchsz="state")
        total = total + model(*steps[1]).sum()
        wanted = sum(same(*x).sum() for x in steps)
    else:
        ring = {"_spike__data": torch.ones_like(model.synapse.spike_.value)}
        model.synapse.load_state_dict(ring, strict=False)
        assert not model.synapse.spike_._held
        wanted = same(*steps[0]).sum()
    total.backward()
    wanted.backward()
    assert torch.equal(model.weight.grad, same.weight.grad) and model.weight.grad.any()
