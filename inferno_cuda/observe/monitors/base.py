"""What all monitors have in common."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ...state import ContextualHook, Module
from ...state import _check as check
from ...state._link import hooks_of
from .._weak import Weak
from ..pooling import MonitorConstructor
from ..reducers.base import Reducer


def is_given(value: Any) -> bool:
    return value is not None


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def as_it_is(value: Any) -> Any:
    return value


def path_of(name: str, value: str) -> tuple[str, ...]:
    return tuple(check.identifier(name, value, nested=True).split("."))


def there(module: nn.Module, path: tuple[str, ...]) -> bool:
    """Whether a module has what a path leads to; of that which is no submodule, its name is enough."""
    for name in path:
        if name not in module._modules:
            return hasattr(type(module), name) or hasattr(module, name)
        module = module._modules[name]
    return True


def read(module: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        # submodules, which monitors pass in every step, are found here sooner than by their modules' __getattr__
        parts = module.__dict__.get("_modules") if isinstance(module, nn.Module) else None
        part = None if parts is None else parts.get(name)
        module = getattr(module, name) if part is None else part
    return module


class Monitor(Module, ContextualHook):
    """A hook of a module that observes it, and keeps what its reducer makes of that.

    The module does not keep the monitor alive, nor the monitor the module. A copy of the module that was made without
    the monitor is not observed.

    Args:
        reducer: takes the observations in.
        module: the module to register to, if any yet.
        prehook: name of the method to call before the module, ``method(module, args)``.
        posthook: name of the method to call after the module, ``method(module, args, output)``.
        prehook_kwargs: passed to :meth:`torch.nn.Module.register_forward_pre_hook`.
        posthook_kwargs: passed to :meth:`torch.nn.Module.register_forward_hook`.
        train_update: whether to observe while the module is in training mode.
        eval_update: whether to observe while it is in evaluation mode.

    Raises:
        RuntimeError: both names are None.
        AttributeError: there is no such method.
        TypeError: ``reducer`` or ``module`` is no module.
    """

    def __init__(
        self,
        reducer: Reducer,
        module: nn.Module | None = None,
        prehook: str | None = None,
        posthook: str | None = None,
        prehook_kwargs: dict[str, Any] | None = None,
        posthook_kwargs: dict[str, Any] | None = None,
        train_update: bool = True,
        eval_update: bool = True,
    ) -> None:
        check.instance("reducer", reducer, nn.Module)
        Module.__init__(self)
        ContextualHook.__init__(
            self,
            prehook,
            posthook,
            prehook_kwargs=prehook_kwargs,
            posthook_kwargs=posthook_kwargs,
            train_update=train_update,
            eval_update=eval_update,
        )
        self._observed = None
        self.reducer_ = reducer
        if module is not None:
            self.register(module)

    def _run(self, side: str, module: nn.Module, *args: Any) -> None:
        # what the hook comes down to: monitors run in every step; copies of the module have the hook too
        if module is self._observed() and (self._trainexec if module.training else self._evalexec):
            getattr(self, self._hook_functions[side])(module, *args)

    def __setstate__(self, state: dict[str, Any]) -> None:
        Module.__setstate__(self, state)
        self._settle()

    # dotted paths, each from the module, of what is observed of it
    _observed_paths: tuple[tuple[str, ...], ...] = ()

    @property
    def watches_something(self) -> bool:
        """Whether the module that was registered to last exists, and has the attributes that are observed."""
        module = None if self._observed is None else self._observed()
        return module is not None and all(there(module, path) for path in self._observed_paths)

    @classmethod
    def partialconstructor(cls, *args: Any, **kwargs: Any) -> MonitorConstructor:
        """A function ``(attr, module)`` that makes a monitor with all other arguments as they are given here.

        Monitors that one such function makes share one reducer.
        """
        raise NotImplementedError(f"{cls.__name__}(Monitor) must implement the method 'partialconstructor'")

    @property
    def reducer(self) -> Reducer:
        """The reducer."""
        return self.reducer_

    @property
    def latest(self) -> torch.Tensor | None:
        """The present state of the reducer."""
        return self.reducer_.latest

    def clear(self, **kwargs: Any) -> None:
        """Forget all observations; arguments as for the reducer's ``clear``."""
        self.reducer_.clear(**kwargs)

    def view(self, *args: Any, **kwargs: Any) -> torch.Tensor | None:
        """The reducer's state at times in the past; arguments as for its ``view``."""
        return self.reducer_.view(*args, **kwargs)

    def dump(self, *args: Any, **kwargs: Any) -> torch.Tensor | None:
        """All states that the reducer keeps, the newest first."""
        return self.reducer_.dump(*args, **kwargs)

    def peek(self, *args: Any, **kwargs: Any) -> torch.Tensor | None:
        """The reducer's present state."""
        return self.reducer_.peek(*args, **kwargs)

    def register(self, module: nn.Module | None = None) -> None:
        """Register to a module; without one, to that of the last time, if not registered.

        Raises:
            RuntimeError: a module is given and the monitor is registered already; or none is given and there is none.
            TypeError: ``module`` is no module.
        """
        name = type(self).__name__
        if module is not None:
            check.instance("module", module, nn.Module)
            if self.registered:
                raise RuntimeError(f"{name}(Monitor) is already registered to a module so register() was ignored")
            self._attach(module)
            self._observed = Weak(module)
        elif not self.registered:
            module = None if self._observed is None else self._observed()
            if module is None:
                raise RuntimeError(
                    f"the module that this {name}(Monitor) observed does not exist, 'module' must be given"
                )
            self._attach(module)


def deregister_lost(module: nn.Module) -> None:
    """Takes off a module the monitors of attributes that it does not have any more."""
    for hook in hooks_of(module):
        if isinstance(hook, Monitor) and hook._observed() is module and not hook.watches_something:
            hook.deregister()
