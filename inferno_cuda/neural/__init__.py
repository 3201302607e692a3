"""Neurons, synapses, connections, layers and encoders of spiking networks."""

from . import functional
from .base import Connection, InfernoNeuron, InfernoSynapse, Neuron, Synapse, SynapseConstructor
from .connections import Conv2D, LinearDense, LinearDirect, LinearLateral, SparseConnection
from .encoders import HomogeneousPoissonApproxEncoder, HomogeneousPoissonEncoder, PoissonIntervalEncoder
from .hooks import Clamping, Normalization
from .modeling import Accumulator, Deferred, Updatable, Updater
from .network import Biclique, Cell, Layer, RecurrentSerial, Serial
from .neurons import ALIF, EIF, GLIF1, GLIF2, LIF, QIF, AdEx, Izhikevich
from .sequence import run
from .synapses import DeltaCurrent, DeltaPlusCurrent, DoubleExponentialCurrent, SingleExponentialCurrent

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
    "Clamping",
    "Connection",
    "Conv2D",
    "Deferred",
    "DeltaCurrent",
    "DeltaPlusCurrent",
    "DoubleExponentialCurrent",
    "HomogeneousPoissonApproxEncoder",
    "HomogeneousPoissonEncoder",
    "InfernoNeuron",
    "InfernoSynapse",
    "Izhikevich",
    "Layer",
    "LinearDense",
    "LinearDirect",
    "LinearLateral",
    "Neuron",
    "Normalization",
    "PoissonIntervalEncoder",
    "RecurrentSerial",
    "Serial",
    "SingleExponentialCurrent",
    "SparseConnection",
    "Synapse",
    "SynapseConstructor",
    "Updatable",
    "Updater",
    "functional",
    "run",
]
