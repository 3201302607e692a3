"""Monitors of what goes into a module and comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...state import Module
from ..pooling import MonitorConstructor
from ..reducers.base import Reducer
from .base import Monitor, as_it_is, as_tuple, is_given, path_of, read


class InputMonitor(Monitor):
    """Observes the positional arguments of a module.

    Args:
        reducer: takes the observations in.
        module: the module to register to, if any yet.
        train_update: whether to observe while the module is in training mode.
        eval_update: whether to observe while it is in evaluation mode.
        prepend: whether to run before the hooks that the module has.
        filter_: from the tuple of arguments to whether it is observed; by default, if there are any.
        map_: from the tuple of arguments to what the reducer is called with; by default, the arguments.
    """

    def __init__(
        self,
        reducer: Reducer,
        module: nn.Module | None = None,
        train_update: bool = True,
        eval_update: bool = True,
        prepend: bool = False,
        filter_: Callable[[tuple[Any, ...]], bool] | None = None,
        map_: Callable[[tuple[Any, ...]], tuple[torch.Tensor, ...]] | None = None,
    ) -> None:
        self.filter_ = filter_ or bool
        self.map_ = map_ or as_it_is
        Monitor.__init__(
            self,
            reducer,
            module,
            prehook="_monitor_call",
            prehook_kwargs={"prepend": prepend},
            train_update=train_update,
            eval_update=eval_update,
        )

    def _monitor_call(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self.filter_(args):
            self._modules["reducer_"](*self.map_(args))

    @classmethod
    def partialconstructor(
        cls,
        reducer: Reducer,
        train_update: bool = True,
        eval_update: bool = True,
        prepend: bool = False,
        filter_: Callable[[tuple[Any, ...]], bool] | None = None,
        map_: Callable[[tuple[Any, ...]], tuple[torch.Tensor, ...]] | None = None,
    ) -> MonitorConstructor:
        """A function ``(attr, module)`` that makes a monitor of ``module.attr``, a module; see the class."""

        def constructor(attr: str, module: Module) -> InputMonitor:
            observed = read(module, path_of("attr", attr))
            return cls(reducer, observed, train_update, eval_update, prepend, filter_, map_)

        return constructor


class OutputMonitor(Monitor):
    """Observes what a module returns.

    Args:
        reducer: takes the observations in.
        module: the module to register to, if any yet.
        train_update: whether to observe while the module is in training mode.
        eval_update: whether to observe while it is in evaluation mode.
        prepend: whether to run before the hooks that the module has.
        filter_: from what was returned to whether it is observed; by default, unless it is None.
        map_: from what was returned to what the reducer is called with; by default, that itself, or what is in it if it
            is a tuple.
    """

    def __init__(
        self,
        reducer: Reducer,
        module: nn.Module | None = None,
        train_update: bool = True,
        eval_update: bool = True,
        prepend: bool = False,
        filter_: Callable[[Any], bool] | None = None,
        map_: Callable[[Any], tuple[torch.Tensor, ...]] | None = None,
    ) -> None:
        self.filter_ = filter_ or is_given
        self.map_ = map_ or as_tuple
        Monitor.__init__(
            self,
            reducer,
            module,
            posthook="_monitor_call",
            posthook_kwargs={"prepend": prepend},
            train_update=train_update,
            eval_update=eval_update,
        )

    def _monitor_call(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if self.filter_(output):
            self._modules["reducer_"](*self.map_(output))

    @classmethod
    def partialconstructor(
        cls,
        reducer: Reducer,
        train_update: bool = True,
        eval_update: bool = True,
        prepend: bool = False,
        filter_: Callable[[Any], bool] | None = None,
        map_: Callable[[Any], tuple[torch.Tensor, ...]] | None = None,
    ) -> MonitorConstructor:
        """A function ``(attr, module)`` that makes a monitor of ``module.attr``, a module; see the class."""

        def constructor(attr: str, module: Module) -> OutputMonitor:
            observed = read(module, path_of("attr", attr))
            return cls(reducer, observed, train_update, eval_update, prepend, filter_, map_)

        return constructor
