"""Giving modules the class that runs on our ops, and their own class back."""

from __future__ import annotations

import copyreg
from typing import Any

from torch import nn

CACHE = "_fused_"
"""What the names of all attributes start with that an accelerated module has for itself."""


STATE = ("__data", "feedback_spikes", "mem", "syn")
"""How the names of the buffers end in which the libraries keep the state of a simulation: inferno-ai's, snnTorch's."""


class Accelerated:
    """What all accelerated classes have in common.

    Copies and pickles name the library's class, and look its adapter up again where they are made.
    """

    _accelerates: type[nn.Module]

    def _run_time_buffers(self) -> list[str]:
        """Names of the buffers with the state of a simulation, of which each replica of a model has its own."""
        return [name for name in self._buffers if name.endswith(STATE)]

    def _fused_revert(self) -> None:
        """Called before the module gets its own class back, for what a mixin has to undo besides its attributes."""

    def __reduce_ex__(self, protocol: int) -> tuple:
        make, arguments, *rest = super().__reduce_ex__(max(protocol, 2))
        if make is copyreg.__newobj__ and arguments[0] is type(self):
            make, arguments = remake, (self._accelerates, *arguments[1:])
        if rest and isinstance(rest[0], dict):
            rest[0] = {name: value for name, value in rest[0].items() if not name.startswith(CACHE)}
        return make, arguments, *rest


_MADE = "_inferno_cuda_accelerated"
"""What a class has its accelerated classes as, which live as long as it does."""


def accelerated_class(cls: type[nn.Module], overrides: type) -> type[nn.Module]:
    """The one class with the methods of ``overrides`` in front of ``cls``.

    Raises:
        Exception: what ``cls`` or its metaclass raises where a subclass is made.
    """
    made = vars(cls).get(_MADE, {})
    if overrides not in made:
        made[overrides] = _subclass(cls, overrides)
        # a metaclass may have a __setattr__ of its own, which this is not meant for
        type.__setattr__(cls, _MADE, made)
    return made[overrides]


def _subclass(cls: type[nn.Module], overrides: type) -> type[nn.Module]:
    name = f"Accelerated{cls.__name__}"
    own = {
        "__module__": cls.__module__,
        "__qualname__": f"Accelerated{cls.__qualname__}",
        "__doc__": cls.__doc__,
        "_accelerates": cls,
    }
    # type(cls), since a library's classes may have a metaclass of their own, such as that of abstract ones
    return type(cls)(name, (overrides, Accelerated, cls), own)


def is_accelerated(module: nn.Module) -> bool:
    return isinstance(module, Accelerated)


def library_class(module: nn.Module) -> type[nn.Module]:
    """The class of a module as its library made it."""
    return type(module)._accelerates if is_accelerated(module) else type(module)


def accelerate_module(module: nn.Module, overrides: type) -> None:
    # libraries have a __setattr__ of their own, which this is not meant for
    object.__setattr__(module, "__class__", accelerated_class(type(module), overrides))


def revert_module(module: nn.Module) -> None:
    module._fused_revert()
    object.__setattr__(module, "__class__", type(module)._accelerates)
    for name in [name for name in vars(module) if name.startswith(CACHE)]:
        del vars(module)[name]


def remake(cls: type[nn.Module], *arguments: Any) -> nn.Module:
    """An accelerated module without attributes, for copies and pickles; of the library's class if nothing fits it."""
    from ._registry import class_problem, find, subclass_problem

    module = cls.__new__(cls, *arguments)
    adapter = find(cls)
    if adapter is not None and class_problem(cls, adapter) is None and subclass_problem(cls, adapter) is None:
        accelerate_module(module, adapter.overrides)
    return module
