"""Neurons, synapses and connections of spiking networks."""

from .base import Connection, InfernoNeuron, InfernoSynapse, Neuron, Synapse, SynapseConstructor
from .connections import LinearDense
from .modeling import Accumulator, Updatable, Updater
from .network import Biclique, Cell, Layer, RecurrentSerial, Serial
from .neurons import LIF
from .synapses import DeltaCurrent, SingleExponentialCurrent

__all__ = [
    "LIF",
    "Accumulator",
    "Biclique",
    "Cell",
    "Connection",
    "DeltaCurrent",
    "InfernoNeuron",
    "InfernoSynapse",
    "Layer",
    "LinearDense",
    "Neuron",
    "RecurrentSerial",
    "Serial",
    "SingleExponentialCurrent",
    "Synapse",
    "SynapseConstructor",
    "Updatable",
    "Updater",
]
