"""Populations of inferno_cuda.sim of the neurons of inferno_cuda.neural: bit for bit as these are stepped."""

import pytest
import sim_own_cases
import torch
from network_cases import OWN
from sim_cases import spikes
from sim_own_cases import ADAPTATIONS, DT, recurrent, stepped_by_modules
from torch.testing import assert_close

import inferno_cuda
from inferno_cuda import neural, sim

dtype = sim_own_cases.dtype


@pytest.mark.parametrize("taus", [(1.7, 1.7), (0.0, 2.0)], ids=str)
@pytest.mark.parametrize("model", OWN)
def test_a_network_is_that_of_the_modules(model, taus, dtype, backend):
    """Voltages, adaptations and spikes of a recurrent network, with every kind of synaptic current."""
    size, steps = 12, 100
    net, population, current = recurrent(model, size, dtype, taus)
    recorder, voltage = net.record_spikes(), net.record_voltage(population)
    net.run(steps * DT)
    modules = getattr(neural, model)(size, DT, **OWN[model])
    fired, voltages = stepped_by_modules(net, modules, current, taus, steps, dtype)
    assert len(recorder) > 5
    assert torch.equal(torch.stack([recorder.steps - 1, recorder.neurons.long()], 1), fired.nonzero())
    assert torch.equal(voltage.values, voltages)
    assert torch.equal(population.V_m[0], modules.voltage[0].double())
    if model in ADAPTATIONS:
        name = f"{ADAPTATIONS[model]}_adaptation"
        assert torch.equal(population.get(name)[0], getattr(modules, name)[:, 0].double())


@pytest.mark.parametrize("delay", [1, 3])
def test_a_network_is_a_connection_with_neurons(delay, dtype, backend):
    """LinearDense and DeltaCurrent: what a spike sends with d steps of delay, a connection reads d - 1 steps later,
    since the spikes of a step are its inputs in the next one."""
    size, dt = 10, 0.5  # steps and weights in powers of two, so that no order of a sum rounds
    rng = torch.Generator().manual_seed(1)
    weight = torch.randint(-40, 60, (size, size), generator=rng).double() / 64
    q = OWN["LIF"] | {"refrac_t": 1.5}
    net = sim.Network(dt=dt, dtype=dtype)
    neurons = net.population(size, neural.LIF, current=400.0, **q, V_m=torch.linspace(-65.0, -58.0, size))
    net.connect(neurons, neurons, sim.AllToAll(), weight=weight, delay=delay * dt)
    recorder = net.record_spikes()
    net.run(100.0)

    charge = neural.DeltaCurrent.partialconstructor(1.0)
    connection = neural.LinearDense(size, size, dt, synapse=charge, delay=(delay - 1) * dt if delay > 1 else None)
    connection.weight = weight.to(dtype)
    if delay > 1:
        connection.delay = torch.full((size, size), (delay - 1) * dt)
    modules = neural.LIF(size, dt, **q)
    modules.voltage = torch.linspace(-65.0, -58.0, size, dtype=torch.float64).to(dtype)
    last, fired = torch.zeros(1, size, dtype=torch.bool), []
    for _ in range(200):
        last = modules(connection(last) + 0.4).clone()
        fired.append(last)
    assert len(recorder) > 50
    assert torch.equal(torch.stack([recorder.steps - 1, recorder.neurons.long()], 1), torch.cat(fired).nonzero())


@pytest.mark.parametrize("model", OWN)
def test_parameters_of_each_neuron(model, dtype):
    """A neuron with parameters of its own is that of a population in which all have them."""
    size, factors = 7, torch.linspace(0.8, 1.3, 7, dtype=torch.float64)
    each = {name: value * factors for name, value in OWN[model].items() if not name.endswith("_v")}
    each |= {"tau_syn_ex": (factors - 0.9).clamp_min(0), "tau_syn_in": factors}
    each["rest_v"] = OWN[model]["rest_v"] + factors

    def run(**parameters):
        net = sim.Network(dt=DT, dtype=dtype)
        source = net.spike_source(1, [1.0, 2.5, 2.6])
        neurons = net.population(size, model, current=2500.0, **OWN[model] | parameters)
        net.connect(source, neurons, weight=0.1, delay=0.3)
        net.connect(source, neurons, weight=-0.03, delay=0.5)
        voltage = net.record_voltage(neurons)
        net.run(20.0)
        return voltage.values, neurons.counts[0]

    voltages, counts = run(**each)
    assert counts.sum() > 5
    for k in range(size):
        alone, count = run(**{name: value[k].item() for name, value in each.items()})
        assert torch.equal(voltages[:, :, k], alone[:, :, k]) and counts[k] == count[k]


@pytest.mark.parametrize("dt", [0.1, 0.25, 1.0])
@pytest.mark.parametrize("refrac_t", [0.0, 0.05, 0.1, 0.3, 0.7, 0.70001, 1.0, 2.5])
def test_refractory_periods_are_those_of_the_modules(refrac_t, dt, dtype):
    """Also such that are no multiples of the step; adaptations stand still during them."""
    q = OWN["ALIF"] | {"refrac_t": refrac_t}
    net = sim.Network(dt=dt, dtype=dtype)
    neurons = net.population(1, "ALIF", current=9000.0, **q)
    recorder, adaptation = net.record_spikes(), net.record_state(neurons, "threshold_adaptation")
    net.run(60 * dt)
    module, fired, seen = neural.ALIF(1, dt, **q), [], []
    for _ in range(60):
        fired.append(module(9.0).item())
        seen.append(module.threshold_adaptation[:, 0].clone())
    assert sum(fired) > 1
    assert recorder.steps.tolist() == [step + 1 for step in range(60) if fired[step]]
    assert torch.equal(adaptation.values[:, 0], torch.stack(seen))


def mixed(**options):
    """Our own neurons and one of NEST's models, with all stimuli."""
    net = sim.Network(**{"seed": 3, "dtype": torch.float64, **options})
    adex = net.population(20, neural.AdEx, name="adex", V_m=sim.Uniform(-70.0, -60.0), **OWN["AdEx"], tau_syn_in=2.0)
    alif = net.population(
        15, "ALIF", name="alif", threshold_adaptation=sim.Uniform(0.0, 4.0), current=600.0, **OWN["ALIF"]
    )
    nest = net.population(10, "iaf_psc_exp", name="nest", I_e=600.0)
    net.connect(adex, adex + alif, sim.FixedInDegree(8), weight=sim.Normal(0.05, 0.01), delay=sim.Uniform(0.1, 2.0))
    net.connect(alif, adex + alif, sim.PairwiseBernoulli(0.3), weight=-0.04, delay=0.4)
    net.connect(adex, nest, weight=30.0)
    net.connect(nest, alif, sim.FixedInDegree(3), weight=0.02)
    net.poisson(alif, 4000.0, 0.01)
    net.noise_current(adex[:12], 900.0, 500.0, 0.3)
    net.step_current(adex[10:] + alif[:4], [2.0, 5.0], [1500.0, 300.0])
    return net


def everything(net, *durations):
    recorder, voltage = net.record_spikes(), net.record_voltage("adex", every=0.5)
    adaptation = net.record_state([25, 3, 30], "V_m"), net.record_state("alif", "threshold_adaptation", every=0.5)
    for duration in durations:
        net.run(duration)
    return spikes(recorder), voltage.values, *(part.values for part in adaptation)


def test_threads_chunks_and_backends_change_nothing(backend):
    found = [
        everything(mixed(threads=threads, trials=2), *parts) for threads, parts in ((1, [9.0]), (3, [3.0, 0.1, 5.9]))
    ]
    assert len(found[0][0]) > 20 and all(map(torch.equal, *found))


def test_backends_agree(native):
    found = []
    for name in ("torch", "native"):
        with inferno_cuda.backend(name):
            found.append(everything(mixed(dtype=torch.float32, trials=2), 10.0))
    assert len(found[0][0]) > 60 and all(map(torch.equal, *found))


@pytest.mark.cuda
def test_a_gpu_gives_the_same(native):
    on_cpu, on_gpu = (everything(mixed(dtype=torch.float32, trials=2, device=where), 20.0) for where in ("cpu", "cuda"))
    assert len(on_cpu[0]) > 60 and all(torch.equal(a, b.cpu()) for a, b in zip(on_cpu, on_gpu, strict=True))


def test_trials_have_adaptations_of_their_own(dtype):
    """Unlike samples of a batch, which share them."""
    start = torch.tensor([[0.0, 3.0], [6.0, 1.0]], dtype=torch.float64)
    net = sim.Network(dt=DT, dtype=dtype, trials=2)
    neurons = net.population(2, "GLIF2", current=2000.0, threshold_adaptation=start, **OWN["GLIF2"])
    net.run(30.0)
    for trial in range(2):
        module = neural.GLIF2(2, DT, **OWN["GLIF2"])
        module.threshold_adaptation = start[trial][:, None].to(dtype)
        counts = sum(module(2.0).long() for _ in range(300))
        assert torch.equal(neurons.counts[trial], counts[0]) and counts.sum() > 5
        assert torch.equal(neurons.threshold_adaptation[trial], module.threshold_adaptation[:, 0].double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_run_is_resumed_bit_for_bit(tmp_path, dtype):
    pytest.importorskip("safetensors")
    whole = mixed(dtype=dtype, trials=2)
    found = everything(whole, 12.0)[0]
    first = mixed(dtype=dtype, trials=2, threads=1)
    early = everything(first, 5.3)[0]
    first.save(tmp_path / "net")
    second = mixed(dtype=dtype, trials=2, threads=3)
    second.load(tmp_path / "net")
    late = everything(second, 6.7)[0]
    assert len(late) > 10 and torch.equal(torch.cat([early, late]), found)
    assert torch.equal(second["adex"].current_adaptation, whole["adex"].current_adaptation)
    assert torch.equal(second["alif"].V_m, whole["alif"].V_m)


def test_models_are_given_by_name_class_or_instance():
    """The parameters of an instance are those of the population; others can be given beside it."""
    q = OWN["AdEx"]
    net = sim.Network(dt=DT, seed=1)
    template = neural.AdEx((2, 3), DT, **q)
    made = [
        net.population(6, "AdEx", **q),
        net.population(6, neural.AdEx, **q),
        net.population(6, template),
        net.population(6, template, resistance=1.0),
    ]
    assert [p.model for p in made] == ["AdEx"] * 4 and made[2].name == "AdEx_2"
    assert set(made[0].parameters) == {*q, "tau_syn_ex", "tau_syn_in", "refrac_lock", "adapt"}
    for name in made[0].parameters:
        assert_close(made[2].get(name), made[0].get(name), rtol=1e-7, atol=0)
        assert torch.equal(made[1].get(name), made[0].get(name))
    assert made[3].resistance.tolist() == [1.0] * 6 and made[2].resistance.tolist() == [33.3] * 6
    assert made[0].V_m.tolist() == [[-65.0] * 6] and made[0].current_adaptation.tolist() == [[0.0] * 6]


def test_states_are_set_before_and_between_runs():
    net = sim.Network(dt=DT, seed=1, dtype=torch.float64)
    neurons = net.population(4, "AdEx", **OWN["AdEx"], V_m=[-60.0, -61.0, -62.0, -63.0])
    neurons[:2].current_adaptation = 0.25
    assert neurons.current_adaptation.tolist() == [[0.25, 0.25, 0.0, 0.0]]
    net.build()
    assert neurons.current_adaptation.tolist() == [[0.25, 0.25, 0.0, 0.0]]
    assert neurons.V_m.tolist() == [[-60.0, -61.0, -62.0, -63.0]]
    net.run(1.0)
    before = neurons.V_m
    neurons.rest_v = -66.0  # moves no potential
    neurons[1].current_adaptation = 0.5
    assert torch.equal(neurons.V_m, before) and neurons.current_adaptation[0, 1] == 0.5
    with pytest.raises(AttributeError, match="LIF has no 'current_adaptation'; it has"):
        sim.Network(dt=DT).population(2, "LIF", **OWN["LIF"], current_adaptation=1.0)


def test_state_variables_are_recorded_beside_each_other():
    """Also of NEST's models; a sample is the state at the end of a step."""
    net = sim.Network(dt=DT, dtype=torch.float64)
    source = net.spike_source(1, [0.5])
    one = net.population(1, "LIF", **OWN["LIF"], tau_syn_ex=2.0, tau_syn_in=2.0)
    two = net.population(1, "iaf_psc_exp", tau_syn_in=3.0)
    net.connect(source, one, weight=3.0, delay=0.1)
    net.connect(source, two, weight=-7.0, delay=0.1)
    assert one.variables == ("V_m", "I") and two.variables == ("V_m", "I_ex", "I_in")
    current, other = net.record_state(one, "I"), net.record_state(two, "I_in", every=0.2)
    voltage = net.record_voltage([1, 2])
    net.run(1.0)
    # a spike of step 4, from 0.4 to 0.5 ms, arrives in the next one: 3 pC / 2 ms
    assert current.values[:5].count_nonzero() == 0 and current.values[5, 0, 0] == 1.5
    assert_close(other.values[2:, 0, 0], -7.0 * torch.exp(-torch.tensor([0.0, 0.2, 0.4], dtype=torch.float64) / 3.0))
    assert voltage.values.shape == (10, 1, 2) and bool((voltage.values[:, 0, 1] <= -70.0).all())
    assert voltage.values[-1, 0, 0] == one.V_m[0, 0]
    assert repr(current) == "<10 samples of 1 I values, every 1 steps>"


def test_a_charge_is_delivered_whatever_the_step():
    """In one step or with a time constant: the membrane moves by R Q / tau, up to what leaks meanwhile."""
    q = OWN["LIF"] | {"time_constant": 1e6, "thresh_v": 1e3, "resistance": 1e6}
    for dt in (0.05, 0.1):
        for tau in (0.0, 1.0):
            net = sim.Network(dt=dt, dtype=torch.float64)
            source, neuron = net.spike_source(1, [1.0]), net.population(1, "LIF", **q, tau_syn_ex=tau, tau_syn_in=tau)
            net.connect(source, neuron, weight=2.0)
            net.run(20.0)
            assert neuron.V_m.item() - q["rest_v"] == pytest.approx(2.0, rel=0.06 if tau else 1e-4)


class Lazy(neural.LIF):
    def forward(self, inputs, **kwargs):
        return super().forward(0.0 * inputs, **kwargs)


@pytest.mark.parametrize(
    ("model", "change", "error", "message"),
    [
        ("LIFF", {}, ValueError, "there is no model 'LIFF'; .* Did you mean LIF?"),
        ("lif", {}, ValueError, "Did you mean LIF?"),
        (Lazy, {}, TypeError, "'model' was of class Lazy, it must be the name of a model"),
        (Lazy(1, DT, **OWN["LIF"]), {}, TypeError, "'model' was of Lazy"),
        (3, {}, TypeError, "'model' was of int"),
        (neural.LIF(1, 1.0, **OWN["LIF"]), {}, ValueError, "'model' has a step of 1 ms, it must be that of"),
        ("LIF", {"thresh_v": None}, TypeError, "LIF needs thresh_v, which have no default"),
        ("LIF", {"tau_m": 1.0}, AttributeError, "LIF has no 'tau_m'; it has"),
        ("LIF", {"time_constant": 0.0}, ValueError, "time_constant was 0.0; it must be positive"),
        ("LIF", {"refrac_t": -1.0}, ValueError, "refrac_t was -1.0"),
        ("LIF", {"refrac_t": 1e5}, ValueError, "refrac_t was 100000.0 ms, 1000000 steps; at most 32767"),
        ("LIF", {"resistance": 0.0}, ValueError, "resistance was 0.0; it must not be 0"),
        ("LIF", {"reset_v": -50.0}, ValueError, "reset_v was -50.0 with thresh_v -57.0; it must be below thresh_v"),
        ("LIF", {"tau_syn_in": -1.0}, ValueError, "tau_syn_in was -1.0; it must not be negative"),
        ("LIF", {"rest_v": float("inf")}, ValueError, "rest_v was inf; it must be finite"),
        ("LIF", {"refrac_lock": 0.5}, ValueError, "refrac_lock was 0.5; it must be True or False, 1 or 0"),
        ("ALIF", OWN["ALIF"] | {"adapt": 2.0}, ValueError, "adapt was 2.0; it must be True or False, 1 or 0"),
        ("LIF", {"adapt": False}, AttributeError, "LIF has no 'adapt'; it has"),
    ],
)
def test_what_is_refused(model, change, error, message):
    net = sim.Network(dt=DT)
    own = {} if model == "ALIF" else OWN["LIF"]
    given = {name: value for name, value in (own | change).items() if value is not None}
    with pytest.raises(error, match=message):
        net.population(3, model, **given if isinstance(model, (str, type)) else {})
    assert not net.populations


CHECKED = ("rest_v", "crit_v", "rheobase_v", "sharpness", "affinity", "tc_adaptation", "rc_adaptation", "tc_membrane")


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in OWN for name in CHECKED if name in OWN[model]])
def test_populations_refuse_what_classes_refuse(model, name):
    def refused(make, *arguments):
        try:
            make(*arguments, **OWN[model] | {name: bad})
        except ValueError:
            return True
        return False

    for bad in (0.0, -1.0, -55.0, 1e3):
        mine = refused(sim.Network(dt=DT).population, 1, model)
        assert mine == refused(getattr(neural, model), 1, DT), bad


def test_templates_that_have_more_than_neurons_of_a_network():
    net = sim.Network(dt=DT)
    q = OWN["ALIF"]
    with pytest.raises(ValueError, match="'model' has 2 adaptations; neurons of a network have one"):
        net.population(3, neural.ALIF(3, DT, **q | {"tc_adaptation": (20.0, 90.0)}))
    still = neural.ALIF(3, DT, **q).eval()
    assert net.population(3, still).adapt.tolist() == [0.0] * 3
    assert net.population(3, still, adapt=True).adapt.tolist() == [1.0] * 3
    trained = neural.LIF(3, DT, **OWN["LIF"])
    trained.resistance = torch.tensor([1.0, 2.0, 3.0])
    assert net.population(3, trained).resistance.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="resistance of 'model' has 3 values, it must have 1 or 4"):
        net.population(4, trained)


def test_a_recorder_asks_for_variables_that_are_there():
    net = sim.Network(dt=DT)
    neurons = net.population(3, "LIF", **OWN["LIF"])
    nest = net.population(3)
    with pytest.raises(ValueError, match="'threshold_adaptation' is none of <LIF_0: 3 LIF>: they have V_m"):
        net.record_state(neurons + nest, "threshold_adaptation")
    recorder = net.record_state(nest, "I")
    nest.tau_syn_in = 5.0
    with pytest.raises(ValueError, match="had 'I' when its recorder was made, now it has V_m, I_ex, I_in"):
        net.run(1.0)
    net.stop_recording(recorder)
    net.run(1.0)
