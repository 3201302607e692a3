"""Terms that decay with the time between two spikes, summed over the samples by kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .. import ops
from ..neural import Connection
from ..ops.backend import runs_native
from ._sent import Sent, has_correlations, kind_of

Rate = tuple[float, float]


@dataclass(frozen=True)
class TimePairs:
    """The last spikes of both sides of the synapses of a connection, and what their distance counts for.

    Attributes:
        connection: the connection.
        post: time since the last postsynaptic spikes, ``(B, *outshape)``, in ms; NaN before the first.
        pre: that of the presynaptic ones, ``(B, *shape of the synapse)``, or as they arrive.
        after: rate and time constant, in ms, for postsynaptic spikes that do not precede.
        before: rate and time constant, in ms, for those that do.
        adjusted: whether the delays are subtracted.
        generic: makes both terms for each sample.
    """

    connection: Connection
    post: Tensor
    pre: Tensor | Sent
    after: Rate
    before: Rate
    adjusted: bool
    generic: Callable[[], tuple]
    _made: dict = field(default_factory=dict, repr=False)

    def per_sample(self) -> tuple:
        """Both terms, with the value of each sample."""
        if "each" not in self._made:
            self._made["each"] = self.generic()
        return self._made["each"]

    def summed(self, factor: Tensor | None, scale: float = 1.0) -> tuple[Tensor, Tensor]:
        """Both terms summed over the samples, each times its factor, ``(B,)``; all of it times ``scale``."""
        if factor is not None:
            return self._sums(factor, scale)
        if scale not in self._made:
            self._made[scale] = self._sums(None, scale)
        return self._made[scale]

    def _sums(self, factor: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
        connection, kind = self.connection, kind_of(self.connection)
        (after, after_constant), (before, before_constant) = self.after, self.before
        options = {"pos": (after * scale, after_constant), "neg": (before * scale, before_constant)}
        options["sample_scale"] = factor
        if self.adjusted:
            options["delay"] = connection._held("delay_").detach().to(self.post.dtype)
        pre = (self.pre,)
        if isinstance(self.pre, Sent):
            pre = self.pre.ring, self.pre.pointer, replace(self.pre.plan, overbound=torch.nan)
        if kind == "conv2d":
            geometry = connection._geometry()
            return ops.spike_time_pairs_conv2d(self.post, *pre, kernel=connection.kernel, **options, **geometry)
        op = ops.spike_time_pairs_direct if kind == "direct" else ops.spike_time_pairs_dense
        return op(self.post.flatten(1), *pre, **options)


@dataclass(frozen=True)
class Timed:
    """One of the two terms of :class:`TimePairs`."""

    pairs: TimePairs
    number: int

    @property
    def like(self) -> Tensor:
        """A tensor with the batch size, the dtype and the device of the term."""
        return self.pairs.post

    def per_sample(self) -> Tensor:
        """The term of each sample, ``(B, *weight)``."""
        return self.pairs.per_sample()[self.number].values

    def mean(self) -> Tensor:
        """The mean over the samples, ``(*weight,)``."""
        return self.pairs.summed(None, 1.0 / len(self.like))[self.number]

    def summed(self, factor: Tensor | None = None) -> Tensor:
        """The sum over the samples, ``(*weight,)``, each multiplied by its factor, ``(B,)``."""
        return self.pairs.summed(factor)[self.number]


def timed(
    connection: Connection,
    post: Tensor,
    pre: Tensor | Sent,
    after: Rate,
    before: Rate,
    adjusted: bool,
    generic: Callable[[], tuple],
) -> tuple:
    """Both terms, postsynaptic spikes that do not precede first, by kernels where there are some for them.

    Arguments are those of :class:`TimePairs`.
    """
    ours = has_correlations(connection) and post.dtype in (torch.float32, torch.float64)
    if not ours or not (isinstance(pre, Sent) or pre.shape[1:] == connection.synapse.shape):
        return generic()
    if not runs_native(post, f"spike_time_pairs_{kind_of(connection)}"):
        return generic()
    pairs = TimePairs(connection, post, pre, after, before, adjusted, generic)
    return Timed(pairs, 0), Timed(pairs, 1)
