"""Trainers beside copies, files, other trainers and parts of layers that are gone."""

import copy
import gc
import pickle

import pytest
import torch
from learn_cases import OURS, layer, spikes

from inferno_cuda import learn
from inferno_cuda.neural import LIF, DeltaCurrent, LinearDense, Serial


def ser(batch=2):
    """A layer of 6 inputs and 4 neurons with an updater."""
    connection = LinearDense(6, 4, 1.0, synapse=DeltaCurrent.partialconstructor(100.0), batch_size=batch)
    connection.updater = connection.defaultupdater()
    cells = dict(rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=1.0, time_constant=20.0, batch_size=batch)
    return Serial(connection, LIF(4, 1.0, **cells))


def test_a_copy_of_a_layer_is_not_recorded():
    made, trainer = ser(), learn.STDP(1.0, -1.0, 20.0, 20.0)
    trainer.register_cell("c", made.cell)
    copies = [copy.deepcopy(made), copy.copy(made)]
    made(torch.zeros(2, 6))
    for other in copies:
        other(torch.ones(2, 6))
    assert trainer.get_monitor("c", "spike_pre").peek().sum() == 0
    made(torch.ones(2, 6))
    assert trainer.get_monitor("c", "spike_pre").peek().sum() == 12


def eligible(made, trace_tc=20.0):
    trainer = learn.MSTDPET(1.0, -1.0, trace_tc, trace_tc, 10.0)
    trainer.register_cell("c", made.cell)
    return trainer


def run(made, steps=5, batch=2):
    for x, post in zip(spikes(steps, batch, 2, 3, seed=1), spikes(steps, batch, 4, seed=2), strict=True):
        made(x, post=post)


def eligibility(trainer):
    return [trainer.get_monitor("c", name).peek() for name in ("elig_post", "elig_pre")]


@pytest.mark.parametrize("first", [True, False])
def test_eligibility_is_that_of_the_own_trainer(first):
    alone, shared = layer(OURS, batch=2), layer(OURS, batch=2)
    wanted = eligible(alone)
    made = [eligible(shared), eligible(shared, 3.0)] if first else [eligible(shared, 3.0), eligible(shared)][::-1]
    run(alone)
    run(shared)
    for one, other, different in zip(*map(eligibility, (wanted, *made)), strict=True):
        assert torch.equal(one, other) and not torch.equal(one, different)
    trainer, other = made
    del made, other
    gc.collect()
    run(alone)
    run(shared)
    assert all(map(torch.equal, eligibility(wanted), eligibility(trainer)))


@pytest.mark.parametrize("way", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_a_layer_is_stepped_without_its_trainer_of_eligibility(way):
    made = layer(OURS, batch=2, neuron=None)
    trainer = eligible(made)
    run(made)
    before = [value.clone() for value in eligibility(trainer)]
    other = way(made)
    run(other)
    assert all(map(torch.equal, eligibility(trainer), before))
    del trainer
    gc.collect()
    run(made)
    run(other)


def test_eligibility_goes_on_in_copies_of_both():
    made = layer(OURS, batch=2)
    trainer = eligible(made)
    run(made)
    for way in (copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))):
        other, its = way((made, trainer))
        run(other)
        assert not any(map(torch.equal, eligibility(trainer), eligibility(its)))
        run(made)
        assert all(map(torch.equal, eligibility(trainer), eligibility(its)))
