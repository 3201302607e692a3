"""The cases of the benchmark: what is built, what must agree, what is timed.

Each case builds the same thing from `inferno_cuda.neural` or from `inferno.neural`, whose constructors take the same
arguments, with the same random numbers. Cases of accelerated models build the library's modules, accelerated or not.
"""

from .cases_connections import CONNECTIONS
from .cases_libraries import LIBRARIES
from .cases_neurons import NEURONS
from .cases_quickstart import QUICKSTART
from .cases_recurrent import RECURRENT
from .cases_sparse import SPARSE
from .cases_synapses import SYNAPSES

CASES = (*NEURONS, *SYNAPSES, *CONNECTIONS, *SPARSE, *QUICKSTART, *RECURRENT, *LIBRARIES)
MEMORY = ("dense-64", "conv-16")  # the cases whose memory is measured
