"""Small networks that exercise everything at once, and ways to run them."""

import torch

import inferno_cuda
from inferno_cuda import ops

DT = 0.1
STREAM = 1 << 31
SIZE = 200
PROBED, VARIABLES = [120, 15, 160, 90, 190, 33], [0, 0, 1, 0, 0, 1]


def synapses(seed, neurons, count, max_delay, min_delay=1, dtype=torch.float32):
    """Random source, target, delay, weight."""
    rng = torch.Generator().manual_seed(seed)
    ends = torch.randint(0, max(neurons, 1), (2, count), dtype=torch.int32, generator=rng)
    delay = torch.randint(min_delay, max_delay + 1, (count,), dtype=torch.int32, generator=rng)
    weight = (torch.randn(count, generator=rng, dtype=torch.float64) * 20 + 10).to(dtype)
    return ends[0], ends[1], delay, weight


def mixed_rows(parts=1, dtype=torch.float32, min_delay=1, weight_bits=None):
    """Rows of the network of :func:`mixed_populations`."""
    ports = torch.ones(SIZE, dtype=torch.uint8)
    ports[100:] = 2
    bounds = ops.partition(SIZE, 2, parts)
    given = synapses(1, SIZE, 20_000, 30, min_delay, dtype)
    options = {"weight_bits": weight_bits, "dtype": dtype, "repeats": 10}
    return ops.rows(*given, neurons=SIZE, ports=ports, bounds=bounds, **options)


def mixed_populations(dtype=torch.float32):
    """Every model, numbers of neurons that fill no block, parameters that differ between neurons, all stimuli."""
    make = {"dt": DT, "dtype": dtype}
    each = torch.linspace(350, 450, 47, dtype=torch.float64)
    table = ops.poisson_table(0.7)
    sources = (ops.RandomSpikes(ops.poisson_table(0.05), STREAM + 8),)
    driven = (ops.PoissonDrive(table, 20.0, STREAM), ops.NoiseCurrent(0.0, 100.0, 3, STREAM + 10))
    noisy = (ops.NoiseCurrent(10.0, 200.0, 10, STREAM + 2),)
    inhibited = (ops.PoissonDrive(table, -20.0, STREAM + 6, 1),)
    return [
        ops.spiking_population("generator", 0, 10, stimuli=sources, **make),
        ops.spiking_population("iaf_psc_exp", 10, 53, current=400.0, stimuli=driven, **make),
        ops.spiking_population("iaf_psc_alpha", 53, 80, current=400.0, t_ref=0.0, **make),
        ops.spiking_population("iaf_psc_delta", 80, 100, current=400.0, V_min=-75.0, **make),
        ops.spiking_population("iaf_cond_exp", 100, 147, current=each, V_th=each / 100 - 60, **make),
        ops.spiking_population("iaf_psc_alpha", 147, 180, current=400.0, tau_syn_in=3.0, stimuli=noisy, **make),
        ops.spiking_population("iaf_psc_exp", 180, SIZE, current=400.0, tau_syn_in=3.0, stimuli=inhibited, **make),
    ]


_LINEAR = {"rest_v": -65.0, "reset_v": -66.0, "refrac_t": 1.3, "resistance": 30.0}
_QUADRATIC = {"rest_v": -65.0, "crit_v": -50.0, "affinity": 0.1, "reset_v": -70.0, "thresh_v": -30.0}
_EXPONENTIAL = {"rest_v": -65.0, "rheobase_v": -52.0, "sharpness": 2.0, "reset_v": -68.0, "thresh_v": -30.0}
_THRESHOLDS = {"thresh_eq_v": -57.0, "tc_membrane": 17.3, "spike_increment": 2.3}
_CURRENTS = {"tc_membrane": 9.37, "tc_adaptation": 44.1, "voltage_coupling": 0.004, "spike_increment": 0.0805}

#: Parameters of each class of neurons; some with a refractory period, some without.
OWN = {
    "LIF": _LINEAR | {"thresh_v": -57.0, "time_constant": 17.3},
    "ALIF": _LINEAR | _THRESHOLDS | {"tc_adaptation": 33.3},
    "GLIF1": _LINEAR | {"thresh_v": -57.0, "time_constant": 17.3, "refrac_t": 0.0},
    "GLIF2": {**_THRESHOLDS, "rest_v": -65.0, "reset_v_add": 2.0, "reset_v_mul": 0.4, "refrac_t": 0.0}
    | {"rc_adaptation": 0.033, "resistance": 30.0},
    "QIF": _QUADRATIC | {"refrac_t": 2.0, "time_constant": 10.0, "resistance": 60.0},
    "Izhikevich": _QUADRATIC | _CURRENTS | {"refrac_t": 0.0, "resistance": 25.0},
    "EIF": _EXPONENTIAL | {"refrac_t": 0.05, "time_constant": 10.0, "resistance": 20.0},
    "AdEx": _EXPONENTIAL | _CURRENTS | {"refrac_t": 0.5, "resistance": 33.3},
}


def own_populations(dtype=torch.float32):
    """The neurons of inferno_cuda.neural, from 100 on with two ports and parameters that differ between neurons."""
    make = {"dt": DT, "dtype": dtype}
    sources = (ops.RandomSpikes(ops.poisson_table(0.05), STREAM + 8),)
    made = [ops.spiking_population("generator", 0, 10, stimuli=sources, **make)]
    for begin, end, ports in ((10, 100, 1), (100, SIZE, 2)):
        edges = [begin + (end - begin) * k // len(OWN) for k in range(len(OWN) + 1)]
        for k, (model, parameters) in enumerate(OWN.items()):
            first, last = edges[k : k + 2]
            weight = 0.01 if ports == 1 else -0.01
            drive = ops.PoissonDrive(ops.poisson_table(0.7), weight, STREAM + 16 * k, ports - 1)
            noise = ops.NoiseCurrent(100.0, 300.0, 3, STREAM + 16 * k + 2)
            given = dict(parameters)
            if ports == 2:
                steps = torch.linspace(0.9, 1.1, last - first, dtype=torch.float64)
                given |= {key: value * steps for key, value in parameters.items() if not key.endswith("_v")}
                # with a time constant of 0, a current lasts for a step
                given |= {"tau_syn_ex": torch.where(steps < 1, 0.0, steps), "tau_syn_in": 3.0}
                given["refrac_lock"] = torch.arange(last - first) % 3 > 0
                if "spike_increment" in parameters:
                    given["adapt"] = torch.arange(last - first) % 4 > 0
            population = ops.spiking_population(
                model, first, last, current=1800.0, ports=ports, stimuli=(drive, noise), **make, **given
            )
            made.append(population)
    return made


def own_rows(parts=1, dtype=torch.float32):
    """Rows of the network of :func:`own_populations`: charges of some 0.02 pC."""
    ports = torch.ones(SIZE, dtype=torch.uint8)
    ports[100:] = 2
    source, target, delay, weight = synapses(1, SIZE, 20_000, 30, dtype=dtype)
    options = {"dtype": dtype, "repeats": 10, "bounds": ops.partition(SIZE, 2, parts)}
    return ops.rows(source, target, delay, weight * 1e-3, neurons=SIZE, ports=ports, **options)


def run_mixed(rows, dtype=torch.float32, trials=2, threads=1, chunks=(120,), make=mixed_populations):
    """Spikes, probed values, state and counts after runs of the given numbers of steps."""
    populations = make(dtype)
    state = ops.SimulationState.zeros(populations, trials=trials, dtype=dtype)
    counts = torch.zeros(trials, SIZE, dtype=torch.int64)
    given = torch.tensor([[5, 3, -1], [5, 3, 0], [7, 4, trials - 1]])
    spikes, probed = [], []
    for steps in chunks:
        options = {"seed": 2**63 + 5, "counts": counts, "threads": threads, "given": given}
        probe = ops.Probe(torch.tensor(PROBED), 7, torch.tensor(VARIABLES))
        start = torch.tensor([state.step, 0, 0], dtype=torch.int32)
        out = ops.simulate(rows, populations, state, steps, record=True, probe=probe, **options)
        spikes.append(out.spikes + start)
        probed.append(out.probed)
        given = None
    return torch.cat(spikes), torch.cat(probed), state, counts


def assert_runs_equal(run, expected):
    for mine, other in zip(run[:2] + run[3:], expected[:2] + expected[3:], strict=True):
        assert torch.equal(mine, other)
    state, wanted = run[2], expected[2]
    assert torch.equal(state.values, wanted.values)
    assert torch.equal(state.refrac, wanted.refrac)
    assert torch.equal(state.flight, wanted.flight)
    assert state.step == wanted.step


def summing_network(source, target, delay, weight, neurons, generators, parts, backend, dtype=torch.float64):
    """Neurons whose voltage is the sum of all weights that arrived at them; those from 0 on are generators."""
    with inferno_cuda.backend(backend):
        bounds = ops.partition(neurons, 1, parts)
        rows = ops.rows(source, target, delay, weight, neurons=neurons, bounds=bounds, dtype=dtype, repeats=60)
    lasting = {"tau_m": 1e300, "V_th": 1e9, "C_m": 1.0}
    populations = [
        ops.spiking_population("generator", 0, generators, dt=DT, dtype=dtype),
        ops.spiking_population("iaf_psc_delta", generators, neurons, dt=DT, dtype=dtype, **lasting),
    ]
    return rows, populations
