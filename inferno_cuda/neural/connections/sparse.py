"""Connections of synapses that are listed one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ... import ops
from ...ops.connectivity import sorted_connectivity
from ..base import SynapseConstructor
from ..synapses import DelayedCurrent
from ..synapses.mixins import SpikeMixin
from ._base import Init, WeightedConnection, sizes
from ._listing import compressed, listed
from ._plan import PlanCache, PlanCaches, chunks, fuses

_PREPARED = ("start", "by_source", "source_start", "target_by_source")


class SparseConnection(WeightedConnection):
    r"""Some inputs are connected to some outputs, by synapses each of which has its own weight and delay.

    .. math::

        y_o(t) = b_o + \sum_{s \in S_o} W_s \, I_{i(s)}(t - d_s)

    where :math:`S_o` are the synapses of output :math:`o` and :math:`I_{i(s)}` is the current of the input that synapse
    :math:`s` comes from. Weights and delays have the shape ``(S,)``, one value for each synapse that exists, biases
    ``(O,)``; the synapse, which records the history of each input once, ``(I,)``. Memory and time grow with ``S``, not
    with ``I`` times ``O``.

    Several synapses may join the same input and output. Synapses are sorted by output, then by input, then as they were
    given, and so is everything that has a value for each of them. ``connection.order`` holds the number that each was
    given as: ``connection.weight = values[connection.order]`` takes values in the order of the arrays that the
    connection was made from.

    Which synapses there are is part of the state_dict. Loading another connectivity with as many synapses, inputs and
    outputs replaces the present one.

    Args:
        in_shape: shape of the input without the batch dimension.
        out_shape: shape of the output without the batch dimension.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        connectivity: which synapses there are. A pair of index arrays ``(source, target)``, numbers of flattened inputs
            and outputs; or a matrix ``(O, I)``, as weights of linear connections are: a sparse tensor (COO, CSR, CSC),
            a sparse matrix of SciPy, a dense tensor whose nonzero entries are synapses; or an
            :class:`inferno_cuda.ops.Connectivity`. Stored zeros and duplicates of sparse matrices are synapses.
            Floating entries of a matrix become the initial weights, in the default dtype, unless there is a
            ``weight_init``. For compressed rows without a matrix see :meth:`from_csr`.
        synapse, bias, delay, batch_size, weight_init, bias_init, delay_init: as for
            :class:`~inferno_cuda.neural.LinearDense`; weights and delays are those of the sorted synapses.

    Raises:
        ValueError: if an index is out of range or a matrix has another shape; otherwise as
            :class:`~inferno_cuda.neural.LinearDense`.
        TypeError: if ``connectivity`` is none of these, or ``synapse`` does not make a
            :class:`~inferno_cuda.neural.Synapse`.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import DeltaCurrent, SparseConnection
        >>> synapse = DeltaCurrent.partialconstructor(spike_charge=1.0)
        >>> pairs = [0, 2, 2], [1, 1, 0]  # input 0 to output 1, input 2 to outputs 1 and 0
        >>> connection = SparseConnection(3, 2, 1.0, pairs, synapse=synapse, delay=5.0, weight_init=torch.ones_like)
        >>> connection.delay = torch.tensor([0.0, 3.0, 1.0])[connection.order]  # ms, given in the order of the pairs
        >>> for step in range(4):  # one spike at all inputs, in step 0
        ...     print(connection(torch.full((1, 3), step == 0)))
        tensor([[0., 1.]])
        tensor([[1., 0.]])
        tensor([[0., 0.]])
        tensor([[0., 1.]])
    """

    _fused_op = "delayed_sparse"
    _has_correlations = False

    @property
    def _ops(self) -> tuple[str, ...]:
        return (self._fused_op,) if self.delayedby and fuses(self.synapse_) else ("sparse_sum",)

    def __init__(
        self,
        in_shape: Sequence[int] | int,
        out_shape: Sequence[int] | int,
        step_time: float,
        connectivity: Any,
        *,
        synapse: SynapseConstructor,
        bias: bool = False,
        delay: float | None = None,
        batch_size: int = 1,
        weight_init: Init | None = None,
        bias_init: Init | None = None,
        delay_init: Init | None = None,
    ) -> None:
        in_shape, inputs = sizes("in_shape", in_shape)
        out_shape, outputs = sizes("out_shape", out_shape)
        links, values = listed(connectivity, inputs, outputs)
        if values is not None and weight_init is None:
            weight_init = values.to(device="cpu", dtype=torch.get_default_dtype()).view_as
        WeightedConnection.__init__(
            self,
            (inputs,),
            (links.synapses,),
            step_time,
            synapse=synapse,
            bias=bias,
            delay=delay,
            batch_size=batch_size,
            weight_init=weight_init,
            bias_init=bias_init,
            delay_init=delay_init,
            biases=outputs,
        )
        self.in_shape = in_shape
        self.out_shape = out_shape
        links = links.to("cpu")
        for name in ("source", "target", "order"):
            self.register_buffer(f"{name}_", getattr(links, name).clone())  # which loading writes to
        for name in _PREPARED:
            self.register_buffer(f"{name}_", getattr(links, name), persistent=False)
        self._degree = links.degree

    @classmethod
    def from_csr(
        cls,
        in_shape: Sequence[int] | int,
        out_shape: Sequence[int] | int,
        step_time: float,
        start: Any,
        source: Any,
        **options: Any,
    ) -> SparseConnection:
        """Makes a connection from compressed rows.

        Args:
            in_shape, out_shape, step_time: as for the class.
            start: ``O + 1`` integers: the synapses of output ``o`` are those from ``start[o]`` to ``start[o + 1]``.
            source: ``S`` integers, the input of each synapse.
            **options: keyword arguments of the class.

        Raises:
            ValueError, TypeError: as the class.
        """
        (_, inputs), (_, outputs) = sizes("in_shape", in_shape), sizes("out_shape", out_shape)
        return cls(in_shape, out_shape, step_time, compressed(start, source, inputs, outputs), **options)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, synapses={self.source_.numel()}"

    @property
    def inshape(self) -> tuple[int, ...]:
        """Shape of the input without the batch dimension."""
        return self.in_shape

    @property
    def outshape(self) -> tuple[int, ...]:
        """Shape of the output without the batch dimension."""
        return self.out_shape

    @property
    def connectivity(self) -> ops.Connectivity:
        """Which synapses there are; made anew at every access, of the tensors of the connection."""
        held = self._buffers
        return ops.Connectivity(
            held["source_"],
            held["target_"],
            held["order_"],
            held["start_"],
            held["by_source_"],
            held["source_start_"],
            held["target_by_source_"],
            self._degree,
        )

    @property
    def source(self) -> torch.Tensor:
        """Number of the flattened input of each synapse, ``(S,)``, int32."""
        return self.source_

    @property
    def target(self) -> torch.Tensor:
        """Number of the flattened output of each synapse, ``(S,)``, int32, ascending."""
        return self.target_

    @property
    def order(self) -> torch.Tensor:
        """Number that each synapse had in what the connection was made from, ``(S,)``, int32."""
        return self.order_

    def to_dense(self, values: torch.Tensor | None = None) -> torch.Tensor:
        """A matrix ``(O, I)`` of what the synapses have, with zeros where there are none; differentiable.

        Args:
            values: ``(S,)``; None for the weights. Values of synapses that join the same two are added.

        Raises:
            ValueError: if ``values`` has another shape.
        """
        values = self._held("weight_") if values is None else values
        if values.shape != self.source_.shape:
            raise ValueError(f"'values' has the shape {tuple(values.shape)}, it must be {tuple(self.source_.shape)}")
        matrix = values.new_zeros(self.outsize(), self.insize())
        return matrix.index_put((self.target_.long(), self.source_.long()), values, accumulate=True)

    @property
    def selector(self) -> torch.Tensor:
        """Delays in ms, ``(B, S)``, an expanded view; zeros for a connection without delays.

        It is arranged like :attr:`syncurrent`. The synapse, which has one element an input, takes no such selector.
        """
        return self._delays().expand(self.batchsz, -1)

    @property
    def syncurrent(self) -> torch.Tensor:
        """Currents that each synapse sees now, in nA, ``(B, S)``. Made anew at every access."""
        synapse = self.synapse_
        if not self.delayedby:
            return self._seen(synapse.current)
        how = synapse.delayed_current() if fuses(synapse) else None
        if how is None or self._recorded_dtype(how) != self._held("weight_").dtype:
            return self._past(synapse.current_at)
        current = self._arriving(how, self._plans)
        return current if how.minus is None else current - self._arriving(how.minus, self._minus_plans)

    @property
    def synspike(self) -> torch.Tensor:
        """Input spikes that each synapse sees now, ``(B, S)``, bool. Made anew at every access."""
        synapse = self.synapse_
        if not self.delayedby:
            return self._seen(synapse.spike)
        if getattr(type(synapse), "spike_at", None) is not SpikeMixin.spike_at or "spike_at" in vars(synapse):
            return self._past(synapse.spike_at)
        return self._arriving(synapse.delayed_spike(), self._spike_plans) != 0

    def _seen(self, data: torch.Tensor) -> torch.Tensor:
        """What each synapse sees of data that has the shape of ``synapse``: ``(B, I)`` to ``(B, S)``."""
        return data.index_select(1, self.source_)

    def _arriving(self, how: DelayedCurrent, plans: PlanCache | PlanCaches) -> torch.Tensor:
        """What each synapse sees of a record, ``(B, S)``: sums of one term, the value itself."""
        weight = self._held("weight_").detach()
        links, plan = self._apart(own=False), plans.get(self._held("delay_"), how)
        record = how.record
        once = torch.ones_like(weight)
        return ops.delayed_sparse(record.value, record._pointer_tensor, once, plan, links, scale=how.scale)

    def _apart(self, own: bool) -> ops.Connectivity:
        """The synapses, each with an output of its own; or with ``own``, an input of its own."""
        links, device = self.connectivity, self.source_.device
        number = torch.arange(links.synapses, dtype=torch.int32, device=device)
        every = torch.arange(links.synapses + 1, device=device)
        if own:
            return links._replace(source=number, by_source=number, source_start=every, target_by_source=links.target)
        return links._replace(target=number, start=every, target_by_source=links.by_source, degree=1)

    def _past(self, look_up: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """What each synapse sees of the past, ``(B, S)``; looked up for one synapse of every input after the other."""
        delays, batch, start = self._delays(), self.batchsz, self.source_start_
        out, count = None, start.diff()
        most = int(count.max()) if len(delays) else 1
        for some in chunks(batch * len(count), most):
            number = torch.arange(most, device=delays.device)[some]
            exists = number < count.unsqueeze(1)
            at = torch.where(exists, start[:-1].unsqueeze(1) + number, 0)
            synapse = self.by_source_[at] if len(delays) else at
            delay = torch.where(exists, delays[synapse], 0.0) if len(delays) else delays.new_zeros(at.shape)
            found = look_up(delay.expand(batch, -1, -1))
            out = found.new_zeros(batch, len(delays)) if out is None else out
            out[:, synapse[exists].long()] = found[:, exists]
        return out

    def like_input(self, data: torch.Tensor) -> torch.Tensor:
        """Brings data like :attr:`syncurrent` to inputs, as the mean over the synapses of each.

        Args:
            data: ``(B, S)``. Bool is true where any is.

        Returns:
            ``(B, *inshape)``; 0 or False for inputs without synapses.
        """
        return self._averaged(data, self.source_, self.insize()).view(-1, *self.inshape)

    def like_bias(self, data: torch.Tensor) -> torch.Tensor:
        """Brings ``(S,)`` to ``(O,)``, as the mean over the synapses of each output; 0 for outputs without any."""
        return self._averaged(data.unsqueeze(0), self.target_, self.outsize()).squeeze(0)

    @staticmethod
    def _averaged(data: torch.Tensor, group: torch.Tensor, groups: int) -> torch.Tensor:
        """The mean over each group in the dtype of the data; for bool, whether any is true."""
        sums = data if data.is_floating_point() else data.double()
        sums = sums.new_zeros(len(data), groups).index_add(1, group, sums)
        if data.dtype == torch.bool:
            return sums > 0
        return (sums / torch.bincount(group, minlength=groups).clamp_min(1)).to(data.dtype)

    def like_synaptic(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, *inshape)`` to ``(B, I)``, which the synapse takes."""
        return data if data.ndim == 2 else data.reshape(data.shape[0], -1)

    def postsyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """What the output of each synapse has: ``(B, *outshape)`` to ``(B, S, 1)``."""
        return data.reshape(data.shape[0], -1).index_select(1, self.target_).unsqueeze(2)

    def presyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, S)`` to ``(B, S, 1)``."""
        return data.unsqueeze(2)

    def _undelayed(self, current: torch.Tensor) -> torch.Tensor:
        return ops.sparse_sum(current, self._held("weight_"), self.connectivity, bias=self._held("bias_"))

    def _delayed(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return ops.delayed_sparse(*args, self.connectivity, **kwargs)

    def _delayed_run(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return ops.delayed_sparse_run(*args, self.connectivity, **kwargs)

    def _looked_up(self) -> torch.Tensor:
        seen, weight = self._past(self.synapse_.current_at), self._held("weight_")
        return ops.sparse_sum(seen, weight, self._apart(own=True), bias=self._held("bias_"))

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        keys = [f"{prefix}{name}" for name in ("source_", "target_")]
        given = [state_dict.get(key) for key in keys]
        fits = all(isinstance(x, torch.Tensor) and x.shape == self.source_.shape for x in given)
        if fits and not self._is_list(*given):
            error_msgs.append(
                f"'{keys[0]}' and '{keys[1]}' are no synapses from {self.insize()} inputs to {self.outsize()} outputs, "
                "sorted by output and then by input"
            )
            for key in keys:
                del state_dict[key]
            fits = False
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        if fits:
            self._prepare()

    def _is_list(self, source: torch.Tensor, target: torch.Tensor) -> bool:
        """Whether these can be the inputs and outputs of synapses in their final order."""
        if source.dtype != torch.int32 or target.dtype != torch.int32:
            return False
        if not len(source):
            return True
        inside = min(source.min(), target.min()) >= 0 and source.max() < self.insize() and target.max() < self.outsize()
        place = target.long() * self.insize() + source
        return bool(inside) and not bool((place.diff() < 0).any())

    @torch.no_grad()
    def _prepare(self) -> None:
        """Makes what follows from the inputs and outputs of the synapses."""
        source, target = self.source_.long(), self.target_.long()
        links = sorted_connectivity(source, target, self.order_, self.insize(), self.outsize())
        for name in _PREPARED:
            self._buffers[f"{name}_"] = getattr(links, name)
        self._degree = links.degree

