"""Many steps of neurons."""

from ...reference import neuron_run

__all__ = ["neuron_run"]
