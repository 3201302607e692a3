"""Networks of the neurons of inferno_cuda.neural, and the same from modules that are stepped one by one."""

import pytest
import torch
from network_cases import OWN

from inferno_cuda import neural, sim

DT = 0.1
ADAPTATIONS = {"ALIF": "threshold", "GLIF2": "threshold", "Izhikevich": "current", "AdEx": "current"}


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    """Of networks, and of the modules that are made meanwhile."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


def synapse(size, tau, dt=DT):
    """Turns arriving charges into the currents that a population makes of them; magnitudes count."""
    if tau:
        return neural.SingleExponentialCurrent(size, dt, spike_charge=1.0, time_constant=tau)
    return neural.DeltaPlusCurrent(size, dt, spike_charge=1.0)


def stepped_by_modules(net, neurons, current, taus, steps, dtype, **options):
    """Spikes ``[steps, n]`` and voltages of a network of one population, from modules that are stepped one by one."""
    size, synapses = neurons.shape[0], net.synapses()
    source, target, port = synapses.source.long(), synapses.target.long(), (synapses.weight < 0).long()
    ex, inh = (synapse(size, tau) for tau in taus)
    drive = (current * 1e-3).to(dtype)
    fired, voltages = torch.zeros(steps, size, dtype=torch.bool), []
    for step in range(steps):
        sent_at = step - synapses.delay
        arrives = (sent_at >= 0) & fired[sent_at.clamp_min(0), source]
        sums = torch.zeros(2, size, dtype=torch.float64)
        sums.index_put_((port[arrives], target[arrives]), synapses.weight[arrives], accumulate=True)
        if taus[0] == taus[1]:
            inputs = ex(sums.sum(0, keepdim=True).to(dtype))
        else:
            inputs = ex(sums[:1].to(dtype)) + inh(sums[1:].to(dtype))
        fired[step] = neurons(inputs + drive, **options)[0]
        voltages.append(neurons.voltage.clone())
    return fired, torch.stack(voltages)


def recurrent(model, size, dtype, taus=(0.0, 0.0), **options):
    """A network of one population with recurrent connections, and its currents."""
    net = sim.Network(dt=DT, seed=5, dtype=dtype, **options)
    current = torch.linspace(200.0, 3500.0, size, dtype=torch.float64)
    neurons = net.population(
        size, model, name="all", current=current, tau_syn_ex=taus[0], tau_syn_in=taus[1], **OWN[model]
    )
    net.connect(neurons, neurons, sim.FixedInDegree(5), weight=sim.Normal(0.0, 0.05), delay=sim.Uniform(0.1, 1.5))
    return net, neurons, current
