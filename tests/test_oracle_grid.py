"""Every connection with every synapse and every kind of delays into neurons, side by side with inferno-ai 0.0.5.

By default a subset runs in which every two values of different axes meet; ``-m slow`` runs the rest of the product.
"""

import functools
import itertools

import pytest
import torch
from states import seeded

import inferno_cuda.neural as ours

theirs = pytest.importorskip("inferno.neural")

STEPS = 200
STEP_TIME = 0.5
NEURON = {"rest_v": -60.0, "reset_v": -65.0, "thresh_v": -50.0, "refrac_t": 1.0, "time_constant": 20.0}

# What makes a connection, and the resistance in MOhm at which its neurons fire now and then.
CONNECTIONS = {
    "dense": (lambda n, **kw: n.LinearDense((3, 4), 9, STEP_TIME, **kw), 6.0),
    "direct": (lambda n, **kw: n.LinearDirect(9, STEP_TIME, **kw), 30.0),
    "lateral": (lambda n, **kw: n.LinearLateral((3, 3), STEP_TIME, **kw), 8.0),
    "conv padded": (lambda n, **kw: n.Conv2D(6, 6, 2, 2, STEP_TIME, 3, padding=1, **kw), 5.0),
    "conv": (lambda n, **kw: n.Conv2D(5, 6, 2, 2, STEP_TIME, (3, 2), **kw), 8.0),
    "conv strided": (
        lambda n, **kw: n.Conv2D(6, 6, 1, 3, STEP_TIME, (2, 3), stride=(1, 2), dilation=(2, 1), padding=(0, 2), **kw),
        16.0,
    ),
}
# Gains that are the same number in float32 and float64: inferno-ai multiplies bool in float32 for either.
SYNAPSES = {
    "delta": ("DeltaCurrent", (3.0,)),
    "delta plus": ("DeltaPlusCurrent", (3.0,)),
    "exponential": ("SingleExponentialCurrent", (3.0, 5.3)),
    "double exponential": ("DoubleExponentialCurrent", (3.0, 7.7, 1.9)),
}
# Longest delay, how the delays are drawn (numbers from 0 to 1 come in), and what stands for currents out of range.
DELAYS = {
    "none": (None, None, 0.0),
    "zero": (0.0, None, 0.0),
    "on the grid": (3.0, lambda u: (u * 6).round() * STEP_TIME, 0.0),
    "off the grid": (3.0, lambda u: u * 3.0, 0.0),
    "out of range, silent": (2.2, lambda u: u * 3.0, 0.0),
    "out of range, clamped": (2.2, lambda u: u * 3.0, None),
    "out of range, constant": (2.2, lambda u: u * 3.0, 0.75),
}
# Beyond the border inferno-ai has synapses, which give the constant; ours has none there (docs/differences.md).
DIFFERENT = {("conv padded", "out of range, constant"), ("conv strided", "out of range, constant")}
BATCHES = (1, 3)
DTYPES = {"float32": torch.float32, "float64": torch.float64}
AXES = (tuple(CONNECTIONS), tuple(SYNAPSES), tuple(DELAYS), BATCHES, tuple(DTYPES))


CASES = [case for case in itertools.product(*AXES) if (case[0], case[2]) not in DIFFERENT]


def pairs(case):
    """Every two values of different axes that meet in a case."""
    return {(i, case[i], j, case[j]) for i, j in itertools.combinations(range(len(AXES)), 2)}


def covering():
    """Few cases in which every two values meet that meet at all."""
    missing = set().union(*map(pairs, CASES))
    while missing:
        best = max(CASES, key=lambda case: len(pairs(case) & missing))
        missing -= pairs(best)
        yield best


COVERING = set(covering())
GRID = [
    pytest.param(*case, marks=() if case in COVERING else pytest.mark.slow, id="-".join(map(str, case)))
    for case in CASES
]


def build(neural, connection, synapse, delays, batch, dtype):
    make, resistance = CONNECTIONS[connection]
    name, constants = SYNAPSES[synapse]
    delay, spread, overbound = DELAYS[delays]
    draw = seeded(3)
    conn = make(
        neural,
        synapse=getattr(neural, name).partialconstructor(*constants, current_overbound=overbound),
        bias=True,
        delay=delay,
        batch_size=batch,
        weight_init=lambda w: torch.rand(w.shape, generator=draw) - 0.25,
        bias_init=lambda b: torch.rand(b.shape, generator=draw) / 8,
        delay_init=None if spread is None else lambda d: spread(torch.rand(d.shape, generator=draw)),
    )
    lif = neural.LIF(conn.outshape, STEP_TIME, resistance=resistance, batch_size=batch, **NEURON)
    return conn.to(DTYPES[dtype]), lif.to(DTYPES[dtype])


def inputs(conn, synapse, dtype):
    """Spikes as bool or as numbers in turn, and for synapses that take them, injected currents now and then."""
    draw = seeded(7)
    for t in range(STEPS):
        fired = torch.rand(conn.batched_inshape, generator=draw) < 0.25
        injected = torch.randn(conn.batched_inshape, generator=draw, dtype=dtype)
        exact = dtype == torch.float32 or synapse == "delta"
        spikes = fired if exact and t % 2 else fired.to(dtype)
        yield (spikes, injected) if synapse == "delta plus" and t % 3 == 0 else (spikes,)


def simulate(neural, *case):
    """Currents and spikes of all steps, and what the connection and the neurons hold after the last."""
    _, synapse, delays, _, dtype = case
    conn, lif = build(neural, *case)
    currents, spikes = [], []
    for x in inputs(conn, synapse, DTYPES[dtype]):
        currents.append(conn(*x))
        spikes.append(lif(currents[-1]))
    held = {"voltage": lif.voltage, "refrac": lif.refrac, "selector": conn.selector}
    if delays != "zero":  # D-10: not of the shape of the selector in inferno-ai
        held |= {"syncurrent": conn.syncurrent, "synspike": conn.synspike}
    return torch.stack(currents), torch.stack(spikes), held


@functools.cache
def expected(*case):
    """What inferno-ai computes, once for all backends."""
    return simulate(theirs, *case)


def assert_within_rounding(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    if a.dtype == torch.float64:
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    else:
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("connection, synapse, delays, batch, dtype", GRID)
def test_the_same_currents_and_spikes(backend, connection, synapse, delays, batch, dtype):
    case = connection, synapse, delays, batch, dtype
    currents, spikes, held = simulate(ours, *case)
    their_currents, their_spikes, their_held = expected(*case)
    assert_within_rounding(currents, their_currents)
    assert torch.equal(spikes, their_spikes) and 0.002 < spikes.float().mean() < 0.4
    assert held.keys() == their_held.keys()
    for name, value in held.items():
        assert_within_rounding(value, their_held[name])


def test_nothing_comes_from_beyond_the_border(backend):
    """Where a tap has no pixel: no current, whatever the constant for delays out of range."""
    conn = ours.Conv2D(
        2,
        2,
        1,
        1,
        1.0,
        3,
        padding=1,
        synapse=ours.DeltaCurrent.partialconstructor(1.0, current_overbound=7.0),
        delay=2.0,
        weight_init=torch.ones_like,
        delay_init=lambda d: torch.full_like(d, 5.0),
    )
    assert (conn(torch.ones(1, 1, 2, 2)) == 4 * 7).all()  # each window sees the four pixels
    assert conn.syncurrent.sum() == 4 * 4 * 7
