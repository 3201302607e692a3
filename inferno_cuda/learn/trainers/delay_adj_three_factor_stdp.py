"""Plasticity by the time from the arrival of a spike to a postsynaptic spike, modulated by a signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .._delay_adjusted import DelayAdjustedWindow
from .._rule import ThreeFactor


class DelayAdjustedMSTDP(ThreeFactor, DelayAdjustedWindow):
    """:class:`DelayAdjustedSTDP` modulated by a signal, as :class:`MSTDP` is.

    Args:
        lr_pos, lr_neg, tc_pos, tc_neg, interp_tolerance, inplace: as for :class:`DelayAdjustedSTDP`.
        batch_reduction: reduction of terms over the samples, ``(terms, 0)``; by default the sum.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        ValueError, TypeError: as :class:`DelayAdjustedSTDP`.
    """

    def __init__(
        self,
        lr_pos: float,
        lr_neg: float,
        tc_pos: float,
        tc_neg: float,
        interp_tolerance: float = 0.0,
        batch_reduction: Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor] | None = None,
        inplace: bool = False,
        **kwargs: Any,
    ) -> None:
        self._configure(
            kwargs,
            lr_pos=lr_pos,
            lr_neg=lr_neg,
            tc_pos=tc_pos,
            tc_neg=tc_neg,
            interp_tolerance=interp_tolerance,
            batch_reduction=batch_reduction,
            inplace=inplace,
        )


class DelayAdjustedMSTDPD(ThreeFactor, DelayAdjustedWindow):
    """:class:`DelayAdjustedSTDPD`, plasticity of delays, modulated by a signal, as :class:`MSTDP` is.

    Args:
        lr_neg, lr_pos, tc_neg, tc_pos, interp_tolerance, inplace: as for :class:`DelayAdjustedSTDPD`.
        batch_reduction: reduction of terms over the samples, ``(terms, 0)``; by default the sum.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        ValueError, TypeError: as :class:`DelayAdjustedSTDP`.
    """

    _trains = "delay"
    _suffixes = "neg", "pos"

    def __init__(
        self,
        lr_neg: float,
        lr_pos: float,
        tc_neg: float,
        tc_pos: float,
        interp_tolerance: float = 0.0,
        batch_reduction: Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor] | None = None,
        inplace: bool = False,
        **kwargs: Any,
    ) -> None:
        self._configure(
            kwargs,
            lr_neg=lr_neg,
            lr_pos=lr_pos,
            tc_neg=tc_neg,
            tc_pos=tc_pos,
            interp_tolerance=interp_tolerance,
            batch_reduction=batch_reduction,
            inplace=inplace,
        )
