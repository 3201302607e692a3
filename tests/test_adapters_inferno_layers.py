"""Accelerated layers of inferno-ai do what the library's do, whatever the arguments, hooks and transforms."""

import pytest
import torch

import inferno_cuda

theirs = pytest.importorskip("inferno.neural")

CELL = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}
B = 2


def dense(ins, outs, seed, shift=0.2, synapse="DeltaCurrent", delay=None):
    random = torch.Generator().manual_seed(seed)
    return theirs.LinearDense(
        ins,
        outs,
        1.0,
        synapse=getattr(theirs, synapse).partialconstructor(70.0),
        batch_size=B,
        delay=delay,
        weight_init=lambda w: torch.rand(w.shape, generator=random) - shift,
        delay_init=lambda d: (torch.rand(d.shape, generator=random) * delay).round(),
    )


def lif(size, **options):
    return theirs.LIF(size, 1.0, batch_size=B, **CELL | options)


def serial(transform=None, cls=theirs.Serial, **options):
    return cls(dense(6, 5, 0, **options), lif(5), transform)


def recurrent(cls=theirs.RecurrentSerial, synapse="DeltaCurrent", refrac_t=2.0, **options):
    parts = dense(6, 5, 0, synapse=synapse), dense(5, 4, 1, -0.5, synapse), dense(4, 5, 2, 0.6, synapse)
    return cls(*parts, lif(5, refrac_t=refrac_t), lif(4), **options)


def named():
    return recurrent(
        feedfwd_connection_name="a",
        lateral_connection_name="b",
        feedback_connection_name="c",
        feedfwd_neuron_name="d",
        feedback_neuron_name="e",
        trainable_feedback=True,
    )


def transformed():
    return recurrent(
        feedfwd_out_transform=lambda x: 1.5 * x,
        lateral_out_transform=lambda x: x + 1,
        feedback_out_transform=lambda x: x - 1,
        lateral_in_transform=lambda x: (~x,),
        feedback_in_transform=lambda x: (x.flip(0),),
    )


def scaled(x, gain=1.0, **_):
    return gain * x


LAYERS = {
    "serial": serial,
    "serial, delayed": lambda: serial(delay=3.0),
    "serial, transform": lambda: serial(scaled),
    "serial, module as transform": lambda: serial(torch.nn.Hardtanh(-1.0, 40.0)),
    "recurrent": recurrent,
    "recurrent, names and cells": named,
    "recurrent, transforms": transformed,
}
EVERY = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
INPUTS = torch.rand(40, B, 6, generator=torch.Generator().manual_seed(7)) < 0.4


def accelerated(layer):
    report = inferno_cuda.accelerate(layer)
    row = report.rows[0]
    assert row.outcome is inferno_cuda.adapters.Outcome.ACCELERATED, row
    return layer


def equal(given, wanted):
    assert type(given) is type(wanted)
    if isinstance(wanted, torch.Tensor):
        assert given.dtype == wanted.dtype and torch.equal(given, wanted)
    elif isinstance(wanted, dict):
        assert list(given) == list(wanted)
        equal(list(given.values()), list(wanted.values()))
    else:
        assert len(given) == len(wanted)
        for one, other in zip(given, wanted, strict=True):
            equal(one, other)


def same_state(layer, expected):
    state, wanted = layer.state_dict(), expected.state_dict()
    assert list(state) == list(wanted)
    for key, value in wanted.items():
        assert torch.equal(state[key], value) if isinstance(value, torch.Tensor) else state[key] == value, key


@EVERY
@pytest.mark.parametrize("capture", [False, True])
def test_steps_are_equal(make, capture):
    layer, expected = accelerated(make()), make()
    spikes = 0
    for x in INPUTS:
        given, wanted = (each(x, capture_intermediate=capture) for each in (layer, expected))
        equal(given, wanted)
        spikes += expected.neurons_[next(iter(expected.neurons_))].spike.sum()
    same_state(layer, expected)
    assert spikes > 0


@EVERY
def test_reverted_layers_go_on(make):
    layer, expected = accelerated(make()), make()
    for k, x in enumerate(INPUTS):
        if k == 20:
            inferno_cuda.revert(layer)
            assert [type(m) for m in layer.modules()] == [type(m) for m in expected.modules()]
        equal(layer(x), expected(x))
    same_state(layer, expected)


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_keywords_reach_the_transform(gain):
    layer, expected = accelerated(serial(scaled)), serial(scaled)
    for x in INPUTS:
        given, wanted = (each(x, gain=gain, capture_intermediate=True) for each in (layer, expected))
        equal(given, wanted)
    with pytest.raises(TypeError):
        layer(INPUTS[0], inputs=1)


def test_keywords_reach_connection_and_neurons():
    layer, expected = accelerated(serial()), serial()
    seen = []
    for each in (layer, expected):
        for module in (each.connection, each.neuron):
            module.register_forward_pre_hook(lambda m, args, kwargs: seen.append(kwargs), with_kwargs=True)
    for x in INPUTS[:5]:
        for each in (layer, expected):
            each(x, connection_kwargs={"note": 1}, neuron_kwargs={"refrac_lock": False})
    assert seen == [{"note": 1}, {"refrac_lock": False}] * 10
    same_state(layer, expected)


def test_all_arguments_of_a_recurrent_layer_reach_its_parts():
    layer, expected = (recurrent(synapse="DeltaPlusCurrent") for _ in range(2))
    accelerated(layer)
    random = torch.Generator().manual_seed(1)
    for x in INPUTS:
        options = {
            "lateral_connection_args": (torch.rand(B, 5, generator=random),),
            "feedback_connection_args": [torch.rand(B, 4, generator=random)],
            "feedfwd_connection_kwargs": {"note": 1},
            "lateral_connection_kwargs": {"note": 2},
            "feedback_connection_kwargs": {},
            "feedfwd_neuron_kwargs": {"refrac_lock": False},
            "feedback_neuron_kwargs": {"refrac_lock": True},
            "capture_intermediate": True,
        }
        equal(layer(x, **options), expected(x, **options))
    same_state(layer, expected)


def test_keywords_of_the_wiring_are_those_of_the_library():
    layer, expected = accelerated(recurrent()), recurrent()
    for x in INPUTS[:5]:
        equal(layer(x, note=1), expected(x, note=1))
    for each in (layer, expected):
        with pytest.raises(TypeError):
            each(INPUTS[0], forward_pass=True)


@EVERY
def test_hooks_fire_in_the_same_order_and_may_change_results(make):
    def run(layer):
        fired = []
        for name, module in layer.named_modules():
            # cells are not called, and their parts are the layer's, under names of their own
            module.register_forward_pre_hook(lambda m, x, name=name: fired.append(("before", name, len(x))))
            module.register_forward_hook(lambda m, x, y, name=name: fired.append(("after", name)))
        layer.register_forward_hook(lambda m, x, y: (y, "changed"))
        for group in layer.neurons_.values():
            group.register_forward_hook(lambda m, x, y: ~y)
        results = [layer(x) for x in INPUTS[:10]]
        return fired, results

    fired, results = run(accelerated(make()))
    wanted, expected = run(make())
    assert fired == wanted and fired
    assert all(result[1] == "changed" for result in results)
    equal([result[0] for result in results], [result[0] for result in expected])


def test_cleared_layers_start_anew():
    layer, expected = accelerated(recurrent()), recurrent()
    for _ in range(2):
        for x in INPUTS[:20]:
            equal(layer(x), expected(x))
        for each in (layer, expected):
            each.clear(submodules=False)
            assert each.feedback_spikes is None
            each.apply(lambda m: m.clear() if isinstance(m, theirs.Neuron | theirs.Connection) else None)


def test_d06_without_a_refractory_period_all_neurons_drive_the_lateral_connection():
    layer, expected = accelerated(recurrent(refrac_t=0.0)), recurrent(refrac_t=0.0)
    (spikes, _), currents = layer(INPUTS[0], capture_intermediate=True)
    equal(currents, expected(INPUTS[0], capture_intermediate=True)[1])
    assert not spikes.all() and layer.feedfwd_neuron.spike.all()


def test_results_are_not_written_to_later():
    layer = accelerated(recurrent())
    results = [layer(x) for x in INPUTS]
    expected = recurrent()
    equal(results, [expected(x) for x in INPUTS])


def test_state_loads_into_the_other():
    layer, expected = accelerated(recurrent()), recurrent()
    for x in INPUTS[:20]:
        expected(x)
    layer(INPUTS[0])
    layer.load_state_dict(expected.state_dict())
    for x in INPUTS[20:]:
        equal(layer(x), expected(x))


class Wired(theirs.Serial):
    def wiring(self, inputs, **kwargs):
        return {name: 2 * x for name, x in super().wiring(inputs, **kwargs).items()}


class Forward(theirs.Serial):
    def forward(self, x):
        return super().forward(2 * x)


class Looked(theirs.RecurrentSerial):
    def get_neuron(self, name):
        return super().get_neuron(name)


class Plain(theirs.Serial):
    def help(self):
        return "more"


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda: serial(cls=Wired), "wiring"),
        (lambda: serial(cls=Forward), "forward"),
        (lambda: recurrent(Looked), "get_neuron"),
    ],
)
def test_subclasses_with_steps_of_their_own_are_skipped_with_the_reason(make, name):
    layer, expected = make(), make()
    row = inferno_cuda.accelerate(layer).rows[0]
    assert row.outcome is inferno_cuda.adapters.Outcome.SKIPPED and name in row.reason
    assert type(layer) is type(expected) and type(layer.neurons_[next(iter(layer.neurons_))]) is not theirs.LIF
    for x in INPUTS.float():
        equal(layer(x), expected(x))


def test_other_subclasses_are_accelerated():
    layer, expected = accelerated(serial(cls=Plain)), serial(cls=Plain)
    assert isinstance(layer, Plain) and layer.help() == "more"
    for x in INPUTS:
        equal(layer(x), expected(x))
