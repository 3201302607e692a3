"""Trainers beside copies, files, other trainers and parts of layers that are gone."""

import copy
import gc
import pickle

import pytest
import torch
from learn_cases import OURS, layer, spikes

from inferno_cuda import learn
from inferno_cuda.neural import LIF, DeltaCurrent, Layer, LinearDense, Serial


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


def test_a_cell_registered_in_evaluation_mode_is_recorded_after_it():
    made, trainer = ser(), learn.STDP(1.0, -1.0, 20.0, 20.0)
    trainer.eval()
    trainer.register_cell("c", made.cell)
    made(torch.ones(2, 6))
    assert not any(monitor.registered or monitor.peek() is not None for monitor in trainer.monitors)
    trainer.train()
    made(torch.ones(2, 6))
    assert all(monitor.registered and monitor.peek() is not None for monitor in trainer.monitors)


@pytest.mark.parametrize("name", ["type", "items", "keys", "clear", "training", "_modules"])
def test_names_that_torch_keeps_for_itself(name):
    made, trainer = ser(), learn.STDP(1.0, -1.0, 20.0, 20.0)
    with pytest.raises(ValueError, match="'name'.*ModuleDict"):
        trainer.register_cell(name, made.cell)
    assert not list(trainer.named_cells) and not list(trainer.monitors) and not len(trainer.aux_states_)
    trainer.register_cell("c", made.cell)
    with pytest.raises(ValueError, match="'name'.*ModuleDict"):
        trainer.add_monitor("c", name, "neuron.spike", None)
    with pytest.raises(ValueError, match="'name'.*ModuleDict"):
        trainer.monitor_pool_.add_observed(name, made.cell)


class Two(Layer):
    """Two connections to the same neurons."""

    def __init__(self):
        super().__init__()
        for name in ("a", "b"):
            self.add_connection(name, ser().connection)
        self.add_neuron("n", ser().neuron)
        self.add_neuron("m", ser().neuron)

    def wiring(self, inputs, **kwargs):
        return {name: sum(inputs.values()) for name in self.neurons_}

    def step(self):
        return self({name: (torch.ones(2, 6),) for name in self.connections_})


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize(("rule", "last"), [("STDP", ()), ("MSTDPET", (5.0,))])
@pytest.mark.parametrize(
    ("remove", "stays"), [("connection", [("b", "n"), ("b", "m")]), ("neuron", [("b", "m"), ("a", "m")])]
)
def test_parts_of_a_watched_layer_can_be_removed(rule, last, remove, stays, held):
    made, trainers = Two(), [getattr(learn, rule)(1.0, -1.0, 9.0, 9.0, *last) for _ in range(2)]
    pairs = {"an": ("a", "n"), "bn": ("b", "n"), "bm": ("b", "m"), "am": ("a", "m")}
    units = [t.register_cell(name, made.add_cell(*pair)) for t in trainers for name, pair in pairs.items()]
    made.step()
    if not held:
        del units
    getattr(made, f"del_{remove}")("a" if remove == "connection" else "n")
    gc.collect()
    made.step()
    for trainer in trainers:
        for name, pair in pairs.items():
            monitors = [m for key, m in trainer.named_monitors_of(name) if key.startswith("elig")]
            monitors += [trainer.get_monitor(name, key) for key in ("trace_post", "spike_pre")]
            assert pair not in stays or all(monitor.registered for monitor in monitors)
        trainer.eval()
        trainer.train()
        made.step()
        gone = [name for name, pair in pairs.items() if pair not in stays]
        for name in gone:
            trainer.del_cell(name)
            assert not list(trainer.named_monitors_of(name)) and name not in trainer.aux_states_
            with pytest.raises(AttributeError, match=name):
                trainer.del_cell(name)
        trainer(*([1.0] if last else []))
        made.step()
    assert all(made.get_cell(*pair).updater.weight.pos is not None for pair in stays)


def test_a_kept_unit_of_a_layer_that_is_gone():
    made, trainer = ser(), learn.STDP(1.0, -1.0, 20.0, 20.0)
    unit = trainer.register_cell("c", made.cell)
    del made
    gc.collect()
    trainer.eval()
    trainer.train()
    assert not any(monitor.registered for monitor in unit.monitors.values())
    trainer.del_cell("c")
