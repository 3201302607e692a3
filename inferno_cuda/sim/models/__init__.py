"""Network models from the literature."""

from ._brunel import BRUNEL_REGIMES, brunel
from ._microcircuit import MICROCIRCUIT_RATES, MICROCIRCUIT_SIZES, microcircuit
from ._vogels_abbott import vogels_abbott

__all__ = [
    "BRUNEL_REGIMES",
    "MICROCIRCUIT_RATES",
    "MICROCIRCUIT_SIZES",
    "brunel",
    "microcircuit",
    "vogels_abbott",
]
