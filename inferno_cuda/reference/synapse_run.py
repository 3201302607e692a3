"""Synapses over a whole sequence, and the adjoint of that: the same filters, backwards in time."""

import torch

from .synapse import synapse_advance


def synapse_run(model, inputs, newest, *, gain, decay, injected, dtype):
    """The present currents of T steps, and what each step records, as :func:`synapse_advance` computes them.

    ``inputs`` and ``injected``: ``[T, B, *shape]``; ``newest``: what was recorded last, ``[B, *shape]`` each. The
    currents recorded are a tensor ``[T, B, *shape]`` for each that the model records.
    """
    if not decay:  # each step stands alone
        return synapse_advance(model, inputs, newest, gain=gain, decay=decay, injected=injected, dtype=dtype)
    currents, recorded = [], []
    for x in inputs:
        current, newest = synapse_advance(model, x, newest, gain=gain, decay=decay, injected=(), dtype=dtype)
        currents.append(current)
        recorded.append(newest)
    empty = inputs.new_empty(inputs.shape, dtype=dtype)
    parts = [torch.stack(part) if part else empty for part in zip(*recorded, strict=True)] or [empty] * len(newest)
    return (torch.stack(currents) if len(parts) > 1 and currents else parts[0]), tuple(parts)


def synapse_run_backward(model, grads, *, gain, decay, shape, dtype, device):
    """The gradients of :func:`synapse_run`'s drive without the gain, of its inputs, and of the newest currents.

    ``grads``: those of the present currents and of each recorded current, ``[T, B, *shape]`` or None. They are summed
    in the compute type and rounded once. A spike's gradient is that of its magnitude, for the model ``"delta"`` too.
    """
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    of_current, *of_recorded = (None if grad is None else grad.to(compute) for grad in grads)
    zero = torch.zeros(shape[1:], dtype=compute, device=device)
    carry = [zero for _ in of_recorded]

    def own(k, t):
        gradient = zero
        if of_current is not None:
            gradient = of_current[t] if k == 0 else -of_current[t]
        if of_recorded and of_recorded[k] is not None:
            gradient = gradient + of_recorded[k][t]
        return gradient

    drives = []
    for t in reversed(range(shape[0])):
        parts = [own(k, t) + old for k, old in enumerate(carry)] or [own(0, t)]
        carry = [part * left for part, left in zip(parts, decay, strict=False)] or carry
        drives.append(parts[0] + parts[1] if len(parts) > 1 else parts[0])
    drive = torch.stack(drives[::-1]) if drives else torch.zeros(shape, dtype=compute, device=device)
    return drive.to(dtype), (drive * gain).to(dtype), tuple(x.to(dtype) for x in carry)
