"""Monitors of attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...state import Module
from ..pooling import MonitorConstructor
from ..reducers.base import Reducer
from .base import Monitor, as_it_is, as_tuple, is_given, path_of, read


class _StateMonitor(Monitor):
    """Observes attributes before or after the calls of a module."""

    def __init__(
        self,
        reducer: Reducer,
        module: nn.Module | None,
        as_prehook: bool,
        train_update: bool,
        eval_update: bool,
        prepend: bool,
    ) -> None:
        side = "pre" if as_prehook else "post"
        Monitor.__init__(
            self,
            reducer,
            module,
            train_update=train_update,
            eval_update=eval_update,
            **{f"{side}hook": "_monitor_call", f"{side}hook_kwargs": {"prepend": prepend}},
        )


class StateMonitor(_StateMonitor):
    """Observes an attribute of a module.

    Args:
        reducer: takes the observations in.
        attr: dotted path of the attribute, from the module.
        module: the module to register to, if any yet.
        as_prehook: whether to observe before the module is called rather than after it.
        train_update: whether to observe while the module is in training mode.
        eval_update: whether to observe while it is in evaluation mode.
        prepend: whether to run before the hooks that the module has.
        filter_: from the attribute to whether it is observed; by default, unless it is None.
        map_: from the attribute to what the reducer is called with; by default, the attribute, or what is in it if it
            is a tuple.

    Raises:
        ValueError: ``attr`` is not made of identifiers.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import LIF
        >>> from inferno_cuda.observe import PassthroughReducer, StateMonitor
        >>> neurons = LIF(2, 1.0, rest_v=-60.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=3.0, time_constant=20.0)
        >>> monitor = StateMonitor(PassthroughReducer(1.0, duration=3.0), "voltage", neurons)
        >>> for step in range(2):
        ...     spikes = neurons(torch.full((1, 2), 5.0))
        >>> monitor.peek()
        tensor([[-59.5242, -59.5242]])
        >>> monitor.dump().shape
        torch.Size([3, 1, 2])
    """

    def __init__(
        self,
        reducer: Reducer,
        attr: str,
        module: nn.Module | None = None,
        as_prehook: bool = False,
        train_update: bool = True,
        eval_update: bool = True,
        prepend: bool = False,
        filter_: Callable[[Any], bool] | None = None,
        map_: Callable[[Any], tuple[torch.Tensor, ...]] | None = None,
    ) -> None:
        self.filter_ = filter_ or is_given
        self.map_ = map_ or as_tuple
        self._observed_path = path_of("attr", attr)
        self._observed_paths = (self._observed_path,)
        _StateMonitor.__init__(self, reducer, module, as_prehook, train_update, eval_update, prepend)

    def _monitor_call(self, module: nn.Module, *args: Any) -> None:
        value = read(module, self._observed_path)
        if self.filter_(value):
            self._modules["reducer_"](*self.map_(value))

    @classmethod
    def partialconstructor(
        cls,
        reducer: Reducer,
        as_prehook: bool = False,
        train_update: bool = True,
        eval_update: bool = True,
        prepend: bool = False,
        filter_: Callable[[Any], bool] | None = None,
        map_: Callable[[Any], tuple[torch.Tensor, ...]] | None = None,
    ) -> MonitorConstructor:
        """A function ``(attr, module)`` that makes a monitor of the attribute; see the class."""

        def constructor(attr: str, module: Module) -> StateMonitor:
            return cls(reducer, attr, module, as_prehook, train_update, eval_update, prepend, filter_, map_)

        return constructor


class MultiStateMonitor(_StateMonitor):
    """Observes several attributes of a module at once; the reducer is called with all, in order.

    Args:
        reducer: takes the observations in.
        attr: dotted path that the attributes have in common, from the module; may be empty.
        subattrs: dotted paths of the attributes from there.
        module: the module to register to, if any yet.
        as_prehook: whether to observe before the module is called rather than after it.
        train_update: whether to observe while the module is in training mode.
        eval_update: whether to observe while it is in evaluation mode.
        prepend: whether to run before the hooks that the module has.
        filter_: from the tuple of attributes to whether they are observed; by default, always.
        map_: from the tuple of attributes to what the reducer is called with; by default, the attributes.

    Raises:
        ValueError: a path is not made of identifiers.
    """

    def __init__(
        self,
        reducer: Reducer,
        attr: str,
        subattrs: tuple[str, ...],
        module: nn.Module | None = None,
        as_prehook: bool = False,
        train_update: bool = True,
        eval_update: bool = True,
        prepend: bool = False,
        filter_: Callable[[tuple[Any, ...]], bool] | None = None,
        map_: Callable[[tuple[Any, ...]], tuple[torch.Tensor, ...]] | None = None,
    ) -> None:
        self.filter_ = filter_ or is_given
        self.map_ = map_ or as_it_is
        start = path_of("attr", attr) if attr else ()
        self._observed_paths = tuple(start + path_of("subattrs", path) for path in subattrs)
        _StateMonitor.__init__(self, reducer, module, as_prehook, train_update, eval_update, prepend)

    def _monitor_call(self, module: nn.Module, *args: Any) -> None:
        values = tuple(read(module, path) for path in self._observed_paths)
        if self.filter_(values):
            self._modules["reducer_"](*self.map_(values))

    @classmethod
    def partialconstructor(
        cls,
        reducer: Reducer,
        subattrs: tuple[str, ...],
        as_prehook: bool = False,
        train_update: bool = True,
        eval_update: bool = True,
        prepend: bool = False,
        filter_: Callable[[tuple[Any, ...]], bool] | None = None,
        map_: Callable[[tuple[Any, ...]], tuple[torch.Tensor, ...]] | None = None,
    ) -> MonitorConstructor:
        """A function ``(attr, module)`` that makes a monitor of the attributes below ``attr``; see the class."""

        def constructor(attr: str, module: Module) -> MultiStateMonitor:
            return cls(reducer, attr, subattrs, module, as_prehook, train_update, eval_update, prepend, filter_, map_)

        return constructor
