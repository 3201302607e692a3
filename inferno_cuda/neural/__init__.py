"""Neurons, synapses and connections of spiking networks."""

from .base import Connection, InfernoNeuron, InfernoSynapse, Neuron, Synapse, SynapseConstructor
from .connections import LinearDense
from .modeling import Accumulator, Updatable, Updater
from .neurons import ALIF, EIF, GLIF1, GLIF2, LIF, QIF, AdEx, Izhikevich
from .synapses import DeltaCurrent, SingleExponentialCurrent

__all__ = [
    "ALIF",
    "EIF",
    "GLIF1",
    "GLIF2",
    "LIF",
    "QIF",
    "Accumulator",
    "AdEx",
    "Connection",
    "DeltaCurrent",
    "InfernoNeuron",
    "InfernoSynapse",
    "Izhikevich",
    "LinearDense",
    "Neuron",
    "SingleExponentialCurrent",
    "Synapse",
    "SynapseConstructor",
    "Updatable",
    "Updater",
]
