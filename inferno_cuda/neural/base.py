"""The interfaces that neurons, synapses and connections implement."""

from ._connection import Connection
from ._neuron import InfernoNeuron, Neuron
from ._synapse import InfernoSynapse, Synapse, SynapseConstructor

__all__ = ["Connection", "InfernoNeuron", "InfernoSynapse", "Neuron", "Synapse", "SynapseConstructor"]
