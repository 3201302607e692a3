"""The monitor of what a call of a module changes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...state import Module
from ..pooling import MonitorConstructor
from ..reducers.base import Reducer
from .base import Monitor, as_tuple, path_of, read


def _either_is_given(final: Any, initial: Any) -> bool:
    return final is not None or initial is not None


def _snapshot(value: Any) -> Any:
    # state is written in place
    if isinstance(value, torch.Tensor):
        return value.clone()
    return tuple(map(_snapshot, value)) if isinstance(value, tuple) else value


class DifferenceMonitor(Monitor):
    """Observes how an attribute changes in a call of a module.

    Args:
        reducer: takes the observations in.
        attr: dotted path of the attribute, from the module.
        module: the module to register to, if any yet.
        train_update: whether to observe while the module is in training mode.
        eval_update: whether to observe while it is in evaluation mode.
        prepend: whether to run before the hooks that the module has, both before and after the call.
        filter_: from the attribute after and before the call to whether it is observed; by default, unless both are
            None.
        map_: from the attribute after and before the call to what the reducer is called with; by default, what
            ``op_`` gives, for each element if it is a tuple.
        op_: from the attribute after and before the call to their difference; by default, the one minus the other. A
            None among the two stands for zeros. Not used with ``map_``.

    Raises:
        ValueError: ``attr`` is not made of identifiers.
    """

    def __init__(
        self,
        reducer: Reducer,
        attr: str,
        module: nn.Module | None = None,
        train_update: bool = True,
        eval_update: bool = True,
        prepend: bool = False,
        filter_: Callable[[Any, Any], bool] | None = None,
        map_: Callable[[Any, Any], tuple[torch.Tensor, ...]] | None = None,
        op_: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self.filter_ = filter_ or _either_is_given
        self.map_ = map_ or _Differences(op_ or operator.sub)
        self._observed_path = path_of("attr", attr)
        self._observed_paths = (self._observed_path,)
        self._before = None
        Monitor.__init__(
            self,
            reducer,
            module,
            prehook="_monitor_pre_call",
            posthook="_monitor_post_call",
            prehook_kwargs={"prepend": prepend},
            posthook_kwargs={"prepend": prepend},
            train_update=train_update,
            eval_update=eval_update,
        )

    def _monitor_pre_call(self, module: nn.Module, *args: Any) -> None:
        self._before = _snapshot(read(module, self._observed_path))

    def _monitor_post_call(self, module: nn.Module, *args: Any) -> None:
        before, self._before = self._before, None
        after = read(module, self._observed_path)
        if self.filter_(after, before):
            self._modules["reducer_"](*self.map_(after, before))

    def clear(self, **kwargs: Any) -> None:
        """Forget all observations; arguments as for the reducer's ``clear``."""
        self._before = None
        Monitor.clear(self, **kwargs)

    @classmethod
    def partialconstructor(
        cls,
        reducer: Reducer,
        train_update: bool = True,
        eval_update: bool = True,
        prepend: bool = False,
        filter_: Callable[[Any, Any], bool] | None = None,
        map_: Callable[[Any, Any], tuple[torch.Tensor, ...]] | None = None,
        op_: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    ) -> MonitorConstructor:
        """A function ``(attr, module)`` that makes a monitor of the attribute; see the class."""

        def constructor(attr: str, module: Module) -> DifferenceMonitor:
            return cls(reducer, attr, module, train_update, eval_update, prepend, filter_, map_, op_)

        return constructor


class _Differences:
    """Applies an operation to what an attribute is after and before a call, or to each element of two tuples."""

    def __init__(self, op: Callable[[Any, Any], Any]) -> None:
        self._op = op

    def _one(self, final: Any, initial: Any) -> Any:
        if final is None:
            final = torch.zeros_like(initial)
        elif initial is None:
            initial = torch.zeros_like(final)
        return self._op(final, initial)

    def __call__(self, final: Any, initial: Any) -> tuple[Any, ...]:
        finals, initials = as_tuple(final), as_tuple(initial)
        if final is None:
            finals = (None,) * len(initials)
        elif initial is None:
            initials = (None,) * len(finals)
        return tuple(self._one(*pair) for pair in zip(finals, initials, strict=True))
