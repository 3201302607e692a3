"""What `check` runs of sums over synapses that are listed one by one."""

from __future__ import annotations

import itertools

import torch

from .. import ops, testing

SLOTS, STEPS, INPUTS, OUTPUTS, SYNAPSES = 7, 4, 37, 29, 211
BATCHES = (1, 5, 70)
DT = 0.7
TIMING = {"dt": DT, "slots": SLOTS, "max_delay": DT * (SLOTS - 1)}
MODES = {"previous": None, "next": None, "nearest": None, "linear": None, "expdecay": 5.0}


def _made(device, dtype, rng):
    """Synapses with repetitions, weights, biases and delays, half of these on the grid."""
    ends = (torch.randint(size, (SYNAPSES,), generator=rng) for size in (INPUTS, OUTPUTS))
    links = ops.connectivity(*(end.to(device) for end in ends), inputs=INPUTS, outputs=OUTPUTS)
    weight, bias = (torch.rand(size, generator=rng, dtype=torch.float64) * 2 - 1 for size in (SYNAPSES, OUTPUTS))
    delay = ((SLOTS + 1) * torch.rand(SYNAPSES, generator=rng) - 1) * DT
    delay[::2] = (delay[::2] / DT).round() * DT
    return links, weight.to(device, dtype), bias.to(device, dtype), delay.to(device)


def _series(times, batch, kind, device, rng):
    return testing.random_ring((times, batch, INPUTS), kind, pointer=2, device=device, generator=rng)


def _sparse_sum(device, dtype, rng):
    links, weight, bias, _ = _made(device, dtype, rng)
    for batch, kind in itertools.product(BATCHES, (dtype, torch.bool)):
        data, _ = _series(SLOTS, batch, kind, device, rng)
        yield f"{kind}, batch {batch}", ops.sparse_sum(data, weight, links, bias=bias, scale=0.7)


def _delayed_sparse(device, dtype, rng):
    links, weight, bias, delay = _made(device, dtype, rng)
    for batch, kind in itertools.product(BATCHES, (dtype, torch.bool)):
        ring, pointer = _series(SLOTS, batch, kind, device, rng)
        for mode, time_constant in MODES.items():
            plan = ops.delay_plan(delay, mode=mode, time_constant=time_constant, **TIMING)
            out = ops.delayed_sparse(ring, pointer, weight, plan, links, bias=bias, scale=0.7)
            yield f"{mode}, {kind}, batch {batch}", out


def _delayed_sparse_run(device, dtype, rng):
    links, weight, bias, delay = _made(device, dtype, rng)
    for batch, kind in itertools.product(BATCHES, (dtype, torch.bool)):
        series, _ = _series(SLOTS - 1 + STEPS, batch, kind, device, rng)
        for mode, time_constant in MODES.items():
            options = {"mode": mode, "time_constant": time_constant, "bias": bias, "scale": 0.7, **TIMING}
            yield f"{mode}, {kind}, batch {batch}", ops.delayed_sparse_run(series, weight, delay, links, **options)


EXPERIMENTS = {
    "sparse_sum": (_sparse_sum, testing.DTYPES),
    "delayed_sparse": (_delayed_sparse, testing.DTYPES),
    "delayed_sparse_run": (_delayed_sparse_run, testing.DTYPES),
}
