"""Whole sequences of steps of neurons, with gradients through time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.autograd.function import once_differentiable

from .. import reference
from ..reference import NeuronRun
from ._neuron_checks import EVERY, REDUCTIONS, check_step, tensor_names
from .backend import active_mode, runs_native
from .common import check_same, needs_graph, shape_text
from .native import status
from .neuron import KERNELS, without_negative_zeros

RECORDS = ("voltage", "refrac")
CHECKPOINT = 32  # steps between kept states, unless told: what a block of neurons keeps of them fits the cache
_SURROGATES = tuple(reference.SURROGATES)
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


class _Options(NamedTuple):
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


def without_kernel(surrogate: Callable | None) -> str:
    """Why a surrogate runs in torch; empty if the kernels have it."""
    if surrogate is None or (getattr(surrogate, "name", None) in _SURROGATES and hasattr(surrogate, "scale")):
        return ""
    return f"the surrogate {surrogate!r} has no kernel"


def _of_neurons(parameter, voltage):
    """Whether a tensor is one number, or broadcasts to the neurons of a sample."""
    missing = voltage.ndim - 1 - parameter.ndim
    return parameter.numel() == 1 or missing >= 0 or (missing == -1 and parameter.shape[0] == 1)


def _problem(voltage, surrogate, parameters):
    """Why the kernel does not take a call; empty if it does."""
    tensors = {name: parameters[name] for name in tensor_names(parameters)}
    if "dt" in tensors:
        return "dt is a tensor"
    for name, tensor in tensors.items():
        if not _of_neurons(tensor, voltage):
            return f"{name} differs between the samples of a batch"
    return without_kernel(surrogate)


def _runs_kernel(voltage, surrogate, parameters):
    if not runs_native(voltage, "neuron_run"):
        return False
    problem = _problem(voltage, surrogate, parameters)
    if problem and active_mode() == "native":
        raise RuntimeError(f"neuron_run: backend is set to 'native', but {problem}, which runs in torch")
    return not problem


def _check(model, voltage, refrac, inputs, adaptation, constants, reduction, surrogate, record, checkpoint, parameters):
    check_step(model, voltage, refrac, voltage, adaptation, constants, reduction, parameters)
    shape = tuple(voltage.shape)
    if not shape:
        raise ValueError("voltage had shape (); it must be (B, *shape)")
    if inputs.ndim != voltage.ndim + 1 or inputs.shape[1:] != voltage.shape:
        raise ValueError(f"inputs had shape {shape_text(inputs.shape)}; it must be {shape_text(('T', *shape))}")
    check_same("inputs", inputs, "voltage", voltage)
    if surrogate is not None and not callable(surrogate):
        raise TypeError(f"surrogate was {surrogate!r}; it must be None or a function of the voltage less the threshold")
    if isinstance(record, str) or not set(record) <= set(RECORDS):
        raise ValueError(f"record was {record!r}; it must hold any of {', '.join(map(repr, RECORDS))}")
    if checkpoint is not None and (isinstance(checkpoint, bool) or not isinstance(checkpoint, int)):
        raise TypeError(f"checkpoint was {checkpoint!r}; it must be a whole number of steps, or None")
    if checkpoint is not None and checkpoint < 1:
        raise ValueError(f"checkpoint was {checkpoint}; it must be at least 1")


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


def _run(voltage, refrac, inputs, adaptation, constants, coefficients, options, interval):
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


def sum_rows(values: torch.Tensor) -> torch.Tensor:
    """The sum over dimension 0: rows of the upper half are added to those of the lower, until one is left."""
    if not len(values):
        return values.new_zeros(values.shape[1:])
    while len(values) > 1:
        half = (len(values) + 1) // 2
        upper = values[half:]
        values = torch.cat([values[: len(upper)] + upper, values[len(upper) : half]])
    return values[0]


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


class _NeuronRun(torch.autograd.Function):
    """Both directions in the kernels. The states kept for the second are outputs of the first, behind the others."""

    @staticmethod
    def forward(voltage, refrac, inputs, adaptation, constants, options, *coefficients):
        return tuple(_run(voltage, refrac, inputs, adaptation, constants, coefficients, options, options.interval))

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
    @once_differentiable
    def backward(ctx, *gradients):
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
            results[place] = sum_rows(gradient.flatten(2).movedim(2, 0)) if place == 4 else gradient
        for k, gradient in zip(learned, found[len(places) :], strict=True):
            results[6 + k] = _sum_to(gradient, coefficients[k].shape).to(coefficients[k].dtype)
        return tuple(results)


def _options(model, voltage, reduction, refrac_lock, surrogate, detach_reset, record, checkpoint, parameters):
    """The numbers of a call apart from its tensors, and these."""
    names = (*EVERY, *KERNELS[model][1])
    values = [parameters[name] for name in names]
    places = [k for k, value in enumerate(values) if isinstance(value, torch.Tensor)]
    numbers = tuple(0.0 if k in places else value for k, value in enumerate(values))
    kernel = None if surrogate is None else (_SURROGATES.index(surrogate.name), float(surrogate.scale))
    interval = CHECKPOINT if checkpoint is None else checkpoint
    options = _Options(
        model, reduction, refrac_lock, numbers, tuple(places), kernel, detach_reset, tuple(record), interval
    )
    return options, [values[k] for k in places]


def neuron_run(
    model: str,
    voltage: torch.Tensor,
    refrac: torch.Tensor,
    inputs: torch.Tensor,
    *,
    refrac_lock: bool = True,
    adaptation: torch.Tensor | None = None,
    constants: torch.Tensor | None = None,
    reduction: str | None = None,
    surrogate: Callable[[torch.Tensor], torch.Tensor] | None = None,
    detach_reset: bool = False,
    record: Sequence[str] = (),
    checkpoint: int | None = None,
    **parameters: float | torch.Tensor,
) -> NeuronRun:
    """A sequence of steps of neurons, equal to calls of :func:`neuron_step` bit for bit; leaves its arguments alone.

    Differentiable in voltage, inputs, adaptation, constants and parameters, from the spikes (with a surrogate), the
    voltage, the adaptation and the recorded voltages. For the backward pass, the state is kept every `checkpoint` steps,
    and the steps between are run again; nothing else of the length of the sequence is kept but the inputs. There are no
    second derivatives, except on the backend ``"torch"``.

    Args:
        model: name of the model, see :func:`neuron_step`.
        voltage: membrane voltage, mV, ``[B, *shape]``.
        refrac: remaining refractory period, ms, shape and dtype of `voltage`.
        inputs: input currents, nA, ``[T, B, *shape]``, dtype of `voltage`.
        refrac_lock: hold the voltage of refractory neurons; otherwise it goes on integrating with no input.
        adaptation: ``[*shape, K]``, dtype of `voltage`; mV for thresholds, nA for currents.
        constants: of each adaptation, see :func:`neuron_step`.
        reduction: ``"mean"`` or ``"sum"`` over the samples updates the adaptation in every step; None leaves it.
        surrogate: None, or what gives spikes a gradient: one of :mod:`inferno_cuda.surrogate`, which the kernels have, or
            any function of the voltage less the threshold (mV), which runs in torch. Spikes then are 0 and 1 in the dtype
            of `inputs`.
        detach_reset: let no gradient through the spike into the voltage that it resets.
        record: any of ``"voltage"`` and ``"refrac"``, to be returned for every step.
        checkpoint: steps between kept states, at least 1; None for the default.
        **parameters: as of :func:`neuron_step`; numbers, or tensors. Those with one element, or that broadcast to the
            neurons of a sample, are read by the kernels; others that broadcast to `voltage` run in torch, and so does a
            tensor for ``dt``. Tensors are computed with in float32, or float64 if `voltage` is.

    Returns:
        Spikes, the state after the last step (adaptation None if it is left alone), and what was to be recorded.

    Raises:
        ValueError: shapes or devices differ, a parameter does not broadcast, or there is no such model, reduction or
            record; or ``checkpoint`` is below 1.
        TypeError: dtypes differ or are not floating point, or the parameters are not those of the model.
        RuntimeError: the backend is set to ``"native"``, and there is no kernel for the surrogate or a parameter.

    Example:
        >>> import math
        >>> import torch
        >>> from inferno_cuda import ops, surrogate
        >>> current = torch.full((5, 1, 1), 80.0, requires_grad=True)
        >>> run = ops.neuron_run("lif", torch.full((1, 1), -65.0), torch.zeros(1, 1), current, surrogate=surrogate.ATan(),
        ...                      dt=1.0, refrac_t=2.0, thresh_v=-50.0, rest_v=-65.0, resistance=1.0,
        ...                      decay=math.exp(-1.0 / 20.0), reset_v=-70.0)
        >>> run.spikes.flatten()
        tensor([0., 0., 0., 0., 1.], grad_fn=<ViewBackward0>)
        >>> run.spikes.sum().backward()
        >>> bool((current.grad > 0).all())
        True
    """
    parameters = without_negative_zeros(parameters)
    _check(
        model, voltage, refrac, inputs, adaptation, constants, reduction, surrogate, record, checkpoint, parameters
    )  # fmt: skip
    if not _runs_kernel(voltage, surrogate, parameters):
        return reference.neuron_run(
            model, voltage, refrac, inputs, refrac_lock=refrac_lock, adaptation=adaptation, constants=constants,
            reduction=reduction, surrogate=surrogate, detach_reset=detach_reset, record=record, **parameters,
        )  # fmt: skip
    options, coefficients = _options(
        model, voltage, reduction, refrac_lock, surrogate, detach_reset, record, checkpoint, parameters
    )
    if needs_graph(voltage, refrac, inputs, adaptation, constants, *coefficients):
        outputs = _NeuronRun.apply(voltage, refrac, inputs, adaptation, constants, options, *coefficients)
    else:
        outputs = _run(voltage, refrac, inputs, adaptation, constants, coefficients, options, 0)
    return _named(outputs, options)


def _named(outputs, options):
    """The kernel's outputs with their places named."""
    # by index: for the compiler of torch 2.11 the rest of a list is a tuple, which has no pop
    adapts, voltages = options.reduction is not None, "voltage" in options.record
    return NeuronRun(
        outputs[0],
        outputs[1],
        outputs[2],
        outputs[3] if adapts else None,
        outputs[3 + adapts] if voltages else None,
        outputs[3 + adapts + voltages] if "refrac" in options.record else None,
    )
