"""Accelerated STDP trainers of inferno-ai learn the weights that the library's do."""

import pytest
import torch
from learning_cases import accelerated, layer, spikes

import inferno_cuda

learn = pytest.importorskip("inferno.learn")


def learned(make, rates=(5e-2, -3e-2), steps=30, trainer_options=None, **options):
    """The weights, and the spikes, of a layer that learns."""
    net = layer(**options)
    trainer = learn.STDP(*rates, 20.0, 15.0, **trainer_options or {})
    trainer.register_cell("cell", net.cell)
    make(trainer)
    given = []
    for x in spikes(steps, net.connection.batchsz, *net.connection.inshape):
        given.append(net(x))
        trainer()
        net.update()
    assert torch.stack(given).any()
    return net.connection.weight.detach().clone(), torch.stack(given)


def check(**options):
    (weights, given), (wanted, expected) = (learned(make, **options) for make in (accelerated, lambda module: module))
    assert torch.equal(given, expected)
    torch.testing.assert_close(weights, wanted, rtol=1e-6, atol=1e-6)
    return wanted


@pytest.mark.parametrize("rates", [(5e-2, -3e-2), (-5e-2, 3e-2), (5e-2, 3e-2), (-5e-2, -3e-2)])
@pytest.mark.parametrize("reduction", [None, torch.sum, torch.amax])
def test_weights_are_equal(rates, reduction):
    check(rates=rates, trainer_options={"batch_reduction": reduction})


@pytest.mark.parametrize("kind", ["LinearDense", "LinearLateral", "LinearDirect"])
@pytest.mark.parametrize("delay", [None, 0.0, 3.0])
@pytest.mark.parametrize("delayed", [False, True])
def test_weights_of_every_connection_are_equal(kind, delay, delayed):
    check(cls=kind, delay=delay, trainer_options={"delayed": delayed, "trace_mode": "nearest"})


@pytest.mark.parametrize("batch", [1, 16, 17, 40, 300])
def test_weights_of_any_batch_are_equal(batch):
    check(batch=batch, steps=10)


def test_worked_weights():
    """Spikes on both sides of one synapse in one step: each adds the product with the other's trace."""
    net = layer(batch=1)
    trainer = learn.STDP(0.5, -0.25, 20.0, 20.0)
    trainer.register_cell("cell", net.cell)
    accelerated(trainer)
    net.connection.weight.fill_(1.0)
    net(torch.ones(1, 6, dtype=torch.bool))
    assert net.neuron.spike.all()
    trainer()
    net.update()
    assert (net.connection.weight == 1 + 0.5 - 0.25).all()


def test_cells_that_do_not_train_are_left_alone():
    for make in (accelerated, lambda module: module):
        net = layer()
        trainer = learn.STDP(0.5, -0.25, 20.0, 20.0)
        trainer.register_cell("cell", net.cell)
        make(trainer)
        net(spikes(1, 3, 6)[0])
        net.eval()
        trainer()
        assert net.updater.weight.pos is None
        net.train()
        trainer()
        assert net.updater.weight.pos is not None


def test_a_trainer_that_has_seen_nothing_raises_as_before():
    for make in (accelerated, lambda module: module):
        net = layer()
        trainer = learn.STDP(0.5, -0.25, 20.0, 20.0)
        trainer.register_cell("cell", net.cell)
        make(trainer)
        with pytest.raises(Exception, match="(?i)tensor"):
            trainer()


def test_monitors_come_and_go_with_the_mode():
    net = layer()
    trainer = learn.STDP(0.5, -0.25, 20.0, 20.0)
    unit = trainer.register_cell("cell", net.cell)
    accelerated(trainer)
    trainer.eval()
    net(spikes(1, 3, 6)[0])
    assert all(monitor.peek() is None for monitor in unit.monitors.values())
    trainer.train()
    net(spikes(1, 3, 6)[0])
    assert all(monitor.peek() is not None for monitor in unit.monitors.values())
    trainer.clear()
    assert all(monitor.peek() is None for monitor in unit.monitors.values())


def test_reverted_trainers_go_on():
    def both_ways(trainer):
        accelerated(trainer)
        inferno_cuda.revert(trainer)
        assert type(trainer) is learn.STDP

    weights, _ = learned(both_ways)
    assert torch.equal(weights, learned(lambda module: module)[0])


def test_in_and_out_of_inference_mode():
    weights = []
    for make in (accelerated, lambda module: module):
        net = layer()
        trainer = learn.STDP(5e-2, -3e-2, 20.0, 15.0)
        trainer.register_cell("cell", net.cell)
        make(trainer)
        for k, x in enumerate(spikes(24, 3, 6)):
            with (torch.inference_mode, torch.no_grad, torch.enable_grad)[k // 4 % 3]():
                net(x)
                trainer()
                net.update()
        weights.append(net.connection.weight.detach().clone())
    assert torch.equal(*weights)
