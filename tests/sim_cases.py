"""Small networks for the tests of inferno_cuda.sim."""

import torch

from inferno_cuda import sim


def small(**options):
    """A network of 40 neurons that fires irregularly, with delays from one step up, Poisson and noise input."""
    net = sim.Network(**{"seed": 3, "dtype": torch.float64, **options})
    exc = net.population(30, name="exc", V_m=sim.Uniform(-70.0, -56.0), tau_syn_ex=1.0, I_e=700.0, t_ref=1.0)
    inh = net.population(10, "iaf_psc_exp", name="inh", V_m=sim.Normal(-60.0, 3.0, high=-56.0))
    net.connect(
        exc, exc + inh, sim.FixedInDegree(8), weight=sim.Normal(80.0, 8.0, low=0.0), delay=sim.Uniform(0.1, 2.0)
    )
    net.connect(inh, exc + inh, sim.PairwiseBernoulli(0.3), weight=-100.0, delay=sim.Normal(1.0, 0.5, low=0.05))
    net.poisson(inh, 6000.0, 80.0)
    net.noise_current(exc[:20], 30.0, 100.0, 5 * net.dt)
    return net


def spikes(recorder):
    """int64 ``[n, 3]``: step, neuron, trial."""
    return torch.stack([recorder.steps, recorder.neurons.long(), recorder.trials.long()], 1)
