"""inferno-ai's neurons, accelerated and not, side by side."""

import copy

import pytest
import torch
from adapter_cases import ADAPTIVE, NEURONS, assert_state, calls_of_library, currents, neuron, pair

import inferno_cuda

theirs = pytest.importorskip("inferno.neural")
pytestmark = pytest.mark.usefixtures("native")

# With one sample, or none to reduce, all but the exponential membrane are equal in every bit.
EXPONENTIAL = ("EIF", "AdEx")
CLOSE = {torch.float32: {"rtol": 1e-5, "atol": 5e-3}, torch.float64: {"rtol": 1e-11, "atol": 1e-9}}


def tolerance(name, dtype, exact):
    return {} if exact and name not in EXPONENTIAL else CLOSE[dtype]


def steps(plain, fast, inputs, *args):
    """Runs both; returns the number of spikes, which must be the same ones."""
    fired = 0
    for x in inputs:
        expected, got = plain(x, *args), fast(x, *args)
        assert got.dtype == torch.bool and torch.equal(expected, got)
        fired += int(expected.sum())
    return fired


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_200_steps(monkeypatch, name, dtype, batch):
    plain, fast = pair(lambda: neuron(theirs, name, (2, 3), batch_size=batch).to(dtype))
    inputs = currents(200, batch, 2, 3, dtype=dtype)
    calls = calls_of_library(monkeypatch, getattr(theirs, name))
    assert steps(plain, fast, inputs) > 20
    assert set(calls) == {name}  # the accelerated one never fell back
    assert_state(plain, fast, **tolerance(name, dtype, batch == 1 or name not in ADAPTIVE))
    assert torch.equal(plain.spike, fast.spike)


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize(("training", "adapt"), [(True, None), (False, None), (True, False), (False, True)])
def test_modes(name, training, adapt):
    plain, fast = pair(lambda: neuron(theirs, name, batch_size=1).train(training))
    before = fast._buffers[type(fast)._fused_adaptation].clone()
    assert steps(plain, fast, currents(60, 1, 5), adapt)
    assert_state(plain, fast, **tolerance(name, torch.float32, True))
    changed = not torch.equal(fast._buffers[type(fast)._fused_adaptation], before)
    assert changed == (training if adapt is None else adapt)


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("reduction", [torch.sum, torch.amax])
def test_other_reductions(name, reduction):
    plain, fast = pair(lambda: neuron(theirs, name, batch_reduction=reduction))
    steps(plain, fast, currents(40, 2, 5))
    assert_state(plain, fast, **CLOSE[torch.float32])


@pytest.mark.parametrize("name", NEURONS)
def test_what_the_op_does_not_cover_runs_in_the_library(monkeypatch, name):
    plain, fast = pair(lambda: neuron(theirs, name))
    steps(plain, fast, currents(5, 2, 5))
    calls = calls_of_library(monkeypatch, getattr(theirs, name))
    x = currents(1, 2, 5)[0]
    cases = [
        lambda n: n(x, refrac_lock=False),
        lambda n: n(x[:1]),
        lambda n: n(x.double()),
        lambda n: n(x.clone().requires_grad_()),
        lambda n: n(torch.ones(2, 2, 5) * 20),
    ]
    for number, case in enumerate(cases):
        assert torch.equal(case(plain), case(fast)), number
        assert_state(plain, fast)
        assert len(calls) == 2 * number + 2
        plain.clear(), fast.clear()
        for n in (plain, fast):
            n.voltage, n.refrac = torch.full((2, 5), -58.0), torch.zeros(2, 5)


def test_d55_input_that_grows_the_state_still_does():
    plain, fast = pair(lambda: neuron(theirs, "LIF"))
    for n in (plain, fast):
        n(torch.ones(4, 2, 5))
    assert fast.voltage.shape == plain.voltage.shape == (4, 2, 5)
    assert_state(plain, fast)


def test_gradients_are_the_library_s():
    plain, fast = pair(lambda: neuron(theirs, "LIF"))
    found = []
    for n in (plain, fast):
        x = currents(1, 2, 5)[0].requires_grad_()
        n(x)
        n(x * 0.5)
        n.voltage.sum().backward()
        found.append(x.grad)
        n.clear()
    assert torch.equal(*found) and found[0].abs().sum() > 0
    with torch.no_grad():
        x = currents(1, 2, 5)[0].requires_grad_()
        assert torch.equal(plain(x), fast(x))
    assert not fast.voltage.requires_grad


@pytest.mark.parametrize("dt", [0.1, 0.2, 0.3, 0.7, 1.3])
@pytest.mark.parametrize("multiple", [1, 3, 5])
def test_d07_the_countdown_is_the_library_s(dt, multiple):
    plain, fast = pair(lambda: neuron(theirs, "LIF", dt=dt, refrac_t=multiple * dt))
    assert steps(plain, fast, torch.full((60, 2, 5), 1e4)) > 0
    assert_state(plain, fast)


@pytest.mark.parametrize("name", NEURONS)
def test_d06_no_refractory_period(name):
    plain, fast = pair(lambda: neuron(theirs, name, refrac_t=0.0, batch_size=1))
    assert steps(plain, fast, currents(60, 1, 5)) > 0
    assert torch.equal(plain.spike, fast.spike) and fast.spike.all()
    assert not torch.signbit(fast.refrac).any()


@pytest.mark.parametrize("name", NEURONS)
def test_inputs_and_state_that_are_not_contiguous(name):
    plain, fast = pair(lambda: neuron(theirs, name, (3, 5)))
    for n in (plain, fast):
        n.voltage, n.refrac = (torch.zeros(5, 3, 2).fill_(x).permute(2, 1, 0) for x in (-57.0, 1.0))
    steps(plain, fast, currents(40, 5, 3, 2).permute(0, 3, 2, 1))
    assert_state(plain, fast, **CLOSE[torch.float32])


def test_infinite_inputs():
    plain, fast = pair(lambda: neuron(theirs, "LIF"))
    inputs = currents(30, 2, 5)
    inputs[::7, :, 2] = float("inf")
    steps(plain, fast, inputs)
    assert_state(plain, fast)


def test_parameters_are_read_at_every_step():
    plain, fast = pair(lambda: neuron(theirs, "ALIF", batch_size=1))
    for number in range(6):
        for n in (plain, fast):
            n.dt = 0.7 if number % 2 else 1.0
            n.refrac_t, n.thresh_eq_v = 2.0 + number, -52.0 + number
            n.tc_adaptation.mul_(1.1)
        assert steps(plain, fast, currents(30, 1, 5, seed=number) + 200)
        assert_state(plain, fast)


def test_a_tensor_as_parameter(monkeypatch):
    plain, fast = pair(lambda: neuron(theirs, "LIF"))
    calls = calls_of_library(monkeypatch, theirs.LIF)
    for n in (plain, fast):
        n.thresh_v = torch.linspace(-58, -45, 5)
    assert steps(plain, fast, currents(30, 2, 5))
    assert len(calls) == 60
    assert_state(plain, fast)


@pytest.mark.parametrize("name", ["LIF", "ALIF"])
def test_state_changes_from_outside(name):
    plain, fast = pair(lambda: neuron(theirs, name, batch_size=1))
    changes = [
        lambda n: n.clear(),
        lambda n: n.clear(keep_adaptations=False),
        lambda n: setattr(n, "batchsz", 3),
        lambda n: setattr(n, "voltage", torch.full((n.batchsz, 5), -55.0)),
        lambda n: n.refrac.fill_(1.7),
        lambda n: n.to(torch.float64),
        lambda n: n.load_state_dict({k: v.clone() if hasattr(v, "clone") else v for k, v in n.state_dict().items()}),
        lambda n: n.eval(),
    ]
    for change in changes:
        change(plain), change(fast)
        x = currents(30, plain.batchsz, 5, dtype=plain.voltage.dtype)
        assert steps(plain, fast, x)
        assert_state(plain, fast, **({} if name == "LIF" else CLOSE[torch.float32]))


@pytest.mark.parametrize("name", NEURONS)
def test_what_is_held_does_not_change(name):
    _, fast = pair(lambda: neuron(theirs, name))
    fast(currents(1, 2, 5)[0])
    held = [fast.voltage, fast.refrac, *fast.state_dict().values(), *fast.buffers()]
    held = [x for x in held if isinstance(x, torch.Tensor)]
    before = [x.clone() for x in held]
    for x in currents(20, 2, 5):
        fast(x)
    assert all(torch.equal(x, y) for x, y in zip(held, before, strict=True))


@pytest.mark.parametrize("name", NEURONS)
def test_accelerated_and_reverted_in_the_middle(name):
    plain, other = neuron(theirs, name, batch_size=1), neuron(theirs, name, batch_size=1)
    for number in range(4):
        steps(plain, other, currents(25, 1, 5, seed=number))
        (inferno_cuda.revert if number % 2 else inferno_cuda.accelerate)(other)
    assert_state(plain, other, **tolerance(name, torch.float32, True))
    assert type(other) is type(plain) and list(vars(other)) == list(vars(plain))


@pytest.mark.parametrize("name", ["LIF", "AdEx"])
def test_d17_a_copy_shares_the_state_as_the_library_s_does(name):
    """copy.deepcopy leaves a neuron's handles pointing to the original, accelerated or not."""
    plain, fast = pair(lambda: neuron(theirs, name))
    copies = copy.deepcopy(plain), copy.deepcopy(fast)
    assert type(copies[1]) is type(fast)
    for x in currents(20, 2, 5):
        assert torch.equal(copies[0](x), copies[1](x))
    assert_state(plain, fast, **CLOSE[torch.float32])
    assert torch.equal(copies[0]._voltage__data, copies[1]._voltage__data)
    assert inferno_cuda.accelerate(copies[0]).skipped[0].reason.endswith("(D-17)")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_skipped(dtype):
    report = inferno_cuda.accelerate(neuron(theirs, "LIF").to(dtype))
    assert str(dtype) in report.skipped[0].reason


def test_hooks_fire_once():
    _, fast = pair(lambda: neuron(theirs, "LIF"))
    seen = []
    fast.register_forward_pre_hook(lambda *_: seen.append("before"))
    fast.register_forward_hook(lambda *_: seen.append("after"))
    fast(currents(1, 2, 5)[0])
    assert seen == ["before", "after"]


def test_no_kernels_no_acceleration():
    n = neuron(theirs, "LIF")
    with inferno_cuda.backend("torch"):
        report = inferno_cuda.accelerate(n)
    assert "backend is set to 'torch'" in report.skipped[0].reason and type(n) is theirs.LIF


def test_backend_changed_afterwards():
    plain, fast = pair(lambda: neuron(theirs, "ALIF", batch_size=1))
    with inferno_cuda.backend("torch"):
        steps(plain, fast, currents(30, 1, 5))
    assert_state(plain, fast)
