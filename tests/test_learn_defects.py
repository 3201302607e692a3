"""Known defects of inferno-ai's learning rules, by the id of the defect."""

import pytest
import torch
from learn_cases import OURS, layer, off_grid

learn = OURS.learn
ALL = torch.ones(1, 2, 3), torch.ones(1, 4)
NONE = torch.zeros(1, 2, 3), torch.zeros(1, 4)


def step(made, on=ALL):
    return made(on[0], post=on[1])


def test_d28_layers_of_one_trainer_learn_from_their_own_spikes():
    a, b = layer(OURS), layer(OURS)
    trainer = learn.STDP(1.0, -1.0, 20.0, 20.0)
    trainer.register_cell("a", a.cell)
    trainer.register_cell("b", b.cell)
    step(a)
    step(b, NONE)
    trainer()
    assert trainer.get_monitor("a", "spike_post") is not trainer.get_monitor("b", "spike_post")
    assert a.updater.weight.pos.sum() == 24.0 and b.updater.weight.pos.sum() == 0.0


def test_d28_three_layers_deep():
    layers = [layer(OURS) for _ in range(3)]
    trainer = learn.MSTDPET(1.0, -1.0, 20.0, 20.0, 5.0)
    for i, made in enumerate(layers):
        trainer.register_cell(f"layer{i}", made.cell)
    for i, made in enumerate(layers):
        made(torch.ones(1, 2, 3), post=torch.arange(4.0).unsqueeze(0) == i)
    trainer(1.0)
    for i, made in enumerate(layers):
        assert made.updater.weight.pos.sum(1).nonzero().flatten().tolist() == [i]


def test_d35_update_and_monitors_of_a_trainer():
    made = layer(OURS)
    made.connection.weight = torch.full((4, 6), 0.5)
    trainer = learn.STDP(1.0, -0.25, 20.0, 20.0)
    # twice the same cell, whose connection is updated once
    units = [trainer.register_cell(name, made.cell) for name in "ab"]
    step(made)
    trainer()
    trainer.update()
    torch.testing.assert_close(made.connection.weight.detach(), torch.full((4, 6), 0.5 + 2 * 0.75))
    trainer.update()
    torch.testing.assert_close(made.connection.weight.detach(), torch.full((4, 6), 2.0))
    assert len(list(trainer.monitors)) == 4
    assert [key for key, _ in trainer.named_monitors] == [(cell, m) for cell in "ab" for m in units[0].monitors]
    trainer()
    trainer.update(clear=False)
    assert made.updater.weight.pos is not None


def test_d35_every_connection_of_a_trainer_is_updated():
    layers = [layer(OURS) for _ in range(2)]
    trainer = learn.STDP(1.0, 1.0, 20.0, 20.0)
    for i, made in enumerate(layers):
        trainer.register_cell(f"layer{i}", made.cell)
        step(made)
    before = [made.connection.weight.clone() for made in layers]
    trainer()
    trainer.update()
    for made, start in zip(layers, before, strict=True):
        torch.testing.assert_close(made.connection.weight - start, torch.full((4, 6), 2.0))


@pytest.mark.parametrize("legacy, change", [(False, -0.1), (True, 0.1)])
def test_d36_over_active_neurons_get_smaller_weights(legacy, change):
    made = layer(OURS)
    trainer = learn.LinearHomeostasis(0.1, 0.5, "weight", legacy_sign=legacy)
    trainer.register_cell("a", made.cell)
    before = made.connection.weight.clone()
    step(made)
    trainer()
    made.update()
    torch.testing.assert_close(made.connection.weight - before, torch.full((4, 6), change))


def test_d36_the_old_sign_for_one_cell():
    layers = [layer(OURS) for _ in range(2)]
    trainer = learn.LinearHomeostasis(0.1, 0.5, "weight")
    for i, made in enumerate(layers):
        trainer.register_cell(f"layer{i}", made.cell, legacy_sign=bool(i))
        step(made)
    trainer()
    assert [made.updater.weight.neg[0, 0].item() for made in layers] == pytest.approx([0.1, -0.1])


def test_d37_every_cell_has_its_own_target():
    trainer = learn.LinearHomeostasis(0.1, None, "weight")
    layers = [layer(OURS, name=name) for name in "ab"]
    for name, made, target in zip("ab", layers, (0.5, 0.1), strict=True):
        trainer.register_cell(name, made.cell, target=target)
        step(made)
    trainer()
    assert [made.updater.weight.neg[0, 0].item() for made in layers] == pytest.approx([0.1, 0.9])


@pytest.mark.parametrize("rule", ["TripletSTDP", "StableTripletSTDP"])
def test_d38_triplets_with_delays(rule):
    made = layer(OURS, delay=3.0, delay_init=off_grid)
    trainer = getattr(learn, rule)(1.0, 1.0, -1.0, 1.0, 20.0, 40.0, 20.0, 60.0, delayed=True)
    trainer.register_cell("a", made.cell)
    for _ in range(5):
        step(made)
        trainer()
        made.update()
    assert made.connection.weight.isfinite().all()


def test_d38_slow_traces_are_interpolated_with_their_own_time_constant():
    delays = torch.full((4, 6), 1.5)
    made = layer(OURS, delay=3.0, delay_init=lambda _: delays)
    trainer = learn.TripletSTDP(1.0, 1.0, -1.0, 1.0, 20.0, 1000.0, 20.0, 40.0, delayed=True)
    trainer.register_cell("a", made.cell)
    for on in (ALL, NONE, ALL, NONE, NONE):
        step(made, on)
    trainer()
    # 1.5 ms ago the newest spike was that of step 2; a step earlier, the one of step 0 was 1.5 ms old
    y_fast = torch.tensor([-2.0, -4.0]).div(20.0).exp().sum()
    x_slow = torch.tensor(-1.5).div(40.0).exp()
    torch.testing.assert_close(made.updater.weight.neg, ((1 + x_slow) * y_fast).expand(4, 6))


def test_d44_choices_are_named():
    with pytest.raises(ValueError, match="'trace_mode' of 'x' must be one of: 'cumulative', 'nearest'"):
        learn.STDP(1.0, 1.0, 20.0, 20.0, trace_mode="x")
    with pytest.raises(ValueError, match="'param' of 'x' must be one of: 'weight', 'bias', 'delay'"):
        learn.LinearHomeostasis(1.0, 1.0, "x")


@pytest.mark.parametrize("rule", [
    "DelayAdjustedSTDP", "DelayAdjustedSTDPD", "DelayAdjustedMSTDP", "DelayAdjustedMSTDPD", "DelayAdjustedKernelSTDP",
    "DelayAdjustedKernelSTDPD",
])  # fmt: skip
def test_d45_rules_of_delays_refuse_connections_without(rule):
    kernels = [OURS.functional.exp_stdp_post_kernel, OURS.functional.exp_stdp_pre_kernel, {}, {}]
    trainer = getattr(learn, rule)(*(kernels if "Kernel" in rule else (1.0, -1.0, 20.0, 20.0)))
    with pytest.raises(RuntimeError, match=f"no delays, {rule} needs some"):
        trainer.register_cell("a", layer(OURS).cell)
    assert not list(trainer) and not list(trainer.monitors)


@pytest.mark.parametrize("rule", ["STDP", "StableSTDP", "MSTDP", "MSTDPET"])
@pytest.mark.parametrize("delayed", [False, True])
def test_d46_a_rate_of_zero_leaves_out_its_side(rule, delayed):
    args = (20.0, 20.0, 5.0) if rule == "MSTDPET" else (20.0, 20.0)
    also = {"delayed": delayed} if rule != "MSTDPET" else {}
    signal = (1.0,) if rule.startswith("M") else ()
    changes = {}
    for rates in ((0.5, -0.25), (0.5, 0.0), (0.0, -0.25), (0.0, 0.0)):
        made = layer(OURS, delay=3.0, delay_init=off_grid)
        trainer = getattr(learn, rule)(*rates, *args, **also)
        trainer.register_cell("a", made.cell)
        before = made.connection.weight.clone()
        for seed in range(12):
            torch.manual_seed(seed)
            made(torch.rand(1, 2, 3) < 0.4, post=torch.rand(1, 4) < 0.4)
            trainer(*signal)
            made.update()
        changes[rates] = made.connection.weight - before
    assert changes[0.5, 0.0].min() >= 0 and changes[0.5, 0.0].max() > 0
    assert changes[0.0, -0.25].max() <= 0 and changes[0.0, -0.25].min() < 0
    assert not changes[0.0, 0.0].any()
    torch.testing.assert_close(changes[0.5, 0.0] + changes[0.0, -0.25], changes[0.5, -0.25], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rule", ["DelayAdjustedSTDP", "DelayAdjustedMSTDP"])
def test_d46_a_rate_of_zero_in_rules_of_delays(rule):
    made = layer(OURS, delay=3.0)
    trainer = getattr(learn, rule)(0.0, -0.25, 20.0, 20.0)
    trainer.register_cell("a", made.cell)
    step(made)
    trainer(*([1.0] if "M" in rule[-5:] else []))
    assert made.updater.weight.pos is None and made.updater.weight.neg.sum() == 0


def test_d46_triplets_without_a_rate():
    made = layer(OURS)
    trainer = learn.TripletSTDP(0.5, 0.0, -0.25, 0.0, 20.0, 40.0, 20.0, 40.0)
    pairs = learn.STDP(0.5, -0.25, 20.0, 20.0)
    trainer.register_cell("a", made.cell)
    pairs.register_cell("a", made.cell)
    for seed in range(5):
        torch.manual_seed(seed)
        made(torch.rand(1, 2, 3) < 0.5, post=torch.rand(1, 4) < 0.5)
    trainer()
    pairs()
    for side in (made.updater.weight._pos, made.updater.weight._neg):
        torch.testing.assert_close(*side)


@pytest.mark.parametrize("delayed", [False, True])
def test_d09_convolutions_learn(delayed):
    made = layer(OURS, "conv", delay=3.0, delay_init=off_grid)
    trainer = learn.STDP(1.0, -1.0, 20.0, 20.0, delayed=delayed)
    trainer.register_cell("a", made.cell)
    before = made.connection.weight.clone()
    for seed in range(5):
        torch.manual_seed(seed)
        made(torch.rand(1, 2, 5, 4) < 0.4, post=torch.rand(1, *made.connection.outshape) < 0.4)
        trainer()
        made.update()
    assert not torch.equal(made.connection.weight, before)
