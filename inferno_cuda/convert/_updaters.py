"""What makes an updater and its accumulators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ._transfer import Unfit

if TYPE_CHECKING:
    from ._copier import Copier


def make_updater(copier: Copier, parent: nn.Module, new_parent: nn.Module) -> nn.Module:
    """The counterpart of a connection's updater, with what is pending."""
    source, base = parent.updater_, copier.source.cls("Updater")
    if type(source).__bases__ != (base,) or source.parent is not parent:
        raise Unfit("its updater is of a class of the user, or updates another module")
    new = copier.target.cls("Updater")(new_parent, *source.names)
    copier.keep(source, new)
    copier.keep(source.updates_, new.updates_)
    for name, accumulator in source.updates_.items():
        if type(accumulator) is not copier.source.cls("Accumulator"):
            raise Unfit(f"its updater has a {type(accumulator).__name__} for '{name}'")
        _fill(copier, accumulator, copier.keep(accumulator, new.updates_[name]))
    return new


def _fill(copier: Copier, source: nn.Module, new: nn.Module) -> None:
    reduce, bounds = copier.source.accumulator(source)
    new.reduction(copier.value(reduce))
    for side, (function, limits, kwargs) in bounds.items():
        getattr(new, f"{side}bound")(copier.value(function), *limits, **copier.value(kwargs))
    # assigned one after the other, as they came
    for side in ("pos", "neg"):
        for update in getattr(source, f"_{side}"):
            setattr(new, side, update.detach().clone())
