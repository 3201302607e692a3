"""Which models of neurons there are, and what a neuron of this package says of its parameters."""

from __future__ import annotations

import difflib
from typing import Any

import torch

from .. import neural, ops

GENERATOR = "generator"
MEMBRANE = "V_m"

_NAMES = tuple(name for name in ops.SPIKING_MODELS if name != GENERATOR)
_CLASSES = {getattr(neural, name): name for name in _NAMES if hasattr(neural, name)}
# where a module keeps a parameter under another name
_BUFFERS = {"spike_increment": "adapt_increment", "voltage_coupling": "adapt_vc_coupling"}


def as_model(model: Any, dt: float, size: int) -> tuple[str, dict[str, Any]]:
    """The name of a model, and the parameters that come with it.

    Args:
        model: its name, a class of neurons of ``inferno_cuda.neural``, or an instance of one.
        dt: length of a step of the network, ms.
        size: how many neurons are to be made.

    Raises:
        TypeError, ValueError: if there is no such model, or the instance has what neurons of a network have not.
    """
    if isinstance(model, str):
        if model in _NAMES:
            return model, {}
        raise ValueError(f"there is no model {model!r}; {_known(model)}")
    if isinstance(model, type) and model in _CLASSES:
        return _CLASSES[model], {}
    if type(model) in _CLASSES:
        name = _CLASSES[type(model)]
        return name, _parameters_of(model, name, dt, size)
    found = f"class {model.__name__}" if isinstance(model, type) else type(model).__name__
    raise TypeError(
        f"'model' was of {found}, it must be the name of a model, a class of neurons of inferno_cuda.neural or an "
        f"instance of one, and of no subclass; {_known('')}"
    )


def _known(model: str) -> str:
    near = difflib.get_close_matches(model.lower(), [name.lower() for name in _NAMES], 1)
    hint = f" Did you mean {next(name for name in _NAMES if name.lower() == near[0])}?" if near else ""
    return f"there are {', '.join(_NAMES)}. Generators are made with poisson_source() and spike_source().{hint}"


def _parameters_of(neurons: Any, name: str, dt: float, size: int) -> dict[str, Any]:
    if neurons.dt != dt:
        raise ValueError(f"'model' has a step of {neurons.dt:g} ms, it must be that of the network, {dt:g} ms")
    known = ops.SPIKING_MODELS[name].parameters
    given = {"adapt": float(neurons.training)} if "adapt" in known else {}
    for parameter in known.keys() - {"tau_syn_ex", "tau_syn_in", "refrac_lock", "adapt"}:
        value = getattr(neurons, _BUFFERS.get(parameter, parameter))
        if parameter in _BUFFERS or parameter in ("tc_adaptation", "rc_adaptation"):
            if len(value) > 1:
                raise ValueError(f"'model' has {len(value)} adaptations; neurons of a network have one")
            value = value.detach().item()
        elif isinstance(value, torch.Tensor):
            value = value.detach().reshape(-1)
            if value.numel() not in (1, size):
                raise ValueError(f"{parameter} of 'model' has {value.numel()} values, it must have 1 or {size}")
            value = value.item() if value.numel() == 1 else value
        given[parameter] = value
    return given


def state_names(model: str) -> tuple[str, ...]:
    """What of the state can be set, besides parameters: the membrane potential, and an adaptation if there is one."""
    if model == GENERATOR:
        return ()
    adaptation = ops.SPIKING_MODELS[model].adaptation
    return (MEMBRANE,) if adaptation is None else (MEMBRANE, adaptation)


def state_variables(model: str, ports: int) -> tuple[str, ...]:
    """All of the state, in the order of the engine."""
    return (MEMBRANE, *ops.SPIKING_MODELS[model].variables(ports)[1:])
