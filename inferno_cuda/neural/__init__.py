"""Neurons, synapses and connections of spiking networks."""

from .base import Connection, InfernoNeuron, InfernoSynapse, Neuron, Synapse, SynapseConstructor
from .connections import Conv2D, LinearDense, LinearDirect, LinearLateral
from .modeling import Accumulator, Updatable, Updater
from .neurons import LIF
from .synapses import DeltaCurrent, SingleExponentialCurrent

__all__ = [
    "LIF",
    "Accumulator",
    "Connection",
    "Conv2D",
    "DeltaCurrent",
    "InfernoNeuron",
    "InfernoSynapse",
    "LinearDense",
    "LinearDirect",
    "LinearLateral",
    "Neuron",
    "SingleExponentialCurrent",
    "Synapse",
    "SynapseConstructor",
    "Updatable",
    "Updater",
]
