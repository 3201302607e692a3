"""Neurons of inferno_cuda.neural in networks with refrac_lock=False, and with adaptations that stand still."""

import pytest
import sim_own_cases
import torch
from network_cases import OWN
from sim_cases import spikes
from sim_own_cases import ADAPTATIONS, DT, recurrent, stepped_by_modules

from inferno_cuda import neural, sim

dtype = sim_own_cases.dtype
SWITCHED = [{"refrac_lock": False}, {"adapt": False}, {"refrac_lock": False, "adapt": False}]


@pytest.mark.parametrize("switches", SWITCHED, ids=str)
@pytest.mark.parametrize("model", OWN)
def test_switches_are_the_arguments_of_the_modules(model, switches, dtype, backend):
    """Refractory neurons that integrate, adaptations that stand still; the latter from the values that they have."""
    if "adapt" in switches and model not in ADAPTATIONS:
        pytest.skip("the model does not adapt")
    size, steps, taus = 12, 150, (1.7, 0.0)
    net, population, current = recurrent(model, size, dtype, taus)
    population.set(**switches)
    modules = getattr(neural, model)(size, DT, **OWN[model])
    name = f"{ADAPTATIONS.get(model)}_adaptation"
    if model in ADAPTATIONS:
        start = torch.linspace(0.0, 0.3, size, dtype=torch.float64)
        population.set(**{name: start})
        setattr(modules, name, start[:, None].to(dtype))
    recorder, voltage = net.record_spikes(), net.record_voltage(population)
    net.run(steps * DT)
    fired, voltages = stepped_by_modules(net, modules, current, taus, steps, dtype, **switches)
    assert len(recorder) > 5
    assert torch.equal(torch.stack([recorder.steps - 1, recorder.neurons.long()], 1), fired.nonzero())
    assert torch.equal(voltage.values, voltages)
    if model in ADAPTATIONS:
        assert torch.equal(population.get(name)[0], getattr(modules, name)[:, 0].double())
        assert switches.get("adapt", True) or torch.equal(population.get(name)[0], start.to(dtype).double())


def test_switches_of_each_neuron(backend):
    """A neuron with switches of its own is that of a population in which all have them; between runs they change."""

    def run(lock, adapt, later):
        net = sim.Network(dt=DT)
        neurons = net.population(4, "AdEx", **OWN["AdEx"], current=3000.0, refrac_lock=lock, adapt=adapt)
        voltage, adaptation = net.record_voltage(neurons), net.record_state(neurons, "current_adaptation")
        net.run(30.0)
        neurons.adapt = later
        net.run(10.0)
        return torch.stack([voltage.values, adaptation.values])

    lock, adapt = [True, True, False, False], [True, False, True, False]
    each = run(lock, adapt, adapt[::-1])
    assert all(not torch.equal(each[..., i], each[..., j]) for i in range(4) for j in range(i))
    for k in range(4):
        assert torch.equal(each[..., k], run(lock[k], adapt[k], adapt[3 - k])[..., k])


def test_switches_are_saved_with_the_rest(tmp_path):
    """The file has those that were set after a run, and the network that takes it goes on with them."""
    pytest.importorskip("safetensors")

    def network():
        net, neurons, _ = recurrent("ALIF", 12, torch.float32, (1.0, 2.0))
        neurons.set(refrac_lock=False)
        return net, neurons, net.record_spikes()

    whole, neurons, found = network()
    whole.run(8.0)
    neurons.adapt = [False] * 6 + [True] * 6
    whole.save(tmp_path / "net")
    before = len(found)
    whole.run(12.0)
    resumed, taken, late = network()
    resumed.load(tmp_path / "net")
    assert taken.adapt.tolist() == [0.0] * 6 + [1.0] * 6 and taken.refrac_lock.tolist() == [0.0] * 12
    resumed.run(12.0)
    assert len(late) > 5 and torch.equal(spikes(late), spikes(found)[before:])
    assert torch.equal(taken.V_m, neurons.V_m)
    assert torch.equal(taken.threshold_adaptation, neurons.threshold_adaptation)
