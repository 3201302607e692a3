"""Moving what a module holds into its counterpart: parameters, live state, extras, attributes of the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from ..state import RecordTensor
from ..state._handle import Handle, normal

Fit = Callable[[torch.Tensor], torch.Tensor]
# what classes of inferno-ai have as submodules and their counterparts keep otherwise
_PARTS = {"_hooked_module", "_pos", "_neg"}


class Unfit(Exception):
    """Why a module has no counterpart."""


def transfer(source: nn.Module, new: nn.Module, value: Callable[[Any], Any], fit: Fit | None = None) -> None:
    """Gives ``new`` the parameters, buffers and extras of ``source``.

    Args:
        source: a module.
        new: its counterpart, of the same structure, just made.
        value: makes a copy of anything, the same for the same.
        fit: brings records that have another shape in the other library into that.

    Raises:
        Unfit: if the two do not hold the same things.
    """
    for kind in ("_parameters", "_buffers"):
        mine, its = (set(getattr(module, kind)) for module in (source, new))
        if mine != its:
            raise Unfit(f"holds {sorted(mine)} where its counterpart holds {sorted(its)}")
    for name, param in source._parameters.items():
        new._parameters[name] = value(param)
    extras = dict(source.get_extra_state())
    for name, tensor in source._buffers.items():
        _set_buffer(new, name, None if tensor is None else _fitting(name, tensor, new, extras, fit))
    held = dict(new.get_extra_state())
    if extras.keys() != held.keys():
        raise Unfit(f"has the extras {sorted(extras)} where its counterpart has {sorted(held)}")
    new.set_extra_state(extras)


def _fitting(name: str, tensor: torch.Tensor, new: nn.Module, extras: dict[str, Any], fit: Fit | None) -> torch.Tensor:
    like, tensor = new._buffers[name], tensor.detach()
    if like is None:
        return tensor.clone()
    pointer = f"{name.removesuffix('_data')}_pointer"
    if pointer in extras:
        tensor = tensor if fit is None else fit(tensor)
        if len(tensor) != len(like):
            tensor, extras[pointer] = _slots(tensor, extras[pointer], len(like)), 0
    while tensor.ndim > like.ndim and tensor.shape[0] == 1:
        # an axis that inferno-ai's Biclique puts in front
        tensor = tensor[0]
    try:
        # state may be one number for all
        return tensor.expand(like.shape).clone()
    except RuntimeError:
        raise Unfit(f"state '{name}' has the shape {tuple(tensor.shape)}, it must have {tuple(like.shape)}") from None


def _slots(ring: torch.Tensor, pointer: int, count: int) -> torch.Tensor:
    """The newest observations, from oldest to newest, with zeros for those that are older than the ring."""
    ordered = ring.roll(-pointer, 0)[-count:]
    missing = count - len(ordered)
    return torch.cat((ordered.new_zeros(missing, *ordered.shape[1:]), ordered)) if missing else ordered


def _set_buffer(new: nn.Module, name: str, tensor: torch.Tensor | None) -> None:
    for handle in vars(new).values():
        if isinstance(handle, RecordTensor) and handle.attributes.data == name:
            # in the layout of records
            handle.value = tensor
            return
    new._buffers[name] = normal(tensor)


def further(source: nn.Module, new: nn.Module) -> Iterator[tuple[str, Any]]:
    """Names and values of public attributes and of submodules that the user put on a module; its class makes none.

    Raises:
        Unfit: if the counterpart cannot have one of them, or the user put a parameter or a buffer on the module.
    """
    for kind in ("_parameters", "_buffers"):
        more = sorted(set(getattr(source, kind)) - set(getattr(new, kind)))
        if more:
            raise Unfit(f"holds {more}, which its counterpart does not hold")
    attributes = {name: held for name, held in vars(source).items() if not name.startswith("_")}
    children = {name: held for name, held in source._modules.items() if name not in _PARTS | set(new._modules)}
    for name, held in {**attributes, **children}.items():
        if name in vars(new):
            continue
        if hasattr(type(source), name) or (name in children and hasattr(new, name)):
            raise Unfit(f"has an attribute '{name}' in place of what its class has under that name")
        foreign = type(held).__module__.startswith("inferno.") and not isinstance(held, nn.Module)
        if isinstance(held, Handle) or foreign:
            raise Unfit(f"has a further attribute '{name}' of type {type(held).__name__}")
        yield name, held
