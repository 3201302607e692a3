"""Whole sequences of steps of neurons, with gradients through time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from .. import reference
from ..reference import NeuronRun
from ..surrogate import Surrogate
from ._neuron_checks import EVERY, check_step, tensor_names
from ._neuron_graph import NeuronRunGraph, Options, run_kernel
from .backend import active_mode, runs_native
from .common import check_same, needs_graph, shape_text, widened
from .neuron import KERNELS, without_negative_zeros

RECORDS = ("voltage", "refrac")
CHECKPOINT = 32  # steps between kept states, unless told: what a block of neurons keeps of them fits the cache
_SURROGATES = tuple(reference.SURROGATES)


def without_kernel(surrogate: Callable | None) -> str:
    """Why a surrogate runs in torch; empty if the kernels have it."""
    if surrogate is None or (isinstance(surrogate, Surrogate) and surrogate.name in _SURROGATES):
        return ""
    return f"the surrogate {surrogate!r} has no kernel"


def _of_neurons(parameter, voltage):
    """Whether a tensor is one number, or broadcasts to the neurons of a sample."""
    missing = voltage.ndim - 1 - parameter.ndim
    return parameter.numel() == 1 or missing >= 0 or (missing == -1 and parameter.shape[0] == 1)


def run_problem(voltage, surrogate, parameters):
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
    problem = run_problem(voltage, surrogate, parameters)
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


def _options(model, voltage, reduction, refrac_lock, surrogate, detach_reset, record, checkpoint, parameters):
    """The numbers of a call apart from its tensors, and these."""
    names = (*EVERY, *KERNELS[model][1])
    values = [parameters[name] for name in names]
    places = [k for k, value in enumerate(values) if isinstance(value, torch.Tensor)]
    numbers = tuple(0.0 if k in places else value for k, value in enumerate(values))
    kernel = None if surrogate is None else (_SURROGATES.index(surrogate.name), float(surrogate.scale))
    interval = CHECKPOINT if checkpoint is None else checkpoint
    options = Options(
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
    voltage, the adaptation and the recorded voltages. For the backward pass, the state is kept every `checkpoint`
    steps, and the steps between are run again; nothing else of the length of the sequence is kept but the inputs.
    Second derivatives are those of the backend ``"torch"``; others raise.

    Args:
        model: name of the model, see :func:`neuron_step`.
        voltage: membrane voltage, mV, ``[B, *shape]``.
        refrac: remaining refractory period, ms, shape and dtype of `voltage`.
        inputs: input currents, nA, ``[T, B, *shape]``, dtype of `voltage`.
        refrac_lock: hold the voltage of refractory neurons; otherwise it goes on integrating with no input.
        adaptation: ``[*shape, K]``, dtype of `voltage`; mV for thresholds, nA for currents.
        constants: of each adaptation, see :func:`neuron_step`.
        reduction: ``"mean"`` or ``"sum"`` over the samples updates the adaptation in every step; None leaves it.
        surrogate: None, or what gives spikes a gradient: one of :mod:`inferno_cuda.surrogate`, which the kernels have,
            or any function of the voltage less the threshold (mV), which runs in torch. Spikes then are 0 and 1 in the
            dtype of `inputs`.
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
        RuntimeError: the backend is set to ``"native"``, and there is no kernel for the surrogate or a
            parameter; or, on CUDA only, more adaptations of a neuron than a kernel has room for, see
            :func:`neuron_step`.

    Example:
        >>> import math
        >>> import torch
        >>> from inferno_cuda import ops, surrogate
        >>> current = torch.full((5, 1, 1), 80.0, requires_grad=True)
        >>> voltage, refrac = torch.full((1, 1), -65.0), torch.zeros(1, 1)
        >>> run = ops.neuron_run("lif", voltage, refrac, current, surrogate=surrogate.ATan(), dt=1.0, refrac_t=2.0,
        ...                      thresh_v=-50.0, rest_v=-65.0, reset_v=-70.0, resistance=1.0, decay=math.exp(-0.05))
        >>> run.spikes.flatten()
        tensor([0., 0., 0., 0., 1.], grad_fn=<ViewBackward0>)
        >>> run.spikes.sum().backward()
        >>> bool((current.grad > 0).all())
        True
    """
    parameters = without_negative_zeros(parameters)
    voltage, refrac, inputs, adaptation = widened(voltage, refrac, inputs, adaptation)
    _check(
        model, voltage, refrac, inputs, adaptation, constants, reduction, surrogate, record, checkpoint, parameters
    )  # fmt: skip
    learned = [parameters[name] for name in tensor_names(parameters)]
    graph = needs_graph(voltage, refrac, inputs, adaptation, constants, *learned)
    if not _runs_kernel(voltage, surrogate, parameters):
        return reference.neuron_run(
            model, voltage, refrac, inputs, refrac_lock=refrac_lock, adaptation=adaptation, constants=constants,
            reduction=reduction, surrogate=surrogate, detach_reset=detach_reset, record=record, **parameters,
        )  # fmt: skip
    options, coefficients = _options(
        model, voltage, reduction, refrac_lock, surrogate, detach_reset, record, checkpoint, parameters
    )
    if graph:
        outputs = NeuronRunGraph.apply(voltage, refrac, inputs, adaptation, constants, options, *coefficients)
    else:
        outputs = run_kernel(voltage, refrac, inputs, adaptation, constants, coefficients, options, 0)
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
