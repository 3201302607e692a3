"""T steps that all synapses share: one op for all currents, and one write to every history."""

from __future__ import annotations

import torch

from ... import ops, reference
from ...ops.common import has_tangent
from ...state import RecordTensor
from ...state._replay import check_may_step
from .._coverage import covers
from ..base import InfernoSynapse
from ._step import _real

Series = tuple[torch.Tensor, ...]


def sequence(
    synapse: InfernoSynapse,
    model: str,
    inputs: tuple[torch.Tensor, ...],
    past: bool,
    currents: tuple[RecordTensor, ...] = (),
    *,
    gain: float,
    decay: tuple[float, ...] = (),
    dtype: torch.dtype | None = None,
) -> tuple[torch.Tensor, Series] | None:
    """T steps of a synapse that records its spikes in ``spike_`` and the currents of a model of ``ops``.

    Args:
        synapse: the synapse.
        model: which of ``ops.synapse_run``'s models it is.
        inputs: as for a step, each with the steps in front: ``(T, B, *shape)``; numbers are the same in every step.
        past: whether the connection looks the past up.
        currents: the records of currents, as many as the model has.
        gain: current of one spike, in nA.
        decay: what is left of each recorded current after a step.
        dtype: of the currents, where none are recorded.

    Returns:
        The currents of every step, ``(T, B, *shape)``, in nA; and what the records that ``delayed_current`` names held
        before and get, ``(N - 1 + T, B, *shape)`` each with the oldest first, or nothing without ``past``. Spikes with
        a gradient are recorded as bool, but given here as the currents that they stand for, in which gradients flow.
        None, with nothing changed, where only single steps will do: hooks watch them, a subclass has its own, or the
        gain is a tensor.

    Raises:
        TypeError: if an input is no tensor of real numbers, or there are too many or none.
        ValueError: if one has the wrong shape, or lies on another device than the state.
        RuntimeError: if the steps would drop a tangent of forward-mode differentiation.
    """
    if not covers(synapse, "_sequence") or isinstance(gain, torch.Tensor):
        return None
    check_may_step()
    dtype = currents[0]._data.dtype if currents else dtype
    x, injected = _checked(synapse, model, inputs, dtype)
    if has_tangent(x, *injected):
        raise RuntimeError("'inputs' has a tangent: synapses have no forward-mode derivatives")
    newest = [record._newest() for record in currents]
    if synapse.inplace:
        x, *others = (tensor.detach() for tensor in (x, *injected, *newest))
        injected, newest = others[: len(injected)], others[len(injected) :]
    counted = x
    if x.dtype != torch.bool and x.dtype != dtype:
        # a number too small for the currents' dtype is a spike all the same
        counted = reference.spike_count(x, dtype) if model == "delta" else x.to(dtype)
    current, recorded = ops.synapse_run(
        model, counted, newest, gain=gain, decay=decay, injected=injected, dtype=dtype
    )
    series = _series(synapse, currents, x, current, recorded, gain) if past else ()
    synapse.spike_._push_last(_last(x, synapse.spike_) != 0, x.shape[0], synapse.inplace)
    for record, obs in zip(currents, recorded, strict=True):
        record._push_last(_last(obs, record), x.shape[0], synapse.inplace)
    if past and not currents:
        _keep_graph(synapse, *series)
    return current, series


def _checked(
    synapse: InfernoSynapse, model: str, inputs: tuple[torch.Tensor | float, ...], dtype: torch.dtype
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The spikes among the inputs, and the currents, broadcast and cast."""
    history = synapse.spike_.value
    if not inputs or (len(inputs) > 1 and model != "delta_plus"):
        wanted = "the spikes, and then currents" if model == "delta_plus" else "one input, the spikes"
        raise TypeError(f"{type(synapse).__name__} takes {wanted}; 'inputs' has {len(inputs)}")
    x = _real("'inputs[0]'", inputs[0], history.device)
    shape = history.shape[1:]
    if x.ndim == 0 or x.shape[1:] != shape:
        raise ValueError(f"'inputs[0]' has the shape {tuple(x.shape)}, it must be {('T', *shape)}")
    return x, [_over_time(f"'inputs[{k}]'", y, x, shape, history.device, dtype) for k, y in enumerate(inputs[1:], 1)]


def _over_time(
    name: str, y: torch.Tensor | float, x: torch.Tensor, shape: torch.Size, device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    if isinstance(y, int | float):
        return torch.full((), float(y), dtype=dtype, device=device).expand(x.shape)
    y = _real(name, y, device).to(dtype)
    try:
        if y.ndim == 0 or y.shape[0] != x.shape[0]:
            raise RuntimeError("not as many steps")
        return y.reshape(y.shape[:1] + (1,) * (x.ndim - y.ndim) + y.shape[1:]).expand(x.shape)
    except RuntimeError:
        wanted = f"{x.shape[0]} steps, each of which broadcasts to {tuple(shape)}"
        raise ValueError(f"{name} has the shape {tuple(y.shape)}, it must be {wanted}") from None


def _series(
    synapse: InfernoSynapse,
    currents: tuple[RecordTensor, ...],
    x: torch.Tensor,
    current: torch.Tensor,
    recorded: Series,
    gain: float,
) -> Series:
    if currents:
        return tuple(torch.cat([r._all_but_oldest(), new]) for r, new in zip(currents, recorded, strict=True))
    before, stood_for = synapse.spike_._all_but_oldest(), _kept_graph(synapse)
    if not current.requires_grad and stood_for is None:
        return (torch.cat([before, x if x.dtype == torch.bool else x != 0]),)
    if stood_for is None:
        stood_for, _ = ops.synapse_run("delta", before, (), gain=gain, dtype=current.dtype)
    return (torch.cat([stood_for, current]),)


def _keep_graph(synapse: InfernoSynapse, series: torch.Tensor) -> None:
    """Lets the next sequence look up the spikes of this one with their gradients, unless they are written to."""
    data, kept = synapse.spike_.value, None
    if series.requires_grad and data.shape[0] > 1:
        kept = (data, _version(data), series[1 - data.shape[0] :])
    synapse.__dict__["_spike_graph"] = kept


def _kept_graph(synapse: InfernoSynapse) -> torch.Tensor | None:
    if synapse._spike_graph is None or not torch.is_grad_enabled():
        return None
    data, version, currents = synapse._spike_graph
    if data is not synapse.spike_.value or (version is not None and _version(data) not in (None, version)):
        return None
    return currents


def _version(data: torch.Tensor) -> int | None:
    """How often a record was written to; None where that is not known. What drops the graph does so by itself there."""
    return None if torch.compiler.is_compiling() or data.is_inference() else data._version


def _last(obs: torch.Tensor, record: RecordTensor) -> torch.Tensor:
    return obs[max(0, obs.shape[0] - record.value.shape[0]) :]
