"""The kernels of sequences of neurons, forward and backward, for autograd."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ._neuron_checks import EVERY, REDUCTIONS
from .common import forbid_second_derivatives, sum_rows
from .native import status
from .neuron import KERNELS

_OF_INPUTS, _OF_VOLTAGE, _OF_ADAPTATION, _OF_CONSTANTS = 1, 2, 4, 8  # gradients that the kernel is asked for

if status.loaded:
    _raw = torch.ops.inferno_cuda.neuron_run.default
    _raw_backward = torch.ops.inferno_cuda.neuron_run_backward.default

    @torch.library.register_fake("inferno_cuda::neuron_run")
    def _(
        inputs, voltage, refrac, adaptation, constants, coefficients, places, numbers, model, reduction, refrac_lock,
        bool_spikes, record_voltage, record_refrac, interval,
    ):  # fmt: skip
        def new(shape, dtype=voltage.dtype):
            return torch.empty(shape, dtype=dtype, device=voltage.device)

        given = [inputs.shape] * (record_voltage + record_refrac)
        if adaptation is not None and reduction:
            given.insert(0, adaptation.shape)
        if interval:
            marks = (inputs.shape[0] + interval - 1) // interval - 1 if inputs.shape[0] else 0
            kept = [voltage, voltage] if adaptation is None else [voltage, voltage, adaptation]
            given += [(marks, *state.shape) for state in kept]
        spikes = new(inputs.shape, torch.bool if bool_spikes else voltage.dtype)
        return [spikes, new(voltage.shape), new(voltage.shape), *map(new, given)]

    @torch.library.register_fake("inferno_cuda::neuron_run_backward")
    def _(
        inputs, voltage, refrac, adaptation, constants, coefficients, places, numbers, model, reduction, refrac_lock,
        marks, of_spikes, of_voltage, of_adaptation, of_voltages, interval, surrogate, scale, detach_reset, wanted,
        learned,
    ):  # fmt: skip
        compute = _compute_type(voltage)
        given = []
        for bit, tensor in ((_OF_INPUTS, inputs), (_OF_VOLTAGE, voltage), (_OF_ADAPTATION, adaptation)):
            if wanted & bit:
                given.append((tensor.shape, voltage.dtype))
        if wanted & _OF_CONSTANTS:
            given.append(((*constants.shape, *voltage.shape[1:]), compute))
        given += [(voltage.shape, compute)] * len(learned)
        return [torch.empty(shape, dtype=dtype, device=voltage.device) for shape, dtype in given]


def _compute_type(voltage):
    return torch.float64 if voltage.dtype == torch.float64 else torch.float32


class Options(NamedTuple):
    """What a sequence takes besides tensors; `places`: of the tensors among the numbers, which begin with EVERY."""

    model: str
    reduction: str | None
    refrac_lock: bool
    numbers: tuple[float, ...]
    places: tuple[int, ...]
    surrogate: tuple[int, float] | None
    detach_reset: bool
    record: tuple[str, ...]
    interval: int

    def rule(self):
        """What both raw ops take behind the tensors."""
        number = KERNELS[self.model][0]
        return [*self.places], [*self.numbers], number, REDUCTIONS.index(self.reduction), self.refrac_lock


def _coefficient(parameter, voltage):
    """A tensor as the kernels read it: one number, or one for each neuron."""
    parameter = parameter.detach().to(_compute_type(voltage))
    if parameter.numel() == 1:
        return parameter.reshape(())
    of_sample = parameter[0] if parameter.ndim == voltage.ndim else parameter
    return of_sample.expand(voltage.shape[1:]).contiguous()


def _rows(tensor):
    """A sequence as the kernels read it: as it is, also where a step or a number is expanded, or contiguous."""
    if tensor is None or tensor.is_contiguous():
        return tensor
    if tensor.numel() and tensor.stride(0) == 0 and (tensor[0].is_contiguous() or not any(tensor.stride())):
        return tensor
    return tensor.contiguous()


def _contiguous(tensor):
    return None if tensor is None else tensor.contiguous()


def run_kernel(voltage, refrac, inputs, adaptation, constants, coefficients, options, interval):
    return _raw(
        _rows(inputs),
        voltage.contiguous(),
        refrac.contiguous(),
        _contiguous(adaptation),
        _contiguous(constants),
        [_coefficient(p, voltage) for p in coefficients],
        *options.rule(),
        options.surrogate is None,
        "voltage" in options.record,
        "refrac" in options.record,
        interval,
    )


def _marks(outputs, adaptation):
    """The kept states at the end of a kernel's outputs."""
    return outputs[-2 if adaptation is None else -3 :]


def _sum_to(values, shape):
    """Sums in a fixed order over what was broadcast: leading dimensions, and those of size 1."""
    if shape.numel() == 1:
        return sum_rows(values.flatten()).reshape(shape)
    values = sum_rows(values)
    while values.ndim > len(shape):
        values = sum_rows(values)
    for d, size in enumerate(shape[len(shape) - values.ndim :]):
        if size == 1 and values.shape[d] != 1:
            values = sum_rows(values.movedim(d, 0)).unsqueeze(d)
    return values.reshape(shape)


def _sum_neurons(values, constants):
    """Sums of what each neuron adds to the gradient of constants, ``[constants, K, *shape]``."""
    return sum_rows(values.reshape(*constants.shape, -1).movedim(2, 0))


class NeuronRunGraph(torch.autograd.Function):
    """Both directions in the kernels. The states kept for the second are outputs of the first, behind the others."""

    @staticmethod
    def forward(voltage, refrac, inputs, adaptation, constants, options, *coefficients):
        return tuple(
            run_kernel(voltage, refrac, inputs, adaptation, constants, coefficients, options, options.interval)
        )

    @staticmethod
    def setup_context(ctx, inputs, output):
        voltage, refrac, series, adaptation, constants, options, *coefficients = inputs
        marks = _marks(output, adaptation)
        fixed = [output[2], *marks]
        if options.surrogate is None:
            fixed.append(output[0])
        if "refrac" in options.record:
            fixed.append(output[-len(marks) - 1])
        ctx.mark_non_differentiable(*fixed)
        ctx.set_materialize_grads(False)
        ctx.options = options
        ctx.save_for_backward(voltage, refrac, series, adaptation, constants, *coefficients, *marks)

    @staticmethod
    def backward(ctx, *gradients):
        forbid_second_derivatives("neuron_run")
        options = ctx.options
        voltage, refrac, inputs, adaptation, constants, *others = ctx.saved_tensors
        count = len(options.places)
        coefficients, marks = others[:count], others[count:]
        of_spikes, of_voltage, _, *rest = gradients
        of_adaptation = rest.pop(0) if options.reduction is not None else None
        of_voltages = rest[0] if "voltage" in options.record else None
        given = (_rows(of_spikes), _contiguous(of_voltage), _contiguous(of_adaptation), _rows(of_voltages))
        needed = ctx.needs_input_grad
        bits = ((2, _OF_INPUTS), (0, _OF_VOLTAGE), (3, _OF_ADAPTATION), (4, _OF_CONSTANTS))
        results: list[torch.Tensor | None] = [None] * len(needed)
        places = [place for place, _ in bits if needed[place]]
        learned = [k for k, place in enumerate(options.places) if place >= len(EVERY) and needed[6 + k]]
        if all(gradient is None for gradient in given) or not (places or learned):
            return tuple(results)
        number, scale = options.surrogate or (-1, 1.0)
        found = _raw_backward(
            _rows(inputs),
            voltage.contiguous(),
            refrac.contiguous(),
            _contiguous(adaptation),
            _contiguous(constants),
            [_coefficient(p, voltage) for p in coefficients],
            *options.rule(),
            [*marks],
            *given,
            options.interval,
            number,
            scale,
            options.detach_reset,
            sum(bit for place, bit in bits if needed[place]),
            [options.places[k] for k in learned],
        )
        for place, gradient in zip(places, found, strict=False):
            results[place] = _sum_neurons(gradient, constants) if place == 4 else gradient
        for k, gradient in zip(learned, found[len(places) :], strict=True):
            results[6 + k] = _sum_to(gradient, coefficients[k].shape).to(coefficients[k].dtype)
        return tuple(results)
