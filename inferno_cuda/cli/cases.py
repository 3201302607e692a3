"""The cases of the benchmark: what is built, what must agree, what is timed.

Each case builds the same thing from `inferno_cuda.neural` or from `inferno.neural`, whose constructors take the same
arguments, with the same random numbers. Those of accelerated models build both from `inferno.neural`.
"""

from .cases_connections import CONNECTIONS
from .cases_neurons import NEURONS
from .cases_quickstart import QUICKSTART
from .cases_synapses import SYNAPSES

CASES = (*NEURONS, *SYNAPSES, *CONNECTIONS, *QUICKSTART)
MEMORY = ("dense-64", "conv-16")  # the cases whose memory is measured
