"""Neurons, synapses, connections and encoders of spiking networks."""

from . import functional
from .base import Connection, InfernoNeuron, InfernoSynapse, Neuron, Synapse, SynapseConstructor
from .connections import LinearDense
from .encoders import HomogeneousPoissonApproxEncoder, HomogeneousPoissonEncoder, PoissonIntervalEncoder
from .hooks import Clamping, Normalization
from .modeling import Accumulator, Updatable, Updater
from .neurons import LIF
from .synapses import DeltaCurrent, SingleExponentialCurrent

__all__ = [
    "LIF",
    "Accumulator",
    "Clamping",
    "Connection",
    "DeltaCurrent",
    "HomogeneousPoissonApproxEncoder",
    "HomogeneousPoissonEncoder",
    "InfernoNeuron",
    "InfernoSynapse",
    "LinearDense",
    "Neuron",
    "Normalization",
    "PoissonIntervalEncoder",
    "SingleExponentialCurrent",
    "Synapse",
    "SynapseConstructor",
    "Updatable",
    "Updater",
    "functional",
]
