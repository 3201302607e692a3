"""Walks a model, makes the counterpart of each of its modules, and notes what has none."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from ._connections import CONNECTIONS, make_connection
from ._encoders import ENCODERS, make_encoder
from ._hooks import HOOKS, REGISTRIES, Hooks
from ._layers import LAYERS, make_layer
from ._library import Library, own_class
from ._neurons import NEURONS, make_neuron
from ._synapses import SYNAPSES, make_synapse
from ._transfer import Unfit, further

# connections make their synapses, and layers need their parts
_ORDER = (
    (CONNECTIONS, make_connection),
    (NEURONS, make_neuron),
    (SYNAPSES, make_synapse),
    (ENCODERS, make_encoder),
    (LAYERS, make_layer),
)
_KINDS = (*CONNECTIONS, *NEURONS, *SYNAPSES, *ENCODERS, *LAYERS, *HOOKS)


class ConversionError(ValueError):
    """Modules of a model have no counterpart.

    Attributes:
        problems: reasons by the path of a module; the model itself has the path "".
    """

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems
        lines = [f"  {path or '(the model itself)'}: {reason}" for path, reason in problems.items()]
        super().__init__("\n".join(["the model cannot be converted:", *lines]))


class _Elsewhere(Exception):
    """A part has no counterpart, which is noted there."""


def copied(model: nn.Module, source: Library | None, target: Library) -> nn.Module:
    """A copy of ``model`` with counterparts of the library ``target`` for all modules of the library ``source``.

    Raises:
        ConversionError: if there is no such copy.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"'model' must be a module, but is of type {type(model).__name__}")
    # new weights are drawn at random before they get their values
    with torch.random.fork_rng(devices=()), torch.device("cpu"), torch.inference_mode(False), torch.no_grad():
        if source is not None:
            return Copier(model, source, target).run()
        memo: dict[int, Any] = {}
        new = copy.deepcopy(model, memo)
        _copy_gradients(model.parameters(), memo)
        return new


class Copier:
    """Makes one copy of a model."""

    def __init__(self, model: nn.Module, source: Library, target: Library) -> None:
        self.source = source
        self.target = target
        self._model = model
        self._table = {source.cls(name): name for name in _KINDS}
        self._memo: dict[int, Any] = {}
        self._problems: dict[str, str] = {}
        self._paths = {module: path for path, module in _walk(model, "", set())}

    # -- for those who know a kind of module --------------------------------------------------------------------------

    def keep(self, module: nn.Module, new: nn.Module) -> nn.Module:
        """Notes the counterpart of a module, and returns it."""
        self._memo[id(module)] = new
        return new

    def has(self, module: nn.Module) -> bool:
        """Whether there is a counterpart already."""
        return id(module) in self._memo

    def contains(self, module: nn.Module) -> bool:
        """Whether a module is a part of the model."""
        return module in self._paths

    def value(self, thing: Any) -> Any:
        """The counterpart or a copy of anything; the same one for the same thing.

        Raises:
            Unfit: if there is a method of a module of the library in it.
        """
        self._check_methods(thing)
        return copy.deepcopy(self.source.counterpart(thing, self.target), self._memo)

    def transform(self, function: Callable | str | None) -> Any:
        """The counterpart of a function between the parts of a layer."""
        return self.value(self.source.transform(function))

    def member(self, part: nn.Module) -> nn.Module:
        """The counterpart of a part of a layer.

        Raises:
            Unfit: if the part is a wrapper of the user, whose copy would not be of the library.
        """
        if not self.has(part):
            if isinstance(part, self.source.module):
                raise _Elsewhere
            raise Unfit(f"its part of type {type(part).__name__} is no module of the library")
        return self._memo[id(part)]

    def bound(self, function: Any) -> bool:
        """Whether something is a method of a module of the library: a copy would run it on the counterpart."""
        return inspect.ismethod(function) and isinstance(function.__self__, self.source.module)

    def kind(self, module: nn.Module) -> str | None:
        """The name of the class that a module is of; None for classes without a counterpart, as those of users."""
        return self._table.get(own_class(module))

    def problem(self, path: str, reason: str) -> None:
        """Notes why a module has no counterpart; the first reason stays."""
        self._problems.setdefault(path, reason)

    # -- the walk -----------------------------------------------------------------------------------------------------

    def run(self) -> nn.Module:
        """The copy."""
        kinds = {module: self.kind(module) for module in self._paths}
        for names, make in _ORDER:
            for module, kind in kinds.items():
                if kind in names and not self.has(module):
                    self._make(make, kind, module)
        hooks = Hooks(self, [(self._paths[module], module) for module, kind in kinds.items() if kind in HOOKS])
        for module, path in self._paths.items():
            for reason in hooks.lost(module, replaced=self.has(module) or kinds[module] in HOOKS):
                self.problem(path, reason)
            if isinstance(module, self.source.module) and not self.has(module) and kinds[module] not in HOOKS:
                self._explain(path, module)
            self._check_kept(path, module)
        if self._problems:
            raise ConversionError(dict(sorted(self._problems.items())))
        hooks.make()
        for module in filter(self._replaced, self._paths):
            for name, held in list(further(module, self._memo[id(module)])):
                setattr(self._memo[id(module)], name, self.value(held))
        new = self.value(self._model)
        _copy_gradients((param for module in self._paths for param in module._parameters.values()), self._memo)
        hooks.register()
        for module in self._paths:
            self.value(module).training = module.training
        return new

    def _check_kept(self, path: str, module: nn.Module) -> None:
        """Notes what is on a module and cannot be copied; that is done once all modules have counterparts."""
        try:
            if self.has(module):
                self._check_methods([held for _, held in further(module, self._memo[id(module)])])
            elif not isinstance(module, self.source.module):
                self._check_methods({name: held for name, held in vars(module).items() if name not in REGISTRIES})
        except Unfit as error:
            self.problem(path, str(error))

    def _check_methods(self, held: Any) -> None:
        for _, found in _held_aside(held, "", set()):
            if self.bound(found):
                owner = type(found.__self__).__name__
                raise Unfit(f"holds the method '{found.__name__}' of a {owner}, which is no method of its counterpart")

    def _replaced(self, module: nn.Module) -> bool:
        return isinstance(module, self.source.module) and self.has(module)

    def _make(self, make: Callable[..., nn.Module], kind: str, module: nn.Module) -> None:
        try:
            self.keep(module, make(self, kind, module))
        except _Elsewhere:
            return
        except (Unfit, ValueError, TypeError, RuntimeError) as error:
            self.problem(self._paths[module], str(error))

    def _explain(self, path: str, module: nn.Module) -> None:
        """Why a module of the library has no counterpart, unless what it belongs to or its own parts say it."""
        cls = own_class(module)
        if not self.source.owns(cls):
            base = next(base.__name__ for base in cls.__mro__ if self.source.owns(base))
            self.problem(path, f"{cls.__name__} is a class of the user, made from {base}: convert it by hand")
        elif self.source.exports(cls) and not self.target.exports(cls):
            self.problem(path, f"{cls.__name__} is a class that {self.target.package} does not have")
        elif self.kind(module) is None and not self._within_another(path):
            self.problem(path, f"{cls.__name__} has no counterpart outside of what it belongs to, or none at all")

    def _within_another(self, path: str) -> bool:
        """Whether something above has no counterpart either."""
        modules = {path: module for module, path in self._paths.items()}
        while path:
            path = path.rpartition(".")[0]
            above = modules.get(path)
            if isinstance(above, self.source.module) and not self.has(above):
                return True
        return False


def _walk(module: nn.Module, path: str, seen: set[int]) -> Iterator[tuple[str, nn.Module]]:
    """Paths and modules, each once, including those in plain attributes, of which a copy would take copies."""
    if id(module) in seen:
        return
    seen.add(id(module))
    yield path, module
    aside = {name: held for name, held in vars(module).items() if name != "_modules"}
    children = [*module._modules.items(), *_held_aside(aside, "", set())]
    for name, child in children:
        # inferno-ai has the module that a hook acts on as a part of the hook
        if isinstance(child, nn.Module) and name != "_hooked_module":
            yield from _walk(child, f"{path}.{name}" if path else name, seen)


def _held_aside(held: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Modules and bound methods in what a module holds."""
    if isinstance(held, nn.Module) or inspect.ismethod(held):
        yield name, held
        return
    if isinstance(held, functools.partial):
        held = {"func": held.func, "args": held.args, "keywords": held.keywords}
    if isinstance(held, dict | list | tuple | set) and id(held) not in seen:
        seen.add(id(held))
        for key, value in held.items() if isinstance(held, dict) else enumerate(held):
            yield from _held_aside(value, f"{name}[{key!r}]" if name else str(key), seen)


def _copy_gradients(params: Iterable[nn.Parameter | None], memo: dict[int, Any]) -> None:
    for param in params:
        # modules may have copies of their own making
        if param is not None and param.grad is not None and id(param) in memo:
            memo[id(param)].grad = param.grad.detach().clone()
