"""Parameters that learn: optimizers that count no versions, and parameters that torch computes from others."""

import pytest
import torch
import torch.nn.utils.parametrize
import torch.nn.utils.prune
from connection_cases import CONNECTIONS, EXPONENTIAL, Difference, Plain, make, spikes
from states import run, seeded

import inferno_cuda
from inferno_cuda.neural import ALIF, GLIF2, DeltaCurrent
from inferno_cuda.surrogate import ATan
from inferno_cuda.testing import assert_identical

LINEAR = DeltaCurrent.partialconstructor(1.0, interp_mode="linear")
CELL = {"rest_v": -60.0, "reset_v": -65.0, "thresh_eq_v": -52.0, "refrac_t": 2.0, "tc_membrane": 20.0}
PARTS = (Plain, Difference)  # looked up in parts, and with one that is subtracted
OPTIMIZERS = {
    "Adam": lambda p: torch.optim.Adam(p, lr=0.3, fused=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.3, fused=True),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.3, fused=True),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.3, fused=True),
}


def twin_with(conn, synapse):
    """A new connection with the values of another."""
    twin = make("dense", synapse=synapse).to(conn.weight_.device)
    twin.load_state_dict(conn.state_dict())
    twin.clear()
    return twin


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("synapse", [LINEAR, EXPONENTIAL])
@pytest.mark.parametrize("as_run", [False, True])
def test_fused_optimizers_move_delays(backend, optimizer, synapse, as_run):
    check_that_delays_move("cpu", optimizer, synapse, as_run)


@pytest.mark.cuda
@pytest.mark.parametrize("as_run", [False, True])
def test_fused_optimizers_move_delays_on_a_gpu(as_run):
    """There, delays that learn are brought into range and planned anew in each step or run."""
    check_that_delays_move("cuda", "Adam", LINEAR, as_run)


def check_that_delays_move(device, optimizer, synapse, as_run):
    conn = make("dense", synapse=synapse, high=3.0).to(device)
    conn.delay_.requires_grad_()
    optimizer, x = OPTIMIZERS[optimizer]([conn.delay_]), spikes(conn).to(device)
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


class Scaled(torch.nn.Module):
    def forward(self, raw):
        return 0.5 * raw


def parametrized(conn, name):
    """Half of what the parameter holds, which is doubled, so that the connection sees the same values."""
    with torch.no_grad():
        conn._parameters[name].mul_(2.0)
    torch.nn.utils.parametrize.register_parametrization(conn, name, Scaled())
    return conn.parametrizations[name].original


def pruned(conn, name):
    torch.nn.utils.prune.custom_from_mask(conn, name, torch.ones_like(conn._parameters[name]))
    return conn._parameters[f"{name}_orig"]


COMPUTED = {"parametrized": (parametrized, 0.5), "pruned": (pruned, 1.0)}


@pytest.mark.parametrize("kind", CONNECTIONS)
@pytest.mark.parametrize("how", COMPUTED)
@pytest.mark.parametrize("name", ["weight_", "bias_", "delay_"])
@pytest.mark.parametrize("as_run", [False, True])
def test_computed_parameters_do_what_parameters_do(backend, kind, how, name, as_run):
    """They may come from a parametrization, or from pruning."""
    conn, twin = (make(kind, synapse=LINEAR, high=3.0) for _ in range(2))
    for each in (conn, twin):
        each._parameters[name].requires_grad_()
    compute, scale = COMPUTED[how]
    raw, x = compute(conn, name), spikes(conn)
    assert conn.delayedby == 4.0 and conn.biased
    out, wanted = (inferno_cuda.run(c, x) if as_run else run(c, x) for c in (conn, twin))
    torch.testing.assert_close(out, wanted)
    for each in (out, wanted):
        each.square().sum().backward()
    torch.testing.assert_close(raw.grad, scale * twin._parameters[name].grad)
    assert raw.grad.any()
    with torch.no_grad():
        raw.zero_()
        twin._parameters[name].zero_()
        torch.testing.assert_close(conn(x[0]), twin(x[0]))


@pytest.mark.parametrize("kind", ["dense", "lateral", "direct"])
@pytest.mark.parametrize("how", COMPUTED)
@pytest.mark.parametrize("synapse", [EXPONENTIAL, Plain.partialconstructor(2.0, 4.0)])
def test_computed_weights_without_delays_or_fused_sums(backend, kind, how, synapse):
    for delay in (None, 4.0):
        conn, twin = (make(kind, synapse=synapse, delay=delay) for _ in range(2))
        COMPUTED[how][0](conn, "weight_")
        torch.testing.assert_close(run(conn, spikes(conn)), run(twin, spikes(conn)))


@pytest.mark.parametrize("how", COMPUTED)
@pytest.mark.parametrize("name", ["weight", "bias", "delay"])
def test_computed_parameters_are_not_set(how, name):
    conn = make("dense", high=3.0)
    conn.updater = conn.defaultupdater()
    raw = COMPUTED[how][0](conn, f"{name}_")
    before, value = raw.detach().clone(), torch.ones_like(raw)
    match = f"'{name}' cannot be set: {'Scaled' if how == 'parametrized' else 'pruning'}"
    with pytest.raises(RuntimeError, match=match):
        setattr(conn, name, value)
    setattr(conn.updater, name, value)
    with pytest.raises(RuntimeError, match=match):
        conn.update()
    if name == "delay":
        with pytest.raises(RuntimeError, match=match):
            conn.round_delays_()
    assert_identical(raw.detach(), before)


def test_computed_weights_of_lateral_connections_have_no_diagonal(backend):
    conn = make("lateral", delay=None)
    torch.nn.utils.parametrize.register_parametrization(conn, "weight_", torch.nn.Softplus())
    conn.parametrizations.weight_.original.requires_grad_()
    assert not conn.weight.diagonal().any()
    run(conn, spikes(conn)).sum().backward()
    grad = conn.parametrizations.weight_.original.grad
    assert not grad.diagonal().any() and grad.any()


@pytest.mark.parametrize("synapse", [LINEAR, EXPONENTIAL, *(cls.partialconstructor(2.0, 4.0) for cls in PARTS)])
@pytest.mark.parametrize("delay", [None, 4.0])
@pytest.mark.parametrize("as_run", [False, True])
def test_d41_optimizers_leave_the_diagonal_at_zero(backend, synapse, delay, as_run):
    conn = make("lateral", synapse=synapse, delay=delay, high=3.0)
    learned = [conn.weight_]
    if delay and synapse in (LINEAR, EXPONENTIAL):
        learned.append(conn.delay_)
    for p in learned:
        p.requires_grad_()
    off = ~torch.eye(6, dtype=torch.bool)
    optimizer = torch.optim.Adam(learned, lr=0.1, weight_decay=0.1)
    for _ in range(3):
        conn.clear()
        out = inferno_cuda.run(conn, spikes(conn)) if as_run else run(conn, spikes(conn))
        optimizer.zero_grad()
        out.square().sum().backward()
        assert all(not p.grad.diagonal().any() and p.grad[off].any() for p in learned)
        optimizer.step()
        assert all(not p.diagonal().any() for p in learned)


@pytest.mark.parametrize("delay", [None, 4.0])
def test_d41_values_of_lateral_connections_do_not_depend_on_gradients(backend, delay):
    """What is written to the memory of a diagonal is used, learning or not, and stays."""
    conn, twin = (make("lateral", synapse=LINEAR, delay=delay, high=3.0) for _ in range(2))
    for each in (conn, twin):
        each.weight_.data.fill_(1.0)
    conn.requires_grad_()
    out = run(conn, spikes(conn))
    assert_identical(out.detach(), run(twin, spikes(conn)))
    out.sum().backward()
    assert not conn.weight_.grad.diagonal().any()


def test_d41_the_diagonal_has_no_gradient_when_compiled():
    conn = make("lateral", delay=None).requires_grad_()
    twin = make("lateral", delay=None).requires_grad_()
    torch.compile(conn, backend="aot_eager", fullgraph=True)(spikes(conn)[0]).square().sum().backward()
    twin(spikes(conn)[0]).square().sum().backward()
    assert_identical(conn.weight_.grad, twin.weight_.grad)
    assert conn.weight_.grad.any() and not conn.weight_.grad.diagonal().any()
