"""Learning rules: trainers of cells, and a classifier."""

from .base import CellTrainer, IndependentCellTrainer
from .classifiers.simple import MaxRateClassifier
from .trainers.delay_adj_three_factor_stdp import DelayAdjustedMSTDP, DelayAdjustedMSTDPD
from .trainers.delay_adj_two_factor_stdp import DelayAdjustedSTDP, DelayAdjustedSTDPD
from .trainers.homeostasis import LinearHomeostasis
from .trainers.kernel_stdp import DelayAdjustedKernelSTDP, DelayAdjustedKernelSTDPD, KernelSTDP
from .trainers.three_factor_stdp import MSTDP, MSTDPET, EligibilityTraceReducer
from .trainers.two_factor_stdp import STDP, StableSTDP, StableTripletSTDP, TripletSTDP

__all__ = [
    "CellTrainer",
    "DelayAdjustedKernelSTDP",
    "DelayAdjustedKernelSTDPD",
    "DelayAdjustedMSTDP",
    "DelayAdjustedMSTDPD",
    "DelayAdjustedSTDP",
    "DelayAdjustedSTDPD",
    "EligibilityTraceReducer",
    "IndependentCellTrainer",
    "KernelSTDP",
    "LinearHomeostasis",
    "MSTDP",
    "MSTDPET",
    "MaxRateClassifier",
    "STDP",
    "StableSTDP",
    "StableTripletSTDP",
    "TripletSTDP",
]
