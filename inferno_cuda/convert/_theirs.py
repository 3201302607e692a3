"""inferno-ai, as the converter sees it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from ._library import CURRENT_LOOKUPS, Library

MODES = {f"interp_{name}": name for name in ("previous", "nearest")}


class Theirs(Library):
    """inferno-ai. ImportError if it is not installed."""

    def __init__(self) -> None:
        try:
            top = importlib.import_module("inferno")
            parts = ("neural", "extra", "functional", "neural.functional")
            modules = [importlib.import_module(f"inferno.{part}") for part in parts]
        except ImportError as error:
            raise ImportError("there is no inferno-ai to convert to: pip install inferno-ai==0.0.5") from error
        super().__init__("inferno", top.Module, *modules)

    def batch_reduction(self, neuron: nn.Module) -> Callable:
        return next(value for name, value in vars(neuron).items() if name.endswith("__batchreduce"))

    def lookup(self, synapse: nn.Module) -> dict[str, Any]:
        kept = vars(synapse)
        names = [f"_{cls}__{name}" for cls in CURRENT_LOOKUPS for name in ("overbound", "current_overbound")]
        return {
            "mode": MODES[kept["_SpikeMixin__interp"].__name__],
            "interp_tol": kept["_SpikeMixin__tolerance"],
            "current_overbound": next(kept[name] for name in names if name in kept),
            "spike_overbound": kept["_SpikeMixin__overbound"],
        }

    def refrac(self, encoder: nn.Module) -> float | None:
        return None if vars(encoder)["_RefractoryStepMixin__derive_refrac"] else encoder.refrac

    def accumulator(self, accumulator: nn.Module) -> tuple[Callable, dict[str, tuple]]:
        bind = accumulator.bind
        functions = dict(zip(("upper", "lower"), bind, strict=True)) if isinstance(bind, list) else {"full": bind}
        bounds = {}
        for side, function in functions.items():
            bound = inspect.getclosurevars(function).nonlocals.get("bound")
            if bound is not None:
                *limits, kwargs = function.__defaults__
                bounds[side] = (bound, tuple(limits), kwargs)
        return accumulator.reduce, bounds

    def transform(self, function: Callable | None) -> Callable | None:
        name = getattr(function, "__qualname__", "")
        stands_for_none = ("Serial.__init__.", "Biclique.__init__.", "identity", "tuplewrap")
        if (getattr(function, "__module__", None) or "").startswith("inferno.") and name.startswith(stands_for_none):
            return inspect.getclosurevars(function).nonlocals.get("combine")
        return function

    def hook(self, hook: nn.Module) -> tuple[bool, dict[str, Any], dict[str, int]]:
        kept, before = vars(hook), hook._prehook_call is not None
        handles = {"pre": kept["_Hook__prehook_handle"], "post": kept["_Hook__posthook_handle"]}
        options = kept["_Hook__prehook_kwargs" if before else "_Hook__posthook_kwargs"]
        return before, options, {side: handle.id for side, handle in handles.items() if handle is not None}

    def is_hook(self, function: Any) -> bool:
        name = getattr(function, "__qualname__", "")
        return getattr(function, "__module__", None) == "inferno.core.infrastructure" and name.startswith("Hook.")
