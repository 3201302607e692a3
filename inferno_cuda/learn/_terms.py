"""The terms of learning rules: what pre- and postsynaptic recordings make of each weight, and their batch reductions.

All that learning rules know about shapes is here. A term has a value for each sample and weight, ``(B, *weight)``; for
reductions that are known to be a mean or a sum over the samples it is never made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import functional, ops
from ..neural import Cell, Connection, Deferred
from ..observe import CumulativeTraceReducer, EventReducer, Monitor, NearestTraceReducer, PassthroughReducer
from ..ops.backend import runs_native
from ._arrivals import Arriving
from ._called import result_of
from ._sent import Sent, correlated, looked_up
from ._times import Timed

Reduction = Callable[[Tensor, int], Tensor]

# reducers of ours whose present state is the newest record
READ_AS_RECORDED = {CumulativeTraceReducer, NearestTraceReducer, PassthroughReducer, EventReducer}
FEWEST_DEFERRED = 1 << 14  # weights, below which counting spikes does not pay
MOST_EVENTS = 5.0  # per row and column, with which sparse updates are still the faster ones (measured)

MEANS = (torch.mean, functional.mean)
SUMS = (torch.sum, functional.sum)


@dataclass(frozen=True)
class Product:
    """The product of two recordings, both ``(B, <broadcastable with weight>, L)``, summed over the last dimension.

    ``spikes`` is the one of them that is mostly 0.
    """

    post: Tensor
    pre: Tensor
    spikes: Tensor | None = None

    @property
    def like(self) -> Tensor:
        """A tensor with the batch size, the dtype and the device of the term."""
        return self.pre

    @property
    def is_outer(self) -> bool:
        """Whether it is the outer product of two vectors."""
        return self.post.ndim == 4 and self.post.shape[2:] == (1, 1) and self.pre.shape[1::2] == (1, 1)

    def per_sample(self) -> Tensor:
        """The term of each sample, ``(B, *weight)``."""
        return torch.einsum("b...r,b...r->b...", self.post, self.pre)

    def mean(self) -> Tensor:
        """The mean over the samples, ``(*weight,)``."""
        if self.is_outer:
            return (self.post.flatten(1) / len(self.pre)).t() @ self.pre.flatten(1)
        return self.summed() / len(self.pre)

    def summed(self, factor: Tensor | None = None) -> Tensor:
        """The sum over the samples, ``(*weight,)``, each multiplied by its factor, ``(B,)``."""
        post = self.post if factor is None else self.post * _beside(factor, self.post)
        if post.shape == self.pre.shape:
            return (post * self.pre).sum((0, -1))
        if self.is_outer:
            return post.flatten(1).t() @ self.pre.flatten(1)
        return torch.einsum("b...r,b...r->...", post, self.pre)


@dataclass(frozen=True)
class Kept:
    """A term that is there for each sample, ``(B, *weight)``."""

    values: Tensor

    @property
    def like(self) -> Tensor:
        """A tensor with the batch size, the dtype and the device of the term."""
        return self.values

    def per_sample(self) -> Tensor:
        """The term of each sample, ``(B, *weight)``."""
        return self.values

    def mean(self) -> Tensor:
        """The mean over the samples, ``(*weight,)``."""
        return self.values.sum(0) / len(self.values)

    def summed(self, factor: Tensor | None = None) -> Tensor:
        """The sum over the samples, ``(*weight,)``, each multiplied by its factor, ``(B,)``."""
        if factor is None:
            return self.values.sum(0)
        if runs_native(self.values, "eligibility_sum"):
            return ops.eligibility_sum(self.values, factor)
        return torch.einsum("b,b...->...", factor, self.values)


@dataclass(frozen=True)
class Correlation:
    """The product of a postsynaptic recording, ``(B, *outshape)``, and of what was sent and arrives now."""

    post: Tensor
    pre: Sent

    @property
    def like(self) -> Tensor:
        """A tensor with the batch size, the dtype and the device of the term."""
        return self.post

    def _product(self) -> Product:
        return _product(self.pre.connection, self.post, self.pre.gathered())

    def per_sample(self) -> Tensor:
        """The term of each sample, ``(B, *weight)``."""
        return self._product().per_sample()

    def mean(self) -> Tensor:
        """The mean over the samples, ``(*weight,)``."""
        return self.summed(scale=1.0 / len(self.post))

    def summed(self, factor: Tensor | None = None, scale: float = 1.0) -> Tensor:
        """The sum over the samples times ``scale``, ``(*weight,)``, each multiplied by its factor, ``(B,)``."""
        post = self.post if factor is None else self.post * _beside(factor, self.post)
        found = correlated(post, self.pre, scale)
        return self._product().summed(factor) * scale if found is None else found


Term = Product | Correlation | Timed | Kept


def product(cell: Cell, post: Tensor, pre: Tensor | Sent, spikes: str) -> Product | Correlation:
    """The term of two recordings.

    Args:
        cell: the cell that they are of.
        post: ``(B, *outshape)``.
        pre: arranged like the connection's ``synspike``, or what was sent before.
        spikes: which of them is 0 without a spike, "post" or "pre".
    """
    if isinstance(pre, Sent):
        return Correlation(post, pre)
    return _product(cell.connection, post, pre, post if spikes == "post" else pre)


def _product(connection: Connection, post: Tensor, pre: Tensor, spikes: Tensor | None = None) -> Product:
    dtype = torch.promote_types(post.dtype, pre.dtype)
    if dtype == torch.bool:
        dtype = connection._parameter("weight").dtype
    return Product(connection.postsyn_receptive(post).to(dtype), connection.presyn_receptive(pre).to(dtype), spikes)


def is_mean_or_sum(reduction: Reduction) -> bool:
    """Whether a reduction is known to be a mean or a sum, for which no term of each sample is made."""
    return reduction in MEANS or reduction in SUMS


def reduced(term: Term, reduction: Reduction) -> Tensor:
    """The term reduced over the samples."""
    if reduction in SUMS:
        return term.summed()
    if reduction in MEANS:
        return term.mean()
    return _of_samples(reduction, term.per_sample())


def _of_samples(reduction: Reduction, values: Tensor) -> Tensor:
    return result_of("batch_reduction", reduction(values, 0), values.shape[1:])


def deferred(terms: Sequence[Term], reduction: Reduction) -> list[Deferred] | None:
    """Reduced terms as what they are made of, where that is applied sooner than the terms: with few spikes.

    None elsewhere, and on devices that would have to be waited for to count spikes.
    """
    if not terms or not all(isinstance(term, Product) and term.is_outer and term.post.is_cpu for term in terms):
        return None
    spikes = [term.spikes for term in terms if term.spikes is not None]
    batch, (rows, columns) = len(terms[0].pre), (terms[0].post.shape[1], terms[0].pre.shape[2])
    if len(spikes) < len(terms) or rows * columns < FEWEST_DEFERRED or not runs_native(spikes[0], "apply_updates"):
        return None
    if not is_mean_or_sum(reduction):
        return None
    # events of a row or column, each of which costs as much as several in a matrix product
    events = sum(int(torch.count_nonzero(some)) * batch / some.numel() for some in spikes)
    if events > MOST_EVENTS:
        return None
    scale = 1.0 / batch if reduction in MEANS else 1.0
    # copies, since they may wait for longer than a step
    sides = ((term.post.flatten(1).clone(), term.pre.flatten(1).clone()) for term in terms)
    return [Deferred(ops.OuterProduct(*both, scale)) for both in sides]


def reduced_parts(parts: Sequence[tuple[Term, Tensor]], factor: Tensor, reduction: Reduction) -> Tensor | None:
    """Some samples of several terms, side by side as if they were one batch, reduced; None if there are none.

    Sums and means on a device do not wait for it to count: they are zeros if there are none.

    Args:
        parts: terms, each with the samples of it that count, ``(B,)``, bool.
        factor: what samples are multiplied by, ``(B,)``, not negative.
        reduction: over the samples.
    """
    total, summed = sum(counted.sum() for _, counted in parts), is_mean_or_sum(reduction)
    if factor.is_cpu or not summed:
        total = int(total)
        if not total:
            return None
    else:
        total = total.clamp_min(1)
    if summed:
        made = sum(term.summed(torch.where(counted, factor, 0.0)) for term, counted in parts)
        return made / total if reduction in MEANS else made
    made = [(term.per_sample() * _beside(factor, term.per_sample()))[counted] for term, counted in parts]
    return _of_samples(reduction, torch.cat(made, 0))


def _beside(factor: Tensor, data: Tensor) -> Tensor:
    return factor.view(-1, *(1,) * (data.ndim - 1))


def newest(monitor: Monitor) -> Tensor:
    """What a monitor recorded in the last step, to be used up before the next one: it may be a view.

    Raises:
        RuntimeError: if it has not recorded anything.
    """
    reducer = monitor.reducer
    if type(reducer) in READ_AS_RECORDED and not reducer._initial:
        return reducer.data_._newest()
    return _present(monitor.peek())


def previous(monitor: Monitor) -> Tensor:
    """What a monitor recorded in the step before the last.

    Raises:
        RuntimeError: if it has not recorded anything.
    """
    newest(monitor)
    return monitor.reducer.data_.read(2)


def _present(value: Tensor | None) -> Tensor:
    if value is None:
        raise RuntimeError(
            "nothing has been recorded yet: step the layer, with it and the trainer in training mode, before the "
            "trainer is called"
        )
    return value


def is_delayed(cell: Cell, delayed: bool) -> bool:
    """Whether a rule is to look up recordings of the synapse at the delays of its connection."""
    return bool(delayed and cell.connection.delayedby)


def arriving(
    cell: Cell, monitor: Monitor, delayed: bool, tolerance: float, back: int = 0, nothing: float = 0.0
) -> Tensor | Sent:
    """What arrives from a presynaptic recording, arranged like the connection's ``synspike``, or to be read so.

    Args:
        cell: the cell that it is of.
        monitor: recorded ``connection.synspike``, or with ``delayed``, ``synapse.spike``.
        delayed: whether it is looked up at the delays, where there are any.
        tolerance: by which a delay may be off the grid of steps and still be on it, in ms.
        back: 0 for the last step, 1 for the one before.
        nothing: what arrives at a delay that is out of range.

    Raises:
        RuntimeError: if nothing has been recorded.
    """
    connection = cell.connection
    if not is_delayed(cell, delayed):
        sent = monitor.reducer.sent(back) if isinstance(monitor.reducer, Arriving) else None
        if sent is not None:
            return sent
        data = previous(monitor) if back else newest(monitor)
        return seen(connection, data) if delayed and connection.delayedby is not None else data
    newest(monitor)
    reducer = monitor.reducer

    def look_up(selector: Tensor) -> Tensor:
        time, late = _in_range(selector, connection.delayedby, tolerance)
        if back:
            found = reducer.data_.select(time, reducer.interpolate, tolerance=tolerance, offset=1 + back)
        else:
            found = monitor.view(time, tolerance)
        return found if late is None else found.masked_fill(late, nothing)

    def arrived() -> Tensor:
        # where the synapse has one element for several that the connection sees
        return connection._past(look_up) if hasattr(connection, "_past") else look_up(connection.selector)

    how = INTERPOLATIONS.get(type(reducer))
    found = how and looked_up(connection, reducer.data_, *how(reducer), tolerance, back)
    return Sent(connection, *found, look_up=arrived) if found else arrived()


# mode and time constant of what reducers interpolate; those that users make are looked up as they say
INTERPOLATIONS = {
    CumulativeTraceReducer: lambda reducer: ("expdecay", reducer.time_constant),
    NearestTraceReducer: lambda reducer: ("expdecay", reducer.time_constant),
    PassthroughReducer: lambda reducer: ("previous", None),
}


def _in_range(selector: Tensor, longest: float, tolerance: float) -> tuple[Tensor, Tensor | None]:
    """Delays moved to the nearer end of their range, and where they were above it; None if the host sees that none is.

    Those above see nothing, as in the synapse, and those below, which a rule of delays can make, the newest.
    """
    # as a rule the samples share their delays
    delays = selector[:1] if selector.stride(0) == 0 else selector
    late = delays > longest + max(tolerance, 2 * torch.finfo(delays.dtype).eps * longest)
    if delays.is_cpu and not bool(late.any()):
        late = None
    return delays.clamp(0.0, longest).expand_as(selector), late


def seen(connection: Connection, data: Tensor) -> Tensor:
    """What the connection sees of data that has the shape of its synapse, with no delay."""
    return connection._seen(data) if hasattr(connection, "_seen") else data


def deviation(cell: Cell, rates: Tensor, target: float | Tensor) -> Tensor:
    """``(target - rate) / target``, the mean over the places that share a weight, ``(B, <broadcastable with weight>)``.

    Args:
        cell: the cell.
        rates: mean spikes in a step, ``(B, *outshape)``.
        target: what they are to be, a number or a tensor that broadcasts with them.
    """
    return cell.connection.postsyn_receptive((target - rates) / target).mean(-1)
