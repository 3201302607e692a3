"""LinearDirect, LinearLateral and Conv2D step by step against inferno-ai 0.0.5, and checkpoints both ways."""

import io
import itertools

import pytest
import torch

import inferno_cuda.neural as ours

theirs = pytest.importorskip("inferno.neural")

STEPS = 200
CONNECTIONS = {
    "direct": lambda n, **kw: n.LinearDirect((3, 4), 1.0, **kw),
    "lateral": lambda n, **kw: n.LinearLateral((2, 4), 1.0, **kw),
    "conv": lambda n, **kw: n.Conv2D(5, 6, 2, 3, 1.0, (2, 3), **kw),
    "conv strided": lambda n, **kw: n.Conv2D(
        6, 5, 1, 2, 1.0, 2, stride=(2, 1), padding=(1, 2), dilation=(1, 2), **kw
    ),
}
# synapse, dtype, batch size, bias
SETTINGS = {
    "delta": (lambda n: n.DeltaCurrent.partialconstructor(3.0), torch.float32, 1, True),
    "delta clamped": (
        lambda n: n.DeltaCurrent.partialconstructor(3.0, "nearest", current_overbound=None), torch.float64, 3, False,
    ),
    "exponential": (lambda n: n.SingleExponentialCurrent.partialconstructor(6.0, 5.0), torch.float32, 3, False),
    "exponential clamped": (
        lambda n: n.SingleExponentialCurrent.partialconstructor(6.0, 5.0, current_overbound=None), torch.float64, 1,
        True,
    ),
}  # fmt: skip
DELAYS = {
    "none": (None, None),
    "zero": (0.0, None),
    "ongrid": (5.0, lambda d: (torch.rand(d.shape, generator=seeded()) * 5).round().to(d)),
    "offgrid": (5.0, lambda d: torch.rand(d.shape, generator=seeded()).to(d) * 5),
    "partly out of range": (4.4, lambda d: torch.rand(d.shape, generator=seeded()).to(d) * 6),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def spikes(steps, *shape, seed=0):
    return torch.rand(steps, *shape, generator=seeded(seed)) < 0.25


def assert_close(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    torch.testing.assert_close(a, b)


def build(neural, connection, setting, delays, seed=5):
    synapse, dtype, batch, bias = SETTINGS[setting]
    delay, init = DELAYS[delays]
    torch.manual_seed(seed)
    conn = CONNECTIONS[connection](
        neural, synapse=synapse(neural), bias=bias, delay=delay, batch_size=batch, delay_init=init,
        weight_init=lambda w: w - 0.25,
    )  # fmt: skip
    return conn.to(dtype)


@pytest.mark.parametrize("connection", CONNECTIONS)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("delays", DELAYS)
def test_steps_are_the_same(connection, setting, delays):
    a, b = (build(n, connection, setting, delays) for n in (ours, theirs))
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert (a.batched_inshape, a.batched_outshape) == (b.batched_inshape, b.batched_outshape)
    inputs = spikes(STEPS, *a.batched_inshape)
    for x in inputs:
        ya, yb = a(x), b(x)
        assert_close(ya, yb)
    assert ya.any()
    assert a.selector.shape == b.selector.shape and torch.equal(a.selector, b.selector)
    if delays != "zero":
        assert_close(a.syncurrent, b.syncurrent)
        assert_close(a.synspike, b.synspike)
    assert_close(a.postsyn_receptive(ya), b.postsyn_receptive(yb))
    for values in (x, x.to(ya.dtype)):
        assert_close(a.like_synaptic(values), b.like_synaptic(values))
    if "conv" not in connection:  # theirs raises
        assert_close(a.presyn_receptive(a.syncurrent), b.presyn_receptive(b.syncurrent))
    if DELAYS[delays][0] is None:
        ours_back, theirs_back = a.like_input(a.syncurrent), b.like_input(b.syncurrent)
        assert_close(ours_back, theirs_back.nan_to_num(0.0))  # NaN in theirs where no window covers a pixel
    for name in ("height", "width", "channels", "filters", "kernel", "stride", "padding", "dilation", "outheight",
                 "outwidth", "shape"):  # fmt: skip
        assert hasattr(a, name) == hasattr(b, name)
        if hasattr(a, name):
            assert getattr(a, name) == getattr(b, name), name


def test_initial_values_and_callbacks_are_the_same():
    for name, make in CONNECTIONS.items():
        seen = []
        for neural in (ours, theirs):
            torch.manual_seed(3)
            calls = []
            kept = {
                f"{key}_init": lambda p, key=key, calls=calls: calls.append((key, p.clone())) or p
                for key in ("weight", "bias", "delay")
            }
            conn = make(neural, synapse=neural.DeltaCurrent.partialconstructor(1.0), bias=True, delay=2.0, **kept)
            seen.append([*calls, *conn.named_parameters()])
            assert conn.bias.shape == conn.like_bias(torch.zeros(*conn.bias.shape, *BIAS_EXTRA[name])).shape
        for (ka, a), (kb, b) in zip(*seen, strict=True):
            assert ka == kb and torch.equal(a, b), (name, ka)


BIAS_EXTRA = {"direct": (), "lateral": (1,), "conv": (1, 1, 1), "conv strided": (1, 1, 1)}


def through_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("connection", CONNECTIONS)
@pytest.mark.parametrize("setting", ["delta", "exponential"])
@pytest.mark.parametrize("cut", [1, 9])
def test_checkpoints_are_exchanged_in_the_middle(connection, setting, cut):
    for first, second in itertools.permutations((ours, theirs)):
        start = build(first, connection, setting, "offgrid")
        resumed = build(second, connection, setting, "offgrid", seed=6)
        inputs = spikes(30, *start.batched_inshape)
        for x in inputs[:cut]:
            start(x)
        state = through_file(start.state_dict())
        assert {k: getattr(v, "shape", v) for k, v in state.items()}.keys() == resumed.state_dict().keys()
        resumed.load_state_dict(state)
        for name, value in resumed.state_dict().items():
            expected = start.state_dict()[name]
            assert torch.equal(value, expected) if isinstance(value, torch.Tensor) else dict(value) == dict(expected)
        for x in inputs[cut:]:
            assert_close(resumed(x), start(x))


def test_lateral_updates_keep_the_diagonal(backend):
    results = []
    for neural in (ours, theirs):
        conn = build(neural, "lateral", "delta", "ongrid")
        conn.updater = conn.defaultupdater()
        for name in ("weight", "bias", "delay"):
            setattr(conn.updater, name, (torch.full_like(getattr(conn, name), 0.5), None))
        conn.update()
        results.append([p.detach() for p in conn.parameters()])
    for a, b in zip(*results, strict=True):
        assert_close(a, b)
