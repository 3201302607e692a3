"""Networks of inferno_cuda.sim: populations, parameters, running, progress, interruptions."""

import re
import signal

import numpy as np
import pytest
import torch
from sim_cases import small, spikes

import inferno_cuda
from inferno_cuda import ops, sim
from inferno_cuda.sim import _build


def test_a_neuron_fires_as_its_equation_says(backend):
    net = sim.Network(dtype=torch.float64)
    neurons = net.population(2, "iaf_psc_exp", I_e=[500.0, 400.0], t_ref=3.0)
    recorder, voltage = net.record_spikes(), net.record_voltage(neurons, every=1.0)
    net.run(60.0)
    # V(t) = E_L + R I (1 - exp(-t / tau)): the first step at whose end V >= V_th
    resistance, tau = 10.0 / 250.0, 10.0
    for k, current in enumerate((500.0, 400.0)):
        first = int(np.ceil(-tau * np.log(1 - 15.0 / (resistance * current)) / 0.1))
        period = first + 30  # as long as from rest, behind 3 ms of refractoriness
        expected = [first + n * period for n in range(10) if first + n * period <= 600]
        assert recorder.steps[recorder.neurons == k].tolist() == expected
    assert voltage.times.tolist() == [float(t) for t in range(1, 61)]
    exact = -70.0 + resistance * 500.0 * (1 - np.exp(-1.0 / tau))
    assert voltage.values.shape == (60, 1, 2)
    assert voltage.values[0, 0, 0].item() == pytest.approx(exact, abs=1e-9)
    assert net.time == 60.0 and net.rates == {"iaf_psc_exp_0": pytest.approx(recorder.neurons.numel() / 2 / 0.06)}


def test_a_spike_arrives_after_its_delay(backend):
    """A spike at time t with delay d changes the potential of a delta neuron at t + d."""
    net = sim.Network(dtype=torch.float64)
    source = net.spike_source(3, [1.0, 1.0, 1.0], [0, 1, 2])
    target = net.population(3, "iaf_psc_delta", E_L=0.0, V_th=10.0, V_reset=-1.0, tau_m=1e9)
    net.connect(source, target, "one_to_one", weight=2.0, delay=[0.1, 0.5, 2.0])
    voltage = net.record_voltage(target)
    net.run(5.0)
    moved = (voltage.values[:, 0] > 1.0).double().argmax(0)
    assert voltage.times[moved].tolist() == pytest.approx([1.1, 1.5, 3.0])


def test_the_same_seed_gives_the_same_spikes_in_any_chunks_and_threads(backend):
    found = []
    for threads, parts in ((1, [10.0]), (2, [3.0, 0.1, 6.9]), (4, [10.0])):
        net = small(threads=threads)
        recorder = net.record_spikes()
        for duration in parts:
            net.run(duration)
        found.append(spikes(recorder))
    assert len(found[0]) > 20
    assert all(torch.equal(found[0], other) for other in found[1:])
    assert not torch.equal(found[0], run_spikes(small(seed=4), 10.0))


def run_spikes(net, duration=10.0):
    recorder = net.record_spikes()
    net.run(duration)
    return spikes(recorder)


def test_backends_agree(native):
    found = []
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            found.append(run_spikes(small(dtype=torch.float32, trials=2), 8.0))
    assert len(found[0]) > 20 and torch.equal(*found)


@pytest.mark.cuda
def test_a_gpu_gives_the_same_spikes_and_potentials(native):
    found = []
    for device in ("cpu", "cuda"):
        net = small(dtype=torch.float32, trials=2, device=device)
        voltage = net.record_voltage("exc", every=0.5)
        net.step_current("inh", [2.0, 4.0], [50.0, 0.0])
        found.append((run_spikes(net, 20.0).cpu(), voltage.values.cpu(), net["inh"].counts.cpu()))
    assert len(found[0][0]) > 20
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_trials_are_independent_and_share_the_synapses(backend):
    net = small(trials=3)
    found = run_spikes(net)
    each = [found[found[:, 2] == trial, :2] for trial in range(3)]
    assert all(len(part) > 5 for part in each)
    assert not torch.equal(each[0], each[1])
    assert net["exc"].V_m.shape == (3, 30) and not torch.equal(*net["exc"].V_m[:2])
    assert net["exc"].counts.shape == (3, 30)


def test_splitting_a_projection_changes_nothing(backend):
    generator = torch.Generator().manual_seed(1)
    source, target = (torch.randint(20, (200,), generator=generator) for _ in range(2))
    weight = 300.0 * torch.rand(200, generator=generator)
    delay = 0.1 * torch.randint(1, 30, (200,), generator=generator)
    found = []
    for parts in ([slice(None)], [slice(0, 70), slice(70, None)]):
        net = sim.Network(dtype=torch.float64)
        neurons = net.population(20, V_m=torch.linspace(-70, -55.5, 20), I_e=600.0)
        for part in parts:
            net.connect(neurons, neurons, (source[part], target[part]), weight=weight[part], delay=delay[part])
        found.append(run_spikes(net, 15.0))
    assert len(found[0]) > 20 and torch.equal(*found)


def test_permuting_neurons_permutes_spikes(backend):
    generator = torch.Generator().manual_seed(2)
    source, target = (torch.randint(20, (200,), generator=generator) for _ in range(2))
    order = torch.randperm(20, generator=generator)
    initial = torch.linspace(-70, -55.5, 20)
    found = []
    for place in (torch.arange(20), order):
        net = sim.Network(dtype=torch.float32)
        neurons = net.population(20, V_m=initial[place.argsort()], I_e=600.0)
        net.connect(neurons, neurons, (place[source], place[target]), weight=200.0, delay=1.3)
        recorder = net.record_spikes()
        net.run(15.0)
        pairs = torch.stack([recorder.steps, place.argsort()[recorder.neurons.long()]], 1)
        found.append(sorted(map(tuple, pairs.tolist())))
    assert len(found[0]) > 20 and found[0] == found[1]


def test_parameters_are_attributes():
    net = sim.Network()
    neurons = net.population(4, "iaf_psc_exp", tau_m=[10.0, 20.0, 30.0, 40.0], C_m=sim.Uniform(200.0, 300.0))
    assert neurons.tau_m.tolist() == [10.0, 20.0, 30.0, 40.0]
    assert 200 < neurons.C_m.min() and neurons.C_m.max() < 300 and len(neurons.C_m.unique()) == 4
    assert neurons.V_m.tolist() == [[-70.0] * 4]
    neurons.E_L = -65.0
    assert neurons.V_m.tolist() == [[-65.0] * 4]
    neurons[1:3].set(I_e=5.0, V_m=-60.0)
    neurons[3].current = 2.0
    assert neurons.I_e.tolist() == [0, 5, 5, 0] and neurons.current.tolist() == [0, 0, 0, 2]
    net.run(0.0)
    assert neurons.V_m[0].tolist() == pytest.approx([-65.0, -60.0, -60.0, -65.0])
    neurons.E_L = -66.0  # the potential stays where it is
    assert neurons.V_m[0].tolist() == pytest.approx([-65.0, -60.0, -60.0, -65.0])


def test_several_populations_are_set_at_once():
    net = sim.Network()
    first, second = net.population(2), net.population(3, "iaf_psc_delta")
    (first + second).set(V_m=torch.arange(5) - 70.0, I_e=7.0)
    assert first.V_m.tolist() == [[-70, -69]] and second.V_m.tolist() == [[-68, -67, -66]]
    assert (first + second)[1:4].get("I_e").tolist() == [7.0] * 3
    assert repr((first + second)[1:4]) == "<iaf_psc_exp_0[1:2]: 1 iaf_psc_exp + iaf_psc_delta_1[0:2]: 2 iaf_psc_delta>"


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda net: net.population(0), ValueError, "'size' of 0 must be positive"),
        (lambda net: net.population(5, "iaf_psc"), ValueError, "there are iaf_psc_exp"),
        (lambda net: net.population(5, taum=3.0), AttributeError, "Did you mean tau_m"),
        (lambda net: net.population(5, tau_m=0.0), ValueError, "tau_m was 0.0; it must be positive"),
        (lambda net: net.population(5, tau_m=[1.0, 2.0]), ValueError, "one value for each of 5 neurons"),
        (lambda net: net.population(5, V_m="high"), TypeError, "'V_m' is a str"),
        (lambda net: net.population(5, I_e=float("nan")), ValueError, "'I_e' has NaN"),
        (lambda net: net.population(5, name="a"), ValueError, "not that of another population"),
        (lambda net: setattr(net["a"], "tau_mm", 5.0), AttributeError, "Did you mean tau_m"),
        (lambda net: net["b"], KeyError, "there are a"),
        (lambda net: net["a"][::2], ValueError, "slices of neurons have step 1"),
        (lambda net: net["a"][9], IndexError, "none of them is number 9"),
        (lambda net: net.run(0.25), ValueError, "must be a multiple of the step of 0.1 ms"),
        (lambda net: net.run(-1.0), ValueError, "must be nonnegative"),
        (lambda net: net["a"] + net["a"], ValueError, "does not follow"),
        (lambda net: net["a"][torch.ones(4, dtype=torch.bool)], TypeError, "by a number or a slice, not by Tensor"),
        (lambda net: net["a"][np.arange(2)], TypeError, "by a number or a slice, not by ndarray"),
        (lambda net: net.connect("a", "a", weight=float("inf")), ValueError, "'weight' of inf must be finite"),
        (lambda net: net.connect("a", "a", delay=float("inf")), ValueError, "'delay' of inf must be finite"),
        (lambda net: sim.Network(dtype=torch.float16), ValueError, "'dtype' of torch.float16"),
        (lambda net: sim.Network(seed=-1), ValueError, "'seed' of -1"),
        (lambda net: sim.Network(device="gpu"), ValueError, "'device' of 'gpu' cannot be used: Expected one of cpu"),
        (lambda net: sim.Network(device="meta"), ValueError, "'device' of 'meta' cannot be used"),
        (lambda net: sim.Network().run(1.0), ValueError, "has no neurons"),
        (lambda net: net.record_spikes(sim.Network().population(3)), ValueError, "belongs to another network"),
    ],
)
def test_refused(make, error, text):
    net = sim.Network()
    net.population(4, name="a")
    before = repr(net)
    with pytest.raises(error) as raised:
        make(net)
    assert text in str(raised.value)
    assert repr(net) == before and len(net.populations) == 1


def test_a_network_that_has_run_is_fixed():
    net = sim.Network()
    neurons = net.population(3, name="a")
    net.build()
    net.connect(neurons, neurons)  # before the first step it is built again
    net.run(1.0)
    with pytest.raises(RuntimeError, match="cannot be added at 1 ms"):
        net.population(3)
    with pytest.raises(RuntimeError, match="cannot be added at 1 ms"):
        net.connect(neurons, neurons)
    assert net.synapses().source.numel() == 9


def test_what_does_not_fit_is_refused_before_anything_is_allocated(monkeypatch):
    net = sim.Network()
    neurons = net.population(100_000)
    net.connect(neurons, neurons, sim.FixedInDegree(100_000))
    needed = net.memory_needed()
    assert needed.synapses == 10**10 and needed.building > 6e10
    monkeypatch.setattr(ops, "available_memory", lambda: 8 * 2**30)
    with pytest.raises(MemoryError, match=r"10,000,000,000 synapses .* GiB.*8.0 GiB are available"):
        net.run(1.0)
    assert net.time == 0


def test_neurons_that_do_not_fit_are_refused_before_their_ranges_are_weighed(monkeypatch):
    net = sim.Network()
    net.population(1_000_000)
    monkeypatch.setattr(_build, "_partition", lambda *_: pytest.fail("takes memory for each neuron"))
    monkeypatch.setattr(ops, "available_memory", lambda: 64 * 2**20)
    with pytest.raises(MemoryError, match=r"1,000,000 neurons take .*64.0 MiB are available"):
        net.run(1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_memory_is_estimated(dtype):
    net = small(dtype=dtype)
    big = sim.models.microcircuit(0.02, "poisson", dtype=dtype)
    for each in (net, big):
        each.build()
        rows = each._run.rows
        assert each.memory_needed().rows == pytest.approx(rows.nbytes, rel=0.25)
        assert each.memory_needed().synapses == pytest.approx(rows.count, rel=0.2)


def test_memory_has_room_for_sums_of_the_longest_delay():
    def sums(device, longest, bits=32):
        net = sim.Network(trials=2)
        some = net.population(1000, tau_syn_ex=1.0, tau_syn_in=2.0)
        net.connect(some, some, sim.FixedInDegree(1), delay=longest)
        without = net.memory_needed().state - _build._sums(net, 32, net._run.ports())
        assert without == 2 * 1000 * (4 * 4 + 2 + 8)
        ports = net._run.ports()
        net._device = torch.device(device)  # nothing is allocated there
        return _build._sums(net, bits, ports)

    one = 2 * 1000 * 2 * 4
    assert sums("cpu", 20.0) == sums("cpu", 10.0) == one
    # of all steps up to the longest delay, and the present
    assert sums("cuda", 10.0) == sums("cuda", sim.Uniform(1.0, 10.0)) == 101 * one
    assert sums("cuda", 20.0, 64) == 201 * 2 * one
    assert sums("cuda", sim.LogNormal(0.0, 0.5)) == 202 * one


def test_ctrl_c_stops_at_a_step_and_running_goes_on(monkeypatch, interruptible):
    whole = run_spikes(small(), 30.0)
    net = small()
    recorder = net.record_spikes()
    monkeypatch.setattr("inferno_cuda.sim._runner._CALL", 0.0)  # calls as short as can be, so that there are three
    advance, calls = type(net._run).advance, []

    def interrupted(runner, last):
        calls.append(last)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return advance(runner, last)

    with monkeypatch.context() as patch:
        patch.setattr(type(net._run), "advance", interrupted)
        with pytest.raises(KeyboardInterrupt) as raised:
            net.run(30.0)
    assert 0 < net.time < 30 and "the network is at" in raised.value.__notes__[0]
    net.run(30.0 - net.time)
    assert torch.equal(spikes(recorder), whole)


def test_progress_is_shown(capsys):
    net = small()
    net.run(5.0, progress=True)
    shown = capsys.readouterr().err
    assert "building" in shown and "5 of 5 ms, real-time factor" in shown and "s left" in shown


def test_explain_and_repr(backend):
    net = small()
    assert repr(net).startswith("<network: 40 neurons in 2 populations, about")
    said = net.explain()
    assert f"runs on cpu with the {backend} backend" in said
    assert "float64 multiples of" in said and "two sums of arriving weights" in said and "Poisson drive" in said
    assert "FixedInDegree(indegree=8" in said
    ranges = int(re.search(r", in (\d+) ranges? of targets;", said)[1])
    assert (", in 1 range of targets;" in said) == (ranges == 1)
    assert repr(net).startswith("<network: 40 neurons in 2 populations, 4")


def test_rates_and_counts_start_anew_after_clear():
    net = small()
    recorder = net.record_spikes()
    assert np.isnan(net.rates["exc"])
    net.run(20.0)
    before = len(recorder)
    net.clear()
    assert len(recorder) == 0 and int(net["exc"].counts.sum()) == 0
    net.run(20.0)
    assert before and len(recorder) == int((net["exc"] + net["inh"]).counts.sum())
    assert net.rates["inh"] == pytest.approx(int(net["inh"].counts.sum()) / 10 / 0.02)


@pytest.mark.parametrize("name", ["t_ref", "tau_m", "C_m", "E_L", "I_e", "current", "V_reset", "tau_syn_ex"])
def test_infinite_parameters_are_refused(name):
    net = sim.Network()
    with pytest.raises(ValueError, match=rf"{name} was inf; it must be finite|V_reset was inf with V_th"):
        net.population(3, **{name: float("inf")})
    assert net.size == 0
    assert len(net.population(3, V_th=float("inf"))) == 3


def test_the_state_is_made_on_the_device_of_the_network(monkeypatch):
    net = sim.Network()
    net.population(3)
    seen, make = {}, ops.SimulationState.zeros
    monkeypatch.setattr(ops.SimulationState, "zeros", lambda p, **options: seen.update(options) or make(p, **options))
    net.build()
    assert torch.device(seen["device"]) == net.device


def test_slices_have_the_parameters_of_their_population():
    net = sim.Network()
    neurons = net.population(5)
    neurons[:2].V_th = -50.0
    assert neurons.V_th.tolist() == [-50.0] * 2 + [-55.0] * 3
    assert neurons[1:3].V_th.tolist() == [-50.0, -55.0]
    with pytest.raises(AttributeError, match="has no 'V_thr'; it has .* Did you mean V_th"):
        neurons[:2].V_thr = -50.0
    with pytest.raises(AttributeError, match="has no 'shape'"):
        _ = neurons[:2].shape
    assert not hasattr(neurons[:0], "V_th")


def test_currents_that_were_one_when_the_network_was_built_stay_one():
    net = sim.Network()
    neurons = net.population(5)
    net.build()
    with pytest.raises(ValueError, match="tau_syn_ex and tau_syn_in of .* were equal when the network was built"):
        neurons.tau_syn_ex = 1.0
    neurons.set(tau_syn_ex=1.0, tau_syn_in=1.0)
    net.run(1.0)


@pytest.mark.parametrize("what", ["weight", "delay"])
@pytest.mark.parametrize("value", [[1.0, float("inf")], sim.Normal(0.0, 1.0, low=100.0)])
def test_what_could_not_be_built_is_refused_at_once(what, value):
    net = sim.Network()
    neurons = net.population(5)
    with pytest.raises(ValueError, match=r"must be finite|low"):
        net.connect(neurons, neurons, ([0, 1], [1, 2]), **{what: value})
    assert not net.projections
    with pytest.raises(ValueError, match="'rate' of 1e\\+09 Hz must be at most 3e\\+07 Hz, 3000 spikes in a step"):
        net.poisson(neurons, 1e9, 1.0)
    with pytest.raises(TypeError, match=r"'neurons' is of torch.float32, it must hold integers"):
        net.record_voltage([0.5])
    net.run(1.0)


def test_a_rate_at_the_limit_can_be_drawn():
    net = sim.Network()
    net.poisson(net.population(2), 3e7, 0.0)
    net.poisson_source(2, 3e7)
    net.run(0.2)
