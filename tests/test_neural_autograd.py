"""Gradients through neurons, synapses and connections over several steps, against autograd of the plain formulas."""

import math

import pytest
import torch

from inferno_cuda.neural import LIF, DeltaCurrent, LinearDense, SingleExponentialCurrent

CELL = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 2.0, "time_constant": 20.0}
TAU, CHARGE = 4.0, 2.0


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rand(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, generator=seeded(seed), dtype=dtype)


def lif(shape=6, **changes):
    return LIF(shape, 1.0, **{**CELL, **changes}).double()


def exponential(shape=5, delay=3.0, **options):
    return SingleExponentialCurrent(shape, 1.0, spike_charge=CHARGE, time_constant=TAU, delay=delay, **options).double()


def dense(delay=3.0, synapse=SingleExponentialCurrent, **options):
    torch.manual_seed(0)
    args = (CHARGE,) if synapse is DeltaCurrent else (CHARGE, TAU)
    conn = LinearDense(5, 4, 1.0, synapse=synapse.partialconstructor(*args), bias=True, delay=delay, batch_size=2,
                       **options).double()  # fmt: skip
    if delay:
        conn.delay = rand(4, 5, seed=3) * (delay + 0.5)
    return conn


def plain_lif(inputs, lock):
    """Voltages of every step."""
    decay = math.exp(-1.0 / CELL["time_constant"])
    voltage, refrac = torch.full_like(inputs[0], CELL["rest_v"]), torch.zeros_like(inputs[0])
    voltages = []
    for x in inputs:
        refrac = (refrac - 1.0).clamp_min(0.0)
        free = refrac == 0
        drive = x * free
        relaxed = CELL["rest_v"] + (voltage - CELL["rest_v"] - drive) * decay + drive
        voltage = torch.where(free, relaxed, voltage) if lock else relaxed
        fired = free & (voltage >= CELL["thresh_v"])
        refrac = torch.where(fired, CELL["refrac_t"], refrac)
        voltage = torch.where(fired, CELL["reset_v"], voltage)
        voltages.append(voltage)
    return torch.stack(voltages)


def plain_currents(inputs):
    current, currents = torch.zeros_like(inputs[0]), []
    for x in inputs:
        current = current * math.exp(-1.0 / TAU) + CHARGE / TAU * x
        currents.append(current)
    return currents


def plain_past(currents, delay, longest):
    """Currents ``delay`` ms before the newest, ``(B, I, O)``; the delays are ``(O, I)``."""
    history = torch.stack([torch.zeros_like(currents[0])] * 8 + currents)
    age = delay.ceil()
    picked = history[(len(history) - 1 - age).long().t(), :, torch.arange(5)[:, None]]  # [I, O, B]
    decayed = picked * torch.exp(-(age - delay) / TAU).t()[..., None]
    return torch.where((delay <= longest).t()[..., None], decayed, 0.0).permute(2, 0, 1)


@pytest.mark.parametrize("lock", [True, False])
def test_lif_inputs(backend, lock):
    inputs = (rand(25, 2, 6) * 60).requires_grad_()
    neuron, voltages, spikes = lif(batch_size=2), [], 0
    for x in inputs:
        spikes += int(neuron(x, refrac_lock=lock).sum())
        voltages.append(neuron.voltage)
    expected = plain_lif(inputs, lock)
    torch.testing.assert_close(torch.stack(voltages), expected)
    cost = rand(25, 2, 6, seed=1)
    (actual,) = torch.autograd.grad((torch.stack(voltages) * cost).sum(), inputs)
    (wanted,) = torch.autograd.grad((expected * cost).sum(), inputs)
    torch.testing.assert_close(actual, wanted)
    assert spikes > 10 and actual.abs().sum() > 0


def test_lif_initial_voltage(backend):
    start = torch.full((1, 6), -58.0, dtype=torch.float64, requires_grad=True)
    neuron = lif()
    neuron.voltage = start
    for _ in range(3):
        neuron(torch.zeros(1, 6).double())
    neuron.voltage.sum().backward()
    torch.testing.assert_close(start.grad, torch.full_like(start, math.exp(-3.0 / 20.0)))
    assert torch.equal(start, torch.full_like(start, -58.0))


def test_lif_without_gradients_is_detached_and_equal(backend):
    inputs = (rand(12, 1, 6) * 60).requires_grad_()
    graph, free = lif(), lif()
    for x in inputs[:6]:
        graph(x)
        free(x.detach())
    with torch.no_grad():
        spikes = [(graph(x), free(x)) for x in inputs[6:]]
    assert all(torch.equal(a, b) for a, b in spikes)
    assert torch.equal(graph.voltage, free.voltage) and not graph.voltage.requires_grad


def test_lif_clear_cuts_the_graph(backend):
    neuron = lif()
    x = rand(1, 6).requires_grad_()
    neuron(x)
    kept = neuron.voltage
    neuron.clear()
    neuron(x.detach())
    assert not neuron.voltage.requires_grad and not neuron.spike.any()
    kept.sum().backward()
    assert (x.grad > 0).all()


def test_a_neuron_s_step_does_not_spoil_a_graph_that_uses_its_state(backend):
    neuron, gain = lif(), torch.ones(6, dtype=torch.float64, requires_grad=True)
    neuron(rand(1, 6) * 20)
    loss = (gain * neuron.voltage).sum()
    before = neuron.voltage.clone()
    neuron(rand(1, 6) * 20)
    loss.backward()
    assert torch.equal(gain.grad, before[0])


@pytest.mark.parametrize("delay", [0.0, 3.0])
def test_synapse_inputs(backend, delay):
    inputs = rand(9, 2, 5).requires_grad_()
    synapse = exponential(delay=delay, batch_size=2)
    at = rand(4, 5, seed=2) * (delay + 0.5)
    total = wanted = 0.0
    for t, x in enumerate(inputs):
        current = synapse(x)
        newest = plain_currents(inputs[: t + 1])
        torch.testing.assert_close(current, newest[-1])
        assert torch.equal(current, synapse.current)
        cost = rand(2, 5, 4, seed=t)
        if delay:
            total = total + (synapse.current_at(at.t().expand(2, 5, 4)) * cost).sum()
            wanted = wanted + (plain_past(newest, at, delay) * cost).sum()
        total = total + (current * cost[..., 0]).sum() + (synapse.current * cost[..., 1]).sum()
        wanted = wanted + (newest[-1] * (cost[..., 0] + cost[..., 1])).sum()
    torch.testing.assert_close(*(torch.autograd.grad(y, inputs)[0] for y in (total, wanted)))


def test_forced_writes_in_place_cut_the_graph(backend):
    inputs = rand(4, 1, 5).requires_grad_()
    cut, free = exponential(inplace=True), exponential()
    for x in inputs:
        a, b = cut(x), free(x)
        assert torch.equal(a, b) and b.requires_grad and not a.requires_grad
    assert not cut.current.requires_grad and free.current.requires_grad


def test_synapse_clear_cuts_the_graph(backend):
    synapse = exponential()
    synapse(rand(1, 5).requires_grad_())
    synapse.clear()
    assert not synapse(rand(1, 5)).requires_grad and not synapse.current_.value.requires_grad


@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize("through_inputs", [True, False])
def test_dense_parameters_and_inputs(backend, delay, through_inputs):
    conn = dense(delay)
    conn.weight.requires_grad_()
    conn.bias.requires_grad_()
    inputs = rand(12, 2, 5).requires_grad_(through_inputs)
    total = wanted = 0.0
    for t, x in enumerate(inputs):
        y = conn(x)
        newest = plain_currents(inputs[: t + 1])
        if delay:
            past = plain_past(newest, conn.delay_.detach(), delay)
            plain = torch.einsum("bio,oi->bo", past, conn.weight_) + conn.bias_
        else:
            plain = newest[-1] @ conn.weight_.t() + conn.bias_
        torch.testing.assert_close(y, plain)
        cost = rand(2, 4, seed=t)
        total, wanted = total + (y * cost).sum(), wanted + (plain * cost).sum()
    leaves = [conn.weight_, conn.bias_] + [inputs] * through_inputs
    for actual, expected in zip(torch.autograd.grad(total, leaves), torch.autograd.grad(wanted, leaves), strict=True):
        torch.testing.assert_close(actual, expected)
        assert actual.abs().sum() > 0


def test_dense_weights_over_recorded_spikes(backend):
    conn = dense(synapse=DeltaCurrent)
    conn.weight.requires_grad_()
    total, wanted = 0.0, torch.zeros(4, 5, dtype=torch.float64)
    for x in torch.rand(12, 2, 5, generator=seeded()) < 0.4:
        total = total + conn(x).sum()
        wanted += conn.synapse.current_at(conn.selector).sum(0).t()
    total.backward()
    torch.testing.assert_close(conn.weight.grad, wanted)


def test_dense_does_not_copy_its_history_without_a_graph(backend):
    conn = dense()
    conn.weight.requires_grad_()
    conn(rand(2, 5))
    with torch.no_grad():
        conn(rand(2, 5))
        address = conn.synapse.current_.value.data_ptr()
        conn(rand(2, 5))
    assert conn.synapse.current_.value.data_ptr() == address


def test_whole_network(backend):
    conn, neuron = dense(), lif(4, batch_size=2, refrac_t=0.0)
    conn.weight.requires_grad_()
    inputs = rand(10, 2, 5).requires_grad_()
    for x in inputs:
        neuron(conn(x))
    weight, data = torch.autograd.grad(neuron.voltage.sum(), [conn.weight_, inputs])
    step = 1e-6

    def voltage(shift):
        with torch.no_grad():
            other, cells = dense(), lif(4, batch_size=2, refrac_t=0.0)
            other.weight_[1, 2] += shift
            for x in inputs:
                cells(other(x))
            return cells.voltage.sum().item()

    slope = (voltage(step) - voltage(-step)) / (2 * step)
    assert weight[1, 2].item() == pytest.approx(slope, rel=1e-5) and data.abs().sum() > 0


@pytest.mark.parametrize("mode", ["grad", "no_grad"])
def test_delays_with_gradients(backend, mode):
    conn = dense()
    conn.delay.requires_grad_()
    with torch.set_grad_enabled(mode == "grad"):
        conn(rand(2, 5))
        out = conn(rand(2, 5))
    plain = _clamped(dense())
    plain(rand(2, 5))
    assert torch.equal(out, plain(rand(2, 5)))
    if mode == "grad":
        out.sum().backward()
        assert conn.delay.grad.any()
    else:
        assert not out.requires_grad


def _clamped(conn):
    conn.delay = conn.delay.clamp(max=conn.delayedby)
    return conn


def test_selectors_with_gradients(backend):
    synapse = exponential(1)
    synapse(torch.ones(1, 1))
    synapse(torch.zeros(1, 1))
    at = torch.tensor([[0.25]], dtype=torch.float64, requires_grad=True)
    synapse.current_at(at).sum().backward()
    # the older sample, decayed for dt - at: its slope is the value over the time constant
    torch.testing.assert_close(at.grad, synapse.current_at(at.detach()) / TAU)


def test_updates_between_steps_and_backward(backend):
    conn = dense(None)
    conn.weight.requires_grad_()
    y = conn(rand(2, 5)).sum()
    conn.weight = conn.weight.detach() + 1.0
    assert conn.weight.requires_grad and conn.weight.is_leaf
    y.backward()
    torch.testing.assert_close(conn.weight.grad, conn.synapse.current.sum(0).expand(4, 5))
