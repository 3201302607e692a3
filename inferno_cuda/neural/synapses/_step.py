"""The step that all synapses share: one op for the present currents and all histories."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

from ... import ops, reference
from ...ops.common import has_tangent
from ...ops.layer_step import SynapseNumbers
from ...state import RecordTensor
from ...state._replay import check_may_step
from ..base import InfernoSynapse


def _real(name: str, x: object, device: torch.device) -> torch.Tensor:
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name} is a {type(x).__name__}, it must be a Tensor")
    if x.is_complex():
        raise TypeError(f"{name} has the dtype {x.dtype}, it must be real")
    if x.device != device:
        raise ValueError(f"{name} is on the device {x.device}, it must be on {device}")
    return x


def only_input(synapse: InfernoSynapse, inputs: tuple[torch.Tensor, ...], history: torch.Tensor) -> torch.Tensor:
    """The input of a synapse that takes one.

    Args:
        synapse: the synapse.
        inputs: what was passed to its ``forward``.
        history: one of its records, ``(N, B, *shape)``.

    Raises:
        TypeError: if there is not exactly one input, or it is not a tensor of real numbers.
        ValueError: if it is not shaped like the synapse, or lies on another device than the state.
    """
    if len(inputs) != 1:
        raise TypeError(f"{type(synapse).__name__} takes one input, the spikes; 'inputs' has {len(inputs)}")
    return first_input(inputs, history)


def first_input(inputs: tuple[torch.Tensor, ...], history: torch.Tensor) -> torch.Tensor:
    """The spikes among the inputs of a synapse, checked as by :func:`only_input`."""
    x = _real("'inputs[0]'", inputs[0], history.device)
    if x.shape != history.shape[1:]:
        raise ValueError(f"'inputs[0]' has the shape {tuple(x.shape)}, it must be {tuple(history.shape[1:])}")
    return x


def injected_currents(
    inputs: tuple[torch.Tensor | float, ...], history: torch.Tensor, dtype: torch.dtype
) -> list[torch.Tensor]:
    """The currents among the inputs of a synapse, those behind the first, in nA: broadcast to its shape and cast.

    Raises:
        TypeError: if one is neither a number nor a tensor of real numbers.
        ValueError: if one does not broadcast to the synapse's shape, or lies on another device than the state.
    """
    shape, device, currents = history.shape[1:], history.device, []
    for k, x in enumerate(inputs[1:], 1):
        if isinstance(x, int | float):
            x = torch.full((), float(x), dtype=dtype, device=device)
        x = _real(f"'inputs[{k}]'", x, device).to(dtype)
        if x.shape != shape:
            try:
                x = x.expand(shape).contiguous()
            except RuntimeError:
                message = f"'inputs[{k}]' has the shape {tuple(x.shape)}, it must broadcast to {tuple(shape)}"
                raise ValueError(message) from None
        currents.append(x)
    return currents


def step(
    synapse: InfernoSynapse,
    model: str,
    inputs: tuple[torch.Tensor, ...],
    currents: tuple[RecordTensor, ...] = (),
    *,
    gain: float,
    decay: tuple[float, ...] = (),
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """One step of a synapse that records its spikes in ``spike_`` and the currents of a model of ``ops``.

    Args:
        synapse: the synapse.
        model: which of ``ops.synapse_step_``'s models it is.
        inputs: number of spikes, ``(B, *shape)``, where it is not zero a spike is recorded; and for the model
            ``"delta_plus"`` currents that are added, in nA.
        currents: the records of currents, as many as the model has.
        gain: current of one spike, in nA; a tensor that broadcasts is computed with in torch.
        decay: what is left of each recorded current after a step.
        dtype: of the currents, where none are recorded.

    Returns:
        the present currents, ``(B, *shape)``, in nA. Where an autograd graph reaches them the step runs in torch and
        the histories are copied, unless the synapse is to write in place, which cuts the graph.

    Raises:
        TypeError, ValueError: as :func:`only_input` and :func:`injected_currents`.
        ValueError: if a tensor ``gain`` does not broadcast to the synapse's shape.
        RuntimeError: if the step would drop a tangent of forward-mode differentiation, or the backend is ``"native"``
            and ``gain`` a tensor.
    """
    check_may_step()
    if currents:
        dtype = currents[0]._data.dtype
    if len(inputs) == 1:
        out = _plain_step(synapse, model, inputs[0], currents, dtype, gain, decay)
        if out is not None:
            return out
    history = synapse.spike_.value
    if model == "delta_plus" and len(inputs) > 1:
        x, injected = first_input(inputs, history), injected_currents(inputs, history, dtype)
    else:
        x, injected = only_input(synapse, inputs, history), []
    return _checked_step(synapse, model, x, currents, dtype, gain, decay, injected)


def _plain_step(
    synapse: InfernoSynapse,
    model: str,
    x: torch.Tensor,
    currents: tuple[RecordTensor, ...],
    dtype: torch.dtype,
    gain: float,
    decay: tuple[float, ...],
) -> torch.Tensor | None:
    """The step of the common case, without the checks that its kernel repeats; None if this is another one."""
    rings = _plain_rings(synapse, x, currents, dtype)
    if rings is None or forward_ad._current_level >= 0 or not ops.native_on_cpu() or torch.compiler.is_compiling():
        return None
    return ops.synapse.step_plain(model, x, rings[0], rings[1:], gain, decay, (), dtype)


def _plain_rings(
    synapse: InfernoSynapse, x: torch.Tensor, currents: tuple[RecordTensor, ...], dtype: torch.dtype
) -> list[ops.synapse.Ring] | None:
    """The rings of spikes and of currents, if a step may write them in place, and no gradient is to pass."""
    if not isinstance(x, torch.Tensor) or not (x.dtype == torch.bool or x.dtype == dtype) or x.requires_grad:
        return None
    if not x.is_cpu:
        return None
    buffers, extras, spike = synapse._buffers, synapse._extras, synapse.spike_
    names = spike._attributes
    data = buffers.get(names.data)
    if data is None or spike._held:
        return None
    rings = [(data, extras[names.pointer])]
    for record in currents:
        own = record._attributes
        ring = buffers.get(own.data)
        if ring is None or record._held or ring.requires_grad:
            return None
        rings.append((ring, extras[own.pointer]))
    return rings


def packed(
    synapse: InfernoSynapse,
    x: torch.Tensor,
    model: str,
    currents: tuple[RecordTensor, ...] = (),
    *,
    gain: float,
    decay: tuple[float, ...] = (),
    dtype: torch.dtype | None = None,
) -> SynapseNumbers | None:
    """A step for :func:`ops.layer_step.layer_step_plain`; arguments as for :func:`step`, with one input.

    None where this is not the common case: then it has to be a call.
    """
    if currents:
        dtype = currents[0]._data.dtype
    rings, numbers = _plain_rings(synapse, x, currents, dtype), ops.synapse.pack_plain(model, dtype, gain, decay)
    if rings is None or numbers is None:
        return None
    return SynapseNumbers(sum(rings[1:], rings[0]), numbers)


def _checked_step(
    synapse: InfernoSynapse,
    model: str,
    inputs: torch.Tensor,
    currents: tuple[RecordTensor, ...],
    dtype: torch.dtype,
    gain: float,
    decay: tuple[float, ...],
    injected: list[torch.Tensor],
) -> torch.Tensor:
    synapse._drop_spike_graph()
    if isinstance(gain, torch.Tensor):
        _check_gain(gain, inputs.shape)
    if has_tangent(inputs, *injected, gain if isinstance(gain, torch.Tensor) else None):
        raise RuntimeError("'inputs' or 'spike_charge' has a tangent: synapses have no forward-mode derivatives")
    graph = torch.is_grad_enabled() and any(x.requires_grad for x in (inputs, *injected))
    graph = not synapse.inplace and (graph or any(record._data.requires_grad for record in currents))
    spikes = None
    if inputs.dtype != torch.bool and inputs.dtype != dtype:
        # a number too small for the currents' dtype is a spike all the same
        spikes = inputs != 0
        if model != "delta":
            inputs = inputs.to(dtype)
        elif not graph:
            inputs = spikes
    if graph or isinstance(gain, torch.Tensor):
        spikes = inputs != 0 if spikes is None else spikes
        return _step_in_torch(synapse, model, inputs, spikes, currents, dtype, gain, decay, injected)
    if inputs.requires_grad:
        inputs = inputs.detach()
    out = ops.synapse_step_(
        model,
        inputs,
        synapse.spike_._target(),
        [record._target() for record in currents],
        gain=gain,
        decay=decay,
        injected=[x.detach() for x in injected],
        dtype=dtype,
    )
    if spikes is not None and inputs.is_floating_point():
        synapse.spike_.write(spikes, offset=1, inplace=True)
    return out


def _check_gain(gain: torch.Tensor, shape: torch.Size) -> None:
    try:
        fits = torch.broadcast_shapes(gain.shape, shape) == shape
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(f"'spike_charge' has the shape {tuple(gain.shape)}, it must broadcast to {tuple(shape)}")
    if ops.active_mode() == "native":
        raise RuntimeError("backend is set to 'native', but no kernel takes a tensor for 'spike_charge'")


def _step_in_torch(
    synapse: InfernoSynapse,
    model: str,
    inputs: torch.Tensor,
    spikes: torch.Tensor,
    currents: tuple[RecordTensor, ...],
    dtype: torch.dtype,
    gain: float | torch.Tensor,
    decay: tuple[float, ...],
    injected: list[torch.Tensor] | tuple[()],
) -> torch.Tensor:
    if not isinstance(gain, torch.Tensor):
        gain = gain + 0.0  # no negative zero, as the op takes it
    newest = [record._newest() for record in currents]
    current, recorded = reference.synapse_advance(
        model, inputs, newest, gain=gain, decay=decay, injected=injected, dtype=dtype
    )
    inplace = synapse.inplace
    if inplace:
        current, recorded = current.detach(), [x.detach() for x in recorded]
    synapse.spike_.push(spikes, inplace)
    for record, obs in zip(currents, recorded, strict=True):
        record.push(obs, inplace)
    return current
