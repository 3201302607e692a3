"""Hyper-parameters of learning rules: how they are checked, and where they are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from ..observe import CumulativeTraceReducer, NearestTraceReducer
from ..state import Module
from ..state._check import instance, nonnegative, nonzero, one_of, positive

TRACES = {"cumulative": CumulativeTraceReducer, "nearest": NearestTraceReducer}


class Setting(NamedTuple):
    """A hyper-parameter, an argument of a rule's constructor.

    Attributes:
        check: casts and checks a value, called with the name of the argument and the value.
        attribute: its name on the trainer; None for that of the argument.
        state: its name on the state of a cell; None for that on the trainer.
    """

    check: Callable[[str, Any], Any]
    attribute: str | None = None
    state: str | None = None


def number(name: str, value: Any) -> float:
    """A float, not NaN."""
    if isinstance(value, torch.Tensor) and value.numel() != 1:
        raise ValueError(f"'{name}' has the shape {tuple(value.shape)}, it must be one number")
    try:
        value = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"'{name}' of type {type(value).__name__} must be a number") from None
    if value != value:
        raise ValueError(f"'{name}' of {value} must be a number")
    return value


def magnitude(name: str, value: Any) -> float:
    """The absolute value of a float, not NaN."""
    return abs(number(name, value))


def choice(*choices: str) -> Callable[[str, Any], str]:
    """Checks for one of several strings, in any case."""
    return lambda name, value: one_of(name, instance(name, value, str).lower(), choices)


def function(name: str, value: Any) -> Callable:
    """Something that can be called."""
    if not callable(value):
        raise TypeError(f"'{name}' must be callable, but is of type {type(value).__name__}")
    return value


def optional_function(name: str, value: Any) -> Callable | None:
    """Something that can be called, or None."""
    return None if value is None else function(name, value)


def keywords(name: str, value: Any) -> dict[str, Any]:
    """Keyword arguments; tensors among them are copied."""
    given = dict(instance(name, value, Mapping))
    return {key: v.detach().clone() if isinstance(v, torch.Tensor) else v for key, v in given.items()}


def wanted_rate(name: str, value: Any) -> float | torch.Tensor | None:
    """A positive number, a tensor of such, which is copied, or None."""
    if isinstance(value, torch.Tensor):
        if not bool((value > 0).all()):
            raise ValueError(f"'{name}' has elements that are not positive, all must be")
        return value.detach().clone()
    return None if value is None else positive(name, value)


def flag(name: str, value: Any) -> bool:
    return bool(value)


SETTINGS = {
    **dict.fromkeys(("lr_post", "lr_pre", "lr_pos", "lr_neg", "plasticity"), Setting(number)),
    **dict.fromkeys(("lr_post_pair", "lr_pre_pair"), Setting(nonzero)),
    **dict.fromkeys(("lr_post_triplet", "lr_pre_triplet"), Setting(magnitude)),
    **dict.fromkeys(("tc_post", "tc_pre", "tc_pos", "tc_neg", "tc_eligibility"), Setting(positive)),
    **dict.fromkeys(("tc_post_fast", "tc_post_slow", "tc_pre_fast", "tc_pre_slow"), Setting(positive)),
    **dict.fromkeys(("kernel_post", "kernel_pre"), Setting(function)),
    **dict.fromkeys(("kernel_post_kwargs", "kernel_pre_kwargs"), Setting(keywords)),
    **dict.fromkeys(("delayed", "inplace", "legacy_sign"), Setting(flag)),
    "interp_tolerance": Setting(nonnegative, "tolerance"),
    "trace_mode": Setting(choice(*TRACES), "trace", "tracemode"),
    "batch_reduction": Setting(optional_function, "batchreduce"),
    "target": Setting(wanted_rate),
    "param": Setting(choice("weight", "bias", "delay")),
}


def attribute_of(name: str) -> str:
    """What an argument is called on a trainer."""
    return SETTINGS[name].attribute or name


def store(state: Module, name: str, value: Any) -> None:
    """Puts a checked value into the state of a cell."""
    setattr(state, SETTINGS[name].state or attribute_of(name), value)
    if name == "trace_mode":
        state.tracecls = TRACES[value]


def store_keywords(state: Module, name: str, value: Mapping[str, Any]) -> None:
    """Puts keyword arguments into the state of a cell; tensors become buffers, which move with the trainer."""
    tensors = Module()
    setattr(state, name, {key: v for key, v in value.items() if not isinstance(v, torch.Tensor)})
    setattr(state, name.replace("_kwargs", "_tensor_kwargs"), tensors)
    for key, v in value.items():
        if isinstance(v, torch.Tensor):
            tensors.register_buffer(key, v)


def stored_keywords(state: Module, name: str) -> dict[str, Any]:
    """What :func:`store_keywords` has stored."""
    tensors = getattr(state, name.replace("_kwargs", "_tensor_kwargs"))
    return {**getattr(state, name), **dict(tensors.named_buffers())}
