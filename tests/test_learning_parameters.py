"""Parameters that learn: optimizers that count no versions, and parameters that torch computes from others."""

import pytest
import torch
from connection_cases import EXPONENTIAL, make, spikes
from states import run, seeded

from inferno_cuda.neural import ALIF, GLIF2, DeltaCurrent
from inferno_cuda.surrogate import ATan
from inferno_cuda.testing import assert_identical

LINEAR = DeltaCurrent.partialconstructor(1.0, interp_mode="linear")
CELL = {"rest_v": -60.0, "reset_v": -65.0, "thresh_eq_v": -52.0, "refrac_t": 2.0, "tc_membrane": 20.0}
OPTIMIZERS = {
    "Adam": lambda p: torch.optim.Adam(p, lr=0.3, fused=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.3, fused=True),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.3, fused=True),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.3, fused=True),
}


def twin_with(conn, synapse):
    """A new connection with the values of another."""
    twin = make("dense", synapse=synapse)
    twin.load_state_dict(conn.state_dict())
    twin.clear()
    return twin


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("synapse", [LINEAR, EXPONENTIAL])
@pytest.mark.parametrize("as_run", [False, True])
def test_fused_optimizers_move_delays(backend, optimizer, synapse, as_run):
    conn = make("dense", synapse=synapse, high=3.0)
    conn.delay_.requires_grad_()
    optimizer, x = OPTIMIZERS[optimizer]([conn.delay_]), spikes(conn)
    for _ in range(6):
        before = conn.delay_.detach().clone()
        conn.clear()
        out = conn._run_sequence(x) if as_run else run(conn, x)
        optimizer.zero_grad()
        out.square().sum().backward()
        optimizer.step()
        assert not torch.equal(conn.delay_, before)
    with torch.no_grad():
        conn.delay_.data[0, 0], conn.delay_.data[1, 1] = -2.0, 40.0  # counted by no version, as what they do
        conn.clear()
        found = conn._run_sequence(x) if as_run else run(conn, x)
        assert conn.delay_.min() == 0.0 and conn.delay_.max() == 4.0
        assert_identical(found, run(twin_with(conn, synapse), x))


def test_delays_frozen_after_a_fused_optimizer(backend):
    conn = make("dense", synapse=LINEAR, high=3.0)
    x = spikes(conn)
    run(conn, x)
    conn.delay_.requires_grad_()
    optimizer = OPTIMIZERS["SGD"]([conn.delay_])
    run(conn, x).square().sum().backward()
    optimizer.step()
    conn.delay_.requires_grad_(False)
    conn.clear()
    with torch.no_grad():
        assert_identical(run(conn, x), run(twin_with(conn, LINEAR), x))


ADAPTIVE = {
    "alif": lambda: ALIF(3, 1.0, **CELL, tc_adaptation=(10.0, 40.0), spike_increment=2.0),
    "glif2": lambda: GLIF2(
        3, 1.0, rest_v=-60.0, reset_v_add=5.0, reset_v_mul=0.3, thresh_eq_v=-52.0, refrac_t=2.0, tc_membrane=20.0,
        rc_adaptation=(0.1, 0.02), spike_increment=2.0
    ),
}  # fmt: skip
SOURCE = {"alif": "tc_adaptation", "glif2": "rc_adaptation"}


class Runner(torch.nn.Module):
    """A forward that is a run or single steps."""

    def __init__(self, module, as_run):
        super().__init__()
        self.module, self.step = module, module.run if as_run else lambda x: run(module, x)

    def forward(self, x):
        return self.step(x)


def strong(steps=16):
    return 400.0 * torch.rand(steps, 1, 3, generator=seeded(4))


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("as_run", [False, True])
@pytest.mark.parametrize("parameter", [False, True])
def test_constants_of_a_functional_call_have_gradients(backend, name, as_run, parameter):
    neurons, twin = ADAPTIVE[name](), ADAPTIVE[name]()
    given = getattr(neurons, SOURCE[name]).clone().requires_grad_()
    if parameter:
        setattr(neurons, SOURCE[name], torch.nn.Parameter(torch.ones(2)))
    setattr(twin, SOURCE[name], torch.nn.Parameter(given.detach().clone()))
    for cells in (neurons, twin):
        cells.surrogate = ATan(0.2)
    arguments = {f"module.{SOURCE[name]}": given * 1.0}
    out = torch.func.functional_call(Runner(neurons, as_run), arguments, (strong(),))
    out.square().sum().backward()
    twin.run(strong()).square().sum().backward()
    assert given.grad.all()
    torch.testing.assert_close(given.grad, getattr(twin, SOURCE[name]).grad)


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("freeze", [False, True])
def test_constants_follow_fused_optimizers(backend, name, freeze):
    neurons = ADAPTIVE[name]()
    constants = torch.nn.Parameter(getattr(neurons, SOURCE[name]).clone())
    setattr(neurons, SOURCE[name], constants)
    with torch.no_grad():
        neurons.run(strong())
    before = neurons.threshold_adaptation.clone()
    constants.grad = -torch.ones(2)
    torch.optim.SGD([constants], lr=3.0, fused=True).step()
    constants.requires_grad_(not freeze)
    neurons.clear(keep_adaptations=False)
    twin = ADAPTIVE[name]()
    setattr(twin, SOURCE[name], constants.detach().clone())
    with torch.no_grad():
        assert_identical(neurons.run(strong()), twin.run(strong()))
    assert_identical(neurons.threshold_adaptation, twin.threshold_adaptation)
    assert not torch.equal(neurons.threshold_adaptation, before)
