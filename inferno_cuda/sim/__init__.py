"""Large sparse networks of spiking neurons: populations, rules of connection, stimuli, recorders, statistics, models.

>>> from inferno_cuda import sim
>>> net = sim.Network()
>>> neurons = net.population(10, "iaf_psc_exp", I_e=500.0)
>>> net.run(100.0)
>>> net.rates
{'iaf_psc_exp_0': 60.0}
"""

from . import models, statistics
from .distributions import Constant, Distribution, LogNormal, Normal, Uniform
from .network import (
    Memory,
    Network,
    Neurons,
    NoiseCurrent,
    PoissonDrive,
    Population,
    Projection,
    SpikeRecorder,
    StateRecorder,
    StepCurrent,
    Stimulus,
    VoltageRecorder,
)
from .rules import (
    AllToAll,
    Explicit,
    FixedInDegree,
    FixedOutDegree,
    FixedTotalNumber,
    OneToOne,
    PairwiseBernoulli,
    Rule,
)

__all__ = [
    "AllToAll",
    "Constant",
    "Distribution",
    "Explicit",
    "FixedInDegree",
    "FixedOutDegree",
    "FixedTotalNumber",
    "LogNormal",
    "Memory",
    "Network",
    "Neurons",
    "NoiseCurrent",
    "Normal",
    "OneToOne",
    "PairwiseBernoulli",
    "PoissonDrive",
    "Population",
    "Projection",
    "Rule",
    "SpikeRecorder",
    "StateRecorder",
    "StepCurrent",
    "Stimulus",
    "Uniform",
    "VoltageRecorder",
    "models",
    "statistics",
]
