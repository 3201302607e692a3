"""Functions of a user between the parts of a layer."""

from __future__ import annotations

from collections.abc import Callable

import torch

Transform = Callable[[torch.Tensor], torch.Tensor]
Split = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]


def through(transform: Transform | None, value: torch.Tensor) -> torch.Tensor:
    """``value``, transformed if there is a transform."""
    return value if transform is None else transform(value)


def arguments(name: str, transform: Split | None, spikes: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Positional arguments of a connection, made from spikes.

    Raises:
        TypeError: if the transform does not return a tuple.
    """
    if transform is None:
        return (spikes,)
    made = transform(spikes)
    if not isinstance(made, tuple):
        raise TypeError(f"'{name}' returned a {type(made).__name__}, it must return a tuple of tensors")
    return made
