"""Spikes against NEST (https://www.nest-simulator.org), step for step: same synapses, parameters and initial values.

NEST's events of a generator reach a neuron like spikes of neurons do; here generators are populations, so a spike of a
generator at time t with delay d arrives in both at t + d. A spike is at the end of its step in both.
"""

import numpy as np
import pytest
import torch

from inferno_cuda import sim

nest = pytest.importorskip("nest")

NEURONS, DURATION = 120, 200.0
# weights in the unit of the model that keep the networks going
CASES = {
    "iaf_psc_exp": {"weight": 150.0, "inhibition": -300.0, "drive": 400.0, "I_e": 330.0, "tau_syn_ex": 1.0},
    "iaf_psc_exp-one_sum": {"weight": 100.0, "inhibition": -300.0, "drive": 200.0, "I_e": 340.0},
    "iaf_psc_alpha": {"weight": 60.0, "inhibition": -150.0, "drive": 90.0, "I_e": 300.0, "tau_syn_in": 3.0},
    "iaf_psc_delta": {"weight": 1.0, "inhibition": -3.0, "drive": 3.0, "I_e": 300.0},
    "iaf_cond_exp": {"weight": 4.0, "inhibition": -10.0, "drive": 20.0, "I_e": 200.0, "tau_syn_ex": 1.5},
}
RATE = 60.0  # Hz, of the generator of each neuron


def synapses(case, rng):
    """Sources, targets, weights and delays (ms) of a random network, with multapses and delays from one step up."""
    count = NEURONS * 12
    source, target = rng.integers(NEURONS, size=count), rng.integers(NEURONS, size=count)
    strength = np.where(source < NEURONS * 4 // 5, case["weight"], case["inhibition"])
    weight = strength * rng.uniform(0.5, 1.5, count)
    delay = 0.1 * rng.integers(1, 40, count)
    return source, target, weight, delay


def stimuli(rng):
    """Times (ms) and numbers of generators' spikes, one generator for each neuron; several may be at one time."""
    count = int(NEURONS * RATE * DURATION / 1000)
    steps = rng.integers(1, int(DURATION * 10) - 5, count)
    neurons = rng.integers(NEURONS, size=count)
    pairs = np.unique(np.stack([steps, neurons], 1), axis=0)
    return pairs[:, 0] * 0.1, pairs[:, 1]


def potentials(rng):
    return rng.uniform(-70.0, -56.0, NEURONS)


def theirs(model, case, parameters, dt=0.1):
    rng = np.random.default_rng(1)
    nest.ResetKernel()
    nest.set_verbosity("M_ERROR")
    nest.resolution = dt
    neurons = nest.Create(model, NEURONS, params=parameters)
    neurons.V_m = potentials(rng)
    ids = np.array(neurons.tolist())
    source, target, weight, delay = synapses(case, rng)
    nest.Connect(ids[source], ids[target], "one_to_one", {"weight": weight, "delay": delay})
    times, driven = stimuli(rng)
    generators = nest.Create("spike_generator", NEURONS)
    for k in range(NEURONS):
        generators[k].spike_times = np.round(times[driven == k], 1)
    nest.Connect(generators, neurons, "one_to_one", {"weight": case["drive"], "delay": 1.0})
    recorder = nest.Create("spike_recorder")
    nest.Connect(neurons, recorder)
    nest.Simulate(DURATION)
    events = recorder.events
    return np.stack([np.round(events["times"] / dt).astype(int), events["senders"] - ids[0]], 1)


def ours(model, case, parameters, dt=0.1):
    rng = np.random.default_rng(1)
    net = sim.Network(dt=dt, dtype=torch.float64)
    neurons = net.population(NEURONS, model, V_m=potentials(rng), **parameters)
    source, target, weight, delay = synapses(case, rng)
    net.connect(neurons, neurons, (source, target), weight=weight, delay=delay)
    times, driven = stimuli(rng)
    generators = net.spike_source(NEURONS, times, driven)
    net.connect(generators, neurons, "one_to_one", weight=case["drive"], delay=1.0)
    recorder = net.record_spikes(neurons)
    net.run(DURATION)
    return torch.stack([recorder.steps, recorder.neurons.long()], 1).numpy()


def sorted_rows(spikes):
    return spikes[np.lexsort((spikes[:, 1], spikes[:, 0]))]


@pytest.mark.parametrize("t_ref", [2.0, 0.5, 0.1])
@pytest.mark.parametrize("name", CASES)
def test_spikes_are_those_of_nest(name, t_ref):
    model, case = name.partition("-")[0], CASES[name]
    parameters = {"t_ref": t_ref, **{key: case[key] for key in case if key.startswith(("tau", "I_e"))}}
    expected, found = (sorted_rows(run(model, case, parameters)) for run in (theirs, ours))
    assert len(expected) > 100, len(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dt", [0.1, 0.25])
@pytest.mark.parametrize("model", ["iaf_psc_exp", "iaf_psc_alpha", "iaf_psc_delta", "iaf_cond_exp"])
def test_neurons_that_all_differ_spike_as_those_of_nest(model, dt):
    rng = np.random.default_rng(7)
    values = {"C_m": (200.0, 300.0), "E_L": (-72.0, -68.0), "V_th": (-56.0, -54.0), "V_reset": (-75.0, -60.0)}
    values |= {"t_ref": (0.0, 5.0), "I_e": (300.0, 600.0)}
    values |= {"g_L": (14.0, 18.0)} if model == "iaf_cond_exp" else {"tau_m": (8.0, 15.0)}
    parameters = {name: rng.uniform(*bounds, NEURONS) for name, bounds in values.items()}
    parameters["t_ref"] = dt * np.round(parameters["t_ref"] / dt)
    nest.ResetKernel()
    nest.resolution = dt
    neurons = nest.Create(model, NEURONS, params=parameters)
    neurons.V_m = parameters["E_L"]
    recorder = nest.Create("spike_recorder")
    nest.Connect(neurons, recorder)
    nest.Simulate(DURATION)
    events = recorder.events
    expected = np.stack([np.round(events["times"] / dt).astype(int), events["senders"] - min(neurons.tolist())], 1)
    net = sim.Network(dt=dt, dtype=torch.float64)
    net.population(NEURONS, model, **parameters)
    spikes = net.record_spikes()
    net.run(DURATION)
    found = torch.stack([spikes.steps, spikes.neurons.long()], 1).numpy()
    assert len(expected) > 500
    np.testing.assert_array_equal(sorted_rows(found), sorted_rows(expected))
