"""This package, as the converter sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from .. import extra, functional, neural
from ..neural import functional as neural_functional
from ..state import Module
from ..state._link import Relay
from ._library import CURRENT_LOOKUPS, Library
from ._transfer import Unfit


class Ours(Library):
    """This package."""

    def __init__(self) -> None:
        super().__init__(__package__.partition(".")[0], Module, neural, extra, functional, neural_functional)

    def batch_reduction(self, neuron: nn.Module) -> Callable:
        return neuron._batch_reduction

    def lookup(self, synapse: nn.Module) -> dict[str, Any]:
        kept = vars(synapse)
        if any(kept.get(f"_{cls}__mode") == "linear" for cls in CURRENT_LOOKUPS):
            raise Unfit("interpolates 'linear', which its counterpart does not")
        over = [kept[f"_{cls}__overbound"] for cls in CURRENT_LOOKUPS if f"_{cls}__overbound" in kept]
        return {
            "mode": kept["_SpikeMixin__mode"],
            "interp_tol": kept["_SpikeMixin__tolerance"],
            "current_overbound": over[0],
            "spike_overbound": kept["_SpikeMixin__overbound"],
        }

    def refrac(self, encoder: nn.Module) -> float | None:
        return vars(encoder)["_RefractoryStepMixin__refrac"]

    def accumulator(self, accumulator: nn.Module) -> tuple[Callable, dict[str, tuple]]:
        bounds = {"upper": accumulator._upper, "lower": accumulator._lower, "full": accumulator._full}
        return accumulator._reduce, {side: bound for side, bound in bounds.items() if bound is not None}

    def transform(self, function: Callable | None) -> Callable | None:
        return function

    def hook(self, hook: nn.Module) -> tuple[bool, dict[str, Any], dict[str, int]]:
        (side,) = hook._hook_functions
        return side == "pre", hook._hook_kwargs[side], dict(hook._link.ids) if hook.registered else {}

    def is_hook(self, function: Any) -> bool:
        return isinstance(function, Relay)
