"""Sums over inputs whose every synapse has its own delay: dense, one to one, and convolution over pixels."""

import torch
import torch.nn.functional as F


class _Dense:
    """Term j of every output is input j. Samples: [slots + 1, B, I]; a lane is an item of the batch."""

    def prepare(self, samples):
        return samples

    crop = prepare

    def lanes(self, samples):
        return samples.shape[1:2]

    def at(self, samples, age, j):
        """The samples of term j at the ages [outputs]: [outputs, *lanes]."""
        return samples[age, :, j]

    def add_(self, samples, age, j, values):
        """The transpose of :meth:`at`."""
        samples[:, :, j].index_add_(0, age, values)

    def inside(self, samples, j):
        """The lanes that have a term j; None: all."""
        return None


class _Direct(_Dense):
    """The only term of output j is input j."""

    def at(self, samples, age, j):
        return samples[age, :, torch.arange(len(age), device=age.device)]

    def add_(self, samples, age, j, values):
        at = age, torch.arange(len(age), device=age.device)
        samples.transpose(1, 2).index_put_(at, values, accumulate=True)


class _Conv2d(_Dense):
    """Terms are (channel, row, column) of the kernel, lanes (batch, row, column). Samples: [slots + 1, B, C, H, W]."""

    def __init__(self, kernel, stride, padding, dilation):
        self.kernel, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation

    def prepare(self, samples):
        (top, left) = self.padding
        return F.pad(samples, (left, left, top, top))

    def crop(self, samples):
        (top, left), (height, width) = self.padding, samples.shape[-2:]
        return samples[..., top : height - top, left : width - left]

    def lanes(self, samples):
        return self._seen(samples, 0)[0].shape

    def _seen(self, samples, j):
        rows, columns = self.kernel
        taps = (j // columns % rows, j % columns)
        at = []
        for tap, size, kernel, stride, dilation in zip(
            taps, samples.shape[-2:], self.kernel, self.stride, self.dilation, strict=True
        ):
            at.append(slice(tap * dilation, size - (kernel - 1 - tap) * dilation, stride))
        return samples[:, :, j // (rows * columns), at[0], at[1]]

    def at(self, samples, age, j):
        return self._seen(samples, j).index_select(0, age)

    def add_(self, samples, age, j, values):
        self._seen(samples, j).index_add_(0, age, values)

    def inside(self, samples, j):
        if not any(self.padding):
            return None
        pixels = torch.ones_like(samples[:1, :1], dtype=torch.bool)
        return self._seen(self.prepare(self.crop(pixels)), j)


def _samples(data, pointer, scale, overbound, compute):
    """History in the order of age, [slots + 1, ...]; the last row is the value of delays out of range."""
    slots = data.shape[0]
    order = (pointer - 1 - torch.arange(slots, device=data.device)).remainder(slots)
    history = data.index_select(0, order)
    if data.dtype == torch.bool:
        history = torch.where(history, torch.full((), scale, dtype=compute, device=data.device), 0.0)
    history = history.to(compute)
    return torch.cat([history, torch.full_like(history[:1], overbound)])


def _rows(tensor):
    """[outputs, ...] as [outputs, terms]."""
    return tensor.unsqueeze(1) if tensor.ndim == 1 else tensor.flatten(1)


class _Sum:
    """What forward and backward of a delayed sum share."""

    def __init__(self, inputs, data, pointer, weight, slot, factor, linear, scale, overbound):
        self.inputs = inputs
        self.compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
        self.samples = inputs.prepare(_samples(data, pointer, scale, overbound, self.compute))
        self.weight, self.age = _rows(weight).to(self.compute), _rows(slot).long()
        factor = None if factor is None else _rows(factor)
        self.decay, self.blend = (None, factor) if linear else (factor, None)

    def beside(self, values):
        """[outputs], to be combined with [outputs, *lanes]."""
        return values.view(-1, *(1 for _ in self.inputs.lanes(self.samples)))

    def coefficient(self, j):
        return self.weight[:, j] if self.decay is None else self.weight[:, j] * self.decay[:, j]

    def newer(self, j):
        """The other end of the blends of term j."""
        return torch.where(self.blend[:, j] > 0, self.age[:, j] - 1, self.age[:, j])

    def value(self, j):
        """The delayed value of term j, [outputs, *lanes]."""
        older = self.inputs.at(self.samples, self.age[:, j], j)
        if self.blend is None:
            return older
        blend = self.beside(self.blend[:, j])
        newer = self.inputs.at(self.samples, self.newer(j), j)
        return torch.where(blend > 0, older + (newer - older) * blend, older)

    def inside(self, values, j):
        """The values where term j exists, 0 elsewhere."""
        inside = self.inputs.inside(self.samples, j)
        return values if inside is None else torch.where(inside, values, 0.0)

    def total(self, bias):
        """The sums, [outputs, *lanes]."""
        shape = (len(self.weight), *self.inputs.lanes(self.samples))
        total = torch.zeros(shape, dtype=self.compute, device=self.weight.device)
        for j in range(self.weight.shape[1]):
            total = total + self.inside(self.beside(self.coefficient(j)) * self.value(j), j)
        return total if bias is None else total + self.beside(bias.to(self.compute))

    def backward(self, grad):
        """Gradients with respect to weight, [outputs, terms], and samples. grad: [outputs, *lanes]."""
        grad_weight = torch.empty_like(self.weight)
        grad_samples = torch.zeros_like(self.samples)
        for j in range(self.weight.shape[1]):
            reaching = self.inside(grad, j)
            decay = 1.0 if self.decay is None else self.decay[:, j]
            grad_weight[:, j] = (reaching * self.value(j)).flatten(1).sum(1) * decay
            reaching = reaching * self.beside(self.coefficient(j))
            if self.blend is None:
                self.inputs.add_(grad_samples, self.age[:, j], j, reaching)
            else:
                blend = self.beside(self.blend[:, j])
                self.inputs.add_(grad_samples, self.age[:, j], j, reaching * (1 - blend))
                self.inputs.add_(grad_samples, self.newer(j), j, reaching * blend)
        return grad_weight, self.inputs.crop(grad_samples)


def _forward(inputs, data, pointer, weight, bias, slot, factor, options):
    total = _Sum(inputs, data, pointer, weight, slot, factor, **options).total(bias)
    return total.transpose(0, 1).to(weight.dtype).contiguous()


def delayed_dense(data, pointer, weight, bias, slot, factor, *, linear, scale, overbound):
    """``y[b, o] = bias[o] + sum_i weight[o, i] * z[o, i, b]`` with z the history of input i at that synapse's delay.

    data: [N, B, I]. weight, slot, factor: [O, I]. Result: [B, O]. The inputs are added one by one, in ascending order:
    that fixes the rounding for every backend, and nothing of size B x I x O exists.
    """
    options = {"linear": linear, "scale": scale, "overbound": overbound}
    return _forward(_Dense(), data, pointer, weight, bias, slot, factor, options)


def delayed_direct(data, pointer, weight, bias, slot, factor, *, linear, scale, overbound):
    """``y[b, o] = bias[o] + weight[o] * z[o, b]``: as :func:`delayed_dense` if only the inputs of equal number count.

    data: [N, B, O]. weight, slot, factor: [O]. Result: [B, O].
    """
    options = {"linear": linear, "scale": scale, "overbound": overbound}
    return _forward(_Direct(), data, pointer, weight, bias, slot, factor, options)


def delayed_conv2d(
    data, pointer, weight, bias, slot, factor, *, linear, scale, overbound, stride, padding, dilation
):
    """A convolution of pixels in which each tap of each filter looks back by its own delay.

    data: [N, B, C, H, W]. weight, slot, factor: [F, C, kH, kW]. Result: [B, F, Ho, Wo]. The taps are added one by one
    in the order of (channel, row, column); those outside the image contribute nothing.
    """
    options = {"linear": linear, "scale": scale, "overbound": overbound}
    inputs = _Conv2d(weight.shape[2:], stride, padding, dilation)
    return _forward(inputs, data, pointer, weight, bias, slot, factor, options)


def delayed_sum_backward(op, grad, data, pointer, weight, slot, factor, *, geometry=None, **options):
    """Gradients of one of the above, by name, with respect to data (None for bool) and weight."""
    inputs = {"delayed_dense": _Dense, "delayed_direct": _Direct}.get(op, _Conv2d)
    inputs = inputs() if geometry is None else inputs(weight.shape[2:], **geometry)
    terms = _Sum(inputs, data, pointer, weight, slot, factor, **options)
    grad_weight, grad_samples = terms.backward(grad.to(terms.compute).transpose(0, 1))
    order = (pointer - 1 - torch.arange(data.shape[0], device=data.device)).remainder(data.shape[0])
    grad_data = None
    if data.dtype != torch.bool:
        grad_data = torch.zeros_like(data).index_copy_(0, order, grad_samples[:-1].to(data.dtype))
    return grad_data, grad_weight.view(weight.shape).to(weight.dtype)
