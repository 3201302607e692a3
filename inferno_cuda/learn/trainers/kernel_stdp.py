"""Plasticity as any function of the time between two spikes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

import torch

from ...functional import SpikeTimeHalfKernel, exp_stdp_post_kernel, exp_stdp_pre_kernel
from ...neural import Cell
from ...state import Module
from .._called import accepts, result_of
from .._delays import DelayAdjusted
from .._lags import Exponentials, adjusted_lag, adjusted_terms, kernel_terms, lag, window_terms
from .._monitors import Watch, postsynaptic, presynaptic, since_spike
from .._routing import Sides, routed
from .._rule import Monitors, Rule
from .._settings import store_keywords, stored_keywords
from .._terms import is_mean_or_sum, reduced
from .._times import Rate


class _Kernels(Rule):
    """A rule of two functions of the time between the last spikes, applied in every step."""

    def _store(self, state: Module, name: str, value: Any) -> None:
        if name.endswith("_kwargs"):
            store_keywords(state, name, value)
        else:
            super()._store(state, name, value)

    def _build_cell_state(self, **overrides: Any) -> Module:
        state = super()._build_cell_state(**overrides)
        for name in ("kernel_post", "kernel_pre"):
            accepts(name, getattr(state, name), (None,), stored_keywords(state, f"{name}_kwargs"))
        return state

    def _windows(self, state: Module) -> list[tuple[float, float]] | None:
        """Rates and time constants, in ms, of exponential kernels; None if they are others."""
        if (state.kernel_post, state.kernel_pre) != (exp_stdp_post_kernel, exp_stdp_pre_kernel):
            return None
        given = [stored_keywords(state, f"kernel_{side}_kwargs") for side in ("post", "pre")]
        if not all(set(kwargs) == {"learning_rate", "time_constant"} for kwargs in given):
            return None
        numbers = [(kwargs["learning_rate"], kwargs["time_constant"]) for kwargs in given]
        known = all(isinstance(n, int | float) and isfinite(n) for window in numbers for n in window)
        return numbers if known and all(constant > 0 for _, constant in numbers) else None

    def _why_torch(self, state: Module) -> str:
        return "" if self._windows(state) else "the kernels are not the two exponential ones with plain numbers"

    @abstractmethod
    def _exponentials(self, cell: Cell, state: Module, monitors: Monitors, *windows: Rate) -> Exponentials:
        """The terms of exponential kernels."""

    @abstractmethod
    def _lag(self, cell: Cell, state: Module, monitors: Monitors) -> torch.Tensor:
        """Time from pre- to postsynaptic spikes, in ms, ``(B, *weight, L)``."""

    def _sides(self, cell: Cell, state: Module, monitors: Monitors) -> Sides:
        # other reductions are of negative changes where rates are negative, terms are magnitudes
        windows = self._windows(state) if is_mean_or_sum(state.batchreduce) else None
        if windows is not None:
            terms = self._exponentials(cell, state, monitors, *windows)
            rated = zip((reduced(term, state.batchreduce) for term in terms), windows, strict=True)
            sides = routed((change, rate) for change, (rate, _) in rated)
            return tuple(torch.zeros_like(sides[1 - n]) if side is None else side for n, side in enumerate(sides))
        time = self._lag(cell, state, monitors)
        post, pre = (
            result_of(name, getattr(state, name)(time, **stored_keywords(state, f"{name}_kwargs")), time.shape)
            for name in ("kernel_post", "kernel_pre")
        )
        up, down = (sum(reduced(term, state.batchreduce) for term in side) for side in kernel_terms(post, pre))
        return up, -down

    @torch.no_grad()
    def forward(self) -> None:
        """Collects the updates of the last step, of all cells that are in training mode and have an updater.

        Raises:
            RuntimeError: if nothing has been recorded yet.
        """
        self._collect(
            (cell, state, self._sides(cell, state, monitors)) for cell, state, monitors in self._learning()
        )


class KernelSTDP(_Kernels):
    r"""Plasticity as any function of the time between the last spikes.

    .. math::

        \Delta W_{oi} = K_\text{post}(t^f_o - t^f_i) + K_\text{pre}(t^f_o - t^f_i)

    with the times :math:`t^f` of the last spikes. It is applied in **every** step, not only in those with a spike.
    Parts that are positive are added, those that are negative subtracted. Pairs of which one has not spiked yet, and
    NaN that a kernel returns, change nothing.

    Args:
        kernel_post: called with times, in ms, ``(B, *weight, L)``, and ``kernel_post_kwargs``; such as
            :func:`~inferno_cuda.functional.exp_stdp_post_kernel`.
        kernel_pre: called likewise; such as :func:`~inferno_cuda.functional.exp_stdp_pre_kernel`.
        kernel_post_kwargs: keyword arguments. Tensors are copied for each cell and move with the trainer.
        kernel_pre_kwargs: keyword arguments, likewise.
        delayed: whether, where there are delays, spikes of the inputs are recorded and looked up at the delays;
            otherwise those of every weight as they arrive.
        interp_tolerance: by which a delay may be off the grid of steps and still be on it, in ms.
        batch_reduction: reduction of changes over the samples, ``(changes, 0)``; by default the mean.
        inplace: whether records are written in place.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        ValueError: if the tolerance is negative.
        TypeError: if a kernel or ``batch_reduction`` cannot be called, or keyword arguments are no mapping.
    """

    def __init__(
        self,
        kernel_post: SpikeTimeHalfKernel,
        kernel_pre: SpikeTimeHalfKernel,
        kernel_post_kwargs: dict[str, Any],
        kernel_pre_kwargs: dict[str, Any],
        delayed: bool = False,
        interp_tolerance: float = 0.0,
        batch_reduction: Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor] | None = None,
        inplace: bool = False,
        **kwargs: Any,
    ) -> None:
        self._configure(
            kwargs,
            kernel_post=kernel_post,
            kernel_pre=kernel_pre,
            kernel_post_kwargs=kernel_post_kwargs,
            kernel_pre_kwargs=kernel_pre_kwargs,
            delayed=delayed,
            interp_tolerance=interp_tolerance,
            batch_reduction=batch_reduction,
            inplace=inplace,
        )

    def _watches(self, cell: Cell, state: Module) -> Iterator[Watch]:
        yield since_spike("spike_post", postsynaptic(cell), state.inplace)
        yield since_spike("spike_pre", presynaptic(cell, state.delayed), state.inplace)

    def _exponentials(self, cell: Cell, state: Module, monitors: Monitors, *windows: Rate) -> Exponentials:
        spikes = monitors["spike_post"], monitors["spike_pre"]
        return window_terms(cell, *spikes, state.delayed, state.tolerance, *windows)

    def _lag(self, cell: Cell, state: Module, monitors: Monitors) -> torch.Tensor:
        return lag(cell, monitors["spike_post"], monitors["spike_pre"], state.delayed, state.tolerance)


class DelayAdjustedKernelSTDP(DelayAdjusted, _Kernels):
    r"""Plasticity of weights as any function of the time from the arrival of a spike to a postsynaptic spike.

    As :class:`KernelSTDP`, of :math:`t^f_o - t^f_i - d_{oi}` with the delays :math:`d`, which the connection needs to
    have.

    Args:
        kernel_post, kernel_pre, kernel_post_kwargs, kernel_pre_kwargs, batch_reduction, inplace: as for
            :class:`KernelSTDP`.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        TypeError: as :class:`KernelSTDP`.
    """

    def __init__(
        self,
        kernel_post: SpikeTimeHalfKernel,
        kernel_pre: SpikeTimeHalfKernel,
        kernel_post_kwargs: dict[str, Any],
        kernel_pre_kwargs: dict[str, Any],
        batch_reduction: Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor] | None = None,
        inplace: bool = False,
        **kwargs: Any,
    ) -> None:
        self._configure(
            kwargs,
            kernel_post=kernel_post,
            kernel_pre=kernel_pre,
            kernel_post_kwargs=kernel_post_kwargs,
            kernel_pre_kwargs=kernel_pre_kwargs,
            batch_reduction=batch_reduction,
            inplace=inplace,
        )

    def _exponentials(self, cell: Cell, state: Module, monitors: Monitors, *windows: Rate) -> Exponentials:
        return adjusted_terms(cell, monitors["spike_post"], monitors["spike_pre"], *windows)

    def _lag(self, cell: Cell, state: Module, monitors: Monitors) -> torch.Tensor:
        return adjusted_lag(cell, monitors["spike_post"], monitors["spike_pre"])


class DelayAdjustedKernelSTDPD(DelayAdjustedKernelSTDP):
    """Plasticity of delays as any function of the time from the arrival of a spike to a postsynaptic spike.

    :class:`DelayAdjustedKernelSTDP`, but it is the delays that change. Arguments are those of that class.
    """

    _trains = "delay"
