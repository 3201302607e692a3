"""A dense connection whose every synapse has its own delay."""

import torch


def _samples(data, pointer, scale, overbound, compute):
    """History in the order of age, [slots + 1, B, I]; the last row is the value of delays out of range."""
    slots = data.shape[0]
    order = (pointer - 1 - torch.arange(slots, device=data.device)).remainder(slots)
    history = data.index_select(0, order)
    if data.dtype == torch.bool:
        history = torch.where(history, torch.full((), scale, dtype=compute, device=data.device), 0.0)
    history = history.to(compute)
    return torch.cat([history, torch.full_like(history[:1], overbound)])


def _tap(samples, slot, blend, i):
    """The delayed value of input i at every output, [O, B]."""
    older = samples[slot[:, i], :, i]
    if blend is None:
        return older
    between = blend[:, i] > 0
    newer = samples[torch.where(between, slot[:, i] - 1, slot[:, i]), :, i]
    return torch.where(between[:, None], older + (newer - older) * blend[:, i, None], older)


def _split(factor, linear):
    return (None, factor) if linear else (factor, None)


def delayed_dense(data, pointer, weight, bias, slot, factor, *, linear, scale, overbound):
    """``y[b, o] = bias[o] + sum_i weight[o, i] * z[o, i, b]`` with z the history of input i at that synapse's delay.

    data: [N, B, I]. weight, slot, factor: [O, I]. Result: [B, O]. The inputs are added one by one, in ascending order:
    that fixes the rounding for every backend, and nothing of size B x I x O exists.
    """
    compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
    decay, blend = _split(factor, linear)
    samples = _samples(data, pointer, scale, overbound, compute)
    slot = slot.long()
    coefficient = weight.to(compute) if decay is None else weight.to(compute) * decay
    total = torch.zeros(weight.shape[0], data.shape[1], dtype=compute, device=weight.device)
    for i in range(weight.shape[1]):
        total = total + coefficient[:, i, None] * _tap(samples, slot, blend, i)
    if bias is not None:
        total = total + bias.to(compute)[:, None]
    return total.T.to(weight.dtype).contiguous()


def delayed_dense_backward(grad, data, pointer, weight, slot, factor, *, linear, scale, overbound):
    """Gradients of :func:`delayed_dense` with respect to data (None for bool) and weight. grad: [B, O]."""
    compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
    decay, blend = _split(factor, linear)
    slots = data.shape[0]
    samples = _samples(data, pointer, scale, overbound, compute)
    slot = slot.long()
    grad = grad.to(compute).T  # [O, B]
    grad_weight = torch.empty(weight.shape, dtype=compute, device=weight.device)
    grad_samples = torch.zeros_like(samples)
    for i in range(weight.shape[1]):
        factor_i = 1.0 if decay is None else decay[:, i]
        grad_weight[:, i] = (grad * _tap(samples, slot, blend, i)).sum(1) * factor_i
        reaching = grad * (weight[:, i].to(compute) * factor_i)[:, None]
        older = reaching if blend is None else reaching * (1 - blend[:, i, None])
        grad_samples[:, :, i].index_add_(0, slot[:, i], older)
        if blend is not None:
            newer = torch.where(blend[:, i] > 0, slot[:, i] - 1, slot[:, i])
            grad_samples[:, :, i].index_add_(0, newer, reaching * blend[:, i, None])
    order = (pointer - 1 - torch.arange(slots, device=data.device)).remainder(slots)
    grad_data = None
    if data.dtype != torch.bool:
        grad_data = torch.zeros_like(data).index_copy_(0, order, grad_samples[:slots].to(data.dtype))
    return grad_data, grad_weight.to(weight.dtype)
