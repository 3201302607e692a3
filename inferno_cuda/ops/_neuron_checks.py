"""What a step of neurons takes."""

from __future__ import annotations

import torch

from .. import reference
from .common import check_floating, check_same, shape_text

REDUCTIONS = (None, "mean", "sum")
EVERY = ("dt", "refrac_t")  # parameters of every model


def check_step(model, voltage, refrac, inputs, adaptation, constants, reduction, parameters):
    if model not in reference.MODELS:
        raise ValueError(f"model was {model!r}; it must be one of {', '.join(map(repr, reference.MODELS))}")
    dynamics = reference.MODELS[model]
    wanted = {*EVERY, *dynamics.parameters}
    if set(parameters) != wanted:
        missing, extra = sorted(wanted - set(parameters)), sorted(set(parameters) - wanted)
        raise TypeError(f"{model}: parameters missing: {missing or 'none'}, unknown: {extra or 'none'}")
    for name in tensor_names(parameters):
        _check_broadcasts(name, parameters[name], voltage)
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction was {reduction!r}; it must be one of {', '.join(map(repr, REDUCTIONS))}")
    check_floating("voltage", voltage)
    for name, tensor in (("refrac", refrac), ("inputs", inputs)):
        if tensor.shape != voltage.shape:
            raise ValueError(
                f"{name} had shape {shape_text(tensor.shape)}; it must be {shape_text(voltage.shape)} like voltage"
            )
        check_same(name, tensor, "voltage", voltage)
    if reduction is not None and voltage.ndim and voltage.shape[0] == 0:
        raise ValueError(f"voltage had shape {shape_text(voltage.shape)}; a reduction needs at least one sample")
    if dynamics.adapt is not None:
        _check_adaptation(model, dynamics.constants, voltage, adaptation, constants)
    elif adaptation is not None or constants is not None or reduction is not None:
        raise ValueError(f"{model} does not adapt; adaptation, constants and reduction must be None")


def _check_broadcasts(name, parameter, voltage):
    missing, shape = voltage.ndim - parameter.ndim, parameter.shape
    if missing < 0 or any(h not in (1, want) for h, want in zip(shape, voltage.shape[missing:], strict=True)):
        raise ValueError(
            f"{name} had shape {shape_text(parameter.shape)}; it must broadcast to {shape_text(voltage.shape)}, "
            "the shape of voltage"
        )


def _check_adaptation(model, rows, voltage, adaptation, constants):
    if adaptation is None or constants is None:
        raise ValueError(f"{model} adapts; adaptation and constants must be tensors")
    shape = voltage.shape[1:]
    if voltage.ndim < 1 or adaptation.shape[:-1] != shape or adaptation.ndim != len(shape) + 1:
        raise ValueError(
            f"adaptation had shape {shape_text(adaptation.shape)}; it must be {shape_text((*shape, 'K'))}, "
            "a sample of voltage with one more dimension"
        )
    check_same("adaptation", adaptation, "voltage", voltage)
    kinds = adaptation.shape[-1]
    if kinds < 1 or constants.shape != (rows, kinds):
        raise ValueError(f"constants had shape {shape_text(constants.shape)}; it must be {shape_text((rows, kinds))}")
    compute = torch.float64 if voltage.dtype == torch.float64 else torch.float32
    if constants.dtype != compute or constants.device != voltage.device:
        raise ValueError(
            f"constants was {constants.dtype} on {constants.device}; it must be {compute} on {voltage.device}"
        )


def tensor_names(parameters):
    """Names of the parameters that are tensors."""
    return [name for name, parameter in parameters.items() if isinstance(parameter, torch.Tensor)]
