"""What `check` runs of large sparse networks."""

from __future__ import annotations

import torch

from .. import ops

NEURONS, SYNAPSES, STEPS, STREAM = 203, 9_001, 60, 2**31
SECOND = 101  # from this neuron on, negative weights are summed apart


def _make_rows(dtype, rng):
    ends = torch.randint(NEURONS, (2, SYNAPSES), dtype=torch.int32, generator=rng)
    delay = torch.randint(1, 40, (SYNAPSES,), dtype=torch.int32, generator=rng)
    weight = (torch.randn(SYNAPSES, dtype=torch.float64, generator=rng) * 40 + 20).to(dtype)
    ports = torch.ones(NEURONS, dtype=torch.uint8)
    ports[SECOND:] = 2
    bounds = ops.partition(NEURONS, 2, 3)
    return ops.rows(*ends, delay, weight, neurons=NEURONS, ports=ports, bounds=bounds, dtype=dtype)


def _rows(device, dtype, rng):
    rows = _make_rows(dtype, rng).to(device)
    yield from rows.synapses()._asdict().items()


def _populations(device, dtype):
    make = {"dt": 0.1, "dtype": dtype, "device": device}
    table = ops.poisson_table(0.6)
    spikes, drive = ops.RandomSpikes(ops.poisson_table(0.05), STREAM), ops.PoissonDrive(table, 30.0, STREAM + 2)
    noise = ops.NoiseCurrent(50.0, 200.0, 10, STREAM + 4)
    each = torch.linspace(350, 600, NEURONS - 170, dtype=torch.float64)
    return [
        ops.spiking_population("generator", 0, 20, stimuli=(spikes,), **make),
        ops.spiking_population("iaf_psc_exp", 20, 60, current=400.0, stimuli=(drive, noise), **make),
        ops.spiking_population("iaf_psc_alpha", 60, 80, current=500.0, **make),
        ops.spiking_population("iaf_psc_delta", 80, SECOND, current=500.0, **make),
        ops.spiking_population("iaf_psc_exp", SECOND, 130, current=500.0, tau_syn_in=3.0, **make),
        ops.spiking_population("iaf_psc_alpha", 130, 170, current=500.0, tau_syn_in=3.0, **make),
        ops.spiking_population("iaf_cond_exp", 170, NEURONS, current=each, **make),
    ]


def _simulate(device, dtype, rng):
    """Two runs that follow each other, of two trials."""
    rows, populations = _make_rows(dtype, rng).to(device), _populations(device, dtype)
    state = ops.SimulationState.zeros(populations, trials=2, dtype=dtype, device=device)
    given = torch.tensor([[1, 3, -1], [4, 19, 1]], device=device)
    for _ in range(2):
        probe = ops.Probe(torch.arange(0, NEURONS, 7), 5)
        out = ops.simulate(rows, populations, state, STEPS, seed=9, record=True, given=given, probe=probe)
        yield "spikes", out.spikes
        yield "probed values", out.probed
        yield "state", state.values
        yield "refractory", state.refrac


EXPERIMENTS = {
    "rows": (_rows, (torch.float32, torch.float64)),
    "simulate": (_simulate, (torch.float32, torch.float64)),
}
