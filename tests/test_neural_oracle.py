"""Step by step against inferno-ai 0.0.5: the same spikes, the same state up to rounding, checkpoints both ways."""

import io
import itertools

import pytest
import torch

import inferno_cuda.neural as ours

theirs = pytest.importorskip("inferno.neural")

CELL = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "time_constant": 20.0}
DTYPES = [torch.float32, torch.float64]
SYNAPSES = {
    "delta": ("DeltaCurrent", (25.0,), {}),
    "delta nearest": ("DeltaCurrent", (25.0, "nearest"), {}),
    "exponential": ("SingleExponentialCurrent", (60.0, 5.0), {}),
    "delta clamped": ("DeltaCurrent", (25.0,), {"current_overbound": None}),
    "exponential clamped": ("SingleExponentialCurrent", (60.0, 5.0), {"current_overbound": None}),
    "exponential in place": ("SingleExponentialCurrent", (60.0, 5.0, "nearest"), {"inplace": True}),
}


def pair(build, dtype=torch.float32):
    """The same module of both packages."""
    made = []
    for neural in (ours, theirs):
        torch.manual_seed(5)
        made.append(build(neural).to(dtype))
    return made


def constructor(neural, synapse):
    name, args, options = SYNAPSES[synapse]
    return getattr(neural, name).partialconstructor(*args, **options)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def spikes(steps, *shape, seed=0):
    return torch.rand(steps, *shape, generator=seeded(seed)) < 0.25


def assert_close(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize("refrac_t, step_time", [(3.0, 1.0), (0.0, 1.0), (1.0, 1.0), (2.5, 1.0), (1.25, 0.25)])
def test_lif(backend, dtype, lock, refrac_t, step_time):
    a, b = pair(lambda n: n.LIF((4, 5), step_time, refrac_t=refrac_t, resistance=0.8, batch_size=3, **CELL), dtype)
    fired = 0
    for x in torch.rand(120, 3, 4, 5, generator=seeded(), dtype=dtype) * 150 - 30:
        sa, sb = a(x, refrac_lock=lock), b(x, refrac_lock=lock)
        assert torch.equal(sa, sb)
        assert_close(a.voltage, b.voltage)
        assert_close(a.refrac, b.refrac)
        if refrac_t > 0:
            assert torch.equal(a.spike, b.spike)
        fired += int(sa.sum())
    assert fired > 100


@pytest.mark.parametrize("synapse", SYNAPSES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("delay, step_time", [(4.0, 1.0), (2.25, 0.5), (2.3, 0.5)])
def test_synapses(backend, synapse, dtype, delay, step_time):
    a, b = pair(lambda n: constructor(n, synapse)((2, 3), step_time, delay, 2), dtype)
    assert a.current.dtype == b.current.dtype and repr(a) == repr(b)
    assert {k: v.shape for k, v in a.state_dict().items() if "data" in k} == {
        k: v.shape for k, v in b.state_dict().items() if "data" in k
    }
    assert [r.recordsz for r in (a.spike_,)] == [r.recordsz for r in (b.spike_,)]
    for t, x in enumerate(spikes(60, 2, 2, 3)):
        x = x if t % 3 else x * torch.rand(2, 2, 3, generator=seeded(t), dtype=dtype)
        ya, yb = a(x), b(x)
        assert_close(ya, yb)
        assert_close(a.current, b.current)
        assert torch.equal(a.spike, b.spike)
        if t % 5:
            continue
        at = torch.rand(2, 2, 3, 6, generator=seeded(t), dtype=dtype) * (delay + 1) - 0.5
        for selector in (at, at[..., 0], (at / step_time).round() * step_time, torch.full_like(at, delay)):
            assert_close(a.current_at(selector), b.current_at(selector))
            assert torch.equal(a.spike_at(selector), b.spike_at(selector))


GRID = {
    "none": (None, None),
    "zero": (0.0, None),
    "ongrid": (5.0, lambda d: (torch.rand(d.shape, generator=seeded()) * 5).round().to(d)),
    "offgrid": (5.0, lambda d: torch.rand(d.shape, generator=seeded()).to(d) * 5),
    "partly out of range": (4.4, lambda d: torch.rand(d.shape, generator=seeded()).to(d) * 6),
}


@pytest.mark.parametrize("synapse", SYNAPSES)
@pytest.mark.parametrize("delays", GRID)
@pytest.mark.parametrize("dtype, batch, bias", [(torch.float32, 1, True), (torch.float64, 3, False)], ids=str)
def test_dense_into_lif(backend, synapse, delays, dtype, batch, bias):
    delay, init = GRID[delays]

    def build(neural):
        return torch.nn.ModuleDict({
            "conn": neural.LinearDense((3, 4), 10, 1.0, synapse=constructor(neural, synapse), bias=bias, delay=delay,
                                       batch_size=batch, delay_init=init, weight_init=lambda w: w - 0.25),
            "lif": neural.LIF(10, 1.0, refrac_t=2.0, batch_size=batch, **CELL),
        })  # fmt: skip

    a, b = pair(build, dtype)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    fired = 0
    for x in spikes(100, batch, 3, 4):
        ya, yb = a["conn"](x), b["conn"](x)
        assert_close(ya, yb)
        sa, sb = a["lif"](ya), b["lif"](yb)
        assert torch.equal(sa, sb)
        fired += int(sa.sum())
    assert fired > 10
    assert_close(a["lif"].voltage, b["lif"].voltage)
    ca, cb = a["conn"], b["conn"]
    assert ca.selector.shape == cb.selector.shape and torch.equal(ca.selector, cb.selector)
    if delays != "zero":
        assert_close(ca.syncurrent, cb.syncurrent)
        assert torch.equal(ca.synspike, cb.synspike)
    assert_close(ca.presyn_receptive(ca.syncurrent), cb.presyn_receptive(cb.syncurrent))
    assert_close(ca.postsyn_receptive(ya), cb.postsyn_receptive(yb))
    assert_close(ca.like_synaptic(x), cb.like_synaptic(x))
    assert ca.like_bias(torch.ones(10, 1)).shape == cb.like_bias(torch.ones(10, 1)).shape
    if delay is None:
        assert_close(ca.like_input(ca.syncurrent), cb.like_input(cb.syncurrent))


def network(neural, synapse, seed=5):
    torch.manual_seed(seed)
    conn = neural.LinearDense((3, 4), 10, 1.0, synapse=constructor(neural, synapse), bias=True, delay=5.0, batch_size=2,
                              delay_init=lambda d: (torch.rand_like(d) * 5).round(),
                              weight_init=lambda w: w - 0.25)  # fmt: skip
    conn.updater = conn.defaultupdater()
    return torch.nn.ModuleDict({"conn": conn, "lif": neural.LIF(10, 1.0, refrac_t=2.0, batch_size=2, **CELL)})


def advance(net, inputs):
    return torch.stack([net["lif"](net["conn"](x)) for x in inputs])


def through_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("synapse", ["delta", "exponential"])
@pytest.mark.parametrize("cut", [1, 7, 20])
def test_checkpoints_are_exchanged_in_the_middle(backend, synapse, cut):
    inputs = spikes(60, 2, 3, 4)
    for first, second in itertools.permutations((ours, theirs)):
        start, resumed = network(first, synapse), network(second, synapse, seed=6)
        before = advance(start, inputs[:cut])
        state = through_file(start.state_dict())
        assert list(state) == list(resumed.state_dict())
        resumed.load_state_dict(state)
        for name, value in resumed.state_dict().items():
            expected = start.state_dict()[name]
            assert torch.equal(value, expected) if isinstance(value, torch.Tensor) else dict(value) == dict(expected)
        assert torch.equal(resumed["lif"].spike, before[-1])
        after = advance(start, inputs[cut:])
        assert torch.equal(advance(resumed, inputs[cut:]), after) and after.any()
        assert_close(resumed["lif"].voltage, start["lif"].voltage)


def test_updates(backend):
    a, b = (network(n, "exponential")["conn"] for n in (ours, theirs))

    def bounded(param, update, limit, power):
        return (limit - param).abs() ** power * update

    for conn in (a, b):
        up = conn.updater
        up.weight = (torch.full((10, 12), 0.5), torch.full((10, 12), 0.125))
        up.weight = torch.full((10, 12), 0.25)
        up.weight.upperbound(bounded, 2.0, power=2.0)
        up.weight.lowerbound(bounded, -1.0, power=1.0)
        up.bias = (None, torch.full((10,), 0.5))
        up.delay = torch.full((10, 12), 0.25)
        up.delay.reduction(torch.mean)
        conn.updatesome("weight")
        conn.update()
        assert up.names == ("weight", "bias", "delay") and up.weight.pos is None
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        assert_close(x.detach(), y.detach())


@pytest.mark.parametrize(
    "changes",
    [{"rest_v": -50.0}, {"reset_v": -50.0}, {"refrac_t": -1.0}, {"time_constant": 0.0}, {"resistance": 0.0},
     {"batch_size": 0}, {"batch_size": 1.5}, {"rest_v": "a"}, {"rest_v": None}, {"batch_size": [1]}],
    ids=str,
)  # fmt: skip
def test_errors_of_bad_parameters_are_of_the_same_class(changes):
    raised = []
    for neural in (ours, theirs):
        with pytest.raises(Exception) as info:
            neural.LIF(3, 1.0, **{**CELL, "refrac_t": 3.0, **changes})
        raised.append(info.type)
    assert raised[0] is raised[1]
