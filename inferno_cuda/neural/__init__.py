"""Neurons, synapses and connections of spiking networks."""

from .base import Connection, InfernoNeuron, InfernoSynapse, Neuron, Synapse, SynapseConstructor
from .connections import LinearDense
from .modeling import Accumulator, Updatable, Updater
from .neurons import LIF
from .synapses import DeltaCurrent, DeltaPlusCurrent, DoubleExponentialCurrent, SingleExponentialCurrent

__all__ = [
    "LIF",
    "Accumulator",
    "Connection",
    "DeltaCurrent",
    "DeltaPlusCurrent",
    "DoubleExponentialCurrent",
    "InfernoNeuron",
    "InfernoSynapse",
    "LinearDense",
    "Neuron",
    "SingleExponentialCurrent",
    "Synapse",
    "SynapseConstructor",
    "Updatable",
    "Updater",
]
