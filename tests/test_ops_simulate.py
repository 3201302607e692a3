"""Runs of large sparse networks: no spike is lost, and results depend on nothing but the network."""

import math

import network_cases as cases
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import ops, testing

LAYOUTS = [(1, 1), (2, 2), (4, 4), (7, 2)]  # ranges of targets, threads


@st.composite
def spike_trains(draw):
    """A network of generators onto neurons that sum up, and when the generators fire."""
    generators, neurons = draw(st.integers(1, 6)), draw(st.integers(1, 20))
    longest = draw(st.sampled_from([1, 2, 3, 31, 32, 70, 300]))
    shortest = draw(st.integers(1, longest))
    count = draw(st.integers(0, 150))
    source, target, delay, weight = cases.synapses(
        draw(st.integers(0, 999)), generators + neurons, count, longest, shortest
    )
    steps = draw(st.integers(1, 90))
    spikes = draw(st.lists(st.tuples(st.integers(0, steps - 1), st.integers(0, generators - 1)), max_size=60))
    cuts = draw(st.lists(st.integers(0, steps), max_size=3))
    parts = draw(st.integers(1, 4))
    return (source % generators, target, delay, weight.round()), generators, neurons, steps, spikes, cuts, parts


@given(case=spike_trains(), threads=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_every_spike_arrives_once_and_in_its_step(case, threads):
    synapses, generators, neurons, steps, spikes, cuts, parts = case
    size = generators + neurons
    expected = torch.zeros(steps, size, dtype=torch.float64)
    for step, neuron in spikes:
        for s, t, d, w in zip(*(column.tolist() for column in synapses), strict=True):
            if s == neuron and t >= generators and step + d < steps:
                expected[step + d :, t] += w
    for name in testing.backends():
        rows, populations = cases.summing_network(*synapses, size, generators, parts, name)
        state = ops.SimulationState.zeros(populations, dtype=torch.float64)
        seen, edges = [], [0, *sorted(cuts), steps]
        for a, b in zip(edges[:-1], edges[1:], strict=True):
            now = [(step - a, neuron, 0) for step, neuron in spikes if a <= step < b]
            now = torch.tensor(now, dtype=torch.int64).reshape(-1, 3)
            with inferno_cuda.backend(name):
                probe = ops.Probe(torch.arange(size))
                out = ops.simulate(rows, populations, state, b - a, given=now, probe=probe, threads=threads)
            seen.append(out.probed[:, 0])
        assert torch.equal(torch.cat(seen)[:, generators:], expected[:, generators:]), name


@pytest.mark.parametrize("min_delay", [1, 6])
@pytest.mark.parametrize("weight_bits", [16, 32, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backends_threads_and_interruptions_change_nothing(native, dtype, weight_bits, min_delay):
    with inferno_cuda.backend("torch"):
        expected = cases.run_mixed(cases.mixed_rows(1, dtype, min_delay, weight_bits), dtype)
    assert len(expected[0]) > 200
    for parts, threads in LAYOUTS:
        rows = cases.mixed_rows(parts, dtype, min_delay, weight_bits)
        for chunks in ((120,), (8, 0, 1, 53, 58)):
            run = cases.run_mixed(rows, dtype, threads=threads, chunks=chunks)
            cases.assert_runs_equal(run, expected)


def test_a_run_goes_on_where_another_backend_stopped(native):
    rows = cases.mixed_rows(3)
    populations = cases.mixed_populations()
    whole = ops.SimulationState.zeros(populations)
    ops.simulate(rows, populations, whole, 120)
    state = ops.SimulationState.zeros(populations)
    for name, steps in (("torch", 40), ("native", 50), ("torch", 30)):
        state = ops.SimulationState.from_tensors({k: t.clone() for k, t in state.tensors().items()})
        with inferno_cuda.backend(name):
            ops.simulate(cases.mixed_rows(2), populations, state, steps)
    assert torch.equal(state.values, whole.values)
    assert torch.equal(state.flight, whole.flight)


def test_trials_are_independent(backend):
    """A trial has its own random numbers, and no synapses from others."""
    rows, populations = cases.mixed_rows(2), cases.mixed_populations()
    states = [ops.SimulationState.zeros(populations, trials=trials) for trials in (1, 3)]
    for state in states:
        ops.simulate(rows, populations, state, 40)
    assert torch.equal(states[1].values[:, 0], states[0].values[:, 0])
    assert not torch.equal(states[1].values[:, 1], states[0].values[:, 0])
    plain = [population.replace(stimuli=()) for population in populations]
    states = [ops.SimulationState.zeros(plain, trials=trials) for trials in (1, 3)]
    for state in states:
        ops.simulate(rows, plain, state, 60)
    for trial in range(3):
        assert torch.equal(states[1].values[:, trial], states[0].values[:, 0])


def uniform_network(neurons, order=None, split=False, dtype=torch.float32):
    """Rows and populations of one model whose parameters differ, with the neurons in another order."""
    source, target, delay, weight = cases.synapses(11, neurons, 4000, 20, dtype=dtype)
    order = torch.arange(neurons) if order is None else order
    source, target = order[source.long()].int(), order[target.long()].int()
    if split:
        first = torch.arange(len(source)) % 3 == 0
        source, target, delay, weight = (
            torch.cat([column[first], column[~first]]) for column in (source, target, delay, weight)
        )
    current = torch.empty(neurons, dtype=torch.float64)
    current[order] = torch.linspace(450, 600, neurons, dtype=torch.float64)
    rows = ops.rows(source, target, delay, weight, neurons=neurons, bounds=ops.partition(neurons, 1, 3), dtype=dtype)
    make = {"dt": cases.DT, "dtype": dtype}
    return rows, [ops.spiking_population("iaf_psc_exp", 0, neurons, current=current, **make)]


def test_permuted_neurons_do_the_same_and_split_projections_too(backend):
    neurons = 90
    order = torch.randperm(neurons, generator=torch.Generator().manual_seed(2))
    results = []
    for options in ({}, {"split": True}, {"order": order}):
        rows, populations = uniform_network(neurons, **options)
        state = ops.SimulationState.zeros(populations)
        spikes = ops.simulate(rows, populations, state, 400, record=True).spikes
        results.append((state.values, spikes))
    (values, spikes), split, (permuted, other) = results
    assert len(spikes) > 200
    assert torch.equal(values, split[0]) and torch.equal(spikes, split[1])
    assert torch.equal(values, permuted[:, :, order])
    there = torch.stack([spikes[:, 0], order[spikes[:, 1].long()].int(), spikes[:, 2]], 1)
    assert sorted(there.tolist()) == sorted(other.tolist())


def test_records_counts_and_probes_agree(backend):
    rows, populations = uniform_network(60)
    chosen = torch.arange(60) % 4 == 0
    runs = []
    for record in (True, chosen, None):
        state = ops.SimulationState.zeros(populations)
        counts = torch.full((1, 60), 3)
        probe = ops.Probe(torch.tensor([5, 5, 59]), 4, 1)
        runs.append((ops.simulate(rows, populations, state, 203, record=record, counts=counts, probe=probe), counts))
    (every, counts), (some, _), (none, _) = runs
    spikes = every.spikes
    assert spikes.dtype == torch.int32 and none.spikes is None
    assert torch.equal(some.spikes, spikes[chosen[spikes[:, 1].long()]])
    assert torch.equal(counts[0] - 3, torch.bincount(spikes[:, 1], minlength=60))
    assert every.probed.shape == (50, 1, 3)
    assert torch.equal(every.probed[..., 0], every.probed[..., 1])


def test_probes_see_what_steps_leave(backend):
    rows, populations = uniform_network(30)
    state = ops.SimulationState.zeros(populations)
    chosen = torch.tensor([29, 0, 7])
    probed = [ops.simulate(rows, populations, state, 7, probe=ops.Probe(chosen, 5)).probed for _ in range(3)]
    assert [len(p) for p in probed] == [1, 1, 2]
    again = ops.SimulationState.zeros(populations)
    for sample in torch.cat(probed):
        ops.simulate(rows, populations, again, 5)
        assert torch.equal(sample, again.values[0][:, chosen])


def test_poisson_drive_has_its_mean_and_variance(backend):
    """Counts of a step are independent, and their mean is their variance."""
    neurons, mean = 2000, 1.7
    lasting = {"tau_m": 1e300, "V_th": 1e9, "C_m": 1.0}
    drive = (ops.PoissonDrive(ops.poisson_table(mean), 2.0, cases.STREAM),)
    make = {"dt": cases.DT, "dtype": torch.float64, **lasting}
    populations = [ops.spiking_population("iaf_psc_delta", 0, neurons, stimuli=drive, **make)]
    none = torch.zeros(0, dtype=torch.int32)
    rows = ops.rows(none, none, none, none.double(), neurons=neurons, dtype=torch.float64)
    state = ops.SimulationState.zeros(populations, dtype=torch.float64)
    probed = ops.simulate(rows, populations, state, 20, seed=5, probe=ops.Probe(torch.arange(neurons))).probed[:, 0]
    counts = torch.diff(probed, dim=0, prepend=torch.zeros(1, neurons)) / 2
    assert torch.equal(counts, counts.round())
    error = math.sqrt(mean / counts.numel())
    assert abs(float(counts.mean()) - mean) < 4 * error
    assert abs(float(counts.var()) - mean) < 8 * error
    together = torch.corrcoef(torch.stack([counts[:, :-1].flatten(), counts[:, 1:].flatten()]))[0, 1]
    assert abs(float(together)) < 5 / math.sqrt(counts.numel())


def test_noise_holds_through_its_interval(backend):
    neurons = 1000
    make = {"dt": cases.DT, "dtype": torch.float64, "tau_m": 1e9, "C_m": 0.1, "V_th": 1e12}
    noise = (ops.NoiseCurrent(3.0, 2.0, 4, cases.STREAM),)
    populations = [ops.spiking_population("iaf_psc_delta", 0, neurons, stimuli=noise, **make)]
    none = torch.zeros(0, dtype=torch.int32)
    rows = ops.rows(none, none, none, none.double(), neurons=neurons, dtype=torch.float64)
    state = ops.SimulationState.zeros(populations, dtype=torch.float64)
    probed = ops.simulate(rows, populations, state, 12, seed=5, probe=ops.Probe(torch.arange(neurons))).probed[:, 0]
    # a current of 1 pA raises 0.1 pF by 1 mV in 0.1 ms
    current = torch.diff(probed, dim=0, prepend=torch.zeros(1, neurons)).reshape(3, 4, neurons)
    assert torch.allclose(current, current[:, :1].expand_as(current), atol=1e-5)
    drawn = current[:, 0]
    assert abs(float(drawn.mean()) - 3) < 4 * 2 / math.sqrt(drawn.numel())
    assert abs(float(drawn.std()) - 2) < 4 * 2 / math.sqrt(2 * drawn.numel())
    assert abs(float(torch.corrcoef(drawn)[0, 1])) < 0.15


def test_random_numbers_depend_on_seed_step_and_neuron_alone(backend):
    """Interrupted runs and other seeds."""
    table = ops.poisson_table(0.3)
    populations = [ops.spiking_population("generator", 0, 50, dt=0.1, stimuli=(ops.RandomSpikes(table, 7),))]
    none = torch.zeros(0, dtype=torch.int32)
    rows = ops.rows(none, none, none, none.float(), neurons=50, bounds=ops.partition(50, 1, 3))
    trains = []
    for seed, chunks in ((1, (40,)), (1, (3, 37)), (2, (40,)), (-1, (40,))):
        state, spikes, seed = ops.SimulationState.zeros(populations), [], seed % 2**64
        for steps in chunks:
            at = torch.tensor([state.step, 0, 0])
            spikes.append(ops.simulate(rows, populations, state, steps, seed=seed, record=True).spikes + at)
        trains.append(torch.cat(spikes).tolist())
    assert trains[0] == trains[1]
    assert trains[0] != trains[2] != trains[3]
    assert abs(len(trains[0]) / (40 * 50) - 0.3) < 0.06


@pytest.mark.parametrize("neurons", [0, 1, 5])
def test_networks_without_synapses(backend, neurons):
    none = torch.zeros(0, dtype=torch.int32)
    rows = ops.rows(none, none, none, none.float(), neurons=neurons)
    populations = [ops.spiking_population("iaf_psc_exp", 0, neurons, dt=0.1, current=500.0)]
    state = ops.SimulationState.zeros(populations)
    out = ops.simulate(rows, populations, state, 300, record=True)
    assert state.step == 300
    assert (len(out.spikes) > 0) == (neurons > 0)


def test_a_run_that_fails_in_the_middle_changes_nothing(native, monkeypatch):
    from inferno_cuda.ops import _simulate_native

    rows, populations = cases.mixed_rows(2), cases.mixed_populations()
    state, counts = ops.SimulationState.zeros(populations), torch.zeros(1, cases.SIZE, dtype=torch.int64)
    ops.simulate(rows, populations, state, 40, counts=counts)
    before = {name: tensor.clone() for name, tensor in state.tensors().items()} | {"counts": counts.clone()}

    def fail(*arguments):
        state.values.add_(1.0)
        state.refrac.add_(1)
        counts.add_(1)
        raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr(_simulate_native, "_raw_simulate", fail)
    with pytest.raises(RuntimeError, match="bad_alloc"):
        ops.simulate(rows, populations, state, 40, counts=counts)
    for name, tensor in (state.tensors() | {"counts": counts}).items():
        assert torch.equal(tensor, before[name]), name


def test_a_probe_of_no_neurons_has_samples_of_none(backend):
    populations = cases.mixed_populations()
    state = ops.SimulationState.zeros(populations, trials=2)
    for steps, samples in ((5, 1), (7, 2)):
        out = ops.simulate(cases.mixed_rows(), populations, state, steps, probe=ops.Probe(torch.arange(0), 4))
        assert out.probed.shape == (samples, 2, 0)


def test_counts_are_those_of_the_spikes_on_any_number_of_threads():
    """Threads that share the steps of neurons may emit spikes of one neuron within one stretch between barriers."""
    size, steps = 30_000, 100
    source, target = torch.randint(size, (2, 4000), dtype=torch.int32, generator=torch.Generator().manual_seed(3))
    often = ops.RandomSpikes(ops.poisson_table(1.5), 5)
    populations = [
        ops.spiking_population("generator", 0, size - 10, dt=0.1, stimuli=(often,)),
        ops.spiking_population("iaf_psc_exp", size - 10, size, dt=0.1, current=2000.0, t_ref=0.1),
    ]
    given_spikes = torch.tensor([[s, n, 0] for s in range(0, steps, 3) for n in range(0, 1000, 7)])
    # one thread has nearly all neurons, so the others help it
    for bounds in ([0, size], [0, size - 1, size], [0, size - 2, size - 1, size]):
        options = {"neurons": size, "repeats": 20, "bounds": torch.tensor(bounds)}
        rows = ops.rows(source, target, torch.full_like(source, 10), 1.0, **options)
        state, counts = ops.SimulationState.zeros(populations), torch.zeros(1, size, dtype=torch.int64)
        run = {"record": True, "counts": counts, "given": given_spikes, "threads": len(bounds) - 1}
        spikes = ops.simulate(rows, populations, state, steps, **run).spikes
        assert torch.equal(counts[0], torch.bincount(spikes[:, 1].long(), minlength=size))
        assert int(counts.max()) > steps
