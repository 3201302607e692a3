"""torch.func: functional_call, grad and vmap are right, or say what to do instead."""

import pytest
import torch
from citizen_cases import (
    CELL,
    EXPONENTIAL,
    PREVIOUS,
    assert_close,
    clear,
    currents,
    dense,
    lif,
    loss_of,
    network,
    spikes,
    train_step,
)
from torch.func import functional_call, grad, vmap

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.surrogate import ATan
from inferno_cuda.testing import assert_identical

GRID = {"dt": 1.0, "slots": 4, "max_delay": 3.0}


class Runner(torch.nn.Module):
    """A forward that is a whole sequence."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return inferno_cuda.run(self.module, x)


def test_functional_call(backend):
    """With tied weights torch leaves its arguments in the parts of layers, which have two names."""
    module, twin = Runner(network()), network()
    wanted = train_step(twin, spikes())
    with torch.no_grad():
        others = {name: p.detach().clone().requires_grad_() for name, p in module.named_parameters()
                  if p.requires_grad}  # fmt: skip
        for p in module.parameters():
            p.zero_()
    x = spikes().requires_grad_()
    loss = loss_of(functional_call(module, others, (x,), tie_weights=False))
    loss.backward()
    found = {name.removeprefix("module."): p.grad for name, p in others.items()}
    assert_close({"loss": loss.detach(), "input": x.grad, **found}, wanted, rtol=0, atol=0)
    assert all(not p.any() for p in module.parameters()) and all(p.grad is None for p in module.parameters())


def test_functional_call_with_parameters_of_neurons(backend):
    cells = lif()
    cells.time_constant = torch.nn.Parameter(torch.full((5,), 20.0))
    tau = torch.full((5,), 10.0, requires_grad=True)
    twin = lif(time_constant=10.0)
    out = functional_call(Runner(cells), {"module.time_constant": tau}, (currents(12),))
    torch.testing.assert_close(out, twin.run(currents(12)))
    loss_of(out).backward()
    assert tau.grad.all()


def test_grad_of_a_functional_call():
    module, twin = Runner(network()), network()
    wanted = train_step(twin, spikes())
    parameters = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    with pytest.raises(RuntimeError, match="torch.func"):
        grad(lambda p: loss_of(functional_call(module, p, (spikes(),), tie_weights=False)))(parameters)
    clear(module)
    assert_close(train_step(twin, spikes()), wanted, rtol=0, atol=0)


def run(model="lif", **options):
    def function(x, voltage, refrac):
        return ops.neuron_run(model, voltage, refrac, x, surrogate=ATan(0.2), **CELL, **options).spikes

    return function


STATE = torch.full((2, 5), -60.0), torch.zeros(2, 5)


def test_grad_of_neuron_run():
    x = currents()
    found = grad(lambda x: loss_of(run()(x, *STATE)))(x)
    x.requires_grad_()
    loss_of(run()(x, *STATE)).backward()
    torch.testing.assert_close(found, x.grad, rtol=1e-5, atol=1e-8)
    assert found.any()


@pytest.mark.parametrize("dims", [(0, None), (0, 0), (None, 0)])
def test_vmap_of_neuron_run(dims):
    x, start = currents(3, 4, 2, 5), torch.linspace(-64, -55, 30).view(3, 2, 5)
    x, start = (t if d == 0 else t[0] for t, d in zip((x, start), dims, strict=True))

    def loss(x, voltage):
        return loss_of(run()(x, voltage, STATE[1]))

    found = vmap(grad(loss, (0, 1)), dims)(x, start)
    for k in range(3):
        one = [(t[k] if d == 0 else t).clone().requires_grad_() for t, d in zip((x, start), dims, strict=True)]
        loss(*one).backward()
        for a, b in zip(found, one, strict=True):
            torch.testing.assert_close(a[k], b.grad, rtol=1e-5, atol=1e-8)
    assert found[0].any() and found[1].any()


def test_vmap_of_spikes_alone_and_of_a_step():
    x = currents(3, 4, 2, 5)
    whole = vmap(lambda x: ops.neuron_run("lif", *STATE, x, **CELL).spikes)(x)
    assert_identical(whole, torch.stack([ops.neuron_run("lif", *STATE, part, **CELL).spikes for part in x]))
    assert whole.dtype == torch.bool and whole.any()
    stepped = vmap(lambda x: ops.neuron_step("lif", *STATE, x, **CELL)[0])(x[0])
    assert_identical(stepped, torch.stack([ops.neuron_step("lif", *STATE, part, **CELL)[0] for part in x[0]]))


@pytest.mark.parametrize("model", ["delta", "exponential"])
def test_vmap_and_grad_of_synapse_run(model):
    newest, decay = ([torch.ones(2, 6)], [0.5]) if model == "exponential" else ([], [])

    def loss(x):
        return loss_of(ops.synapse_run(model, x, newest, gain=2.0, decay=decay)[0])

    x = torch.stack([spikes(seed=k) for k in range(3)])
    found = vmap(grad(loss))(x)
    for k in range(3):
        one = x[k].clone().requires_grad_()
        loss(one).backward()
        torch.testing.assert_close(found[k], one.grad)
    assert found.any()


def test_vmap_and_grad_of_delayed_runs():
    random = torch.Generator().manual_seed(2)
    series = torch.rand(3, 3 + 4, 2, 5, generator=random)
    weight, delay = torch.rand(4, 5, generator=random) + 0.5, 2.9 * torch.rand(4, 5, generator=random)

    def loss(series, weight):
        return loss_of(ops.delayed_dense_run(series, weight, delay, mode="linear", **GRID))

    found = vmap(grad(loss, (0, 1)), (0, None))(series, weight)
    for k in range(3):
        one = [series[k].clone().requires_grad_(), weight.clone().requires_grad_()]
        loss(*one).backward()
        for a, b in zip(found, one, strict=True):
            torch.testing.assert_close(a[k], b.grad)


def test_grad_with_respect_to_delays():
    """In float64: kernel and reference add in another order, and a sum may be far smaller than its terms."""
    random = torch.Generator().manual_seed(3)
    series, weight, delay = (
        torch.rand(shape, generator=random, dtype=torch.float64) for shape in ((3 + 4, 2, 5), (4, 5), (4, 5))
    )
    weight, delay = weight + 0.5, 2.9 * delay

    def loss(delay):
        return loss_of(ops.delayed_dense_run(series, weight, delay, mode="linear", **GRID))

    found = grad(loss)(delay)
    delay.requires_grad_()
    loss(delay).backward()
    torch.testing.assert_close(found, delay.grad)
    assert found.any()
    with pytest.raises(RuntimeError, match="delay"):
        vmap(loss)(torch.rand(3, 4, 5, dtype=torch.float64))


MODULES = {
    "lif": (lif, lambda: currents(3, 4, 2, 5)),
    "delays": (lambda: dense(synapse=PREVIOUS), lambda: torch.stack([spikes()] * 3)),
    "no delays": (lambda: dense(synapse=EXPONENTIAL, delay=None), lambda: torch.stack([spikes()] * 3)),
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("stepped", [False, True])
def test_modules_refuse_vmap(name, stepped):
    """A module has one state, not one for each of the mapped."""
    module, x = MODULES[name][0](), MODULES[name][1]()
    before = {key: value.clone() for key, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
    with pytest.raises(RuntimeError, match="torch.func"):
        vmap(lambda x: module(x[0]) if stepped else inferno_cuda.run(module, x))(x)
    for key, value in before.items():
        assert_identical(value, module.state_dict()[key])


def test_native_is_refused(native):
    with inferno_cuda.backend("native"), pytest.raises(RuntimeError, match="torch.func transforms run in torch"):
        vmap(lambda x: ops.neuron_run("lif", *STATE, x, **CELL).spikes)(currents(3, 4, 2, 5))
