"""Steps that can be captured in CUDA graphs: everything static is written in place, ring pointers among it."""

import pytest
import torch
from citizen_cases import CELL, INPUTS, OUTPUTS, PREVIOUS, dense, lif, loss_of, spikes

from inferno_cuda import ops
from inferno_cuda.neural import Serial
from inferno_cuda.surrogate import ATan
from inferno_cuda.testing import assert_identical

GRID = {"dt": 1.0, "slots": 4, "max_delay": 3.0, "mode": "linear"}
BATCH, STEPS = 2, 12


class Trained:
    """A layer of ops with delays, of which a step, its loss and its gradients use static memory alone."""

    def __init__(self, device):
        self.x = torch.zeros(BATCH, INPUTS, device=device)
        self.data, self.pointer = torch.zeros(4, BATCH, INPUTS, device=device), torch.tensor(0, device=device)
        self.voltage = torch.full((BATCH, OUTPUTS), -65.0, device=device)
        self.refrac = torch.zeros(BATCH, OUTPUTS, device=device)
        generator = torch.Generator().manual_seed(1)
        weight, delay = (torch.rand(OUTPUTS, INPUTS, generator=generator) for _ in range(2))
        self.weight = (150 * weight).to(device).requires_grad_()
        self.delay = (2.9 * delay).to(device).requires_grad_()
        self.loss = None

    def state(self):
        return [self.data, self.pointer, self.voltage, self.refrac]

    def step(self):
        ops.history_push_(self.data, self.pointer, self.x)
        plan = ops.delay_plan(self.delay, **GRID)
        # of a copy, since what the graph keeps must not be what the next step writes
        current = ops.delayed_dense(self.data.clone(), self.pointer, self.weight, plan)
        run = ops.neuron_run("lif", self.voltage.clone(), self.refrac.clone(), current.unsqueeze(0),
                             surrogate=ATan(0.2), **CELL)  # fmt: skip
        self.loss = loss_of(run.spikes) + run.voltage.square().mean()
        self.loss.backward()
        with torch.no_grad():
            self.voltage.copy_(run.voltage)
            self.refrac.copy_(run.refrac)

    def results(self):
        return [t.detach().clone() for t in (self.loss, self.weight.grad, self.delay.grad, *self.state())]


def eager_results(device):
    trained, found = Trained(device), []
    for x in spikes(STEPS).to(device):
        trained.weight.grad = trained.delay.grad = None
        trained.x.copy_(x)
        trained.step()
        found.append(trained.results())
    return found


def test_the_step_that_is_captured(backend):
    """Eagerly: the numbers are those of layers, and the pointer moves."""
    found = eager_results("cpu")
    first, fourth, fifth = found[0], found[3], found[4]
    assert first[4] == 1 and fourth[4] == 0 and fifth[4] == 1
    assert all(results[1].any() and results[2].any() for results in found[1:])
    layer, wanted = Serial(dense(), lif()), Trained("cpu")
    with torch.no_grad():
        layer.connection.weight_.copy_(wanted.weight)
        layer.connection.delay_.copy_(wanted.delay)
        layer.connection.bias_.zero_()
    x = spikes(STEPS)
    for row, results in zip(x, found, strict=True):
        layer(row)
        torch.testing.assert_close(layer.neuron.voltage.detach(), results[5])
        assert_identical(layer.neuron.refrac.detach(), results[6])
    assert layer.neuron.refrac.any()


def warmed(function):
    """Runs a function on a side stream, as it has to be before it is captured."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(stream)


@pytest.mark.cuda
def test_a_training_step_is_replayed_with_a_moving_pointer():
    trained, expected = Trained("cuda"), eager_results("cuda")
    start = [tensor.clone() for tensor in trained.state()]
    warmed(trained.step)
    trained.weight.grad = trained.delay.grad = None
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        trained.step()
    for tensor, value in zip(trained.state(), start, strict=True):
        tensor.copy_(value)
    for x, wanted in zip(spikes(STEPS).cuda(), expected, strict=True):
        trained.x.copy_(x)
        graph.replay()
        for a, b in zip(trained.results(), wanted, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.cuda
@pytest.mark.parametrize("surrogate", [None, ATan(0.2)])
def test_an_inference_step_is_replayed_with_a_moving_pointer(surrogate):
    def layer():
        made = Serial(dense(synapse=PREVIOUS), lif(surrogate=surrogate)).cuda()
        return made.requires_grad_(False)

    captured, eager = layer(), layer()
    x = spikes(1)[0].cuda()
    with torch.no_grad():
        captured.connection.delay = torch.linspace(0, 3, OUTPUTS * INPUTS).view(OUTPUTS, INPUTS).cuda()
        eager.connection.delay = captured.connection.delay
        warmed(lambda: captured(x))
        captured.clear()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = captured(x)
        captured.clear()
        fired = 0
        for k, row in enumerate(spikes(3 * STEPS).cuda()):
            x.copy_(row)
            graph.replay()
            assert_identical(out, eager(row), str(k))
            fired += int(out.sum())
        assert fired
        for a, b in zip(captured.buffers(), eager.buffers(), strict=True):
            assert a.shape == b.shape
        assert captured.connection.synapse.spike_.pointer == (3 * STEPS) % 4


@pytest.mark.cuda
def test_a_whole_sequence_is_replayed():
    cells, eager = lif(surrogate=None).cuda(), lif(surrogate=None).cuda()
    x = torch.rand(20, BATCH, OUTPUTS, device="cuda") * 600
    with torch.no_grad():
        warmed(lambda: cells.run(x))
        cells.clear()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = cells.run(x)
        cells.clear()
        for seed in range(3):
            x.copy_(torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) * 600)
            graph.replay()
            assert_identical(out, eager.run(x))
    assert out.any()


@pytest.mark.cuda
def test_layers_refuse_to_be_trained_in_a_capture():
    layer, x = Serial(dense(synapse=PREVIOUS), lif()).cuda(), spikes(1)[0].cuda()
    with pytest.raises(RuntimeError, match="CUDA graph|captured"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        layer(x)
