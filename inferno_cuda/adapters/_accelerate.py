"""The two functions that users call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from torch import nn

from ..state import _check
from ._adapter import Adapter
from ._copy import copy_of
from ._registry import find, library_of, problem
from ._report import Outcome, Report, Row, Verification, table
from ._swap import Accelerated, accelerate_module, is_accelerated, library_class, revert_module
from ._verify import Call, compare, steps_of


class _Decision(NamedTuple):
    row: Row
    module: nn.Module
    adapter: Adapter | None


def accelerate(
    model: nn.Module,
    *,
    strict: bool = False,
    filter_fn: Callable[[nn.Module, str], bool] | None = None,
    verify: Any = None,
) -> Report:
    """Makes the modules of other libraries in a model run on our ops, in place.

    Every module for whose class there is an adapter gets an accelerated subclass of its own class. The objects stay:
    parameters, buffers, optimizers that hold them, hooks, sharing, mode and the keys of the ``state_dict`` are the ones
    they were, and ``isinstance`` holds. :func:`revert` undoes it. Modules that are accelerated already are left alone.

    Where a call needs what the ops do not cover, such as gradients, the library's own code runs.

    Args:
        model: any module; the ones below it are taken too.
        strict: raise instead of leaving a module of a known library as it is.
        filter_fn: called as ``filter_fn(module, fqn)`` for every module of a known library that is not accelerated yet;
            where it returns False, the module stays as it is, which is no skip. ``fqn`` is its name in the model, empty
            for the model itself.
        verify: what to call the model with, to compare both versions from the present state before anything is
            changed: a tensor, a tuple of positional arguments, a dict of keyword arguments, or a list of these, one
            a step. The steps run on copies, of the model and of the inputs, without hooks or gradients: model, inputs,
            hooks and random generators stay untouched.

    Returns:
        what became of each module of a known library, and what ``verify`` found; ``print`` shows it as a table.

    Raises:
        TypeError: if ``model`` is not a module, ``filter_fn`` not callable, or ``verify`` none of the above.
        ValueError: if ``verify`` is an empty list, or what a model returns in ``verify`` holds no tensors.
        RuntimeError: if the model, or a part of it, was compiled already; or, with ``strict``, if a module would be
            skipped. Nothing is changed then.
    """
    _check_model(model)
    if filter_fn is not None and not callable(filter_fn):
        raise TypeError(f"'filter_fn' is a {type(filter_fn).__name__}, it must be callable")
    steps = None if verify is None else steps_of(verify)
    decisions = list(_decide(model, filter_fn))
    skipped = tuple(d.row for d in decisions if d.row.outcome is Outcome.SKIPPED)
    if strict and skipped:
        raise RuntimeError("'strict' is set, but some modules cannot be accelerated:\n" + "\n".join(table(skipped)))
    chosen = [d for d in decisions if d.row.outcome is Outcome.ACCELERATED]
    verification = None if steps is None else _verified(model, chosen, steps)
    for decision in chosen:
        accelerate_module(decision.module, decision.adapter.overrides)
    return Report(tuple(d.row for d in decisions), verification)


def revert(model: nn.Module) -> None:
    """Gives every accelerated module in a model its own class back, and removes what was kept on it.

    The state is the library's own at any time, and stays. A model that was never accelerated is left as it is.

    Raises:
        TypeError: if ``model`` is not a module.
        RuntimeError: if the model, or a part of it, was compiled, or an accelerated module was given another class
            since. Nothing is changed then.
    """
    _check_model(model)
    accelerated = [(fqn, module) for fqn, module in model.named_modules() if is_accelerated(module)]
    for fqn, module in accelerated:
        if "_accelerates" not in vars(type(module)):
            raise RuntimeError(
                f"'{fqn or 'model'}' was given the class {type(module).__name__} after it was accelerated, by a "
                "parametrization for example; undo that first"
            )
    for _, module in accelerated:
        revert_module(module)


def _check_model(model: object) -> None:
    _check.instance("model", model, nn.Module)
    # a model can be compiled only where this has been imported
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    for fqn, module in model.named_modules():
        compiled = module._compiled_call_impl is not None
        if compiled or (dynamo is not None and isinstance(module, dynamo.OptimizedModule)):
            raise RuntimeError(
                f"'{fqn or 'model'}' was compiled; accelerate or revert a model first, and compile it then"
            )


def _decide(model: nn.Module, filter_fn: Callable[[nn.Module, str], bool] | None) -> Iterator[_Decision]:
    for fqn, module in model.named_modules():
        cls = library_class(module)
        library, adapter = library_of(cls), find(cls)
        if adapter is not None:
            library = adapter.library
        if library is None:
            continue
        outcome, text = _outcome(module, cls, adapter, fqn, filter_fn)
        key = "runs" if outcome in (Outcome.ACCELERATED, Outcome.ALREADY) else "reason"
        yield _Decision(Row(fqn, cls.__name__, library, outcome, **{key: text}), module, adapter)


def _outcome(
    module: nn.Module,
    cls: type[nn.Module],
    adapter: Adapter | None,
    fqn: str,
    filter_fn: Callable[[nn.Module, str], bool] | None,
) -> tuple[Outcome, str]:
    """What is to become of a module, and what runs then or why nothing does."""
    if isinstance(module, Accelerated):
        return Outcome.ALREADY, adapter.runs(module)
    if filter_fn is not None and not filter_fn(module, fqn):
        return Outcome.LEFT_OUT, ""
    if adapter is None:
        return Outcome.SKIPPED, "there is no adapter for it"
    reason = problem(module, cls, adapter)
    if reason is not None:
        return Outcome.SKIPPED, reason
    return Outcome.ACCELERATED, adapter.runs(module)


def _verified(model: nn.Module, decisions: list[_Decision], steps: list[Call]) -> Verification:
    """The library's version against the one that the decisions lead to."""
    library, ours = copy_of(model), copy_of(model)
    for module in library.modules():
        if is_accelerated(module):
            revert_module(module)
    modules = dict(ours.named_modules())
    for decision in decisions:
        accelerate_module(modules[decision.row.fqn], decision.adapter.overrides)
    return compare(library, ours, steps)
