"""Calls made ready for the next step are those that the next step would have made, whatever changes in between."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import inferno_cuda
from inferno_cuda import functional, learn, neural
from inferno_cuda.neural.network import _at_once
from inferno_cuda.state._facts import Facts
from inferno_cuda.state.module import AT_ONCE

ADAPTIVE = {
    "rest_v": -65.0,
    "reset_v": -60.0,
    "thresh_eq_v": -52.0,
    "refrac_t": 5.0,
    "tc_membrane": 20.0,
    "tc_adaptation": 50.0,
    "spike_increment": 0.5,
}


def learner(synapse=None, weights=160, delay=None):
    """A layer whose neurons adapt, and STDP on it."""
    random = torch.Generator().manual_seed(1)
    connection = neural.LinearDense(
        (4, 40),
        weights,
        1.0,
        synapse=synapse or neural.DeltaCurrent.partialconstructor(60.0),
        batch_size=3,
        bias=True,
        delay=delay,
        delay_init=lambda like: torch.randint(0, 6, like.shape, generator=random).to(like.dtype),
        weight_init=lambda like: torch.rand(like.shape, generator=random),
        bias_init=lambda like: torch.rand(like.shape, generator=random),
    )
    connection.updater = connection.defaultupdater()
    connection.updater.weight.upperbound(functional.bound_upper_multiplicative, 1.0)
    layer = neural.Serial(connection, neural.ALIF(weights, 1.0, batch_size=3, **ADAPTIVE))
    trainer = learn.STDP(lr_post=1e-2, lr_pre=-1e-2, tc_post=20.0, tc_pre=20.0)
    trainer.register_cell("cell", layer.cell)
    return nn.ModuleDict({"layer": layer, "trainer": trainer})


def spikes_of(steps, batch=3, seed=2):
    random = torch.Generator().manual_seed(seed)
    return [torch.rand(batch, 4, 40, generator=random) < 0.05 for _ in range(steps)]


def learned(of, steps):
    found = []
    for spikes in steps:
        found.append(of["layer"](spikes).clone())
        of["trainer"]()
        of["trainer"].update()
    return found


def state_of(of):
    return {name: value for name, value in of.state_dict().items() if isinstance(value, torch.Tensor)}


def assert_alike(one, other):
    ours, theirs = state_of(one), state_of(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def nothing(of):
    pass


def threshold(of):
    of["layer"].neuron.thresh_eq_v = -55.0


def adaptation(of):
    of["layer"].neuron.tc_adaptation.fill_(5.0)


def voltage(of):
    of["layer"].neuron.voltage = torch.full_like(of["layer"].neuron.voltage, -55.0)


def refractory(of):
    of["layer"].neuron.refrac_t = 2.0


def charge(of):
    of["layer"].connection.synapse.spike_charge = 90.0


def set_weights(of):
    of["layer"].connection.weight = 0.5 * of["layer"].connection.weight


def write_weights(of):
    of["layer"].connection.weight_.data.mul_(0.5)


def swap_weights(of):
    connection = of["layer"].connection
    connection._parameters["weight_"] = nn.Parameter(0.5 * connection.weight_.detach(), requires_grad=False)


def prune_weights(of):
    of["layer"].connection.updater = None  # which refuses what is computed
    prune.l1_unstructured(of["layer"].connection, "weight_", amount=0.5)


def double(of):
    of.double()


def load(of):
    delay = of["layer"].connection.delayedby
    state = learner(delay=delay).state_dict()
    of.load_state_dict({name: copy.deepcopy(value) for name, value in state.items()}, strict=False)


def assign(of):
    delay = of["layer"].connection.delayedby
    of.load_state_dict(learner(delay=delay).state_dict(), strict=False, assign=True)


def torch_steps(of):
    with inferno_cuda.backend("torch"):
        learned(of, spikes_of(2, seed=4))


def inference_steps(of):
    with torch.inference_mode():
        learned(of, spikes_of(2, seed=4))


def autocast_steps(of):
    with torch.autocast("cpu", enabled=True):
        of["layer"](spikes_of(1, seed=4)[0])


class Quiet(neural.ALIF):
    def forward(self, inputs, *args, **kwargs):
        return super().forward(0.5 * inputs, *args, **kwargs)


def another_class(of):
    of["layer"].neuron.__class__ = Quiet


def another_synapse(of):
    connection = of["layer"].connection
    made = copy.deepcopy(connection.synapse)
    made.spike_charge = 90.0
    connection.synapse = made


def swap_values(of):
    weight = of["layer"].connection.weight_
    weight.data = 0.5 * weight.data


def transposed_values(of):
    weight = of["layer"].connection.weight_
    weight.data = weight.data.t().contiguous().t() * 0.5


def clear(of):
    of["layer"].clear()
    of["trainer"].clear()


def keep_shape(of):
    of["trainer"].clear(keepshape=True)


def evaluate(of):
    of["layer"].neuron.eval()


def rates(of):
    state = of["trainer"].get_cell("cell")[1]
    state.lr_post, state.lr_pre = -1e-2, 1e-2  # amplitudes are those of the traces


def reduction(of):
    of["trainer"].get_cell("cell")[1].batchreduce = torch.sum


def amplitude(of):
    of["trainer"].get_monitor("cell", "trace_pre").reducer.amplitude = 3.0


def decay(of):
    of["trainer"].get_monitor("cell", "trace_post").reducer.decay = 0.5


def traces(of):
    of["trainer"].get_monitor("cell", "trace_pre").reducer.data.fill_(2.0)


def fewer_monitors(of):
    of["trainer"].del_monitor("cell", "trace_post")
    of["trainer"].del_monitor("cell", "spike_pre")


def another_cell(of):
    of["trainer"].del_cell("cell")
    of["trainer"].register_cell("cell", of["layer"].cell, lr_post=3e-2)


def hook(of):
    of["layer"].neuron.register_forward_hook(lambda module, inputs, output: ~output)


def own_step(of):
    connection = of["layer"].connection
    connection.forward = lambda *inputs: 2.0 * type(connection).forward(connection, *inputs)


def more_samples(of):
    of["layer"].batchsz = 5
    of["trainer"].clear()


def set_delays(of):
    connection = of["layer"].connection
    connection.delay = 5.0 - connection.delay


def write_delays(of):
    of["layer"].connection.delay.data.fill_(2.0)


def handed_out_delays(of):
    delay = of["layer"].connection.delay
    learned(of, spikes_of(2, seed=4))
    delay.data.fill_(2.0)
    of["layer"].connection.delay  # noqa: B018  # from now on they are compared


def swap_delays(of):
    connection = of["layer"].connection
    connection._parameters["delay_"] = nn.Parameter(5.0 - connection.delay_.detach(), requires_grad=False)


def learn_delays(of):
    of["layer"].connection.delay_.requires_grad_()


def longest_delay(of):
    of["layer"].connection.synapse.delay = 8.0


def one_more_step(of):
    # of which the layer, and with it the trainer, does not know
    of["layer"].connection(spikes_of(1, seed=4)[0])


def past_spikes(of):
    of["layer"].connection.synapse.spike_.value.fill_(True)


def cleared_synapse(of):
    of["layer"].connection.synapse.clear()


def another_way(of):
    # inputs that are looked up by a method of the instance
    synapse = of["layer"].connection.synapse
    synapse.spike_at = lambda selector: ~type(synapse).spike_at(synapse, selector)


def another_reducer(of):
    monitor = of["trainer"].get_monitor("cell", "spike_pre")
    monitor.filter_ = lambda value: False


CHANGES = [
    nothing,
    threshold,
    adaptation,
    voltage,
    refractory,
    charge,
    set_weights,
    write_weights,
    swap_weights,
    prune_weights,
    double,
    load,
    assign,
    torch_steps,
    inference_steps,
    autocast_steps,
    another_class,
    another_synapse,
    swap_values,
    transposed_values,
    clear,
    keep_shape,
    evaluate,
    rates,
    reduction,
    amplitude,
    decay,
    traces,
    fewer_monitors,
    another_cell,
    hook,
    own_step,
    more_samples,
]
DELAYED = [
    set_delays,
    write_delays,
    handed_out_delays,
    swap_delays,
    learn_delays,
    longest_delay,
    one_more_step,
    past_spikes,
    cleared_synapse,
    another_way,
    another_reducer,
]
SYNAPSES = {
    "delta": neural.DeltaCurrent.partialconstructor(60.0),
    "exponential": neural.SingleExponentialCurrent.partialconstructor(60.0, 5.0),
}


def results_of(monkeypatch, change, make):
    """What a learner and its spikes are after a change, with calls that are made ready, and without."""
    results = []
    for prepared in (True, False):
        with monkeypatch.context() as patch:
            if not prepared:
                patch.setattr(Facts, "hold", lambda self: False)
            of = make()
            found = learned(of, spikes_of(8))
            change(of)
            batch = of["layer"].connection.batchsz
            found += learned(of, spikes_of(8, batch, seed=3))
            results.append((of, found))
    return results


@torch.no_grad()
@pytest.mark.parametrize("synapse", SYNAPSES)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_was_made_ready_is_what_a_step_would_make(native, monkeypatch, change, synapse):
    if change is charge and synapse != "delta":
        pytest.skip("the same attribute")
    (ours, found), (theirs, expected) = results_of(monkeypatch, change, lambda: learner(SYNAPSES[synapse]))
    assert all(map(torch.equal, found, expected)) and sum(int(spikes.sum()) for spikes in found)
    assert_alike(ours, theirs)


@torch.no_grad()
@pytest.mark.parametrize("synapse", SYNAPSES)
@pytest.mark.parametrize("change", [*CHANGES, *DELAYED], ids=lambda change: change.__name__)
def test_what_was_made_ready_with_delays_is_what_a_step_would_make(native, monkeypatch, change, synapse):
    if change is charge and synapse != "delta":
        pytest.skip("the same attribute")
    results = results_of(monkeypatch, change, lambda: learner(SYNAPSES[synapse], delay=5.0))
    (ours, found), (theirs, expected) = results
    assert all(map(torch.equal, found, expected)) and sum(int(spikes.sum()) for spikes in found)
    assert_alike(ours, theirs)


@torch.no_grad()
def test_delayed_steps_are_made_ready(native, monkeypatch):
    of, held = learner(delay=5.0), []
    hold = Facts.hold
    monkeypatch.setattr(Facts, "hold", lambda self: held.append(hold(self)) or held[-1])
    learned(of, spikes_of(12))
    assert len(held) >= 24 and all(held[-24:])  # of the layer, of what it records, and of the rule


@torch.no_grad()
def test_what_recorded_a_layer_lets_go_of_it(native):
    of = learner()
    learned(of, spikes_of(4))
    weight = weakref.ref(of["layer"].connection.weight_)
    trainer = of["trainer"]
    readings = trainer.get_monitor("cell", "trace_pre").readings
    assert readings._kept is not None
    del of
    gc.collect()
    assert readings._kept is None
    trainer.del_cell("cell")
    gc.collect()
    assert weight() is None


@torch.no_grad()
@pytest.mark.parametrize("change", [change for change in CHANGES if change not in (nothing, hook)])
def test_changes_make_a_difference(native, change):
    # otherwise the test above would show nothing
    of, as_before = learner(), learner()
    for each in (of, as_before):
        learned(each, spikes_of(8))
    change(of)
    batch = of["layer"].connection.batchsz
    found = learned(of, spikes_of(8, batch, seed=3))
    before = learned(as_before, spikes_of(8, seed=3))
    alike = batch == 3 and all(map(torch.equal, found, before))
    ours, theirs = state_of(of), state_of(as_before)
    same = ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert not (alike and same)


@torch.no_grad()
def test_steps_are_made_ready(native, monkeypatch):
    of, held = learner(), []
    hold = Facts.hold
    monkeypatch.setattr(Facts, "hold", lambda self: held.append(hold(self)) or held[-1])
    learned(of, spikes_of(12))
    assert len(held) >= 24 and all(held[-24:])  # of the layer, of what it records, and of the rule


@torch.no_grad()
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda of: pickle.loads(pickle.dumps(of))], ids=["deepcopy", "pickle"]
)
def test_copies_go_on_alone(native, copied):
    of = learner()
    learned(of, spikes_of(6))
    twin = copied(of)
    assert AT_ONCE not in vars(twin["layer"].connection)
    later = spikes_of(6, seed=3)
    before = copy.deepcopy(state_of(of))
    found = learned(twin, later)
    assert all(torch.equal(value, before[name]) for name, value in state_of(of).items())
    assert all(map(torch.equal, learned(of, later), found))
    assert_alike(of, twin)


@torch.no_grad()
def test_neurons_of_two_layers_are_told_apart(native):
    shared = neural.LIF(160, 1.0, rest_v=-65.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0, time_constant=20.0)
    kinds = [learner(weights=160)["layer"].connection for _ in range(2)]
    for connection in kinds:
        connection.batchsz = 1
    ours = [neural.Serial(connection, shared) for connection in kinds]
    theirs = copy.deepcopy(nn.ModuleList(ours))
    theirs[0].connection.register_forward_hook(lambda *_: None)
    theirs[1].connection.register_forward_hook(lambda *_: None)
    for spikes in spikes_of(10, 1):
        for one, other in zip(ours, theirs, strict=True):
            assert torch.equal(one(spikes), other(spikes))
    assert ours[0].connection.__dict__[AT_ONCE] is not ours[1].connection.__dict__[AT_ONCE]


@torch.no_grad()
def test_another_group_of_neurons_is_seen(native):
    ours, theirs = (learner()["layer"] for _ in range(2))
    theirs.connection.register_forward_hook(lambda *_: None)
    for spikes in spikes_of(4):
        assert torch.equal(ours(spikes), theirs(spikes))
    for each in (ours, theirs):
        each.neurons_["serial"] = neural.ALIF(160, 1.0, batch_size=3, **ADAPTIVE | {"thresh_eq_v": -57.0})
    gc.collect()
    for spikes in spikes_of(6, seed=3):
        assert torch.equal(ours(spikes), theirs(spikes))


def test_weights_that_learn_by_gradients_get_calls(native):
    layer = learner()["layer"]
    for spikes in spikes_of(4):
        layer(spikes)
    assert _at_once.step_at_once(layer.connection, layer.neuron, (spikes_of(1)[0],)) is not None
    layer.connection.weight_.requires_grad_()
    assert _at_once.step_at_once(layer.connection, layer.neuron, (spikes_of(1)[0],)) is None
    with torch.no_grad():
        assert _at_once.step_at_once(layer.connection, layer.neuron, (spikes_of(1)[0],)) is not None
