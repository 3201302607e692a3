"""The tie between a hook and the module that it is registered to."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle


def _nothing() -> None:
    return None


def _weak(target: Any) -> Callable[[], Any]:
    return _nothing if target is None else weakref.ref(target)


# the dictionaries of a module that hold a forward hook of each kind, and what is known about it, by its id
_KEPT_IN = {
    "pre": ("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
    "post": ("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
}


class Link:
    """Knows a hook, the module it is registered to and the ids it has there. Both are kept weakly.

    A copy of the module carries a copy of the link. It leads to the copy of the hook if that was copied along, and to
    the same hook otherwise.
    """

    def __init__(self, ids: dict[str, int] | None = None) -> None:
        self.ids = {} if ids is None else ids
        self._hook: Callable[[], Any] = _nothing
        self._module: Callable[[], Any] = _nothing
        self._source: Link | None = None
        self._finalizer: weakref.finalize | None = None

    @property
    def hook(self) -> Any:
        """The hook, or None once it is gone or was taken off."""
        return self._hook() if self._source is None else self._source.hook

    @property
    def taken(self) -> bool:
        """Whether a hook that still exists has taken over this link."""
        return self._hook() is not None

    @property
    def module(self) -> nn.Module | None:
        """The module that the hook is registered to, if there is one."""
        module = self._module()
        there = any(key in getattr(module, _KEPT_IN[side][0], ()) for side, key in self.ids.items())
        return module if there else None

    def adopt(self, hook: Any) -> None:
        """Lead to ``hook``, and take it off its module once it is gone."""
        self._source = None
        self._hook = weakref.ref(hook)
        self._finalizer = weakref.finalize(hook, self.cut)
        self._finalizer.atexit = False

    def attach(self, module: nn.Module, kwargs: dict[str, dict[str, Any]]) -> None:
        """Register to a module, on the sides named by ``kwargs``, with these arguments for torch."""
        register = {"pre": module.register_forward_pre_hook, "post": module.register_forward_hook}
        self.ids = {side: register[side](Relay(self, side), **options).id for side, options in kwargs.items()}
        self._module = weakref.ref(module)

    def belong(self, module: nn.Module | None) -> None:
        """Note that ``module``, a copy, has the hooks of this link."""
        self._module = _weak(module)

    def cut(self) -> None:
        """Take the hook off its module. Copies of the module that lead to the same hook do not run it any more."""
        module, self._module, self._hook, self._source = self._module(), _nothing, _nothing, None
        for side, key in self.ids.items():
            for name in _KEPT_IN[side]:
                getattr(module, name, {}).pop(key, None)
        if self._finalizer is not None:
            self._finalizer.detach()

    def __deepcopy__(self, memo: dict[int, Any]) -> Link:
        new = memo[id(self)] = Link(dict(self.ids))
        new._source = self
        return new

    def __reduce__(self) -> tuple:
        return Link, (self.ids,)


class Relay:
    """What torch calls: hands the call to the hook, if it still exists."""

    def __init__(self, link: Link, side: str) -> None:
        self._link = link
        self._side = side
        self._kept = None

    def __call__(self, module: nn.Module, *args: Any) -> Any:
        link = self._link
        hook = link._hook() if link._source is None else link.hook
        return None if hook is None else hook._run(self._side, module, *args)

    def __deepcopy__(self, memo: dict[int, Any]) -> Relay:
        new = memo[id(self)] = Relay(copy.deepcopy(self._link, memo), self._side)
        new._link.belong(memo.get(id(self._link._module())))
        new._kept = copy.deepcopy(self._kept, memo)
        return new

    def __getstate__(self) -> tuple:
        # only a module has relays, so that saving a hook does not save the module it happens to be registered to
        return self._link, self._side, self._link.hook, self._link._module()

    def __setstate__(self, state: tuple) -> None:
        # nobody else may hold a hook that came with a module
        self._link, self._side, self._kept, module = state
        self._link.belong(module)
        # torch counts ids per process: a new hook must not replace this one
        RemovableHandle.next_id = max(RemovableHandle.next_id, self._link.ids[self._side] + 1)


def hooks_of(module: nn.Module) -> list[Any]:
    """The hooks that act on calls of a module, each once."""
    relays = (hook for names in _KEPT_IN.values() for hook in getattr(module, names[0]).values())
    hooks = (relay._link.hook for relay in relays if isinstance(relay, Relay))
    return list({id(hook): hook for hook in hooks if hook is not None}.values())
