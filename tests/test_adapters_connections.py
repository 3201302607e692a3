"""inferno-ai's connections, accelerated and not, side by side."""

import itertools

import pytest
import torch
from adapter_cases import CONNECTIONS, DELAYS, SYNAPSES, assert_state, calls_of_library, connection, pair
from states import seeded, spikes

import inferno_cuda

theirs = pytest.importorskip("inferno.neural")
pytestmark = pytest.mark.usefixtures("native")

CLOSE = {torch.float32: {"rtol": 1e-5, "atol": 1e-5}, torch.float64: {"rtol": 1e-13, "atol": 1e-13}}
BASE = {"LinearLateral": "LinearDense"}  # whose forward the library's class runs


def steps(plain, fast, inputs):
    for x in inputs:
        expected, got = plain(x), fast(x)
        torch.testing.assert_close(got, expected, **CLOSE[expected.dtype])
    assert_state(plain, fast)


@pytest.mark.parametrize("name", CONNECTIONS)
@pytest.mark.parametrize("of", SYNAPSES)
@pytest.mark.parametrize("delays", [None, *DELAYS])
def test_steps(monkeypatch, name, of, delays):
    dtype = torch.float64 if of == "DeltaPlusCurrent" else torch.float32
    plain, fast = pair(lambda: connection(theirs, name, of, delays).to(dtype))
    calls = calls_of_library(monkeypatch, getattr(theirs, name))
    steps(plain, fast, spikes(200 if name == "LinearDense" else 20, *plain.batched_inshape).to(dtype))
    assert set(calls) == {name}


OPTIONS = [{"interp": "nearest"}, {"current_overbound": None}, {"current_overbound": 0.7}, {"interp_tol": 0.2}]


@pytest.mark.parametrize(("name", "of"), list(zip(CONNECTIONS, SYNAPSES, strict=True)))
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("delays", DELAYS)
def test_lookups(monkeypatch, name, of, options, delays):
    mode = "interp_mode" if of.startswith("Delta") else "spike_interp_mode"
    options = {mode if key == "interp" else key: value for key, value in options.items()}
    plain, fast = pair(lambda: connection(theirs, name, of, delays, batch_size=1, bias=False, **options))
    calls = calls_of_library(monkeypatch, getattr(theirs, name))
    steps(plain, fast, spikes(20, *plain.batched_inshape).float())
    assert set(calls) == {name}


@pytest.mark.parametrize("dt", [0.1, 0.3, 0.7, 1.3])
@pytest.mark.parametrize("of", ["DeltaCurrent", "DoubleExponentialCurrent"])
def test_d08_slips_on_the_grid_are_the_library_s(dt, of):
    def make():
        delays = torch.arange(101).repeat(3, 1) * dt
        return theirs.LinearDense(
            101,
            3,
            dt,
            synapse=getattr(theirs, of).partialconstructor(**SYNAPSES[of]),
            delay=100 * dt,
            delay_init=lambda _: delays,
        )

    plain, fast = pair(make)
    steps(plain, fast, spikes(110, 1, 101).float())


def test_d02_a_record_that_is_longer_than_the_delay():
    far = {"current_overbound": -9.0}
    plain, fast = pair(lambda: connection(theirs, "LinearDense", "DeltaCurrent", "out of range", **far))
    for c in (plain, fast):
        c.synapse.delay = 6.0
    assert fast.synapse.spike_.recordsz == 8
    steps(plain, fast, spikes(20, *plain.batched_inshape).float())


def test_d30_interpolation_keeps_the_time_constant():
    plain, fast = pair(lambda: connection(theirs, "LinearDense", "SingleExponentialCurrent", "off the grid"))
    for c in (plain, fast):
        c.synapse.time_constant = 50.0
    steps(plain, fast, spikes(20, *plain.batched_inshape).float())


def test_d51_a_delay_just_beyond_the_longest_is_silent():
    plain, fast = pair(lambda: connection(theirs, "LinearDense", delays="on the grid"))
    for c in (plain, fast):
        c.delay = torch.full_like(c.delay, 5.0 + 1e-5)
    steps(plain, fast, spikes(9, *plain.batched_inshape).float())
    assert torch.equal(fast(torch.ones(fast.batched_inshape)), fast.bias.expand(2, -1))


WRITES = {
    "property": lambda c: setattr(c, "delay", 5 - c.delay),
    "in place": lambda c: c.delay_.copy_(5 - c.delay_),
    "data": lambda c: c.delay_.data.copy_(5 - c.delay_),
    "array": lambda c: c.delay_.detach().numpy().__imul__(0.3),
    "dt": lambda c: setattr(c, "dt", 0.9),
    "synapse": lambda c: setattr(c.synapse, "delay", 3.0),
    "charge": lambda c: setattr(c.synapse, "spike_charge", 3.0),
    "dtype": lambda c: c.to(torch.float64),
    "batch": lambda c: setattr(c, "batchsz", 4),
    "clear": lambda c: c.clear(),
    "weight": lambda c: setattr(c, "weight", c.weight * 2),
    "weight data": lambda c: c.weight_.data.mul_(2),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("name", ["LinearDense", "Conv2D"])
def test_changes_between_steps(write, name):
    plain, fast = pair(lambda: connection(theirs, name, "DeltaCurrent", "off the grid"))
    steps(plain, fast, spikes(6, *plain.batched_inshape).float())
    WRITES[write](plain), WRITES[write](fast)
    steps(plain, fast, spikes(9, *plain.batched_inshape, seed=1).to(plain.weight.dtype))


@pytest.mark.parametrize("name", CONNECTIONS)
@pytest.mark.parametrize("delays", [None, "off the grid"])
def test_gradients_are_the_library_s(name, delays):
    plain, fast = pair(lambda: connection(theirs, name, "SingleExponentialCurrent", delays))
    found = []
    for c in (plain, fast):
        c.requires_grad_(delays is None)
        c.weight_.requires_grad_()
        total = sum(c(x).square().sum() for x in spikes(4, *c.batched_inshape).float())
        total.backward()
        found.append([c.weight_.grad, *[p.grad for p in c.parameters()]])
    for a, b in zip(*found, strict=True):
        assert a is b is None or torch.equal(a, b)


def test_an_optimizer_keeps_its_weights():
    plain, other = (connection(theirs, "LinearDense", "DeltaCurrent", "on the grid") for _ in range(2))
    optimizers = []
    for c in (plain, other):
        c.weight_.requires_grad_()
        optimizers.append(torch.optim.SGD([c.weight_], 0.01, momentum=0.9))
    for number, x in enumerate(spikes(12, *plain.batched_inshape).float()):
        if number == 4:
            inferno_cuda.accelerate(other, strict=True)
        if number == 8:
            inferno_cuda.revert(other)
        for c, optimizer in zip((plain, other), optimizers, strict=True):
            optimizer.zero_grad()
            c(x).square().sum().backward()
            optimizer.step()
        with torch.no_grad():
            torch.testing.assert_close(other(x), plain(x))
    assert other.weight_ is optimizers[1].param_groups[0]["params"][0]
    torch.testing.assert_close(other.weight, plain.weight)


@pytest.mark.parametrize("delays", [None, "on the grid"])
def test_updaters_work(delays):
    plain, fast = pair(lambda: connection(theirs, "LinearDense", delays=delays))
    for c in (plain, fast):
        c.updater = c.defaultupdater()
    for number, x in enumerate(spikes(10, *plain.batched_inshape).float()):
        for c in (plain, fast):
            c.updater.weight = (torch.full((4, 6), 0.1 * number), torch.rand(4, 6, generator=seeded(number)))
            c(x)
            c.update()
    steps(plain, fast, spikes(5, *plain.batched_inshape).float())
    inferno_cuda.revert(fast)
    assert [type(m).__name__ for m in fast.modules()] == [type(m).__name__ for m in plain.modules()]


@pytest.mark.parametrize("name", CONNECTIONS)
@pytest.mark.parametrize("delays", [None, "on the grid"])
def test_only_a_part_accelerated(name, delays):
    inputs = spikes(9, *connection(theirs, name).batched_inshape).float()
    for part in ("", "synapse_"):
        plain, other = (connection(theirs, name, "DoubleExponentialCurrent", delays) for _ in range(2))
        before = {fqn: list(vars(m)) for fqn, m in other.named_modules()}
        report = inferno_cuda.accelerate(other, filter_fn=lambda module, fqn, part=part: fqn == part)
        assert [row.fqn for row in report.accelerated] == [part]
        steps(plain, other, inputs)
        inferno_cuda.revert(other)
        assert {fqn: list(vars(m)) for fqn, m in other.named_modules()} == before


def test_hooks_of_the_synapse_fire():
    _, fast = pair(lambda: connection(theirs, "LinearDense", delays="on the grid"))
    seen = []
    fast.synapse.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    fast(torch.ones(fast.batched_inshape))
    assert seen == [(2, 6)]


@pytest.mark.parametrize("name", CONNECTIONS)
@pytest.mark.parametrize("of", SYNAPSES)
def test_what_trainers_see(name, of):
    plain, fast = pair(lambda: connection(theirs, name, of, "out of range"))
    for x in spikes(9, *plain.batched_inshape).float():
        plain(x), fast(x)
        assert torch.equal(plain.syncurrent, fast.syncurrent) and torch.equal(plain.synspike, fast.synspike)


def test_no_tensor_of_every_delayed_input(monkeypatch):
    _, fast = pair(lambda: connection(theirs, "LinearDense", "DoubleExponentialCurrent", "off the grid"))
    fast(torch.ones(fast.batched_inshape))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        fast(torch.ones(fast.batched_inshape))
    names = {event.key for event in profile.key_averages()}
    assert "inferno_cuda::delayed_dense" in names and not names & {"aten::gather", "aten::einsum"}


def test_a_synapse_with_lookups_of_its_own_is_left_to_the_library():
    class Own(theirs.DeltaCurrent):
        def current_at(self, selector):
            return super().current_at(selector) * 2

    torch.manual_seed(0)
    made = theirs.LinearDense(
        3, 2, 1.0, synapse=Own.partialconstructor(1.0), delay=3.0, delay_init=lambda d: torch.rand_like(d) * 3
    )
    report = inferno_cuda.accelerate(made)
    assert [row.reason for row in report.skipped] == [
        "Own looks its currents up in a way of its own",
        "Own overrides current_at of DeltaCurrent",
    ]


CASES = list(itertools.product(CONNECTIONS, [None, "out of range"]))


@pytest.mark.parametrize(("name", "delays"), CASES)
def test_accelerated_and_reverted_in_the_middle(name, delays):
    plain, other = (connection(theirs, name, "SingleExponentialCurrent", delays) for _ in range(2))
    for number in range(4):
        steps(plain, other, spikes(6, *plain.batched_inshape, seed=number).float())
        (inferno_cuda.revert if number % 2 else inferno_cuda.accelerate)(other)
    assert [type(m) for m in other.modules()] == [type(m) for m in plain.modules()]
