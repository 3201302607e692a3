"""The loop of a recurrent layer backwards: from gradients of its spikes to those that have gone around it.

Going back, the loop is a program too. The adjoint of a synapse is the synapse itself, which lets a gradient decay as
it lets a current; that of a sum is the sum with its matrix transposed, and what looked back by a delay looks ahead by
it; that of neurons is two products with the derivatives of their steps, which are numbers once the loop has run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from ...ops import DelayPlan, NeuronSlopes, Operand, Program, neuron_slopes

Ring = tuple[torch.Tensor, torch.Tensor]


class Sum(NamedTuple):
    """A weighted sum of a connection: without a plan, of present currents."""

    op: str
    weight: torch.Tensor
    plan: DelayPlan | None = None
    slots: int = 1


class Path(NamedTuple):
    """What a connection does in a step: its synapse, and the sums of what it gives, of which a second is subtracted."""

    model: str
    gain: float
    decay: tuple[float, ...]
    sums: list[Sum]


class Cells(NamedTuple):
    """Neurons and where they started from: their op is called as ``(model, *state, currents, **options)``.

    Attributes:
        currents: input currents of every step, ``(T, B, n)``, filled in by the program.
        state: voltage and refractory periods before the first step, ``(B, n)``.
    """

    model: str
    currents: torch.Tensor
    state: tuple[torch.Tensor, torch.Tensor]
    options: dict[str, Any]


class RecordedProgram(Program):
    """A program that notes what is needed to go back, and keeps the input currents of neurons.

    Args:
        steps: how many steps will be run.

    Attributes:
        paths: those of the connections, in the order of a step.
        cells: the neurons, in the order of a step.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps
        self.paths: list[Path] = []
        self.cells: list[Cells] = []

    def synapse(self, model: str, *args: Any, gain: float, decay: Sequence[float], **kwargs: Any) -> Operand:
        """As :meth:`Program.synapse`."""
        self.paths.append(Path(model, gain, tuple(decay), []))
        return super().synapse(model, *args, gain=gain, decay=decay, **kwargs)

    def linear(self, inputs: Operand, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Operand:
        """As :meth:`Program.linear`."""
        self.paths[-1].sums.append(Sum("linear", weight))
        return super().linear(inputs, weight, bias)

    def product(self, inputs: Operand, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Operand:
        """As :meth:`Program.product`."""
        self.paths[-1].sums.append(Sum("product", weight))
        return super().product(inputs, weight, bias)

    def delayed_sum(self, op: str, ring: Any, weight: torch.Tensor, plan: DelayPlan, *args: Any) -> Operand:
        """As :meth:`Program.delayed_sum`."""
        self.paths[-1].sums.append(Sum(op, weight, plan, len(ring[0])))
        return super().delayed_sum(op, ring, weight, plan, *args)

    def neuron(
        self, model: str, voltage: torch.Tensor, refrac: torch.Tensor, inputs: Operand, *args: Any, **options: Any
    ) -> Operand:
        """As :meth:`Program.neuron`."""
        currents = inputs.tensor.new_empty((self._steps, *inputs.shape))
        nothing = Operand(torch.zeros_like(currents[0]))
        # the same numbers, in a step of the sequence
        kept = self.difference(inputs, nothing, self.sequence(currents))
        self.cells.append(Cells(model, currents, (voltage.clone(), refrac.clone()), options))
        return super().neuron(model, voltage, refrac, kept, *args, **options)


class Way(NamedTuple):
    """The way around the loop.

    Attributes:
        paths: the feedback and the lateral connection.
        cells: the feed-forward and the feedback neurons.
    """

    paths: tuple[Path, Path]
    cells: tuple[Cells, Cells]

    def apart(self) -> tuple[Way, list[torch.Tensor]]:
        """The way without what autograd is to keep and to watch, and that."""
        sums = [total for path in self.paths for total in path.sums]
        kept = [total.weight for total in sums]
        kept += [tensor for cells in self.cells for tensor in (cells.currents, *cells.state)]
        return self.whole([None] * len(kept)), kept

    def whole(self, kept: Sequence[torch.Tensor | None]) -> Way:
        """The way with what was taken from it by :meth:`apart`."""
        rest = iter(kept)
        paths = [path._replace(sums=[s._replace(weight=next(rest)) for s in path.sums]) for path in self.paths]
        cells = [one._replace(currents=next(rest), state=(next(rest), next(rest))) for one in self.cells]
        return Way(tuple(paths), tuple(cells))


def _transposed(program: Program, total: Sum, gradient: Operand, dtype: torch.dtype) -> Operand:
    """Adds the adjoint of a sum: from the gradient of what it gave to that of the currents it took."""
    weight, plan = total.weight.detach().to(dtype), total.plan
    dense = weight.ndim == 2
    if plan is None:
        return program.linear(gradient, weight.t().contiguous()) if dense else program.product(gradient, weight)

    def turned(values: torch.Tensor | None) -> torch.Tensor | None:
        return values.t().contiguous() if dense and values is not None else values

    # backwards in time, what a delay looked back to is as far ahead; nothing comes from out of its range
    ahead = DelayPlan(turned(plan.slot), turned(plan.factor), plan.slots, plan.linear, 0.0)
    ring = _filter(program, "delta_plus", 1.0, (), gradient, total.slots)[1]  # which writes it as it is
    return program.delayed_sum(total.op, ring, turned(weight), ahead, None, 1.0)


def _ring(x: Operand, slots: int, dtype: torch.dtype) -> Ring:
    """An empty ring for what an operand is, ``(B, n)``, and its pointer; laid out as histories are."""
    (batch, count), device = x.shape, x.tensor.device
    data = torch.zeros((slots, count, batch), dtype=dtype, device=device).transpose(1, 2)
    return data, torch.zeros((), dtype=torch.int64, device=device)


def _filter(
    program: Program, model: str, gain: float, decay: tuple[float, ...], x: Operand, slots: int = 1
) -> tuple[Operand, Ring]:
    """Adds a synapse of its own, and returns what it gives and the ring of its current."""
    dtype = x.tensor.dtype
    rings = [_ring(x, slots, dtype) for _ in range(max(1, len(decay)))]
    out = program.synapse(model, x, _ring(x, 1, torch.bool), rings, gain=gain, decay=decay, dtype=dtype)
    return out, rings[0]


def _back(program: Program, path: Path, gradient: Operand) -> Operand:
    """Adds the adjoint of a connection: from the gradient of what it gave to that of the spikes it took."""
    dtype = gradient.tensor.dtype
    parts = [_transposed(program, total, gradient, dtype) for total in path.sums]
    if len(parts) == 1:
        # the gradient of a spike that counts once is that of its current, however often it came
        model = "delta_plus" if path.model == "delta" else path.model
        return _filter(program, model, path.gain, path.decay, parts[0])[0]
    added, subtracted = (
        _filter(program, "exponential", path.gain, (decay,), part)[0]
        for part, decay in zip(parts, path.decay, strict=True)
    )
    return program.difference(added, subtracted)


def _turn(program: Program, slopes: NeuronSlopes, of_spike: Operand, of_current: Operand) -> None:
    """Adds the adjoint of neurons: from the gradient of their spikes to that of their currents.

    The gradient of their voltage is kept from step to step.
    """
    of_voltage = Operand(torch.zeros_like(of_current.tensor))
    back = NeuronSlopes(*map(program.sequence, slopes))
    program.blend(of_voltage, back.voltage_of_input, of_spike, back.spike_of_input, out=of_current)
    program.blend(of_voltage, back.voltage_of_voltage, of_spike, back.spike_of_voltage, out=of_voltage)


def _slopes(cells: Cells) -> NeuronSlopes:
    return neuron_slopes(cells.model, *cells.state, cells.currents, **cells.options)


def around(way: Way, of_first: torch.Tensor | None, of_second: torch.Tensor | None) -> torch.Tensor:
    """The gradient of the spikes of the feedback neurons, with all that they get by way of the loop.

    Args:
        way: the way around the loop.
        of_first, of_second: gradients of the spikes of the feed-forward and of the feedback neurons that do not come
            from the loop, ``(T, B, n)``; None for none.

    Returns:
        ``(T, B, m)``, in float32, or float64 if the state is.
    """
    first, second = map(_slopes, way.cells)
    program, like = Program(), (first.spike_of_input, second.spike_of_input)

    def arriving(gradient: torch.Tensor | None, group: torch.Tensor) -> Operand:
        if gradient is None:
            return Operand(torch.zeros_like(group[0]))
        return program.sequence(gradient.to(group.dtype).contiguous())

    of_currents = [Operand(torch.zeros_like(group[0])) for group in like]
    total = torch.empty_like(like[1])
    # what comes back is of the currents in the step after, which the last step does not have
    returned = _back(program, way.paths[0], of_currents[0])
    of_spike = program.sum(arriving(of_second, like[1]), returned, program.sequence(total))
    _turn(program, second, of_spike, of_currents[1])
    of_spike = program.sum(arriving(of_first, like[0]), _back(program, way.paths[1], of_currents[1]))
    _turn(program, first, of_spike, of_currents[0])
    program.run(len(total), backwards=True)
    return total
