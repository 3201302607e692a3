"""inferno-ai's synapses, accelerated and not, side by side."""

import pytest
import torch
from adapter_cases import SYNAPSES, assert_state, calls_of_library, pair, synapse
from states import seeded, spikes

import inferno_cuda

theirs = pytest.importorskip("inferno.neural")
pytestmark = pytest.mark.usefixtures("native")


def steps(plain, fast, inputs, *others):
    for x in inputs:
        expected, got = plain(x, *others), fast(x, *others)
        assert got.dtype == expected.dtype and torch.equal(expected, got)
    assert_state(plain, fast)


@pytest.mark.parametrize("name", SYNAPSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("delay", [0.0, 4.0])
@pytest.mark.parametrize("inplace", [False, True])
def test_200_steps(monkeypatch, name, dtype, delay, inplace):
    plain, fast = pair(lambda: synapse(theirs, name, (2, 3), delay=delay, inplace=inplace).to(dtype))
    calls = calls_of_library(monkeypatch, getattr(theirs, name))
    steps(plain, fast, spikes(200, 2, 2, 3).to(dtype))
    assert set(calls) == {name}


@pytest.mark.parametrize("name", SYNAPSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_bool_inputs(monkeypatch, name, dtype):
    plain, fast = pair(lambda: synapse(theirs, name).to(dtype))
    calls = calls_of_library(monkeypatch, getattr(theirs, name))
    steps(plain, fast, spikes(20, 2, 5))
    # the library multiplies bool in float32, into whatever state
    covered = dtype == torch.float32 or name == "DeltaCurrent"
    assert (len(calls) == 20) == covered


@pytest.mark.parametrize("name", SYNAPSES)
def test_numbers_that_are_no_spikes(name):
    plain, fast = pair(lambda: synapse(theirs, name))
    steps(plain, fast, torch.randn(20, 2, 5, generator=seeded()).masked_fill(spikes(20, 2, 5), 0.0))


@pytest.mark.parametrize("name", SYNAPSES)
def test_d53_further_inputs(name):
    plain, fast = pair(lambda: synapse(theirs, name))
    steps(plain, fast, spikes(20, 2, 5).float(), torch.rand(2, 5, generator=seeded(1)), torch.ones(2, 5))


@pytest.mark.parametrize("name", SYNAPSES)
def test_what_the_op_does_not_cover_runs_in_the_library(monkeypatch, name):
    plain, fast = pair(lambda: synapse(theirs, name))
    calls = calls_of_library(monkeypatch, getattr(theirs, name))
    x = spikes(1, 2, 5)[0]
    steps(plain, fast, [x.double() * 0.3, x.long(), x.half()])
    assert len(calls) == 6
    with pytest.raises(ValueError, match="shape of 'obs'"):
        fast(torch.ones(3, 5))
    plain.clear(), fast.clear()
    found = []
    for s in (plain, fast):
        leaf = x.float().requires_grad_()
        s(leaf).sum().backward() if name != "DeltaCurrent" else s(leaf)
        found.append(leaf.grad)
        s.clear()
    assert found[0] is found[1] is None or torch.equal(*found)


@pytest.mark.parametrize("name", SYNAPSES)
def test_state_changes_from_outside(name):
    plain, fast = pair(lambda: synapse(theirs, name))
    changes = [
        lambda s: s.clear(),
        lambda s: setattr(s, "dt", 0.7),
        lambda s: setattr(s, "delay", 6.0),
        lambda s: setattr(s, "batchsz", 3),
        lambda s: setattr(s, "spike_charge", -2.0),
        lambda s: s.spike_.align(2),
        lambda s: s.spike_.align(-1),
        lambda s: s.spike_.decr(),
        lambda s: setattr(s, "inplace", True),
        lambda s: s.to(torch.float64),
        lambda s: setattr(s, "inplace", False),
        lambda s: s.load_state_dict(s.state_dict()),
    ]
    dtype = torch.float32
    for number, change in enumerate(changes):
        change(plain), change(fast)
        dtype = torch.float64 if number >= 9 else dtype
        steps(plain, fast, spikes(7, plain.batchsz, 5, seed=number).to(dtype))


TIMES = {
    "each its own": lambda: torch.rand(2, 5, 3, generator=seeded()) * 8 - 2,
    "on the grid": lambda: torch.arange(-1, 7).expand(2, 5, 8).float(),
    "one each": lambda: torch.rand(2, 5, generator=seeded()) * 4,
    "one for all samples": lambda: (torch.rand(1, 5, 3, generator=seeded()) * 8 - 2).expand(2, 5, 3),
    "double": lambda: torch.rand(2, 5, 3, generator=seeded()).double() * 4,
}
OPTIONS = [
    {},
    {"interp": "nearest"},
    {"interp_tol": 0.2},
    {"current_overbound": None},
    {"current_overbound": 0.7, "spike_overbound": True},
]


@pytest.mark.parametrize("name", SYNAPSES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("times", TIMES)
def test_d01_past_values_are_the_library_s(monkeypatch, name, options, times):
    mode = "interp_mode" if name.startswith("Delta") else "spike_interp_mode"
    options = {mode if key == "interp" else key: value for key, value in options.items()}
    plain, fast = pair(lambda: synapse(theirs, name, **options))
    steps(plain, fast, spikes(9, 2, 5).float())
    selector = TIMES[times]()
    expected = plain.current_at(selector), plain.spike_at(selector)
    # these must not be reached from here on
    monkeypatch.setattr(theirs.synapses.mixins, "_synparam_at", None)
    for _ in range(2):
        for value, wanted in zip((fast.current_at(selector), fast.spike_at(selector)), expected, strict=True):
            assert value.dtype == wanted.dtype and torch.equal(value, wanted)


@pytest.mark.parametrize("name", SYNAPSES)
def test_past_values_follow_the_times(name):
    plain, fast = pair(lambda: synapse(theirs, name))
    selector = torch.rand(2, 5, generator=seeded()) * 5
    for x in spikes(9, 2, 5).float():
        plain(x), fast(x)
        selector.data.mul_(0.9)
        assert torch.equal(plain.current_at(selector), fast.current_at(selector))
        assert torch.equal(plain.spike_at(selector), fast.spike_at(selector))
        selector = selector.clone()


@pytest.mark.parametrize("name", SYNAPSES)
def test_d10_past_values_without_a_delay(name):
    plain, fast = pair(lambda: synapse(theirs, name, delay=0.0, current_overbound=None))
    steps(plain, fast, spikes(3, 2, 5).float())
    selector = torch.zeros(2, 5, 5)
    assert torch.equal(plain.current_at(selector), fast.current_at(selector))
    assert fast.current_at(selector).shape == (2, 5)


@pytest.mark.parametrize("name", SYNAPSES)
def test_past_values_with_gradients_are_the_library_s(name):
    plain, fast = pair(lambda: synapse(theirs, name))
    steps(plain, fast, spikes(9, 2, 5).float())
    found = []
    for s in (plain, fast):
        selector = torch.full((2, 5), 1.3, requires_grad=True)
        out = s.current_at(selector)
        if out.requires_grad:
            out.sum().backward()
        found.append(selector.grad)
    assert found[0] is found[1] is None or torch.equal(*found)


def holds(s):
    name = "_pos_current__data" if hasattr(s, "_pos_current__data") else "_spike__data"
    data = s._buffers[name]
    yield "handle", s.spike_.value
    yield "newest", s.spike
    yield "state_dict", [x for x in s.state_dict().values() if isinstance(x, torch.Tensor)]
    yield "view", data[1:]
    yield "detached", data.detach()
    yield "array", torch.from_numpy(data.numpy())
    yield "storage", torch.empty(0, dtype=data.dtype).set_(data.untyped_storage())


@pytest.mark.parametrize("name", SYNAPSES)
@pytest.mark.parametrize("kind", ["handle", "newest", "state_dict", "view", "detached", "array", "storage"])
def test_what_is_held_does_not_change(name, kind):
    _, fast = pair(lambda: synapse(theirs, name))
    inputs = spikes(12, 2, 5).float()
    for x in inputs[:5]:
        fast(x)
    held = dict(holds(fast))[kind]
    held = held if isinstance(held, list) else [held]
    before = [x.clone() for x in held]
    for x in inputs:
        fast(x)
    assert all(torch.equal(x, y) for x, y in zip(held, before, strict=True))


def test_what_is_only_held_as_storage_does_not_change():
    _, fast = pair(lambda: synapse(theirs, "DeltaCurrent"))
    fast(torch.zeros(2, 5))
    storage = fast._spike__data.untyped_storage()
    for _ in range(9):
        fast(torch.ones(2, 5))
    assert not any(storage.tolist())


def test_what_autograd_keeps_does_not_change():
    _, fast = pair(lambda: synapse(theirs, "DeltaPlusCurrent"))
    fast(torch.ones(2, 5))
    weight = torch.ones(5, 2, 5, requires_grad=True)
    product = (weight * fast._current__data).sum()
    for _ in range(9):
        fast(torch.ones(2, 5))
    product.backward()
    assert weight.grad.count_nonzero() == 10


def test_nothing_is_copied_while_nothing_is_held():
    _, fast = pair(lambda: synapse(theirs, "DeltaPlusCurrent"))
    fast(torch.ones(2, 5))
    places = [b.data_ptr() for b in fast.buffers()]
    for x in spikes(9, 2, 5).float():
        fast(x)
    assert places == [b.data_ptr() for b in fast.buffers()]


@pytest.mark.parametrize("name", SYNAPSES)
def test_accelerated_and_reverted_in_the_middle(name):
    plain, other = synapse(theirs, name), synapse(theirs, name)
    for number in range(4):
        steps(plain, other, spikes(7, 2, 5, seed=number).float())
        (inferno_cuda.revert if number % 2 else inferno_cuda.accelerate)(other)
    assert type(other) is type(plain) and list(vars(other)) == list(vars(plain))


def test_currents_by_a_function_of_its_own_are_skipped():
    s = synapse(theirs, "DeltaCurrent")
    s._SpikeDerivedCurrentMixin__to_current = lambda synapse, dtype, device, spikes: spikes.to(dtype)
    report = inferno_cuda.accelerate(s)
    assert "function of its own" in report.skipped[0].reason


def test_half_types_are_skipped():
    report = inferno_cuda.accelerate(synapse(theirs, "DeltaPlusCurrent").half())
    assert "torch.float16" in report.skipped[0].reason
