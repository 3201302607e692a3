"""Connections over whole sequences: what stepping them gives, state and gradients included."""

import pytest
import torch
from connection_cases import CONNECTIONS, DELTA, EXPONENTIAL, Difference, Plain, make, spikes
from states import assert_same_state, run, states

from inferno_cuda.neural import DeltaCurrent, DeltaPlusCurrent, DoubleExponentialCurrent, LinearDense
from inferno_cuda.testing import assert_identical

SYNAPSES = {
    "delta": DELTA,
    "delta linear": DeltaCurrent.partialconstructor(2.0, interp_mode="linear"),
    "delta plus": DeltaPlusCurrent.partialconstructor(2.0, interp_mode="linear"),
    "exponential": EXPONENTIAL,
    "double": DoubleExponentialCurrent.partialconstructor(2.0, 4.0, 1.5),
    "clamped": DoubleExponentialCurrent.partialconstructor(2.0, 4.0, 1.5, current_overbound=None),
}
LEARNING = [name for name in SYNAPSES if name != "delta"]


@pytest.mark.parametrize("name", CONNECTIONS)
@pytest.mark.parametrize("synapse", SYNAPSES)
def test_delayed_sequences_equal_steps(backend, name, synapse):
    stepped, whole = (make(name, synapse=SYNAPSES[synapse]) for _ in range(2))
    for seed in (0, 1):  # the second one with a past
        x = spikes(stepped, 7, seed=seed)
        assert_identical(whole._run_sequence(x), run(stepped, x))
        assert_same_state(states(whole), states(stepped))


@pytest.mark.parametrize("name", CONNECTIONS)
@pytest.mark.parametrize("delay", [None, 0.0])
def test_sequences_without_delays_are_close_to_steps(backend, name, delay):
    stepped, whole = (make(name, delay=delay, high=0.0) for _ in range(2))
    x = spikes(stepped)
    torch.testing.assert_close(whole._run_sequence(x), run(stepped, x), rtol=1e-5, atol=1e-5)
    assert_same_state(states(whole), states(stepped))


def test_injected_currents(backend):
    stepped, whole = (make("conv", synapse=SYNAPSES["delta plus"]) for _ in range(2))
    x = spikes(stepped)
    currents = torch.rand(10, *stepped.inshape), torch.rand(10, 2, 1, 1, 1), torch.rand(10)
    out = whole._run_sequence(x, 0.5, *currents)
    assert_identical(out, torch.stack([stepped(s, 0.5, *now) for s, *now in zip(x, *currents, strict=True)]))


def gradients(conn, outputs):
    leaves = [conn.weight_, conn.bias_, conn.delay_]
    return torch.autograd.grad((outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum(), leaves)


@pytest.mark.parametrize("name", CONNECTIONS)
@pytest.mark.parametrize("synapse", LEARNING)
def test_gradients_of_sequences_are_those_of_steps(backend, name, synapse):
    grads = []
    for step_by_step in (True, False):
        conn = make(name, synapse=SYNAPSES[synapse], high=3.9, dtype=torch.float64).requires_grad_()
        conn(spikes(conn, 1, seed=3)[0])
        x = spikes(conn)
        grads.append(gradients(conn, run(conn, x) if step_by_step else conn._run_sequence(x)))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
        assert a.any()


def test_gradients_reach_the_input(backend):
    grads = []
    for step_by_step in (True, False):
        conn = make("dense", high=3.9, dtype=torch.float64)
        x = spikes(conn).double().requires_grad_()
        out = run(conn, x) if step_by_step else conn._run_sequence(x)
        grads.append(torch.autograd.grad(out.square().sum(), x)[0])
    torch.testing.assert_close(*grads, rtol=1e-9, atol=1e-9)


def test_chunks_equal_one_run(backend):
    whole, chunked = (make("dense", synapse=SYNAPSES["double"]) for _ in range(2))
    x = spikes(whole, 12)
    parts = [chunked._run_sequence(part) for part in (x[:5], x[5:6], x[6:6], x[6:])]
    assert_identical(torch.cat(parts), whole._run_sequence(x))


class Doubled(LinearDense):
    def forward(self, *inputs, **kwargs):
        return 2 * super().forward(*inputs, **kwargs)


def test_what_only_steps_can_do_is_left_to_them(backend):
    hooked = make("dense")
    hooked.register_forward_hook(lambda *_: None)
    watched = make("dense")
    watched.synapse.register_forward_hook(lambda *_: None)
    torch.manual_seed(0)
    own = Doubled(6, 3, 1.0, synapse=EXPONENTIAL, delay=4.0, batch_size=2)
    parts = make("dense", synapse=Plain.partialconstructor(2.0, 4.0))
    other = make("dense", synapse=Difference.partialconstructor(2.0, 4.0))
    for conn in (hooked, watched, own, parts, other):
        before = states(conn)
        assert conn._run_sequence(spikes(conn)) is None
        assert_same_state(states(conn), before)


@pytest.mark.parametrize("delay", [None, 4.0])
def test_bad_input_leaves_the_state_alone(backend, delay):
    conn = make("dense", delay=delay)
    conn._run_sequence(spikes(conn))
    before = states(conn.synapse)
    for x, error in ((torch.zeros(5, 2, 7), ValueError), (torch.zeros(5, 3, 6), ValueError), (1.0, TypeError)):
        with pytest.raises(error):
            conn._run_sequence(x)
    conn.weight_.data = conn.weight_.data.double()
    with pytest.raises(TypeError, match="they must agree"):
        conn._run_sequence(spikes(conn))
    assert_same_state(states(conn.synapse), before)
