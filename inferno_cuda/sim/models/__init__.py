"""Network models from the literature."""

from ._brunel import BRUNEL_REGIMES as BRUNEL_REGIMES
from ._brunel import brunel
from ._microcircuit import MICROCIRCUIT_RATES as MICROCIRCUIT_RATES
from ._microcircuit import MICROCIRCUIT_SIZES as MICROCIRCUIT_SIZES
from ._microcircuit import microcircuit
from ._vogels_abbott import vogels_abbott

__all__ = ["brunel", "microcircuit", "vogels_abbott"]
