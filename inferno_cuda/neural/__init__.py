"""Neurons, synapses, connections and layers of spiking networks."""

from .base import Connection, InfernoNeuron, InfernoSynapse, Neuron, Synapse, SynapseConstructor
from .connections import LinearDense
from .modeling import Accumulator, Updatable, Updater
from .network import Biclique, Cell, Layer, RecurrentSerial, Serial
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
    "Biclique",
    "Cell",
    "Connection",
    "DeltaCurrent",
    "InfernoNeuron",
    "InfernoSynapse",
    "Izhikevich",
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
