"""What inferno-ai does in a step to learn by STDP: traces of spikes, and the weight updates made of them.

Traces and pending updates are equal to the library's, bit for bit. The products of spikes and traces are summed over
the samples as a matrix product, in blocks of as many samples as torch sums in one go, instead of one sample after the
other in a tensor of all synapses and samples: equal too, where torch takes that order, and up to rounding elsewhere.
"""

from __future__ import annotations

import torch
from torch import nn

from ._adapter import Adapter
from ._inferno import LIBRARY, TYPES, owned, plain

_SUM_BLOCK = 16  # terms that torch adds in a row before it adds up the sums


class _LatestRecord:
    """A record of nothing but the newest observation: the next one replaces it."""

    def peek(self, **kwargs):
        held = self._buffers["_data__data"]
        one = held.shape[:1] == (1,) and not self._extras["_initial"] and owned(self, "data_")
        return held[0] if one else super().peek(**kwargs)

    def _fused_held(self, obs: torch.Tensor) -> torch.Tensor | None:
        """The record, ``[1, *obs]``, if an observation like this one can replace it."""
        if self._extras["_initial"] or self._RecordReducer__inplace or type(obs) is not torch.Tensor:
            return None
        held = self._buffers["_data__data"]
        fits = held.shape == (1, *obs.shape) and held.device == obs.device and owned(self, "data_")
        return held if fits and plain(held, obs) else None

    def _fused_replace(self, data: torch.Tensor) -> None:
        self._buffers["_data__data"] = data
        self._extras["_data__pointer"] = 0


class _TraceStep(_LatestRecord):
    """Decay of a trace, and the spikes of a step added to it; ``_fused_trace`` has the arithmetic."""

    def forward(self, *inputs, **kwargs):
        held = self._fused_held(inputs[0]) if len(inputs) == 1 else None
        if held is None or not _fusible(self, held, inputs[0]):
            super().forward(*inputs, **kwargs)
        else:
            self._fused_replace(self._fused_trace(held * self.decay, inputs[0]))


def _fusible(reducer: nn.Module, held: torch.Tensor, obs: torch.Tensor) -> bool:
    """Whether an observation is spikes, every one of which has the same effect on a trace."""
    numbers = all(type(number) in (bool, int, float) for number in (reducer.target, reducer.amplitude))
    spikes = obs.dtype == torch.bool and held.dtype in TYPES
    return numbers and spikes and reducer.target == 1 and reducer.tolerance is None


class _CumulativeTraceStep(_TraceStep):
    """Every spike adds to the trace."""

    def _fused_trace(self, decayed, spikes):
        return decayed.add_(spikes, alpha=self.amplitude)


class _NearestTraceStep(_TraceStep):
    """The last spike alone makes the trace."""

    def _fused_trace(self, decayed, spikes):
        return decayed.masked_fill_(spikes, self.amplitude)


class _PassthroughStep(_LatestRecord):
    """The newest observation replaces the one before."""

    def forward(self, *inputs, **kwargs):
        held = self._fused_held(inputs[0]) if len(inputs) == 1 else None
        if held is None:
            super().forward(*inputs, **kwargs)
        else:
            self._fused_replace(inputs[0].to(held.dtype, copy=True).unsqueeze(0))


class _StateMonitorStep:
    """What a monitor looks at, found without asking every module on the way for all of its attributes."""

    def _monitor_call(self, module, args, *_):
        value = module
        for name in self._StateMonitor__observed_attr.split("."):
            child = value._modules.get(name) if isinstance(value, nn.Module) else None
            value = getattr(value, name) if child is None else child
        if self.filter_(value):
            self.reducer_(*self.map_(value))


class _AccumulatorStep:
    """Change of a parameter by its pending updates; a single one needs no sum."""

    def update(self, param, **kwargs):
        bind = self.bind
        if not (isinstance(bind, list) and _single(self, "pos") and _single(self, "neg")):
            return super().update(param, **kwargs)
        return bind[0](param, self._pos[0]) - bind[1](param, self._neg[0])


def _single(accumulator: nn.Module, side: str) -> bool:
    """Whether one update is pending on a side, whose sum has not been asked for yet."""
    total = getattr(accumulator, f"_{side}_cache")
    # in what `copy.deepcopy` makes, it is the original's updates that are summed
    own = total.__wrapped__.__closure__[0].cell_contents is accumulator
    unread = own and total.cache_info().currsize == 0
    return unread and accumulator.reduce is torch.sum and len(getattr(accumulator, f"_{side}")) == 1


class _STDPStep:
    """Weight updates of every cell between two groups of neurons."""

    def forward(self):
        units = [unit for unit in self if unit[0].training and self.training and unit[0].updater]
        spikes_and_traces = [_receptive(*unit) for unit in units]
        if None in spikes_and_traces:
            super().forward()
            return
        for (cell, state, _), (spike_post, trace_pre, spike_pre, trace_post) in zip(
            units, spikes_and_traces, strict=True
        ):
            post = _summed_products(spike_post, trace_pre)
            pre = _summed_products(trace_post, spike_pre)
            if state.batchreduce is torch.mean:
                post, pre = post.div_(len(spike_post)), pre.div_(len(spike_post))
            cell.updater.weight = _sides(post, state.lr_post >= 0, pre, state.lr_pre >= 0)


def _receptive(cell: nn.Module, state: nn.Module, monitors: dict[str, nn.Module]) -> tuple[torch.Tensor, ...] | None:
    """Spikes after, traces before, spikes before, traces after, ``[B, neurons]``; None where a synapse has its own."""
    connection = cell.connection
    if state.batchreduce not in (torch.mean, torch.sum) or (state.delayed and connection.delayedby):
        return None
    seen = {name: monitors[name].peek() for name in ("spike_post", "trace_pre", "spike_pre", "trace_post")}
    if any(values is None or values.dtype not in TYPES for values in seen.values()) or not plain(*seen.values()):
        return None
    shaped = []
    for name, values in seen.items():
        if name.endswith("post"):
            values, one = connection.postsyn_receptive(values), (2, 3)
        else:
            values, one = connection.presyn_receptive(values), (1, 3)
        if values.ndim != 4 or any(values.shape[dim] != 1 for dim in one):
            return None
        shaped.append(values.flatten(1))
    return tuple(shaped)


def _summed_products(post: torch.Tensor, pre: torch.Tensor) -> torch.Tensor:
    """Products of what is after and before a synapse, ``[B, O]`` and ``[B, I]``, summed over samples: ``[O, I]``."""
    blocks = zip(post.split(_SUM_BLOCK), pre.split(_SUM_BLOCK), strict=True)
    first, *others = blocks
    total = torch.mm(first[0].T, first[1])
    for after, before in others:
        total.addmm_(after.T, before)
    return total


def _sides(
    post: torch.Tensor, post_adds: bool, pre: torch.Tensor, pre_adds: bool
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """What is added to the weights, and what is taken off them."""
    if post_adds != pre_adds:
        return (post, pre) if post_adds else (pre, post)
    return (post + pre, None) if post_adds else (None, post + pre)


def passive() -> tuple[type[nn.Module], ...]:
    """Classes that do nothing in a step."""
    from inferno import observe

    return (observe.MonitorPool,)


_PRIVATE = {
    _LatestRecord: ("_RecordReducer__inplace", "_extras", "data_._ShapedTensor__owner"),
    _StateMonitorStep: ("_StateMonitor__observed_attr", "filter_", "map_", "reducer_"),
    _AccumulatorStep: ("_pos", "_neg", "_pos_cache.__wrapped__.__closure__", "_neg_cache.__wrapped__.__closure__"),
}


def adapters() -> tuple[Adapter, ...]:
    """The adapters of what runs in every step of learning."""
    from inferno import learn, neural, observe

    def adapter(base: type[nn.Module], overrides: type, runs: str, *relies: str) -> Adapter:
        private = next((names for mixin, names in _PRIVATE.items() if issubclass(overrides, mixin)), ())
        return Adapter(LIBRARY, base, overrides, lambda _: runs, lambda _: None, relies, private)

    record = ("fold", "push", "data", "inplace", "__setattr__")
    trace = "one record, traced in two operations"
    return (
        adapter(observe.CumulativeTraceReducer, _CumulativeTraceStep, trace, *record),
        adapter(observe.NearestTraceReducer, _NearestTraceStep, trace, *record),
        adapter(observe.PassthroughReducer, _PassthroughStep, "one record, replaced in one operation", *record),
        adapter(observe.StateMonitor, _StateMonitorStep, "what it observes, looked up directly", "_monitor_call"),
        adapter(neural.Accumulator, _AccumulatorStep, "a single update, without a sum", "pos", "neg"),
        adapter(learn.STDP, _STDPStep, "sums over the samples as matrix products"),
    )
