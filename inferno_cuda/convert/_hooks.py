"""Hooks of modules: those that come along, and those that cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from ._library import own_class
from ._transfer import transfer

if TYPE_CHECKING:
    from ._copier import Copier

_ARGUMENTS = {"Normalization": ("order", "scale", "dim", "eps"), "Clamping": ("clampmin", "clampmax")}
HOOKS = tuple(_ARGUMENTS)
_OF_CALLS = {"pre": "_forward_pre_hooks", "post": "_forward_hooks"}
_BESIDE = ("_forward_pre_hooks_with_kwargs", "_forward_hooks_with_kwargs", "_forward_hooks_always_called")
_OTHERS = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
# where a module has its hooks
REGISTRIES = (*_OF_CALLS.values(), *_OTHERS)


class Hooks:
    """The hooks in a model that are modules of the source library, and act on modules of the model.

    Args:
        copier: copies the modules.
        found: paths and hooks.
    """

    def __init__(self, copier: Copier, found: Iterable[tuple[str, nn.Module]]) -> None:
        self._copier = copier
        self._hooks = []
        for path, hook in found:
            if not copier.contains(hook.module):
                copier.problem(path, "acts on a module that is not in the model")
            elif copier.target.package == "inferno" and any(part is hook for part in hook.module.modules()):
                copier.problem(path, "is a part of the module that it acts on, which inferno-ai does not bear")
            else:
                self._hooks.append(hook)

    def _ids(self, hook: nn.Module) -> dict[str, int]:
        return self._copier.source.hook(hook)[2]

    def _carried(self, module: nn.Module) -> set[tuple[str, int]]:
        """Names of dictionaries of a module, and the keys there of hooks that come along."""
        return {
            (_OF_CALLS[side], key)
            for hook in self._hooks
            if hook.module is module
            for side, key in self._ids(hook).items()
        }

    def lost(self, module: nn.Module, replaced: bool) -> Iterator[str]:
        """What is registered on a module and would not be on its copy."""
        carried, source = self._carried(module), self._copier.source
        for name in _OF_CALLS.values():
            for key, function in getattr(module, name).items():
                alone = not (replaced or source.is_hook(function) or self._copier.bound(function))
                if (name, key) not in carried and not alone:
                    yield f"has a hook in '{name}' that cannot come along"
        for name in _OTHERS:
            functions = [getattr(f, "hook", f) for f in getattr(module, name).values()]
            # what a class of the library registers itself is on the copy as well
            if any(not source.owns(f) if replaced else self._copier.bound(f) for f in functions):
                yield f"has a hook in '{name}' that cannot come along"
        for name, param in module._parameters.items() if replaced else ():
            if param is not None and (param._backward_hooks or param._post_accumulate_grad_hooks):
                yield f"has a hook on its parameter '{name}' that cannot come along"

    def make(self) -> None:
        """Makes the counterparts, on copies of the modules that they act on."""
        copier = self._copier
        # first those on modules that are there already: a copy of any other module may have them inside
        for hook in sorted(self._hooks, key=lambda hook: not copier.has(hook.module)):
            copier.keep(hook, self._counterpart(hook, copier.value(hook.module)))

    def _counterpart(self, hook: nn.Module, module: nn.Module) -> nn.Module:
        copier, name = self._copier, own_class(hook).__name__
        before, options, _ = copier.source.hook(hook)
        new = copier.target.cls(name)(
            module,
            hook.attribute,
            *(getattr(hook, argument) for argument in _ARGUMENTS[name]),
            train_update=hook.trainexec,
            eval_update=hook.evalexec,
            as_prehook=before,
            prepend=options.get("prepend", False),
            always_call=options.get("always_call", False),
        )
        transfer(hook, new, copier.value)
        return new

    def register(self) -> None:
        """Registers the counterparts in the order of the originals; what a plain copy has of those is taken off."""
        for hook in self._hooks:
            module = self._copier.value(hook.module)
            for name, key in self._carried(hook.module):
                _drop(module, name, key)
        registered = [hook for hook in self._hooks if self._ids(hook)]
        for hook in sorted(registered, key=lambda hook: min(self._ids(hook).values())):
            self._copier.value(hook).register()


def _drop(module: Any, name: str, key: int) -> None:
    for registry in (name, *_BESIDE):
        getattr(module, registry).pop(key, None)
