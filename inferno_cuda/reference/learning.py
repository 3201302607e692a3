"""Rules that look at the times of spikes, and traces of each synapse of each sample."""

import torch

from .delayed_run import DENSE
from .exponential import divide, exp
from .plasticity import _met, _Samples, compute_dtype, correlate, full_shape


def _time_at(samples, delays, full, b, row, column):
    """The times of the inputs of all synapses ``[F, C, kH, kW]`` at their delays."""
    if delays is None:
        return samples.at(torch.zeros((1, 1, 1, 1), dtype=torch.int64, device=samples.data.device), b, row, column)
    age = delays.slot.view(full).long()
    older = samples.at(age, b, row, column)
    if delays.factor is None:
        return older
    factor = delays.factor.view(full)
    if not delays.linear:
        # out of range the factor is 1
        return older * factor
    newer = samples.at(torch.where(factor > 0, age - 1, age), b, row, column)
    return torch.where(factor > 0, older + (newer - older) * factor, older)


def spike_pairs(post, pre, delays=None, *, shape, geometry=DENSE, delay=None, pos, neg, sample_scale=None):
    """Sums of ``|rate| * exp(-|t| / constant)`` over batch and places, where ``t >= 0`` and where ``t < 0``.

    ``t = pre - post - delay``, with post and pre the times since the last spikes, ms. Where t is NaN, and outside the
    image, there is nothing. Terms are added one by one, as in :func:`correlate`.

    Args:
        post, pre, delays, shape, geometry: as for :func:`correlate`; times have one floating dtype.
        delay: in the shape of the weights, ms, or None.
        pos, neg: pairs of rate and time constant, ms.
        sample_scale: ``[B]``, multiplies what the samples add, or None.
    """
    dtype, compute, full = post.dtype, compute_dtype(post.dtype), full_shape(shape, geometry)
    post, pre = post.to(compute), pre if delays is not None else pre.unsqueeze(0)
    post = post if post.ndim == 4 else post[:, :, None, None]
    pre = pre if pre.ndim == 5 else pre[..., None, None]
    pointer = torch.ones((), dtype=torch.int64, device=pre.device) if delays is None else delays.pointer
    samples = _Samples(pre, full, geometry, pointer, 0.0 if delays is None else delays.overbound, compute)
    shift = torch.zeros((), dtype=compute, device=pre.device) if delay is None else delay.to(compute).view(full)
    after = torch.zeros(full, dtype=compute, device=pre.device)
    before = after
    constants = torch.tensor([pos[1], neg[1]], dtype=compute, device=pre.device)
    for b in range(post.shape[0]):
        for row in range(post.shape[2]):
            for column in range(post.shape[3]):
                last = post[b, :, row, column].view(-1, 1, 1, 1)
                t = _time_at(samples, delays, full, b, row, column) - last - shift
                t = torch.where(samples.inside(row, column), t, torch.nan).expand(full)
                value = exp(divide(-t.abs(), torch.where(t < 0, constants[1], constants[0])))
                value = value if sample_scale is None else value * sample_scale[b].to(compute)
                after = after + torch.where(t >= 0, value, 0.0)
                before = before + torch.where(t < 0, value, 0.0)
    return tuple((s * abs(rate)).to(dtype).view(shape) for s, (rate, _) in ((after, pos), (before, neg)))


def eligibility_step_(trace, post, pre, delays=None, *, geometry=DENSE, decay, scale=1.0):
    """``trace[b] = trace[b] * decay + correlation of sample b * scale``. trace: ``[B, *weights]``."""
    compute, shape = compute_dtype(trace.dtype), tuple(trace.shape[1:])
    for b in range(trace.shape[0]):
        seen = pre[b : b + 1] if delays is None else pre[:, b : b + 1]
        sides = post[b : b + 1].to(compute), seen.to(compute)
        found = correlate(*sides, delays, shape=shape, geometry=geometry, dtype=compute)
        trace[b] = trace[b].to(compute) * decay + found * scale


def eligibility_sum(trace, factor):
    """``sum_b factor[b] * trace[b]``, in ascending order; what is multiplied with 0 adds nothing."""
    compute = compute_dtype(trace.dtype)
    total = torch.zeros(trace.shape[1:], dtype=compute, device=trace.device)
    for b in range(trace.shape[0]):
        total = total + _met(factor[b].to(compute), trace[b].to(compute))
    return total.to(trace.dtype)
