"""Several connections, all into each of several groups of neurons."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch

from ...state._check import one_of
from ..base import Connection, Neuron
from ._combine import COMBINE
from ._fixed import FixedLayer
from ._transform import Transform, through


class Biclique(FixedLayer):
    """Several connections whose outputs are combined, and the result goes to each of several groups of neurons.

    Every pair of a connection and neurons is a cell. Functions get tensors of their own, which they may write to.

    Args:
        connections: tuples of a name, a connection, and optionally a transform of its output.
        neurons: tuples of a name, neurons, and optionally a transform of their input.
        combine: how the outputs of the connections become one: "sum", "mean", "prod", "min", "max", elementwise and in
            the order of the inputs of the step; or a function of the outputs by name and of the keyword arguments of
            the step. This and the transforms of outputs are called once for each group of neurons.

    Raises:
        ValueError: if there are no connections or no neurons, an element has another number of entries, a name is not
            an identifier, or ``combine`` is another string.
        TypeError: if an element is not a tuple, a part is no connection or no neurons, or ``combine`` is neither a
            string nor callable.
        RuntimeError: if a name is used twice, or a connection's output has another shape than the neurons.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import LIF, Biclique, DeltaCurrent, LinearDense
        >>> synapse = DeltaCurrent.partialconstructor(spike_charge=20.0)
        >>> lif = dict(rest_v=-65.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0, time_constant=20.0)
        >>> layer = Biclique(
        ...     [("image", LinearDense(9, 4, 1.0, synapse=synapse)), ("cue", LinearDense(3, 4, 1.0, synapse=synapse))],
        ...     [("fast", LIF(4, 1.0, **lif)), ("slow", LIF(4, 1.0, **{**lif, "time_constant": 50.0}))],
        ... )
        >>> spikes = layer({"image": (torch.ones(1, 9),), "cue": (torch.ones(1, 3),)})
        >>> {name: tuple(value.shape) for name, value in spikes.items()}
        {'fast': (1, 4), 'slow': (1, 4)}
    """

    def __init__(
        self,
        connections: Iterable[tuple[str, Connection] | tuple[str, Connection, Transform]],
        neurons: Iterable[tuple[str, Neuron] | tuple[str, Neuron, Transform]],
        combine: Callable[..., torch.Tensor] | Literal["sum", "mean", "prod", "min", "max"] = "sum",
    ) -> None:
        connections, post_input = _members("connections", connections)
        neurons, pre_output = _members("neurons", neurons)
        if isinstance(combine, str):
            combine = one_of("combine", combine.lower(), tuple(COMBINE))
        elif not callable(combine):
            raise TypeError(f"'combine' is a {type(combine).__name__}, it must be a string or callable")
        cells = itertools.product(connections, neurons)
        FixedLayer.__init__(self, connections, neurons, [(c, n) for (c, _), (n, _) in cells])
        self.post_input = post_input
        self.pre_output = pre_output
        self._combine = combine

    def wiring(self, inputs: dict[str, torch.Tensor], **kwargs: Any) -> dict[str, torch.Tensor]:
        """Combines the outputs of the connections for each group of neurons.

        Raises:
            ValueError: if there are no outputs to combine.
        """
        if not inputs:
            raise ValueError("'inputs' is empty, there must be the input of at least one connection")
        neurons = self._modules["neurons_"]._modules
        if isinstance(self._combine, str) and all(transform is None for transform in self.post_input.values()):
            combined = COMBINE[self._combine](list(inputs.values()))
            return {name: _through_own(self.pre_output[name], combined) for name in neurons}
        return {name: through(self.pre_output[name], self._combined(inputs, kwargs)) for name in neurons}

    def _wires_apart(self) -> bool:
        transforms = (*self.post_input.values(), *self.pre_output.values())
        return isinstance(self._combine, str) and all(transform is None for transform in transforms)

    def _combined(self, inputs: dict[str, torch.Tensor], kwargs: dict[str, Any]) -> torch.Tensor:
        inputs = {name: through(self.post_input[name], value.clone()) for name, value in inputs.items()}
        if isinstance(self._combine, str):
            return COMBINE[self._combine](list(inputs.values()))
        return self._combine(inputs, **kwargs)


def _through_own(transform: Transform | None, value: torch.Tensor) -> torch.Tensor:
    """``value``, or what a transform makes of a copy: others see the value too."""
    return value if transform is None else transform(value.clone())


def _members(argument: str, members: Iterable[tuple]) -> tuple[list[tuple[str, Any]], dict[str, Transform | None]]:
    """Splits ``(name, module[, transform])`` into names with modules, and names with transforms."""
    members = list(members)
    if not members:
        raise ValueError(f"'{argument}' cannot be empty")
    for position, member in enumerate(members):
        if not isinstance(member, tuple | list):
            raise TypeError(f"'{argument}[{position}]' is a {type(member).__name__}, it must be a tuple")
        if len(member) not in (2, 3):
            raise ValueError(f"'{argument}[{position}]' has {len(member)} entries, it must have 2 or 3")
    transforms = {member[0]: member[2] if len(member) == 3 else None for member in members}
    return [(name, module) for name, module, *_ in members], transforms
