"""Hooks that keep a tensor of a module in shape: normalized, or clamped."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from ..core import normalize
from ..ops.updates import clamp_updated_
from ..state import StateHook, _check
from ._updater import assign


class _AttributeHook(StateHook):
    """Replaces a tensor that is found at a dotted path from the hooked module."""

    def __init__(self, module: nn.Module, attr: str, **kwargs: Any) -> None:
        attribute = _check.identifier("attr", attr, nested=True)
        StateHook.__init__(self, module, **kwargs)
        self.attribute = attribute

    @abstractmethod
    def _changed(self, value: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must implement the method '_changed'")

    def hook(self, module: nn.Module) -> None:
        """Replace the tensor. A parameter is written in place.

        Raises:
            AttributeError: if there is nothing at the path.
            TypeError: if what is there is not a tensor.
        """
        path, _, name = self.attribute.rpartition(".")
        owner = attrgetter(path)(module) if path else module
        value = _check.instance(self.attribute, getattr(owner, name), Tensor)
        if not torch.is_grad_enabled() and _is_written(owner, name, value) and self._change(value):
            return
        with torch.set_grad_enabled(torch.is_grad_enabled() and not isinstance(value, nn.Parameter)):
            assign(owner, name, self._changed(value))

    def _change(self, value: Tensor) -> bool:
        """Changes a parameter in place, if that is the same as replacing its values; whether it did."""
        return False


class Normalization(_AttributeHook):
    """Scales a tensor after every call of a module so that its norms are ``scale``.

    A parameter is written in place: between ``forward`` and ``backward`` of a graph that saved it, torch raises in
    ``backward``. Use ``as_prehook=True`` for parameters that are trained by gradients.

    Args:
        module: module to act on.
        attr: path of the tensor from the module, such as ``"weight"`` or ``"connection.weight"``.
        order: of the norm, not 0.
        scale: what the norms become, not 0.
        dim: dimensions over which a norm is taken; None for all of them.
        epsilon: a norm below it counts as it, >= 0.
        train_update: whether the hook runs when the module is in training mode.
        eval_update: whether it runs when that is in evaluation mode.
        as_prehook: whether it runs before the module rather than after it.
        prepend: whether it runs before other hooks of the module.
        always_call: whether it runs even if the module raised; not for a prehook.

    Raises:
        TypeError: if ``module`` is not a module, or ``attr`` not a string.
        ValueError: if ``attr`` is not a dotted path, or a number is out of range.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import Normalization
        >>> module = torch.nn.Linear(2, 1, bias=False)
        >>> hook = Normalization(module, "weight", order=1, scale=1.0, dim=1, as_prehook=True)
        >>> hook.register()
        >>> output = module(torch.ones(1, 2))
        >>> round(module.weight.abs().sum().item(), 6)
        1.0
    """

    def __init__(
        self,
        module: nn.Module,
        attr: str,
        order: int | float,
        scale: float | complex,
        dim: int | tuple[int, ...] | None,
        epsilon: float = 1e-12,
        *,
        train_update: bool = True,
        eval_update: bool = True,
        as_prehook: bool = False,
        prepend: bool = False,
        always_call: bool = False,
    ) -> None:
        order = _check.nonzero("order", order, _number)
        if isinstance(scale, complex):
            _check.nonzero("scale", abs(scale))
        else:
            scale = _check.nonzero("scale", scale, _number)
        dim = _dims(dim)
        epsilon = _check.nonnegative("epsilon", epsilon)
        _AttributeHook.__init__(
            self,
            module,
            attr,
            train_update=train_update,
            eval_update=eval_update,
            as_prehook=as_prehook,
            prepend=prepend,
            always_call=always_call,
        )
        self.order = order
        self.scale = scale
        self.dim = dim
        self.eps = epsilon

    def _changed(self, value: Tensor) -> Tensor:
        return normalize(value, self.order, self.scale, self.dim, self.eps)

    def extra_repr(self) -> str:
        return f"{self.attribute!r}, order={self.order}, scale={self.scale}, dim={self.dim}"


class Clamping(_AttributeHook):
    """Clamps a tensor after every call of a module. A parameter is written in place, as by :class:`Normalization`.

    Args:
        module: module to act on, such as an updater.
        attr: path of the tensor from the module, such as ``"parent.weight"``.
        min: smallest value; None for no limit.
        max: largest value; None for no limit.
        train_update: whether the hook runs when the module is in training mode.
        eval_update: whether it runs when that is in evaluation mode.
        as_prehook: whether it runs before the module rather than after it.
        prepend: whether it runs before other hooks of the module.
        always_call: whether it runs even if the module raised; not for a prehook.

    Raises:
        RuntimeError: if both limits are None.
        TypeError: if ``module`` is not a module, or ``attr`` not a string.
        ValueError: if ``attr`` is not a dotted path, a limit is NaN, or ``max`` is not greater than ``min``.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import Clamping
        >>> module = torch.nn.Linear(2, 1)
        >>> hook = Clamping(module, "weight", min=0.0, as_prehook=True)
        >>> hook.register()
        >>> output = module(torch.ones(1, 2))
        >>> bool((module.weight >= 0.0).all())
        True
    """

    def __init__(
        self,
        module: nn.Module,
        attr: str,
        min: int | float | None = None,
        max: int | float | None = None,
        *,
        train_update: bool = True,
        eval_update: bool = True,
        as_prehook: bool = False,
        prepend: bool = False,
        always_call: bool = False,
    ) -> None:
        if min is None and max is None:
            raise RuntimeError("at least one of 'min', 'max' must not be None")
        limits = {name: _limit(name, value) for name, value in (("min", min), ("max", max)) if value is not None}
        if len(limits) == 2:
            _check.greater("max", limits["max"], limits["min"], "min", _number)
        _AttributeHook.__init__(
            self,
            module,
            attr,
            train_update=train_update,
            eval_update=eval_update,
            as_prehook=as_prehook,
            prepend=prepend,
            always_call=always_call,
        )
        self.clampmin = limits.get("min")
        self.clampmax = limits.get("max")

    def _changed(self, value: Tensor) -> Tensor:
        return torch.clamp(value, self.clampmin, self.clampmax)

    def _change(self, value: Tensor) -> bool:
        own = type(self)._changed is not Clamping._changed
        if own or not value.is_floating_point() or torch.compiler.is_compiling():
            return False
        if not clamp_updated_(value, self.clampmin, self.clampmax):
            value.clamp_(self.clampmin, self.clampmax)
        return True

    def extra_repr(self) -> str:
        return f"{self.attribute!r}, min={self.clampmin}, max={self.clampmax}"


def _is_written(owner: nn.Module, name: str, value: Tensor) -> bool:
    """Whether replacing an attribute does no more than write this very tensor, a parameter."""
    held = getattr(owner, "_parameters", {}).get(name)
    find = getattr(owner, "_written_in_place", None)
    if held is None and find is not None and name != "delay":  # which is judged when it is set
        held = find(name)
    return held is value


def _number(value: Any) -> int | float:
    return value if isinstance(value, int) else float(value)


def _limit(name: str, value: Any) -> int | float:
    value = _number(value)
    if math.isnan(value):
        raise ValueError(f"'{name}' was NaN; it must be a number")
    return value


def _dims(dim: Any) -> int | tuple[int, ...] | None:
    if dim is None:
        return None
    if isinstance(dim, Iterable) and not isinstance(dim, str):
        return tuple(_check.integer(f"dim[{i}]", d) for i, d in enumerate(dim))
    return _check.integer("dim", dim)
