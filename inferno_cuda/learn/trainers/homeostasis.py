"""Plasticity that keeps the rates of neurons where they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch

from ...neural import Cell
from ...observe import CAReducer
from ...state import Module
from .._called import broadcasts
from .._monitors import Watch, postsynaptic
from .._routing import Sides
from .._rule import Monitors, Rule
from .._settings import wanted_rate
from .._terms import Kept, deviation, newest, reduced


class LinearHomeostasis(Rule):
    r"""Changes in proportion to how far the rate of a neuron is from a target.

    .. math::

        \Delta W_{oi} = \lambda \, \frac{r_o^* - r_o}{r_o^*}

    with the mean number :math:`r_o` of spikes of a neuron in a step, since monitors were cleared, and its target
    :math:`r_o^*`: neurons that are too active get smaller weights, the others larger ones. Biases likewise; delays with
    the opposite sign. Terms are reduced over the samples.

    Args:
        plasticity: strength :math:`\lambda`.
        target: target :math:`r_o^*`, spikes in a step; or None, then each cell or each call has to have one. For a cell
            it may be a tensor that broadcasts with ``(B, *shape)`` of the neurons.
        param: what changes, "weight", "bias" or "delay".
        batch_reduction: reduction of changes over the samples, ``(changes, 0)``; by default the mean.
        legacy_sign: whether decreases are handed to the updater with a negative sign, as inferno-ai 0.0.5 does. It then
            subtracts a negative number: what should become smaller becomes larger, as much. For results that depend on
            it.
        **kwargs: passed to the constructor of :class:`~inferno_cuda.Module`.

    Raises:
        ValueError: if ``target`` is not positive, or ``param`` unknown.
        TypeError: if ``batch_reduction`` cannot be called.
    """

    def __init__(
        self,
        plasticity: float,
        target: float | None,
        param: Literal["weight", "bias", "delay"],
        batch_reduction: Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor] | None = None,
        *,
        legacy_sign: bool = False,
        **kwargs: Any,
    ) -> None:
        self._configure(
            kwargs,
            plasticity=plasticity,
            target=target,
            param=param,
            batch_reduction=batch_reduction,
            legacy_sign=legacy_sign,
        )

    def _store(self, state: Module, name: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            state.register_buffer(name, value, persistent=False)
        else:
            super()._store(state, name, value)

    def _required(self, state: Module) -> Sequence[str]:
        return (state.param,)

    def _trained(self, state: Module) -> str:
        return state.param

    def _watches(self, cell: Cell, state: Module) -> Iterator[Watch]:
        source = postsynaptic(cell)
        yield Watch("spike_rate", source.attr, CAReducer(source.dt, duration=0.0, inclusive=True), {"dt": source.dt})

    def _add_monitors(self, name: str, cell: Cell, state: Module) -> None:
        if isinstance(state.target, torch.Tensor):
            # for any number of samples, which may change
            samples = state.target.shape[:1] if state.target.ndim > len(cell.neuron.shape) else (1,)
            broadcasts("target", state.target, (*samples, *cell.neuron.shape))
        super()._add_monitors(name, cell, state)
        if isinstance(state.target, torch.Tensor):
            param = cell.connection._parameter(state.param)
            state.target = state.target.to(device=param.device, dtype=param.dtype)

    def _sides(self, cell: Cell, state: Module, monitors: Monitors, target: float | torch.Tensor | None) -> Sides:
        target = state.target if target is None else target
        if target is None:
            raise RuntimeError("'target' must not be None for cells that have none of their own")
        rates = newest(monitors["spike_rate"])
        broadcasts("target", target, rates.shape)
        strength = -state.plasticity if state.param == "delay" else state.plasticity
        change = deviation(cell, rates, target) * strength
        up = reduced(Kept(change.clamp_min(0.0)), state.batchreduce)
        down = reduced(Kept(change.clamp_max(0.0)), state.batchreduce)
        sides = up, down if state.legacy_sign else -down
        if state.param == "bias":
            sides = tuple(map(cell.connection.like_bias, sides))
        # beside the updates of other rules, which have a value for each weight
        shape = cell.connection._parameter(state.param).shape
        return tuple(side.broadcast_to(shape) for side in sides)

    @torch.no_grad()
    def forward(self, target: float | torch.Tensor | None = None, cells: Sequence[str] | None = None) -> None:
        """Collects updates, of all cells that are in training mode and have an updater.

        Args:
            target: target for this call; None for that of each cell.
            cells: names of the cells that learn, or one; None for all.

        Raises:
            ValueError: if ``target`` is not positive, or does not broadcast to ``(B, *shape)`` of the neurons.
            AttributeError: if there is no cell of a name.
            RuntimeError: if there is no target, or nothing has been recorded yet.
        """
        target = wanted_rate("target", target)
        self._collect(
            (cell, state, self._sides(cell, state, monitors, target))
            for cell, state, monitors in self._learning(cells)
        )
