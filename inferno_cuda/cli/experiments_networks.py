"""What `check` runs of large sparse networks."""

from __future__ import annotations

import torch

from .. import ops

NEURONS, SYNAPSES, STEPS, STREAM = 203, 9_001, 60, 2**31
SECOND = 101  # from this neuron on, negative weights are summed apart


_LINEAR = {"rest_v": -65.0, "refrac_t": 1.3, "resistance": 30.0}
_QUADRATIC = {"rest_v": -65.0, "crit_v": -50.0, "affinity": 0.1, "reset_v": -70.0, "thresh_v": -30.0, "refrac_t": 0.5}
_EXPONENTIAL = {"rest_v": -65.0, "rheobase_v": -52.0, "sharpness": 2.0, "reset_v": -68.0, "thresh_v": -30.0}
_THRESHOLD = {"thresh_eq_v": -57.0, "tc_membrane": 17.3, "spike_increment": 2.3}
_CURRENT = {"tc_membrane": 9.4, "tc_adaptation": 44.0, "voltage_coupling": 0.004, "spike_increment": 0.08}
_OWN = {
    "LIF": {**_LINEAR, "reset_v": -66.0, "thresh_v": -57.0, "time_constant": 17.3},
    "ALIF": {**_LINEAR, **_THRESHOLD, "reset_v": -66.0, "tc_adaptation": 33.3},
    "GLIF2": {**_LINEAR, **_THRESHOLD, "reset_v_add": 2.0, "reset_v_mul": 0.4, "rc_adaptation": 0.033},
    "QIF": {**_QUADRATIC, "time_constant": 10.0, "resistance": 60.0},
    "Izhikevich": {**_QUADRATIC, **_CURRENT, "resistance": 25.0},
    "EIF": {**_EXPONENTIAL, "refrac_t": 0.0, "time_constant": 10.0, "resistance": 30.0},
    "AdEx": {**_EXPONENTIAL, **_CURRENT, "refrac_t": 0.5, "resistance": 33.3},
}


def _make_rows(dtype, rng, scale=1.0):
    ends = torch.randint(NEURONS, (2, SYNAPSES), dtype=torch.int32, generator=rng)
    delay = torch.randint(1, 40, (SYNAPSES,), dtype=torch.int32, generator=rng)
    weight = (torch.randn(SYNAPSES, dtype=torch.float64, generator=rng) * 40 + 20).to(dtype) * scale
    ports = torch.ones(NEURONS, dtype=torch.uint8)
    ports[SECOND:] = 2
    bounds = ops.partition(NEURONS, 2, 3)
    return ops.rows(*ends, delay, weight, neurons=NEURONS, ports=ports, bounds=bounds, dtype=dtype, repeats=10)


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


def _own_populations(device, dtype):
    """The neurons of this package, behind currents of one step and, with two ports, such that decay."""
    make = {"dt": 0.1, "dtype": dtype, "device": device}
    spikes, noise = ops.RandomSpikes(ops.poisson_table(0.05), STREAM), ops.NoiseCurrent(50.0, 300.0, 10, STREAM + 4)
    made = [ops.spiking_population("generator", 0, 20, stimuli=(spikes,), **make)]
    for begin, end, synapses in ((20, SECOND, {}), (SECOND, NEURONS, {"tau_syn_in": 3.0})):
        edges = [begin + (end - begin) * k // len(_OWN) for k in range(len(_OWN) + 1)]
        for (model, parameters), first, last in zip(_OWN.items(), edges[:-1], edges[1:], strict=True):
            each = torch.linspace(1500, 2500, last - first, dtype=torch.float64)
            given = {**make, **synapses, **parameters, "stimuli": (noise,)}
            made.append(ops.spiking_population(model, first, last, current=each, **given))
    return made


def _simulate(device, dtype, rng):
    """NEST's models, and then our own, onto which weights are smaller."""
    yield from _run(_make_rows(dtype, rng).to(device), _populations(device, dtype), device, dtype)
    yield from _run(_make_rows(dtype, rng, 1e-3).to(device), _own_populations(device, dtype), device, dtype)


def _run(rows, populations, device, dtype):
    """Two runs that follow each other, of two trials."""
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
