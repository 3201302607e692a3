"""Many steps of neurons."""

from ...ops import neuron_run

__all__ = ["neuron_run"]
