"""Homeostasis: by hand, beside inferno-ai's, and that rates reach their target."""

import pytest
import torch
from learn_cases import OURS, layer, spikes

from inferno_cuda import learn, neural

PARAMS = ["weight", "bias", "delay"]


def made_for(lib, param, connection="dense", batch=2):
    made = layer(lib, connection, delay=3.0 if param == "delay" else None, batch=batch)
    if param == "bias":
        name, shape = {
            "dense": ("LinearDense", ((2, 3), 4)),
            "direct": ("LinearDirect", (5,)),
            "lateral": ("LinearLateral", (4,)),
            "conv": ("Conv2D", (5, 4, 2, 3)),
        }[connection]
        more = (3,) if connection == "conv" else ()
        synapse = lib.neural.DeltaCurrent.partialconstructor(1.0)
        biased = getattr(lib.neural, name)(
            *shape, 1.0, *more, synapse=synapse, bias=True, batch_size=batch, bias_init=torch.zeros_like
        )
        biased.updater = biased.defaultupdater()
        neuron = lib.extra.ExactNeuron(biased.outshape, 1.0, rest_v=-60.0, thresh_v=-50.0, batch_size=batch)
        made = lib.neural.Serial(biased, neuron, lambda current, post: post.float() * 2 - 1)
    return made


@pytest.mark.parametrize("reduction", [None, torch.sum, lambda terms, dim: torch.amax(terms, dim)])
@pytest.mark.parametrize("connection", ["dense", "direct", "lateral", "conv"])
@pytest.mark.parametrize("param", PARAMS)
def test_beside_inferno_with_its_sign(param, connection, reduction, repaired_inferno):
    ends = []
    for lib, also in ((OURS, {"legacy_sign": True}), (repaired_inferno, {})):
        made = made_for(lib, param, connection)
        trainer = lib.learn.LinearHomeostasis(0.01, 0.3, param, reduction, **also)
        trainer.register_cell("cell", made.cell)
        shape_in, shape_out = made.connection.inshape, made.connection.outshape
        for step in range(20):
            made(spikes(1, 2, *shape_in, seed=step)[0], post=spikes(1, 2, *shape_out, seed=step, rate=0.3)[0])
            trainer()
            trainer(0.4)
            made.updater.updates_[param].pos, made.updater.updates_[param].neg  # noqa: B018 reductions
            made.update()
        ends.append(getattr(made.connection, param).clone())
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("param, sign", [("weight", 1.0), ("bias", 1.0), ("delay", -1.0)])
def test_worked_numbers(param, sign):
    """Rates 1, 0.5, 0, 0.5 and a target of 0.5: changes of -1, 0, 1 and 0 times the plasticity."""
    made = made_for(OURS, param, batch=1)
    trainer = learn.LinearHomeostasis(0.1, 0.5, param)
    trainer.register_cell("cell", made.cell)
    before = getattr(made.connection, param).clone()
    for post in ([1, 1, 0, 0], [1, 0, 0, 1]):
        made(torch.ones(1, 2, 3), post=torch.tensor([post]))
    trainer()
    made.update()
    change = (getattr(made.connection, param) - before).view(4, -1)
    torch.testing.assert_close(change, torch.tensor([[-0.1], [0.0], [0.1], [0.0]]).expand_as(change) * sign)


@pytest.mark.parametrize("param", ["weight", "bias"])
def test_rates_reach_their_target(param):
    torch.manual_seed(3)
    target = torch.tensor([0.05, 0.1, 0.2, 0.3])
    connection = neural.LinearDense(
        20, 4, 1.0, synapse=neural.DeltaCurrent.partialconstructor(20.0), bias=True, batch_size=8,
        weight_init=lambda w: 0.05 + 0.2 * torch.rand_like(w), bias_init=torch.zeros_like,
    )  # fmt: skip
    connection.updater = connection.defaultupdater()
    membrane = dict(rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, time_constant=10.0, resistance=4.0)
    neuron = neural.LIF(4, 1.0, refrac_t=1.0, batch_size=8, **membrane)
    made = neural.Serial(connection, neuron)
    trainer = learn.LinearHomeostasis(0.02 if param == "weight" else 1.0, None, param)
    trainer.register_cell("cell", made.cell, target=target)

    def rates():
        trainer.clear()
        fired = sum(made(torch.rand(8, 20) < 0.3).float().mean(0) for _ in range(60))
        return fired / 60

    start = (rates() - target).abs()
    for _ in range(40):
        rates()
        trainer()
        made.update()
    end = (rates() - target).abs()
    assert (end < 0.03).all() and (start > 0.1).any()


def test_a_target_for_each_neuron_moves_with_the_trainer():
    made = made_for(OURS, "weight").double()
    trainer = learn.LinearHomeostasis(0.1, None, "weight")
    unit = trainer.register_cell("cell", made.cell, target=torch.full((4,), 0.5))
    assert unit.state.target.dtype == torch.float64
    assert "aux_states_.cell.target" not in trainer.state_dict()
    trainer.float()
    assert unit.state.target.dtype == torch.float32


def test_bad_input():
    for target in (0.0, -1.0, float("nan"), torch.tensor([0.1, 0.0])):
        with pytest.raises(ValueError, match="target"):
            learn.LinearHomeostasis(0.1, target, "weight")
    trainer = learn.LinearHomeostasis(0.1, None, "bias")
    with pytest.raises(RuntimeError, match="required parameter 'bias'"):
        trainer.register_cell("cell", layer(OURS).cell)
    trainer = learn.LinearHomeostasis(0.1, None, "weight")
    layers = [layer(OURS) for _ in range(2)]
    for i, made in enumerate(layers):
        trainer.register_cell(f"cell{i}", made.cell, **({} if i else {"target": 0.5}))
        made(torch.ones(1, 2, 3), post=torch.ones(1, 4))
    with pytest.raises(RuntimeError, match="'target' must not be None"):
        trainer()
    assert all(made.updater.weight.pos is None for made in layers)
    trainer(cells=["cell0"])
    assert layers[0].updater.weight.pos is not None
    with pytest.raises(ValueError, match="target"):
        trainer(0.0)


@pytest.mark.parametrize("kind", ["dense", "direct", "lateral", "conv"])
@pytest.mark.parametrize("param", ["weight", "delay"])
def test_beside_another_rule(kind, param):
    changes = []
    for rules in (("STDP", "homeostasis"), ("homeostasis", "STDP"), ("STDP",), ("homeostasis",)):
        made = layer(OURS, kind, delay=3.0, batch=2)
        trained = []
        for name in rules:
            if name == "homeostasis":
                trained.append(learn.LinearHomeostasis(0.1, 0.3, param))
            else:
                trained.append((learn.STDP if param == "weight" else learn.DelayAdjustedSTDPD)(0.2, 0.1, 5.0, 5.0))
            trained[-1].register_cell("cell", made.cell)
        torch.manual_seed(1)
        for _ in range(4):
            made(torch.rand(2, *made.connection.inshape) < 0.4, post=torch.rand(2, *made.connection.outshape) < 0.4)
        for trainer in trained:
            trainer()
        before = getattr(made.connection, param).clone()
        made.update()
        changes.append(getattr(made.connection, param) - before)
    both, turned, *apart = changes
    assert all(part.any() for part in apart)
    torch.testing.assert_close(both, sum(apart))
    torch.testing.assert_close(both, turned)
