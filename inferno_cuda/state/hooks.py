"""Hooks: objects that act before or after every call of a module."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import nn

from ._check import instance
from ._link import Link
from .module import Module


class Hook:
    """Functions to call before and after every call of a module.

    The module does not keep the hook alive: it is taken off when it is collected. A copy of a module shares a hook that
    was not copied with it; a saved module brings its hooks along and keeps them. A shallow copy of a hook is not
    registered.

    Args:
        prehook: called as torch's forward pre-hooks are, ``prehook(module, args)``.
        posthook: called as torch's forward hooks are, ``posthook(module, args, output)``.
        prehook_kwargs: passed to :meth:`torch.nn.Module.register_forward_pre_hook`.
        posthook_kwargs: passed to :meth:`torch.nn.Module.register_forward_hook`.
        train_update: whether the functions run when the module is in training mode.
        eval_update: whether they run when it is in evaluation mode.

    Raises:
        RuntimeError: if both functions are None.
        TypeError: if one is neither None nor callable.
    """

    def __init__(
        self,
        prehook: Callable | None = None,
        posthook: Callable | None = None,
        *,
        prehook_kwargs: dict[str, Any] | None = None,
        posthook_kwargs: dict[str, Any] | None = None,
        train_update: bool = True,
        eval_update: bool = True,
    ) -> None:
        if prehook is None and posthook is None:
            raise RuntimeError("at least one of 'prehook', 'posthook' must not be None")
        given = {"pre": prehook, "post": posthook}
        kwargs = {"pre": prehook_kwargs, "post": posthook_kwargs}
        for side, function in given.items():
            if function is not None:
                self._check_function(f"{side}hook", function)
        self._hook_functions = {side: function for side, function in given.items() if function is not None}
        self._hook_kwargs = {side: dict(kwargs[side] or {}) for side in self._hook_functions}
        self._link = Link()
        self.trainexec = train_update
        self.evalexec = eval_update

    def _check_function(self, name: str, function: Any) -> None:
        if not callable(function):
            raise TypeError(f"'{name}' must be callable, but is of type {type(function).__name__}")

    @property
    def trainexec(self) -> bool:
        """Whether the hook runs when its module is in training mode."""
        return self._trainexec

    @trainexec.setter
    def trainexec(self, value: bool) -> None:
        self._trainexec = bool(value)

    @property
    def evalexec(self) -> bool:
        """Whether the hook runs when its module is in evaluation mode."""
        return self._evalexec

    @evalexec.setter
    def evalexec(self, value: bool) -> None:
        self._evalexec = bool(value)

    @property
    def registered(self) -> bool:
        """Whether the hook is registered to a module that still exists."""
        return self._link.module is not None

    def register(self, module: nn.Module) -> None:
        """Register to a module; a hook that is registered stays where it is, with a RuntimeWarning.

        Raises:
            TypeError: if ``module`` is not a module.
        """
        instance("module", module, nn.Module)
        if self.registered:
            name = type(self).__name__
            warnings.warn(
                f"this {name} is already registered to a module so new register() was ignored",
                RuntimeWarning,
                stacklevel=2,
            )
        else:
            self._attach(module)

    def _attach(self, module: nn.Module) -> None:
        self._link = Link()
        self._link.adopt(self)
        self._link.attach(module, self._hook_kwargs)

    def deregister(self) -> None:
        """Take the hook off its module, if it is registered to one."""
        self._link.cut()

    def _runs_in(self, module: nn.Module) -> bool:
        return self.trainexec if module.training else self.evalexec

    def _run(self, side: str, module: nn.Module, *args: Any) -> Any:
        return self._call(self._hook_functions[side], module, *args) if self._runs_in(module) else None

    def _call(self, function: Any, module: nn.Module, *args: Any) -> Any:
        return function(module, *args)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # a hook that is a module as well has its own way
        restore = getattr(super(), "__setstate__", self.__dict__.update)
        restore(state)
        self._settle()

    def _settle(self) -> None:
        """Take over the link that came with the state. That of a shallow copy leads to the hook it was copied from."""
        if self._link.taken:
            self._link = Link()
        self._link.adopt(self)


class ContextualHook(Hook):
    """A :class:`Hook` that calls methods of its own. What they return is dropped.

    Args:
        prehook: name of the method to call before the module, ``method(module, args)``.
        posthook: name of the method to call after the module, ``method(module, args, output)``.
        prehook_kwargs: passed to :meth:`torch.nn.Module.register_forward_pre_hook`.
        posthook_kwargs: passed to :meth:`torch.nn.Module.register_forward_hook`.
        train_update: whether the methods run when the module is in training mode.
        eval_update: whether they run when it is in evaluation mode.

    Raises:
        RuntimeError: if both names are None.
        TypeError: if one is neither None nor a string, or names something that cannot be called.
        AttributeError: if there is no such method.
    """

    def __init__(
        self,
        prehook: str | None = None,
        posthook: str | None = None,
        *,
        prehook_kwargs: dict[str, Any] | None = None,
        posthook_kwargs: dict[str, Any] | None = None,
        train_update: bool = True,
        eval_update: bool = True,
    ) -> None:
        Hook.__init__(
            self,
            prehook,
            posthook,
            prehook_kwargs=prehook_kwargs,
            posthook_kwargs=posthook_kwargs,
            train_update=train_update,
            eval_update=eval_update,
        )

    def _check_function(self, name: str, function: Any) -> None:
        Hook._check_function(self, f"{name} ({function})", getattr(self, instance(name, function, str)))

    def _call(self, function: Any, module: nn.Module, *args: Any) -> Any:
        getattr(self, function)(module, *args)


class StateHook(Module, ContextualHook, ABC):
    """A module that acts on another one before or after each of its calls, or when it is called itself.

    It holds the other module, but not as a submodule: neither its state nor its mode nor its device are the hook's. So
    a hook can be an attribute of the very module that it acts on.

    Args:
        module: module to act on.
        train_update: whether the hook runs when the module is in training mode.
        eval_update: whether it runs when that is in evaluation mode.
        as_prehook: whether it runs before the module rather than after it.
        prepend: whether it runs before other hooks of the module.
        always_call: whether it runs even if the module raised; not for a prehook.

    Raises:
        TypeError: if ``module`` is not a module.
    """

    def __init__(
        self,
        module: nn.Module,
        train_update: bool = True,
        eval_update: bool = True,
        *,
        as_prehook: bool = False,
        prepend: bool = False,
        always_call: bool = False,
    ) -> None:
        instance("module", module, nn.Module)
        Module.__init__(self)
        # past nn.Module, which would make a submodule of it
        self.__dict__["_hooked_module"] = module
        pre, post = ("_act", None) if as_prehook else (None, "_act")
        ContextualHook.__init__(
            self,
            pre,
            post,
            prehook_kwargs={"prepend": prepend},
            posthook_kwargs={"prepend": prepend, "always_call": always_call},
            train_update=train_update,
            eval_update=eval_update,
        )

    @property
    def module(self) -> nn.Module:
        """The module that the hook acts on."""
        return self._hooked_module

    @abstractmethod
    def hook(self, module: nn.Module) -> None:
        """What to do.

        Args:
            module: the module that was called.
        """
        raise NotImplementedError(f"{type(self).__name__}(StateHook) must implement the method 'hook'")

    def _act(self, module: nn.Module, *args: Any) -> None:
        self.hook(module)

    def _run(self, side: str, module: nn.Module, *args: Any) -> None:
        if self._trainexec if module.training else self._evalexec:  # what _runs_in and _call come down to
            self._act(module, *args)

    def register(self) -> None:
        """Register to :attr:`module`. Does nothing if the hook already is."""
        if not self.registered:
            self._attach(self.module)

    def forward(self, force: bool = False, ignore_mode: bool = False) -> None:
        """Run the hook now, if it is registered.

        Args:
            force: run it even if it is not.
            ignore_mode: run it whatever the mode of the module.
        """
        if (self.registered or force) and (ignore_mode or self._runs_in(self.module)):
            self.hook(self.module)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # inferno-ai saves the module once more under the hook; the dictionary is torch's own
        for key in [key for key in state_dict if key.startswith(f"{prefix}_hooked_module.")]:
            del state_dict[key]
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __setstate__(self, state: dict[str, Any]) -> None:
        Module.__setstate__(self, state)
        self._settle()
