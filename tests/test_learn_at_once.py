"""Steps in one call of a kernel: nothing but the time may tell them from calls of the parts."""

import copy
import gc
import weakref

import pytest
import torch

import inferno_cuda
from inferno_cuda import functional, learn, neural, ops
from inferno_cuda.learn import _prepared, _readings
from inferno_cuda.neural.network import serial

CELLS = {"rest_v": -65.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}
ADAPTIVE = {
    "rest_v": -65.0,
    "reset_v": -60.0,
    "thresh_eq_v": -52.0,
    "refrac_t": 5.0,
    "tc_membrane": 20.0,
    "tc_adaptation": 50.0,
    "spike_increment": 0.5,
}
SYNAPSES = {
    "delta": lambda: neural.DeltaCurrent.partialconstructor(60.0),
    "delta plus": lambda: neural.DeltaPlusCurrent.partialconstructor(60.0),
    "exponential": lambda: neural.SingleExponentialCurrent.partialconstructor(60.0, 5.0),
    "double exponential": lambda: neural.DoubleExponentialCurrent.partialconstructor(60.0, 5.0, 2.0),
}
CONNECTIONS = {
    "dense": lambda **given: neural.LinearDense((4, 40), 160, 1.0, **given),
    "lateral": lambda **given: neural.LinearLateral((160,), 1.0, **given),
    "direct": lambda **given: neural.LinearDirect((160,), 1.0, **given),
}


def layer(kind="dense", synapse="delta", adaptive=False, batch=3, bias=False):
    random = torch.Generator().manual_seed(1)
    scale = 300.0 if kind == "direct" else 1.0
    connection = CONNECTIONS[kind](
        synapse=SYNAPSES[synapse](),
        batch_size=batch,
        bias=bias,
        weight_init=lambda like: scale * torch.rand(like.shape, generator=random),
        bias_init=lambda like: torch.rand(like.shape, generator=random),
    )
    neurons = neural.ALIF if adaptive else neural.LIF
    made = neurons(connection.outshape, 1.0, batch_size=batch, **(ADAPTIVE if adaptive else CELLS))
    return neural.Serial(connection, made)


def inputs(of, steps=12, seed=2):
    random = torch.Generator().manual_seed(seed)
    connection = of.connection
    return [torch.rand(connection.batchsz, *connection.inshape, generator=random) < 0.2 for _ in range(steps)]


def calls(monkeypatch, owner, name):
    """What a function returned, in order."""
    returned, function = [], getattr(owner, name)

    def noted(*args, **kwargs):
        returned.append(function(*args, **kwargs))
        return returned[-1]

    monkeypatch.setattr(owner, name, noted)
    return returned


def states(module):
    return {name: value for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)}


def assert_same_states(one, other):
    assert all(torch.equal(value, states(other)[name]) for name, value in states(one).items())


@pytest.mark.parametrize("kind", CONNECTIONS)
@pytest.mark.parametrize("synapse", SYNAPSES)
@pytest.mark.parametrize("adaptive", [False, True], ids=["lif", "alif"])
def test_a_layer_steps_at_once_bit_for_bit(native, monkeypatch, kind, synapse, adaptive):
    ours, parts = (layer(kind, synapse, adaptive, bias=True) for _ in range(2))
    handle = parts.connection.register_forward_hook(lambda *_: None)
    made = calls(monkeypatch, serial, "step_at_once")
    for spikes in inputs(ours):
        assert torch.equal(ours(spikes), parts(spikes))
    assert_same_states(ours, parts)
    assert [x is not None for x in made[::2]] == [False, *[True] * 11] and not any(x is not None for x in made[1::2])
    handle.remove()
    parts(inputs(parts)[0])
    assert made[-1] is not None


def hooked(part):
    def prepare(of):
        return getattr(of, part).register_forward_pre_hook(lambda *_: None)

    return prepare


def subclassed(of):
    class Doubled(neural.LIF):
        def forward(self, inputs, **kwargs):
            return super().forward(2 * inputs, **kwargs)

    of.neuron.__class__ = Doubled


def with_gradients(of):
    of.connection.weight.requires_grad_()


def read(of):
    of.held = of.neuron.voltage


@pytest.mark.parametrize(
    "prepare",
    [hooked("connection"), hooked("synapse"), hooked("neuron"), subclassed, with_gradients, read],
    ids=["hook on connection", "on synapse", "on neuron", "subclass", "gradient", "voltage read"],
)
def test_what_can_tell_gets_calls(native, monkeypatch, prepare):
    ours = layer()
    ours(inputs(ours)[0])
    made = calls(monkeypatch, serial, "step_at_once")
    ours(inputs(ours)[1])
    prepare(ours)
    ours(inputs(ours)[2])
    assert made[0] is not None and made[1] is None


def test_bad_inputs_of_a_layer_change_nothing(native):
    ours = layer()
    for spikes in inputs(ours):
        ours(spikes)
    before = copy.deepcopy(states(ours))
    for bad in (torch.zeros(3, 4, 41), torch.zeros(2, 4, 40), torch.zeros(3), torch.zeros(3, 4, 40, dtype=torch.int64)):
        with pytest.raises((ValueError, RuntimeError, TypeError)):
            ours(bad if bad.dtype != torch.int64 else bad.to(torch.complex64))
    assert all(torch.equal(value, states(ours)[name]) for name, value in before.items())


RULES = {
    "stdp": lambda: learn.STDP(1e-2, -1e-2, 20.0, 20.0),
    "one side": lambda: learn.STDP(1e-2, 0.0, 20.0, 20.0),
    "nearest, sum": lambda: learn.STDP(1e-2, 1e-2, 20.0, 20.0, trace_mode="nearest", batch_reduction=torch.sum),
    "triplet": lambda: learn.TripletSTDP(1e-2, 1e-3, -1e-2, 1e-3, 20.0, 60.0, 20.0, 60.0),
    "amax": lambda: learn.STDP(1e-2, -1e-2, 20.0, 20.0, batch_reduction=torch.amax),
}


def learner(rule, kind="dense"):
    of = layer(kind)
    connection = of.connection
    connection.updater = connection.defaultupdater()
    connection.updater.weight.upperbound(functional.bound_upper_multiplicative, 2.0)
    trainer = RULES[rule]()
    trainer.register_cell("cell", of.cell)
    return of, trainer


@torch.no_grad()
def learned(of, trainer, steps):
    for spikes in steps:
        of(spikes)
        trainer()
        of.connection.update()
    return of.connection.weight.detach().clone()


@pytest.mark.parametrize("kind", CONNECTIONS)
@pytest.mark.parametrize("rule", RULES)
def test_rules_learn_as_in_torch(native, monkeypatch, rule, kind):
    results = {}
    for name in ("torch", "auto"):
        with inferno_cuda.backend(name):
            of, trainer = learner(rule, kind)
            before = of.connection.weight.detach().clone()
            results[name] = learned(of, trainer, inputs(of)), states(trainer)
    assert not torch.equal(results["auto"][0], before)
    torch.testing.assert_close(results["auto"][0], results["torch"][0])
    assert all(torch.equal(value, results["torch"][1][name]) for name, value in results["auto"][1].items())


def test_monitors_record_together_unless_something_is_between(native, monkeypatch):
    of, trainer = learner("stdp")
    together, plain = calls(monkeypatch, _readings.Readings, "_record"), learner("stdp")
    first, second, third, *rest = inputs(of)
    of(first), of(second)
    assert together == [False, True]  # the first makes the storage
    seen = []
    hooks = list(of._forward_hooks.items())
    handle = of.register_forward_hook(lambda *_: seen.append(trainer.get_monitor("cell", "spike_post").peek()))
    of._forward_hooks.move_to_end(hooks[-1][0])  # one of the monitors comes behind it
    of(third)
    assert together == [False, True] and len(seen) == 1
    handle.remove()
    for spikes in rest:
        of(spikes)
    for spikes in (first, second, third, *rest):
        with inferno_cuda.backend("torch"):
            plain[0](spikes)
    assert_same_states(trainer, plain[1])


@pytest.mark.parametrize("change", ["hook on a reducer", "another map", "evaluation", "cleared", "another trainer"])
def test_changes_of_monitors_are_noticed(native, change):
    results = []
    for name in ("torch", "auto"):
        with inferno_cuda.backend(name):
            of, trainer = learner("stdp")
            seen = []
            for k, spikes in enumerate(inputs(of)):
                monitor = trainer.get_monitor("cell", "trace_post")
                if k == 4 and change == "hook on a reducer":
                    monitor.reducer.register_forward_hook(lambda *_, seen=seen: seen.append(1))
                elif k == 4 and change == "another map":
                    monitor.map_ = lambda spikes: (spikes & False,)
                elif k == 4 and change == "evaluation":
                    monitor.trainexec = False
                elif k == 4 and change == "cleared":
                    trainer.clear()
                elif k == 4 and change == "another trainer":
                    other = RULES["triplet"]()
                    other.register_cell("cell", of.cell)
                of(spikes)
            results.append((states(trainer), seen))
    assert results[0][1] == results[1][1]
    assert all(torch.equal(value, results[0][0][name]) for name, value in results[1][0].items())


def test_recordings_keep_nothing_alive(native):
    of, trainer = learner("stdp")
    of(inputs(of)[0]), of(inputs(of)[1])
    gone = weakref.ref(trainer.get_monitor("cell", "trace_pre"))
    gc.disable()
    try:
        del trainer
        assert gone() is None and not of._forward_hooks
    finally:
        gc.enable()


def test_copies_record_for_themselves(native):
    of, trainer = learner("stdp")
    steps = inputs(of)
    learned(of, trainer, steps[:3])
    twin, other = copy.deepcopy((of, trainer))
    assert torch.equal(learned(of, trainer, steps[3:]), learned(twin, other, steps[3:]))
    assert_same_states(trainer, other)


def test_updates_are_taken_from_recordings_at_once(native, monkeypatch):
    made = calls(monkeypatch, _prepared, "outer_sides")
    of, trainer = learner("stdp")
    learned(of, trainer, inputs(of))
    assert len(made) == 12 and all(found is not None for found in made)
    of(inputs(of)[0])
    trainer()
    pos = of.connection.updater.weight.pos.clone()
    for monitor in trainer.monitors:
        monitor.reducer.data_._writable().fill_(7.0)  # what waits is a copy
    of.connection.updater.weight._reduced.clear()
    assert torch.equal(of.connection.updater.weight.pos, pos)


def test_a_lateral_connection_stays_without_itself(native):
    of, trainer = learner("stdp", "lateral")
    assert learned(of, trainer, inputs(of)).diagonal().eq(0).all()


def test_traces_are_pushed_together_or_not_at_all(native):
    from inferno_cuda.ops.trace import Traced, pack_traces, traces_push_plain

    spikes = torch.tensor([[True, False, True]])
    periods = torch.tensor([[5.0, 0.0, 4.9999]])
    rings = [torch.zeros(2, 1, 3), torch.ones(1, 1, 3)]
    pointers = [torch.tensor(1), torch.tensor(0)]
    how = [
        Traced(0, "cumulative", 0.5, 1.0, True, None, torch.float32),
        Traced(1, "instant", 0.0, 2.0, None, None, torch.float32),
    ]
    packed = pack_traces([None, (4.999, 5.001)], how)
    assert traces_push_plain(rings, pointers, [spikes, periods], packed)
    assert rings[0].tolist() == [[[0, 0, 0]], [[1, 0, 1]]] and rings[1].tolist() == [[[2, 0, 2]]]
    assert [int(p) for p in pointers] == [0, 0]
    before = [ring.clone() for ring in rings]
    assert not traces_push_plain(rings, pointers, [spikes, periods[:, :2]], packed)
    assert all(map(torch.equal, rings, before)) and [int(p) for p in pointers] == [0, 0]
    with pytest.raises(ValueError, match="kind was 'other'"):
        ops.trace_push_(rings[0], pointers[0], spikes, kind="other", decay=0.5, amplitude=1.0)
