"""Parameters that learn: optimizers that count no versions, and parameters that torch computes from others."""

import pytest
import torch
from connection_cases import EXPONENTIAL, make, spikes
from states import run

from inferno_cuda.neural import ALIF, DeltaCurrent
from inferno_cuda.testing import assert_identical

LINEAR = DeltaCurrent.partialconstructor(1.0, interp_mode="linear")
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
