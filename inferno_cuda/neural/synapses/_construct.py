"""Constructors of synapses with the signature that connections call."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..base import Synapse, SynapseConstructor


def constructor(cls: type[Synapse], **hyperparameters: Any) -> SynapseConstructor:
    """A constructor ``(shape, step_time, delay, batch_size)`` of ``cls``; it can be pickled."""
    return partial(_construct, cls, hyperparameters)


def _construct(
    cls: type[Synapse],
    hyperparameters: dict[str, Any],
    shape: tuple[int, ...] | int,
    step_time: float,
    delay: float,
    batch_size: int,
) -> Synapse:
    return cls(shape, step_time, delay=delay, batch_size=batch_size, **hyperparameters)
