"""When the state of neurons with a surrogate is part of an autograd graph, and when it leaves it."""

import pytest
import torch
from surrogate_cases import EVERY, drive, neurons, stepped
from test_neural_neurons import ADAPTIVE, make
from torch import nn

import inferno_cuda
import inferno_cuda.neural as ours
from inferno_cuda.surrogate import ATan


@pytest.fixture(params=EVERY)
def name(request):
    return request.param


def cut_by_clear(cells):
    cells.clear()


def cut_by_detach(cells):
    assert cells.detach_() is cells


@pytest.mark.parametrize("cut", [cut_by_clear, cut_by_detach])
def test_the_state_leaves_the_graph(backend, name, cut):
    cells, x = neurons(name), drive(12).requires_grad_()
    stepped(cells, x[:6])[0].sum().backward()
    assert cells.voltage.requires_grad
    before = cells.voltage.detach().clone()
    cut(cells)
    assert not any(buffer.requires_grad for buffer in cells.buffers())
    assert (cut is cut_by_clear) or torch.equal(cells.voltage, before)
    x.grad = None
    stepped(cells, x[6:])[0].sum().backward()
    assert not x.grad[:6].any() and x.grad[6:].any()


def test_without_a_cut_the_graph_goes_on(backend, name):
    cells, x = neurons(name), drive(12).requires_grad_()
    stepped(cells, x[:6])
    last, _ = stepped(cells, x[6:])
    last.sum().backward()
    assert x.grad[:6].any()


def test_detach_does_not_disturb_a_backward_pass_to_come(backend, name):
    """Steps overwrite the state again after it; what the graph needs must not be among that."""
    cells, x = neurons(name), drive(12).requires_grad_()
    spikes, _ = stepped(cells, x[:6])
    cells.detach_()
    with torch.no_grad():
        stepped(cells, x[6:])
    spikes.sum().backward()
    again, y = neurons(name), drive(12).requires_grad_()
    stepped(again, y[:6])[0].sum().backward()
    assert torch.equal(x.grad, y.grad)


@pytest.mark.parametrize("cut", [cut_by_clear, cut_by_detach])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_adaptations_that_stood_still_are_needed_by_the_graph_too(backend, name, cut):
    cells, x = neurons(name).eval(), drive(12).requires_grad_()
    spikes, _ = stepped(cells, x[:6])
    cut(cells)
    with torch.no_grad():
        stepped(cells.train(), x[6:])
    spikes.sum().backward()
    assert x.grad[:6].any()


def test_detach_reaches_the_parts_of_a_module():
    class Model(inferno_cuda.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList([neurons("LIF"), neurons("AdEx")])

    model = Model()
    for cells in model.parts:
        cells(drive(1)[0].requires_grad_())
    assert all(cells.voltage.requires_grad for cells in model.parts)
    model.detach_()
    assert not any(cells.voltage.requires_grad for cells in model.parts)


def test_gradients_pass_through_layers_with_delays(backend):
    """To the weights of the first, until the layers leave their graphs: neurons, synapses and histories."""
    torch.manual_seed(0)
    synapse = ours.SingleExponentialCurrent.partialconstructor(spike_charge=300.0, time_constant=5.0)
    layers = []
    for inputs, outputs in ((6, 5), (5, 4)):
        connection = ours.LinearDense(
            inputs, outputs, 1.0, synapse=synapse, batch_size=2, delay=3.0, weight_init=nn.init.uniform_,
            delay_init=lambda d: torch.rand_like(d) * 3,
        )  # fmt: skip
        connection.weight_.requires_grad_()
        layers.append(ours.Serial(connection, make("LIF", shape=outputs, batch_size=2, surrogate=ATan(0.1))))
    first = layers[0].connection.weight_
    x = torch.rand(24, 2, 6) < 0.4
    for part in x.split(12):
        spikes = torch.stack([layers[1](layers[0](now)) for now in part])
        assert spikes.any()
        first.grad = None
        spikes.sum().backward()  # reaches no earlier part
        assert first.grad.isfinite().all() and first.grad.any()
        for layer in layers:
            layer.detach_()
            assert not any(buffer.requires_grad for buffer in layer.buffers())


def test_detach_leaves_a_starting_voltage_that_learns():
    cells = neurons("LIF")
    start = torch.full((2, 4, 5), -58.0, dtype=torch.float64, requires_grad=True)
    cells.voltage = start
    cells.detach_()
    assert start.requires_grad and not cells.voltage.requires_grad
    assert torch.equal(cells.voltage, start)


def test_parameters_stay_learnable_after_clear(backend):
    """And the resting potential, from which clear() takes the voltage, gets no gradient from that."""
    cells = neurons("LIF")
    cells.rest_v = nn.Parameter(torch.tensor(-60.0).double())
    cells.clear()
    assert not cells.voltage.requires_grad and torch.equal(cells.voltage, torch.full((2, 4, 5), -60.0).double())
    cells(drive(1)[0]).sum().backward()
    assert cells.rest_v.grad.isfinite()
