"""Delays that learn: which synapses allow it, how delays stay in range, rounding, and a task that needs them."""

import pytest
import torch
from connection_cases import CONNECTIONS, make, spikes
from states import assert_same_state, run, seeded, states

from inferno_cuda.neural import DeltaCurrent, DeltaPlusCurrent, LinearDense, SingleExponentialCurrent
from inferno_cuda.testing import assert_identical

LINEAR = DeltaCurrent.partialconstructor(1.0, interp_mode="linear")


@pytest.mark.parametrize("synapse", [DeltaCurrent, DeltaPlusCurrent])
@pytest.mark.parametrize("mode", ["previous", "nearest"])
def test_interpolations_without_a_gradient_say_so(backend, synapse, mode):
    conn = make("dense", synapse=synapse.partialconstructor(1.0, interp_mode=mode))
    conn.delay.requires_grad_()
    before, x = states(conn), spikes(conn)
    for call in (lambda: conn(x[0]), lambda: conn._run_sequence(x)):
        with pytest.raises(RuntimeError, match=f"{synapse.__name__} with its interpolation '{mode}' has none"):
            call()
    assert_same_state(states(conn), before)
    with torch.no_grad():
        assert conn(x[0]).shape == conn.batched_outshape


@pytest.mark.parametrize("synapse", [DeltaCurrent, DeltaPlusCurrent])
def test_linear_interpolation_of_spikes(backend, synapse):
    neurons = synapse(2, 1.0, spike_charge=4.0, interp_mode="LINEAR", delay=3.0)
    for spike in ([[1, 0]], [[0, 1]], [[0, 0]]):
        neurons(torch.tensor(spike).bool())
    at = torch.tensor([[[0.0, 0.25, 1.5, 2.0, 9.0], [0.0, 0.25, 1.5, 2.0, 9.0]]])
    assert_identical(neurons.current_at(at), torch.tensor([[[0.0, 0.0, 2.0, 4.0, 0.0], [0.0, 1.0, 2.0, 0.0, 0.0]]]))
    assert neurons.spike_at(at).tolist() == [[[False, False, True, True, False], [False, True, False, False, False]]]


@pytest.mark.parametrize("name", CONNECTIONS)
def test_linear_connections_sum_what_is_looked_up(backend, name):
    conn = make(name, synapse=LINEAR, bias=False, dtype=torch.float64)
    out = run(conn, spikes(conn))[-1]
    receptive = conn.presyn_receptive(conn.syncurrent)
    weight = conn.weight.view(1, *conn.weight.shape, *(1,) * (receptive.ndim - conn.weight.ndim - 1))
    summed = (receptive * weight).flatten(2, -2).sum(2) if conn.weight.ndim > 1 else (receptive * weight).squeeze(-1)
    torch.testing.assert_close(out.flatten(1), summed.flatten(1))


@pytest.mark.parametrize("synapse", [LINEAR, SingleExponentialCurrent.partialconstructor(1.0, 4.0)])
@pytest.mark.parametrize("as_run", [False, True])
def test_delays_that_learn_are_brought_back_into_range(backend, synapse, as_run):
    conn = make("dense", synapse=synapse, high=3.0)
    conn.delay.requires_grad_()
    x = spikes(conn)
    with torch.no_grad():
        conn.delay[0, 0], conn.delay[1, 1] = -3.0, 40.0
    inner = conn.delay[2].clone()
    conn._run_sequence(x) if as_run else conn(x[0])
    assert conn.delay[0, 0] == 0.0 and conn.delay[1, 1] == 4.0
    assert_identical(conn.delay[2], inner)


def test_delays_that_do_not_learn_stay_silent_out_of_range(backend):
    conn = make("dense", synapse=LINEAR)
    conn.delay = torch.full_like(conn.delay, 9.0)
    x = spikes(conn)
    assert_identical(conn._run_sequence(x), conn.bias.detach().view(conn.outshape).expand(10, 2, *conn.outshape))
    assert bool((conn.delay == 9.0).all())


def test_projection_does_not_disturb_a_graph_under_way(backend):
    conn = make("dense", synapse=LINEAR, high=3.0)
    conn.delay.requires_grad_()
    run(conn, spikes(conn)).sum().backward()
    assert conn.delay.grad.any()


def test_delays_from_elsewhere(backend):
    """A delay that is computed from other tensors passes its gradient on."""
    conn = make("dense", synapse=LINEAR, high=3.0)
    raw = torch.zeros_like(conn.delay, requires_grad=True)
    out = torch.func.functional_call(conn, {"delay_": 4.0 * torch.sigmoid(raw) + 0.3}, (spikes(conn)[0],))
    for x in spikes(conn)[1:]:
        out = out + torch.func.functional_call(conn, {"delay_": 4.0 * torch.sigmoid(raw) - 0.3}, (x,))
    out.sum().backward()
    assert raw.grad.any()


@pytest.mark.parametrize("name", CONNECTIONS)
def test_rounding_delays(backend, name):
    conn = make(name, delay=3.7, high=6.0)
    before = conn.delay.detach().clone()
    assert conn.round_delays_() is conn
    rounded = conn.delay.detach()
    inside = before <= 3.7
    assert_identical(rounded[inside], before[inside].round().clamp(max=3.0))
    assert_identical(rounded[~inside], before[~inside])
    assert inside.any() and (~inside).any()


def test_rounding_without_delays(backend):
    conn = make("dense", delay=None)
    assert conn.round_delays_() is conn and conn.delay is None


@pytest.mark.parametrize("step_by_step", [False, True])
def test_learned_delays_find_coincidences(native, step_by_step):
    """Two spikes a fixed lag apart, in one of two orders: delays alone make them meet at the output of their class."""
    torch.manual_seed(1)
    steps, samples, lag = 24, 64, 6
    label = torch.randint(0, 2, (samples,), generator=seeded(1))
    start = torch.randint(1, 6, (samples,), generator=seeded(2))
    x = torch.zeros(steps, samples, 2, dtype=torch.bool)
    sample = torch.arange(samples)
    x[start + lag * label, sample, 0] = True
    x[start + lag * (1 - label), sample, 1] = True
    synapse = SingleExponentialCurrent.partialconstructor(3.0, 3.0, current_overbound=None)

    def accuracy_of(learns):
        conn = LinearDense(2, 2, 1.0, synapse=synapse, delay=10.0, batch_size=samples, weight_init=torch.ones_like,
                           delay_init=lambda d: torch.tensor([[3.5, 2.5], [2.5, 3.5]]) if learns else d)  # fmt: skip
        conn.delay.requires_grad_(learns)
        optimizer = torch.optim.Adam([conn.delay_], lr=0.2)
        for _ in range(60 if learns else 1):
            conn.clear()
            out = run(conn, x) if step_by_step else conn._run_sequence(x)
            peak = out.square().sum(0)  # large where the currents coincide
            if learns:
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(peak, label).backward()
                optimizer.step()
        assert ((conn.delay >= 0) & (conn.delay <= 10.5)).all()
        return (peak.argmax(1) == label).double().mean()

    assert accuracy_of(learns=True) > 0.99
    assert accuracy_of(learns=False) < 0.7


def pushed_outside():
    """A connection whose delays an optimizer moved after the last step."""
    conn = make("dense", synapse=LINEAR, high=3.0)
    conn.delay.requires_grad_()
    conn._run_sequence(spikes(conn))
    with torch.no_grad():
        conn._parameters["delay_"].add_(torch.linspace(-9.0, 9.0, conn.weight.numel()).view_as(conn.weight))
    return conn


def in_range(delay, conn):
    return bool(((delay >= 0) & (delay <= conn.delayedby)).all())


def test_what_learned_delays_are_saved_as_is_in_range(backend):
    conn = pushed_outside()
    assert not in_range(conn._parameters["delay_"], conn)
    assert in_range(conn.state_dict()["delay_"], conn)


def test_delays_that_learned_are_in_range_when_they_are_frozen(backend):
    conn, twin = pushed_outside(), pushed_outside()
    conn.requires_grad_(False)
    x = spikes(conn)
    assert_identical(conn._run_sequence(x), twin._run_sequence(x).detach())
    assert in_range(conn._parameters["delay_"], conn)
    assert in_range(pushed_outside().delay, conn)
    assert in_range(pushed_outside().round_delays_()._parameters["delay_"], conn)


def test_delays_that_never_learned_may_stay_outside(backend):
    conn = make("dense", synapse=LINEAR, high=3.0)
    conn.delay = torch.full_like(conn.delay, 40.0)
    conn._run_sequence(spikes(conn))
    assert (conn.delay == 40.0).all() and (conn.state_dict()["delay_"] == 40.0).all()
