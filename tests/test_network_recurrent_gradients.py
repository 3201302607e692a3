"""Gradients through whole sequences of recurrent layers: one op in each direction, with the gradients of steps."""

import copy
import gc
import itertools
import weakref

import pytest
import torch
from recurrent_cases import assert_near, backward, both, gradients, learning, nodes, options, stepped
from run_cases import NEURONS, B, spikes
from states import assert_same_state, seeded, states
from synapse_cases import KINDS
from test_network_recurrent_run import CONNECTIONS, SYNAPSES, connection

import inferno_cuda
from inferno_cuda import surrogate
from inferno_cuda.neural import LIF, Conv2D, DeltaCurrent, LinearDense, RecurrentSerial
from inferno_cuda.neural._coverage import Chunk
from inferno_cuda.neural.network import _loop_graph

STEADY = ("LIF", "GLIF1", "QIF", "EIF")


@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("synapse", KINDS)
@pytest.mark.parametrize("name", CONNECTIONS)
def test_every_connection_and_synapse(name, synapse, delay, loop_calls):
    outputs, found = both(learning(**options(synapse, delay, name)), spikes(20, 6), loop_calls)
    assert all(fired.any() for fired in outputs)
    # what comes back directly in the next step may find all of its neurons refractory
    learnt = [gradient for key, gradient in found.items() if name != "direct" or ".feedback." not in key]
    assert all((gradient != 0).any() for gradient in learnt)


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("first, second", list(itertools.pairwise([*NEURONS, "LIF"])))
def test_every_neuron(first, second, detach_reset, loop_calls):
    module = learning(first, second, detach_reset=detach_reset).eval()  # adaptations stand still
    outputs, _ = both(module, spikes(25, 6), loop_calls)
    assert all(fired.any() for fired in outputs)


@pytest.mark.parametrize("name", ["Sigmoid", "FastSigmoid", "Triangular", "Gaussian"])
def test_surrogates(name, loop_calls):
    both(learning(surrogate=getattr(surrogate, name)(0.3)), spikes(15, 6), loop_calls)


@pytest.mark.parametrize("lock", [True, False])
def test_refractory_neurons_that_integrate(lock, loop_calls):
    kwargs = {name: {"refrac_lock": lock} for name in ("feedfwd_neuron_kwargs", "feedback_neuron_kwargs")}
    both(learning(), spikes(20, 6), loop_calls, **kwargs)


@pytest.mark.parametrize("delay", [None, 3.0])
def test_float32(delay, loop_calls):
    both(learning(dtype=torch.float32, **options(delay=delay)), spikes(20, 6), loop_calls, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types(dtype, loop_calls):
    # steps round every gradient on the way to a half type, a run only the last ones
    both(learning(dtype=dtype, **options(delay=2.0)), spikes(6, 6), loop_calls, rtol=0.1)


@pytest.mark.parametrize("steps, batch", [(1, 2), (1, 1), (12, 1), (12, 7)])
def test_sizes(steps, batch, loop_calls):
    module = learning(**options(delay=2.0))
    for part in module._parts():
        part.batchsz = batch
    both(module, torch.rand(steps, batch, 6, generator=seeded(3)) < 0.5, loop_calls)


def test_no_steps(loop_calls):
    module = learning()
    assert module._advance(Chunk((spikes(0, 6).double(),), 0), {}, ()) is None
    assert module.feedback_spikes is None and loop_calls == []


def test_shapes_of_several_dimensions(loop_calls):
    neurons = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}
    module = learning(
        feedfwd=connection(arguments=((2, 3), (5, 1)), weight_init=lambda w: 6 * w),
        lateral=connection(arguments=((5, 1), (2, 2)), seed=2, delay=2.0),
        feedback=connection(arguments=((2, 2), (5, 1)), seed=3),
        feedfwd_neuron=LIF((5, 1), 1.0, batch_size=B, **neurons),
        feedback_neuron=LIF((2, 2), 1.0, batch_size=B, **neurons),
    )
    both(module, spikes(15, 2, 3), loop_calls)


@pytest.mark.parametrize("groups", [(0,), (1,)])
def test_gradients_of_one_group_alone(groups, loop_calls):
    both(learning(), spikes(15, 6), loop_calls, groups=groups)


@pytest.mark.parametrize("name", ["feedfwd", "lateral", "feedback"])
def test_one_connection_that_learns(name, loop_calls):
    module = learning()
    for key, parameter in module.named_parameters():
        parameter.requires_grad_(f".{name}.weight_" in key)
    both(module, spikes(15, 6), loop_calls, needed=False)


def test_gradients_of_the_inputs_alone(loop_calls):
    both(learning(**options(delay=3.0)).requires_grad_(False), spikes(15, 6), loop_calls)


@pytest.mark.parametrize("name", ["feedfwd", "lateral", "feedback"])
@pytest.mark.parametrize("synapse", ["exponential", "double exponential", "linear"])
def test_delays_that_learn(synapse, name, loop_calls, monkeypatch):
    monkeypatch.setitem(SYNAPSES, "linear", DeltaCurrent.partialconstructor(30.0, interp_mode="linear"))
    _, found = both(learning(**options(synapse, 3.0), delays=(name,)), spikes(15, 6), loop_calls)
    assert (found[f"connections_.{name}.delay_"] != 0).any()


def test_delays_brought_back_into_range(loop_calls):
    module = learning(**options("exponential", 3.0), delays=("feedback",))
    with torch.no_grad():
        module.feedback_connection.delay_.data.add_(2.5)
    both(module, spikes(15, 6), loop_calls)


def test_other_feedforward_connections(loop_calls):
    module = RecurrentSerial(
        Conv2D(2, 3, 1, 5, 1.0, (2, 3), weight_init=lambda w: 6 * w, synapse=SYNAPSES["exponential"], batch_size=B),
        connection(arguments=((5, 1, 1), 5), seed=2),
        connection(arguments=(5, (5, 1, 1)), seed=3),
        NEURONS["LIF"]((5, 1, 1)),
        NEURONS["LIF"](),
    )
    module = learning(**{name: getattr(module, f"{name}_connection") for name in ("feedfwd", "lateral", "feedback")},
                      feedfwd_neuron=module.feedfwd_neuron, feedback_neuron=module.feedback_neuron)  # fmt: skip
    both(module, spikes(15, 1, 2, 3), loop_calls)


def test_gradients_go_around_the_loop(monkeypatch):
    closed, opened = learning(), learning()
    x = spikes(20, 6).double()
    backward(closed.run(x))
    monkeypatch.setattr(_loop_graph, "around", lambda way, of_first, of_second: of_second)
    backward(opened.run(x))
    for part in ("feedfwd", "feedback", "lateral"):
        ours, others = (getattr(module, f"{part}_connection").weight_.grad for module in (closed, opened))
        assert (ours - others).abs().max() > 0.01 * ours.abs().max()


def test_the_graph_does_not_grow_with_the_steps(loop_calls):
    sizes = {nodes(learning(**options(delay=3.0)).run(spikes(steps, 6).double())) for steps in (10, 40)}
    assert len(sizes) == 1 and loop_calls == [10, 40]


# State that carries a graph on.


def end(module):
    """Some of every kind of state."""
    parts = (module.feedback_connection, module.lateral_connection)
    rings = [handle.value for part in parts for name, handle in vars(part.synapse).items()
             if name in ("current_", "pos_current_", "neg_current_") and hasattr(handle, "_held")]  # fmt: skip
    return [module.feedfwd_neuron.voltage, module.feedback_neuron.voltage, module.feedback_spikes, *rings]


@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("synapse", KINDS)
def test_gradients_of_the_state(synapse, delay, loop_calls):
    module = learning(**options(synapse, delay))
    twin, x = copy.deepcopy(module), spikes(15, 6).double()
    module.run(x)
    stepped(twin, x)
    for one in (module, twin):
        backward(end(one), range(9))
    for name, gradient in gradients(twin, x).items():
        found = gradients(module, x)[name]
        assert (found is None) == (gradient is None)
        if gradient is not None:
            assert_near(found, gradient, name)
    assert loop_calls == [15, -15]


@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("synapse", KINDS)
def test_gradients_over_chunks(synapse, delay, loop_calls):
    module = learning(**options(synapse, delay))
    twin, x = copy.deepcopy(module), spikes(21, 6).double()
    whole, parts = stepped(module, x), twin.run(x, chunk=8)
    assert loop_calls == [8, 8, 5]
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
    assert_same_state(states(module), states(twin))
    backward(whole)
    backward(parts)
    for name, gradient in gradients(module, x).items():
        if gradient is not None:
            assert_near(gradients(twin, x)[name], gradient, name)
    assert loop_calls == [8, 8, 5, -5, -8, -8]


@pytest.mark.parametrize("mode", ["steps before", "steps after", "cleared"])
def test_steps_beside_runs(mode, loop_calls):
    module = learning(**options("delta", 3.0))
    twin, x = copy.deepcopy(module), spikes(16, 6).double()

    def mixed(module):
        if mode == "steps before":
            return [*stepped(module, x[:5]), *module.run(x[5:])]
        first = module.run(x[:11])
        if mode == "cleared":
            module.clear()
        return [*first, *stepped(module, x[11:])]

    def by_hand(module):
        cut = 5 if mode == "steps before" else 11
        first = stepped(module, x[:cut])
        if mode == "cleared":
            module.clear()
        return [*first, *stepped(module, x[cut:])]

    made, wanted = mixed(module), by_hand(twin)
    assert all(torch.equal(a, b) for a, b in zip(made, wanted, strict=True))
    backward(made, range(4))
    backward(wanted, range(4))
    for name, gradient in gradients(twin, x).items():
        if gradient is not None:
            assert_near(gradients(module, x)[name], gradient, name)
    assert loop_calls == [11, -11]


def test_without_gradients_the_state_stays_usable(loop_calls):
    module = learning()
    module.run(spikes(5, 6).double())
    module.clear()
    with torch.no_grad():
        module.run(spikes(5, 6).double())
    assert not module.feedfwd_neuron.voltage.requires_grad and loop_calls == [5, 5]


# What is stepped.


def _without(group):
    module = learning()
    getattr(module, group).surrogate = None
    return module


def _threshold():
    module = learning()
    module.feedfwd_neuron.thresh_v = torch.nn.Parameter(torch.linspace(-52, -48, 5, dtype=torch.float64))
    return module


def _own_surrogate():
    return learning(surrogate=lambda distance: torch.sigmoid(distance))


def _inplace():
    own = LinearDense(5, 5, 1.0, synapse=DeltaCurrent.partialconstructor(30.0, inplace=True), batch_size=B)
    return learning(feedback=own)


def _transform():
    module = learning()
    module._feedback_out_transform = torch.neg
    return module


STEPPED = {
    "no surrogate of one group": lambda: _without("feedback_neuron"),
    "nor of the other": lambda: _without("feedfwd_neuron"),
    "adaptations that move": lambda: learning(second="ALIF"),
    "parameters that learn": _threshold,
    "a surrogate of the user": _own_surrogate,
    "a synapse that cuts graphs": _inplace,
    "a transform": _transform,
}


@pytest.mark.parametrize("case", STEPPED)
def test_what_is_stepped(case, loop_calls):
    torch.manual_seed(4)
    module, x = STEPPED[case](), spikes(8, 6).double().requires_grad_()
    twin, y = copy.deepcopy(module), x.detach().clone().requires_grad_()
    for one, outputs in ((module, module.run(x)), (twin, stepped(twin, y))):
        backward([out for out in outputs if out.requires_grad], range(2))
        assert one.feedfwd_neuron.voltage.requires_grad
    assert loop_calls == []
    for name, gradient in gradients(twin, y).items():
        found = gradients(module, x)[name]
        assert found is gradient is None or torch.equal(found, gradient), name


def test_hooks_see_every_step(loop_calls):
    module, seen = learning(), []
    module.lateral_connection.register_forward_hook(lambda *call: seen.append(call))
    backward(module.run(spikes(8, 6).double()))
    assert len(seen) == 8 and loop_calls == []


def test_against_the_backend_torch(loop_calls):
    module = learning(**options("double exponential", 3.0))
    twin, x = copy.deepcopy(module), spikes(12, 6).double()
    backward(module.run(x))
    with inferno_cuda.backend("torch"):
        backward(twin.run(x))
    assert loop_calls == [12, -12]
    for name, gradient in gradients(twin, x).items():
        if gradient is not None:
            assert_near(gradients(module, x)[name], gradient, name)


# What autograd promises.


def test_a_second_backward_pass_raises(loop_calls):
    outputs = learning().run(spikes(8, 6).double())
    loss = outputs[0].sum() + outputs[1].sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_outputs_may_be_written_to(loop_calls):
    module, x = learning(), spikes(8, 6).double()
    twin = copy.deepcopy(module)
    for one, outputs in ((module, module.run(x)), (twin, stepped(twin, x))):
        outputs[0].mul_(2.0)
        outputs[1].mul_(3.0)
        backward(outputs)
        assert set(one.feedback_spikes.unique().tolist()) <= {0.0, 1.0}
    for name in ("feedfwd", "lateral", "feedback"):
        found, wanted = (getattr(one, f"{name}_connection").weight_.grad for one in (module, twin))
        assert_near(found, wanted, name)


def test_second_derivatives_raise(loop_calls):
    x = spikes(8, 6).double().requires_grad_()
    outputs = learning().run(x)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(outputs[1].sum(), x, create_graph=True)


def test_weights_that_change_before_the_backward_pass_are_noticed(loop_calls):
    module = learning(**options("delta"))
    module.requires_grad_(False)
    x = spikes(8, 6).double().requires_grad_()
    outputs = module.run(x)
    module.feedback_connection.weight_.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs[1].sum().backward()


def test_bad_inputs_change_nothing(loop_calls):
    module = learning()
    module.run(spikes(5, 6).double())
    before = states(module)
    for bad in (spikes(5, 7), torch.rand(5, B + 1, 6) < 0.5):
        with pytest.raises((ValueError, RuntimeError)):
            module.run(bad)
        assert_same_state(states(module), before)


def test_spikes_are_recorded(loop_calls):
    outputs, recorded = learning().run(spikes(12, 6).double(), record=("feedfwd.spike", "feedback.spike"))
    assert loop_calls == [12]
    for out, trace in zip(outputs, recorded.values(), strict=True):
        assert trace.dtype == torch.bool and torch.equal(out != 0, trace)


def test_memory_is_given_back(loop_calls):
    gc.disable()
    try:
        module = learning()
        outputs = module.run(spikes(8, 6).double())
        refs = [weakref.ref(out.grad_fn) for out in outputs]
        del outputs
        module.clear()
        assert all(ref() is None for ref in refs)
    finally:
        gc.enable()


@pytest.mark.cuda
@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("name", CONNECTIONS)
def test_on_a_gpu(name, delay, loop_calls):
    module = learning(**options("double exponential", delay, name)).cuda()
    both(module, spikes(20, 6).cuda(), loop_calls, rtol=1e-10)
