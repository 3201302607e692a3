"""All synapses, step by step against inferno-ai 0.0.5: currents, spikes, lookups of the past, checkpoints."""

import pytest
import torch

import inferno_cuda.neural as ours

theirs = pytest.importorskip("inferno.neural")

KINDS = {
    "delta": ("DeltaCurrent", {}, ["spike"]),
    "delta plus": ("DeltaPlusCurrent", {}, ["current", "spike"]),
    "exponential": ("SingleExponentialCurrent", {"time_constant": 5.3}, ["current", "spike"]),
    "double exponential": (
        "DoubleExponentialCurrent", {"tc_decay": 7.7, "tc_rise": 1.9}, ["spike", "pos_current", "neg_current"]
    ),
}  # fmt: skip


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pair(kind, shape, step_time, dtype=torch.float32, **options):
    name, constants, _ = KINDS[kind]
    mode = options.pop("mode", None)
    if mode is not None:
        options["interp_mode" if "delta" in kind else "spike_interp_mode"] = mode
    arguments = {"spike_charge": 60.123, **constants, **options}
    return [getattr(n, name)(shape, step_time, **arguments).to(dtype) for n in (ours, theirs)]


def inputs(t, shape, dtype):
    """Spikes as bool, as numbers, and scaled, in turn."""
    g = seeded(t)
    fired = torch.rand(shape, generator=g) < 0.25
    scaled = fired * torch.randn(shape, generator=g, dtype=dtype)
    return (fired, fired.to(dtype), scaled)[t % 3]


def assert_close(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    torch.testing.assert_close(a, b)


def assert_as_close_as_can_be(a, b):
    """The same bits, except where inferno-ai multiplies bool by a number in float32 for a float64 state."""
    if a.dtype == torch.float64:
        torch.testing.assert_close(a, b, rtol=2e-7, atol=1e-5)
    else:
        assert a.dtype == b.dtype and torch.equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape, batch, dtype", [((2, 3), 3, torch.float32), ((5,), 1, torch.float64),
                                                 ((1,), 4, torch.float32)], ids=str)  # fmt: skip
@pytest.mark.parametrize("delay, step_time", [(0.0, 1.0), (4.0, 1.0), (2.3, 0.5)])
def test_two_hundred_steps(backend, kind, shape, batch, dtype, delay, step_time):
    a, b = pair(kind, shape, step_time, dtype, delay=delay, batch_size=batch)
    assert repr(a) == repr(b)
    for t in range(200):
        x = inputs(t, (batch, *shape), dtype)
        more = (torch.rand(batch, *shape, generator=seeded(t), dtype=dtype),) * (t % 3) if kind == "delta plus" else ()
        assert_as_close_as_can_be(a(x, *more), b(x, *more))
        assert_as_close_as_can_be(a.current, b.current)
        assert torch.equal(a.spike, b.spike)
    for name in KINDS[kind][2]:
        mine, other = (getattr(s, name + "_") for s in (a, b))
        assert (mine.recordsz, mine.duration, mine.pointer) == (other.recordsz, other.duration, other.pointer)
        assert_as_close_as_can_be(mine.value, other.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("over", [0.0, 2.5, None], ids=str)
@pytest.mark.parametrize("mode", ["previous", "nearest"])
@pytest.mark.parametrize("tolerance", [0.0, 0.125])
@pytest.mark.parametrize("delay, step_time", [(4.0, 1.0), (2.25, 0.5), (2.3, 0.5)])
def test_the_past(backend, kind, over, mode, tolerance, delay, step_time):
    a, b = pair(kind, (2, 3), step_time, delay=delay, batch_size=2, mode=mode, current_overbound=over,
                interp_tol=tolerance)  # fmt: skip
    for t in range(12):
        x = inputs(t, (2, 2, 3), torch.float32)
        a(x), b(x)
    at = torch.rand(2, 2, 3, 9, generator=seeded(5)) * (delay + 1) - 0.5
    on_grid = (at / step_time).round() * step_time
    for selector in (at, at[..., 0], on_grid, on_grid + 0.0625, torch.full_like(at, delay)):
        for name in [n + "_at" for n in KINDS[kind][2] if n != "spike"] + ["current_at"]:
            assert_close(getattr(a, name)(selector), getattr(b, name)(selector))
        # with a tolerance inferno-ai's out-of-range spikes are True: D-01b
        inside = (selector >= -tolerance) & (selector <= delay + tolerance)
        if tolerance == 0.0:
            assert torch.equal(a.spike_at(selector), b.spike_at(selector))
        else:
            assert not a.spike_at(selector)[~inside].any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [1, 7])
@pytest.mark.parametrize("forth", [True, False])
def test_checkpoints_are_exchanged(backend, kind, cut, forth):
    first, second = pair(kind, 4, 1.0, delay=3.0, batch_size=2)[:: 1 if forth else -1]
    for t in range(cut):
        first(inputs(t, (2, 4), torch.float32))
    state = first.state_dict()
    assert list(state) == list(second.state_dict())
    assert list(state["_extra_state"]) == list(second.state_dict()["_extra_state"])
    second.load_state_dict(state)
    for t in range(cut, 20):
        x = inputs(t, (2, 4), torch.float32)
        assert torch.equal(first(x), second(x))


@pytest.mark.parametrize("kind", KINDS)
def test_setters(backend, kind):
    a, b = pair(kind, 3, 1.0, delay=3.0, batch_size=2)
    for t in range(5):
        x = inputs(t, (2, 3), torch.float32)
        a(x), b(x)
    for s in (a, b):
        for name in (*KINDS[kind][2], "current"):
            setattr(s, name, torch.full((2, 3), 2.0) if "current" in name else torch.ones(2, 3))
    assert torch.equal(a.current, b.current) and torch.equal(a.spike, b.spike)
    assert a.state_dict()["_extra_state"] == b.state_dict()["_extra_state"]
    for s in (a, b):
        s.clear()
    assert not a.current.any() and a.state_dict()["_extra_state"] == b.state_dict()["_extra_state"]
    x = torch.ones(2, 3)
    assert torch.equal(a(x), b(x))
