"""Stimuli, sources and recorders of inferno_cuda.sim."""

import numpy as np
import pytest
import torch
from sim_cases import small, spikes

from inferno_cuda import sim

PASSIVE = {"E_L": 0.0, "V_th": 1e6, "tau_m": 10.0, "C_m": 100.0}


def passive(size=4, model="iaf_psc_exp", **options):
    """Neurons that never spike, at rest at 0 mV, with 0.1 mV / pA."""
    net = sim.Network(**{"dtype": torch.float64, **options})
    return net, net.population(size, model, **PASSIVE)


def test_a_constant_current_moves_the_potential(backend):
    net, neurons = passive(dt=1.0)
    neurons.current = [0.0, 10.0, 20.0, -10.0]
    neurons[0].set(I_e=5.0)
    net.run(100.0)
    assert neurons.V_m[0].tolist() == pytest.approx([0.5, 1.0, 2.0, -1.0], rel=1e-3)
    neurons.current = 0.0
    net.run(100.0)
    assert neurons.V_m[0].tolist() == pytest.approx([0.5, 0, 0, 0], abs=1e-3)


def test_step_currents_begin_with_the_step_that_begins_then(backend):
    net, neurons = passive()
    net.step_current(neurons[:2], [1.0, 2.0, 3.0], [10.0, -20.0, 0.0])
    net.step_current(neurons[1:3], [2.0], [[1.0, 2.0]])
    voltage = net.record_voltage(neurons)
    net.run(4.0)
    amplitude = torch.zeros(40, 4, dtype=torch.float64)
    amplitude[10:20, :2], amplitude[20:30, :2] = 10.0, -20.0
    amplitude[20:, 1] += 1.0
    amplitude[20:, 2] += 2.0
    state, decay = torch.zeros(4, dtype=torch.float64), np.exp(-0.01)
    for step in range(40):
        state = state * decay + amplitude[step] * 0.1 * (1 - decay)
        assert voltage.values[step, 0].tolist() == pytest.approx(state.tolist(), abs=1e-12)
    assert neurons.current.tolist() == [0.0] * 4


def test_a_poisson_drive_has_its_rate_and_weight(backend):
    net, neurons = passive(50, "iaf_psc_delta", dt=0.5)
    drive = net.poisson(neurons, 2000.0, 0.5)
    net.run(50.0)
    first = neurons.V_m.clone()
    # 2 spikes a ms, 0.5 mV each: the mean goes to rate * weight * tau, the variance to half of rate * weight^2 * tau
    mean = 2.0 * 0.5 * 10.0 * (1 - np.exp(-5.0))
    assert first.mean().item() == pytest.approx(mean, abs=4 * np.sqrt(2.5 / 50))
    assert 1.0 < first.var().item() < 5.0
    drive.rate = 0.0
    net.run(100.0)
    assert neurons.V_m.abs().max() < 1e-2
    drive.rate, drive.weight = 2000.0, -0.5
    net.run(50.0)
    assert neurons.V_m.mean().item() == pytest.approx(-mean, abs=4 * np.sqrt(2.5 / 50))


def test_a_noise_current_holds_for_its_interval(backend):
    net, neurons = passive(30, trials=2)
    net.noise_current(neurons, 10.0, 5.0, 1.0)
    voltage = net.record_voltage(neurons)
    net.run(3.0)
    values = torch.cat([torch.zeros_like(voltage.values[:1]), voltage.values])
    decay = np.exp(-0.01)
    current = (values[1:] - values[:-1] * decay) / (0.1 * (1 - decay))
    for k in range(3):
        block = current[10 * k : 10 * k + 10]
        assert torch.allclose(block, block[:1].expand_as(block), atol=1e-6)
        assert abs(block[0].mean() - 10.0) < 4 * 5 / np.sqrt(60) and 3 < block[0].std() < 7
    assert not torch.allclose(current[0, 0], current[0, 1]) and not torch.allclose(current[0], current[10])


def test_stimuli_of_slices_reach_those_alone(backend):
    net, neurons = passive(6, "iaf_psc_delta")
    net.poisson(neurons[1:4], 5000.0, 1.0)
    net.poisson(neurons[3:5], 5000.0, -1.0)
    net.run(10.0)
    assert (neurons.V_m[0] != 0).tolist() == [False, True, True, True, True, False]


def test_random_numbers_of_a_stimulus_do_not_depend_on_other_stimuli_ranges(backend):
    """A neuron gets the same Poisson spikes, whatever slices other stimuli cut its population into."""
    found = []
    for cut in (False, True):
        net, neurons = passive(8, "iaf_psc_delta")
        net.poisson(neurons, 3000.0, 1.0)
        if cut:
            net.noise_current(neurons[2:5], 0.0, 0.0)
        net.run(10.0)
        found.append(neurons.V_m)
    assert torch.equal(*found)


def test_poisson_sources_spike_at_their_rate(backend):
    net = sim.Network(dt=1.0, seed=5)
    sources = net.poisson_source(400, 50.0, name="input")
    recorder = net.record_spikes(sources)
    net.run(200.0)
    assert net.rates["input"] == pytest.approx(50.0, abs=4 * np.sqrt(50.0 / 0.2 / 400))
    assert len(recorder) == int(sources.counts.sum()) and len(set(recorder.neurons.tolist())) > 390
    counts = sources.counts[0].double()
    assert 0.7 < counts.var() / counts.mean() < 1.4  # 1 for a Poisson process


def test_spike_sources_spike_when_they_are_told(backend):
    net = sim.Network(trials=2)
    source = net.spike_source(3, [2.0, 0.1, 0.1, 5.0], [0, 1, 1, 2], trials=[0, 0, 0, 1])
    target = net.population(1, "iaf_psc_delta", E_L=0.0, V_th=10.0, V_reset=-1.0, tau_m=1e9)
    net.connect(source, target, weight=1.0, delay=0.1)
    recorder = net.record_spikes(source)
    net.run(0.5)
    net.run(5.5)
    assert spikes(recorder).tolist() == [[1, 1, 0], [1, 1, 0], [20, 0, 0], [50, 2, 1]]
    assert target.V_m[:, 0].tolist() == pytest.approx([3.0, 1.0], rel=1e-5)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda net: net.spike_source(2, [0.0]), "spikes must be after 0 ms"),
        (lambda net: net.spike_source(2, [0.25]), "must be a multiple of the step"),
        (lambda net: net.spike_source(2, [0.2], [2]), "it must be from 0 to 1"),
        (lambda net: net.spike_source(2, [0.2, 0.3], [1, 0, 1]), "it must be (2,) like 'times'"),
        (lambda net: net.poisson_source(2, -1.0), "'rate' of -1.0 must be nonnegative"),
        (lambda net: net.poisson("n", -1.0, 1.0), "'rate' of -1.0 must be nonnegative"),
        (lambda net: net.noise_current("n", 0.0, -1.0), "'std' of -1.0 must be nonnegative"),
        (lambda net: net.noise_current("n", 0.0, 1.0, 0.15), "must be a multiple of the step"),
        (lambda net: net.step_current("n", [2.0, 1.0], [1.0, 2.0]), "every time must be after the one before"),
        (lambda net: net.step_current("n", [1.0, 2.0], [1.0]), "must have one row for each of 2"),
        (lambda net: net.step_current("n", [1.0], [[1.0, 2.0]]), "it must be (1,) or (1, 3)"),
        (lambda net: net.record_voltage([3]), "they must be from 0 to 2"),
        (lambda net: net.record_voltage("n", every=0.05), "must be a multiple of the step"),
    ],
)
def test_refused(make, text):
    net = sim.Network()
    net.population(3, name="n")
    with pytest.raises(ValueError) as raised:
        make(net)
    assert text in str(raised.value)
    assert len(net.populations) == 1 and not net.stimuli


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda net: net.poisson("n", 10.0, [1.0, 2.0, 3.0]), "'weight' is a list, it must be one number"),
        (lambda net: net.poisson("n", sim.Normal(5.0, 1.0), 1.0), "'rate' is a Normal"),
        (lambda net: net.poisson_source(2, [1.0, 2.0]), "'rate' is a list"),
        (lambda net: net.noise_current("n", None, 1.0), "'mean' is a NoneType"),
        (lambda net: net.noise_current("n", 0.0, "loud"), "'std' is a str"),
    ],
)
def test_one_number_for_all(make, text):
    net = sim.Network()
    net.population(3, name="n")
    with pytest.raises(TypeError, match=text):
        make(net)
    assert len(net.populations) == 1 and not net.stimuli


def test_recorders_take_what_they_are_told_to(backend):
    net = small(trials=2)
    whole, part = net.record_spikes(), net.record_spikes(net["inh"][:4], "exc")
    net.run(5.0)
    late = net.record_spikes("exc")
    net.run(5.0)
    net.stop_recording(part)
    net.run(5.0)
    everything = spikes(whole)
    chosen = (everything[:, 1] < 34) & (everything[:, 0] <= 100)
    assert torch.equal(spikes(part), everything[chosen]) and len(part) > 10
    assert torch.equal(spikes(late), everything[(everything[:, 1] < 30) & (everything[:, 0] > 50)])
    times, neurons = whole.of(net["inh"], trial=1)
    wanted = everything[(everything[:, 1] >= 30) & (everything[:, 2] == 1)]
    assert torch.equal(neurons, wanted[:, 1] - 30) and torch.equal(times, wanted[:, 0].double() * 0.1)
    with pytest.raises(ValueError, match="not all of"):
        part.of(net["inh"])
    with pytest.raises(ValueError, match="does not record"):
        net.stop_recording(part)


def test_spikes_go_to_a_file(tmp_path, backend):
    for trials in (1, 2):
        net = small(trials=trials)
        path = tmp_path / f"{trials}.npy"
        memory, disk = net.record_spikes(), net.record_spikes(file=path)
        assert len(np.load(path)) == 0
        for _ in range(3):
            net.run(4.0)
        found = np.load(path, mmap_mode="r")
        assert len(found) == len(memory) == len(disk) > 20
        assert torch.equal(spikes(disk), spikes(memory))
        assert found.dtype.names == ("step", "neuron", "trial")[: 1 + trials]
        with pytest.raises(FileExistsError, match=r"writes a new file, but there is this one already: .*npy"):
            net.record_spikes(file=path)
        net.clear()
        assert len(np.load(path)) == len(disk) == 0
        net.run(4.0)
        assert len(np.load(path)) == len(memory) > 0


def test_voltages_every_so_often(backend):
    net = small(trials=2)
    first, second = net.record_voltage("exc", every=0.5), net.record_voltage([39, 0], every=0.3)
    dense = net.record_voltage(net["exc"] + net["inh"])
    net.run(1.0)
    net.run(2.0)
    assert first.times.tolist() == pytest.approx([0.5 * k for k in range(1, 7)])
    assert second.times.tolist() == pytest.approx([0.3 * k for k in range(1, 11)])
    assert torch.equal(first.values, dense.values[4::5, :, :30])
    assert torch.equal(second.values, dense.values[2::3][:, :, [39, 0]])
    assert torch.equal(dense.values[-1], torch.cat([net["exc"].V_m, net["inh"].V_m], 1))


@pytest.mark.parametrize("trials", [1, 3])
def test_generators_that_spike_several_times_in_a_step_leave_sums_exact(trials, backend):
    net = sim.Network(trials=trials)
    given = net.spike_source(2, [1.0, 1.0, 1.0, 1.0], [0, 0, 0, 1])
    neurons = net.population(1, "iaf_psc_delta", V_th=1e9, tau_m=1e12, E_L=0.0)
    net.connect(given, neurons, weight=5.0)
    net.run(5.0)
    assert neurons.V_m.flatten().tolist() == [20.0] * trials
    net = sim.Network(trials=trials)
    drawn = net.poisson_source(1, 20_000.0)
    neurons = net.population(1, "iaf_psc_delta", V_th=1e9, tau_m=1e12, E_L=0.0)
    net.connect(drawn, neurons, weight=5.0, delay=0.1)
    net.run(20.0)
    before = drawn.counts[:, 0].clone()
    net.run(0.1)
    assert neurons.V_m[:, 0].tolist() == pytest.approx((5.0 * before).tolist(), rel=1e-5)


def test_a_population_keeps_its_sums_where_stimuli_divide_it(backend):
    net = sim.Network()
    neurons = net.population(10, tau_syn_ex=[2.0] * 5 + [1.0] * 5)
    net.poisson(neurons[:5], 1000.0, 10.0)
    net.connect(neurons, neurons, weight=-10.0)
    net.run(10.0)
    assert net.rows.ports.tolist() == [2] * 10


def test_no_neurons_at_all_can_be_driven_and_recorded(backend):
    net = sim.Network()
    whole = net.record_spikes()
    neurons = net.population(3, I_e=800.0)
    none = neurons[1:1]
    net.poisson(none, 1.0, 1.0)
    net.connect(none, neurons)
    voltage, few = net.record_voltage(none, 0.5), net.record_spikes(none)
    net.run(20.0)
    assert voltage.values.shape == (40, 1, 0) and not len(few)
    assert len(whole) == int(neurons.counts.sum()) > 0
    assert neurons[np.int64(1)] == neurons[1]


def test_a_file_goes_on_behind_its_last_whole_write(tmp_path):
    net = sim.Network()
    neurons = net.population(3, I_e=800.0)
    in_memory, in_file = net.record_spikes(neurons), net.record_spikes(neurons, file=tmp_path / "spikes.npy")
    net.run(20.0)
    with open(in_file.path, "ab") as file:
        file.write(b"half")  # as a full disk leaves it
    net.run(20.0)
    assert np.array_equal(np.load(in_file.path)["step"], in_memory.steps)
    assert torch.equal(in_file.neurons, in_memory.neurons)
