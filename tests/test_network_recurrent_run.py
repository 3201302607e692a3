"""Whole sequences of recurrent layers: one op, with the results and the state of single steps."""

import copy
import itertools

import pytest
import torch
from run_cases import NEURONS, B, spikes
from states import assert_same_state, seeded, states
from synapse_cases import KINDS

import inferno_cuda
from inferno_cuda import neural, ops, surrogate
from inferno_cuda.neural import (
    LIF,
    Conv2D,
    DeltaCurrent,
    DeltaPlusCurrent,
    DoubleExponentialCurrent,
    LinearDense,
    LinearDirect,
    LinearLateral,
    RecurrentSerial,
    SingleExponentialCurrent,
)

SYNAPSES = {
    "delta": DeltaCurrent.partialconstructor(30.0),
    "delta plus": DeltaPlusCurrent.partialconstructor(30.0),
    "exponential": SingleExponentialCurrent.partialconstructor(30.0, 5.0),
    "double exponential": DoubleExponentialCurrent.partialconstructor(30.0, 5.0, 1.0),
}
CONNECTIONS = {"dense": (LinearDense, (5, 5)), "lateral": (LinearLateral, (5,)), "direct": (LinearDirect, (5,))}


def connection(name="dense", delay=None, synapse="exponential", seed=0, arguments=None, batch=B, **options):
    torch.manual_seed(seed)
    cls, shape = CONNECTIONS[name]
    usual = {"bias": True, "weight_init": lambda w: 4 * w - 1, "delay_init": lambda d: 3 * torch.rand_like(d)}
    options = {"synapse": SYNAPSES[synapse], "delay": delay, "batch_size": batch, **usual, **options}
    return cls(*(arguments or shape), 1.0, **options)


def layer(
    feedfwd=None, lateral=None, feedback=None, feedfwd_neuron=None, feedback_neuron=None, cls=RecurrentSerial, **options
):
    return cls(
        feedfwd or connection(arguments=(6, 5), weight_init=lambda w: 6 * w, seed=1),
        lateral or connection(seed=2),
        feedback or connection(seed=3),
        feedfwd_neuron or NEURONS["LIF"](),
        feedback_neuron or NEURONS["ALIF"](),
        **options,
    )


def stepped(module, x, **kwargs):
    return tuple(torch.stack(group) for group in zip(*(module(step, **kwargs) for step in x), strict=True))


def check(module, x, calls=None, fused=True, **kwargs):
    """A run gives what steps give, and leaves the same state; and the steps after it are the same."""
    twin = copy.deepcopy(module)
    made, wanted = module.run(x, **kwargs), stepped(twin, x, **kwargs)
    for got, like in zip(made, wanted, strict=True):
        assert got.dtype == like.dtype and torch.equal(got, like)
    assert_same_state(states(module), states(twin))
    assert all(torch.equal(a, b) for a, b in zip(module(x[0], **kwargs), twin(x[0], **kwargs), strict=True))
    if calls is not None:
        assert calls == ([len(x)] if fused else [])
    return made


@pytest.mark.parametrize("first, second", list(itertools.pairwise([*NEURONS, "LIF"])))
def test_every_neuron(first, second, loop_calls):
    module = layer(feedfwd_neuron=NEURONS[first](), feedback_neuron=NEURONS[second]())
    made = check(module, spikes(40, 6), loop_calls)
    assert all(0 < fired.float().mean() < 1 for fired in made)


@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("synapse", KINDS)
@pytest.mark.parametrize("name", CONNECTIONS)
def test_every_connection_and_synapse(name, synapse, delay, loop_calls):
    options = {"delay": delay, "synapse": synapse}
    module = layer(
        connection(arguments=(6, 5), weight_init=lambda w: 6 * w, **options),
        connection(name, **options, seed=2),
        connection(name, **options, seed=3, bias=False),
    )
    made = check(module, spikes(30, 6), loop_calls)
    assert all(0 < fired.float().mean() < 1 for fired in made)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name, delay", [("dense", None), ("direct", None), ("direct", 3.0), ("lateral", 3.0)])
def test_every_dtype(name, delay, dtype, loop_calls):
    module = layer(lateral=connection(name, delay, seed=2), feedback=connection(name, delay, seed=3)).to(dtype)
    check(module, spikes(30, 6), loop_calls)


@pytest.mark.parametrize("batch", [1, 3, 17])
@pytest.mark.parametrize("delay", [None, 3.0])
def test_every_batch_size(batch, delay, loop_calls):
    module = layer(
        connection(arguments=(6, 5), seed=1, weight_init=lambda w: 6 * w, delay=delay),
        connection(delay=delay, seed=2),
        connection("direct", delay, seed=3),
    )
    for part in module._parts():
        part.batchsz = batch
    check(module, torch.rand(20, batch, 6, generator=seeded()) < 0.4, loop_calls)


def test_shapes_of_several_dimensions(loop_calls):
    neurons = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}
    module = RecurrentSerial(
        connection(arguments=((2, 3), (5, 1)), weight_init=lambda w: 6 * w),
        connection(arguments=((5, 1), (2, 2)), seed=2),
        connection(arguments=((2, 2), (5, 1)), seed=3),
        LIF((5, 1), 1.0, batch_size=B, **neurons),
        LIF((2, 2), 1.0, batch_size=B, **neurons),
    )
    first, second = check(module, spikes(20, 2, 3), loop_calls)
    assert first.shape == (20, B, 5, 1) and second.shape == (20, B, 2, 2)


def test_chunks_are_one_run(loop_calls):
    module = layer(lateral=connection(delay=3.0, seed=2))
    twin, x = copy.deepcopy(module), spikes(30, 6)
    whole = module.run(x)
    parts = zip(*(twin.run(part) for part in x.split([1, 12, 17])), strict=True)
    assert all(torch.equal(torch.cat(part), all_) for part, all_ in zip(parts, whole, strict=True))
    assert_same_state(states(module), states(twin))
    assert loop_calls == [30, 1, 12, 17]


def test_nothing_happens_in_no_steps(loop_calls):
    module = layer()
    chunk = neural._coverage.Chunk((spikes(0, 6),), 0)
    assert module._advance(chunk, {}, ()) is None
    assert module.feedback_spikes is None and loop_calls == []


def test_first_steps_after_others_and_after_clearing(loop_calls):
    module = layer(feedback=connection(delay=3.0, seed=3))
    for step in spikes(5, 6, seed=7):
        module(step)
    check(module, spikes(20, 6), loop_calls)
    loop_calls.clear()
    module.clear()
    check(module, spikes(20, 6, seed=1), loop_calls)


def test_the_state_that_was_handed_out_stays(loop_calls):
    module = layer()
    module(spikes(1, 6)[0])
    neuron, adapting = module.feedfwd_neuron, module.feedback_neuron
    held = (neuron.voltage, neuron.refrac, adapting.threshold_adaptation, module.feedback_spikes)
    before = [tensor.clone() for tensor in held]
    outputs = module.run(spikes(20, 6))
    assert all(torch.equal(a, b) for a, b in zip(held, before, strict=True))
    outputs[1].fill_(True)
    assert not module.feedback_spikes.all()
    assert loop_calls == [20]


@pytest.mark.parametrize("adapt", [True, False])
@pytest.mark.parametrize("reduction", [torch.mean, torch.sum])
def test_adaptation(reduction, adapt, loop_calls):
    module = layer()
    module.feedback_neuron._batch_reduction = reduction
    kwargs = {"feedback_neuron_kwargs": {"adapt": adapt, "refrac_lock": False}}
    check(module, spikes(30, 6), loop_calls, **kwargs)
    loop_calls.clear()
    check(module.eval(), spikes(30, 6), loop_calls)


def test_spikes_of_neurons_with_a_surrogate_are_numbers(loop_calls):
    module = layer()
    module.feedback_neuron.surrogate = surrogate.ATan()
    made = check(module, spikes(30, 6), loop_calls)
    assert made[1].dtype == torch.float32 and module.feedback_spikes.dtype == torch.float32
    loop_calls.clear()
    check(module, spikes(10, 6, seed=1), loop_calls)
    loop_calls.clear()
    module.feedback_spikes = 2 * torch.ones(B, 5)  # not what the neurons give
    check(module, spikes(10, 6, seed=2), loop_calls, fused=False)


def test_feedforward_connections_of_other_kinds_and_inputs(loop_calls):
    options = {"synapse": SYNAPSES["exponential"], "delay": 2.0, "batch_size": B}
    wide = RecurrentSerial(
        Conv2D(2, 3, 1, 5, 1.0, (2, 3), weight_init=lambda w: 6 * w, **options),
        connection(arguments=((5, 1, 1), 5), seed=2),
        connection(arguments=(5, (5, 1, 1)), seed=3),
        NEURONS["LIF"]((5, 1, 1)),
        NEURONS["LIF"](),
    )
    check(wide, spikes(20, 1, 2, 3), loop_calls)
    loop_calls.clear()
    injected = layer(connection(arguments=(6, 5), synapse="delta plus", weight_init=lambda w: 6 * w))
    twin, x, more = copy.deepcopy(injected), spikes(20, 6), torch.rand(20, B, 6, generator=seeded())
    made = injected.run((x, more))
    wanted = [torch.stack(group) for group in zip(*(twin(*step) for step in zip(x, more, strict=True)), strict=True)]
    assert loop_calls == [20]
    assert all((got == like).float().mean() > 0.99 for got, like in zip(made, wanted, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.uint8], ids=str)
def test_inputs_of_every_dtype(dtype, loop_calls):
    check(layer(), (2 * spikes(20, 6)).to(dtype), None)
    assert loop_calls == [20]


def test_spikes_are_recorded(loop_calls):
    module, x = layer(), spikes(20, 6)
    outputs, recorded = module.run(x, record=("feedfwd.spike", "feedback.spike"))
    assert all(torch.equal(a, b) for a, b in zip(outputs, recorded.values(), strict=True))
    assert loop_calls == [20]
    _, recorded = module.run(x, record="feedfwd.voltage")
    assert recorded["feedfwd.voltage"].shape == (20, B, 5)
    assert loop_calls == [20]


class Wired(RecurrentSerial):
    """A layer with a wiring of its own."""

    def wiring(self, inputs, forward_pass, **kwargs):
        return {name: current + 1 for name, current in super().wiring(inputs, forward_pass, **kwargs).items()}


class Own(LinearDense):
    """A connection with a step of its own."""

    def forward(self, *inputs, **kwargs):
        return super().forward(*inputs, **kwargs) + 1


def _own_connection():
    torch.manual_seed(4)
    return layer(lateral=Own(5, 5, 1.0, synapse=SYNAPSES["delta"], batch_size=B))


def _threshold_of_each():
    module = layer()
    module.feedfwd_neuron.thresh_v = torch.linspace(-52, -48, 5)
    return module


def _own_reduction():
    module = layer()
    module.feedback_neuron._batch_reduction = lambda values, dim: values.amax(dim)
    return module


def _hooked(part):
    module = layer()
    seen = []
    getattr(module, part).register_forward_hook(lambda *call: seen.append(call))
    module.seen = seen
    return module


STEPPED = {
    "wiring": lambda: layer(cls=Wired),
    "connection": _own_connection,
    "transform": lambda: layer(feedback_out_transform=lambda current: -current),
    "split": lambda: layer(lateral_in_transform=lambda fired: (fired,)),
    "parameter": _threshold_of_each,
    "reduction": _own_reduction,
    "convolution": lambda: RecurrentSerial(
        connection(arguments=(6, (5, 1, 1)), weight_init=lambda w: 6 * w),
        Conv2D(1, 1, 5, 5, 1.0, 1, synapse=SYNAPSES["delta"], batch_size=B),
        connection(arguments=((5, 1, 1), (5, 1, 1)), seed=3),
        NEURONS["LIF"]((5, 1, 1)),
        NEURONS["LIF"]((5, 1, 1)),
    ),
}


@pytest.mark.parametrize("case", STEPPED)
def test_what_is_stepped(case, loop_calls):
    torch.manual_seed(5)
    check(STEPPED[case](), spikes(15, 6), loop_calls, fused=False)


@pytest.mark.parametrize("part", ["feedfwd_neuron", "lateral_synapse", "feedback_connection"])
def test_hooks_see_every_step(part, loop_calls):
    module = _hooked(part)
    module.run(spikes(15, 6))
    assert len(module.seen) == 15 and loop_calls == []


@pytest.mark.parametrize("case", ["weight", "inputs", "state"])
def test_gradients_are_stepped(case, loop_calls):
    module, x = layer(), spikes(10, 6).float()
    if case == "weight":
        module.feedback_connection.weight_.requires_grad_()
    elif case == "inputs":
        x.requires_grad_()
    else:
        module(x[0].requires_grad_())
        x = x.detach()
    module.run(x)
    assert module.feedfwd_neuron.voltage.requires_grad
    assert loop_calls == []
    module.clear()
    with torch.no_grad():
        module.run(x)
    assert loop_calls == [10]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_modes_without_gradients(mode, loop_calls):
    module = layer(lateral=connection(delay=3.0, seed=2))
    module.feedfwd_connection.weight_.requires_grad_()
    with mode():
        check(module, spikes(10, 6), loop_calls)
    module.feedfwd_connection.weight_.requires_grad_(False)
    loop_calls.clear()
    check(module, spikes(10, 6), loop_calls)


def test_parts_that_share_a_synapse_are_stepped(loop_calls):
    module = layer()
    module.lateral_connection.synapse = module.feedback_synapse
    check(module, spikes(10, 6), loop_calls, fused=False)


def test_the_backend_torch_is_stepped(loop_calls):
    with inferno_cuda.backend("torch"):
        check(layer(), spikes(10, 6), loop_calls, fused=False)


def test_bad_inputs_change_nothing(loop_calls):
    module = layer()
    module.run(spikes(5, 6))
    before = states(module)
    for bad in (spikes(5, 7), torch.rand(5, B + 1, 6) < 0.5):
        with pytest.raises((ValueError, RuntimeError)):
            module.run(bad)
        assert_same_state(states(module), before)


@pytest.mark.cuda
@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("name", CONNECTIONS)
def test_on_a_gpu(name, delay, loop_calls):
    module = layer(lateral=connection(name, delay, seed=2), feedback=connection(name, delay, seed=3)).cuda()
    check(module, spikes(30, 6).cuda(), loop_calls)


@pytest.mark.parametrize("record", [(), ("feedfwd.spike",)], ids=str)
def test_under_autocast_a_layer_is_stepped(monkeypatch, record):
    once, each, chunked = layer(), layer(), layer()
    x, ran = spikes(12, 6), []
    monkeypatch.setattr(ops.Program, "run", lambda *_: ran.append(1))
    with torch.autocast("cpu", torch.bfloat16):
        wanted = stepped(each, x)
        found = [once.run(x, record=record), chunked.run(x, record=record, chunk=5)]
    for out in found:
        for group, by_hand in zip(out[0] if record else out, wanted, strict=True):
            assert torch.equal(group, by_hand) and group.any()
    assert not ran
    for module in (once, chunked):
        assert_same_state(states(module), states(each))


def test_delays_that_learn_are_brought_back_into_range(loop_calls):
    module = layer(feedback=connection(delay=3.0, seed=3))
    module.feedback_connection.delay_.requires_grad_()
    with torch.no_grad():
        module.feedback_connection.delay_.data.add_(2.5)
        check(module, spikes(20, 6), loop_calls)
    assert module.feedback_connection.delay_.max() == 3.0
