"""One step of synapses: from spikes to currents, both recorded."""

import torch

from .history import history_push_


class _Spike(torch.autograd.Function):
    """1 where an input is not zero, with the gradient of the input itself: a straight-through estimator."""

    generate_vmap_rule = True

    @staticmethod
    def forward(inputs, dtype):
        return (inputs != 0).to(dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.dtype = inputs[0].dtype

    @staticmethod
    def backward(ctx, gradient):
        return gradient.to(ctx.dtype), None


def spike_count(inputs, dtype):
    """Whether there is a spike, 1 or 0 of a dtype. Gradients pass straight through to floating inputs."""
    if inputs.requires_grad and torch.is_grad_enabled():
        return _Spike.apply(inputs, dtype)
    return (inputs != 0).to(dtype)


def synapse_advance(model, inputs, newest, *, gain, decay, injected, dtype):
    """The present currents, and the currents to be recorded, from those recorded last.

    ``newest``, ``decay`` and the second result have one entry for each current that the model records:

    ===================  ===========================================  =======================
    model                recorded                                     present current
    ===================  ===========================================  =======================
    delta                -                                            gain where inputs != 0
    delta_plus           gain * inputs + injected                     the recorded
    exponential          newest * decay + gain * inputs               the recorded
    double_exponential   the same twice, with a decay each            first - second
    ===================  ===========================================  =======================

    The gradient of a delta synapse is that of ``gain * inputs``.
    """
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    drive = (spike_count(inputs, compute) if model == "delta" else inputs.to(compute)) * gain
    for current in injected:
        drive = drive + current.to(compute)
    if model == "delta":
        return drive.to(dtype), ()
    if model == "delta_plus":
        current = drive.to(dtype)
        return current, (current,)
    recorded = tuple((old.to(compute) * left + drive).to(dtype) for old, left in zip(newest, decay, strict=True))
    if model == "exponential":
        return recorded[0], recorded
    rising, falling = (current.to(compute) for current in recorded)
    return (rising - falling).to(dtype), recorded


def synapse_step_(model, inputs, spikes, currents, *, gain, decay, injected, dtype):
    """Records a step in the rings, pairs of data ``[N, B, *shape]`` and pointer; returns the present currents."""
    newest = [data.index_select(0, (at - 1).remainder(data.shape[0]).reshape(1)).squeeze(0) for data, at in currents]
    current, recorded = synapse_advance(model, inputs, newest, gain=gain, decay=decay, injected=injected, dtype=dtype)
    history_push_(*spikes, inputs != 0)
    for ring, obs in zip(currents, recorded, strict=True):
        history_push_(*ring, obs)
    return current
