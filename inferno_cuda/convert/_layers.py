"""What makes a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from ._transfer import Unfit, transfer

if TYPE_CHECKING:
    from ._copier import Copier

_TRANSFORMS = ("feedfwd_out_transform", "lateral_out_transform", "feedback_out_transform", "lateral_in_transform",
               "feedback_in_transform")  # fmt: skip


def make_layer(copier: Copier, name: str, source: nn.Module) -> nn.Module:
    connections, neurons = (
        [(key, copier.member(part)) for key, part in kind.items()] for kind in (source.connections_, source.neurons_)
    )
    new = _MAKE[name](copier, source, connections, neurons)
    transfer(source, new, copier.value)
    for kind in ("connections_", "neurons_", "cells_"):
        copier.keep(getattr(source, kind), getattr(new, kind))
    cells = dict(new.named_cells)
    if list(cells) != [pair for pair, _ in source.named_cells]:
        raise Unfit(f"has the cells {[pair for pair, _ in source.named_cells]}, its counterpart has {list(cells)}")
    for pair, cell in source.named_cells:
        if len(cell.monitors):
            raise Unfit(f"its cell {pair} has monitors")
        transfer(cell, copier.keep(cell, cells[pair]), copier.value)
        copier.keep(source.cells_[pair[0]], new.cells_[pair[0]])
    return new


def _serial(copier: Copier, source: nn.Module, connections: list, neurons: list) -> nn.Module:
    ((connection_name, connection),), ((neuron_name, neuron),) = connections, neurons
    transform = copier.transform(source._transform)
    return copier.target.cls("Serial")(connection, neuron, transform, connection_name, neuron_name)


def _biclique(copier: Copier, source: nn.Module, connections: list, neurons: list) -> nn.Module:
    def with_transforms(members: list, transforms: dict[str, Any]) -> list[tuple]:
        found = [(name, module, copier.transform(transforms[name])) for name, module in members]
        return [member if member[2] is not None else member[:2] for member in found]

    return copier.target.cls("Biclique")(
        with_transforms(connections, source.post_input),
        with_transforms(neurons, source.pre_output),
        copier.transform(source._combine),
    )


def _recurrent(copier: Copier, source: nn.Module, connections: list, neurons: list) -> nn.Module:
    roles = ("feedfwd", "lateral", "feedback")
    return copier.target.cls("RecurrentSerial")(
        *(module for _, module in connections),
        *(module for _, module in neurons),
        **{name: copier.transform(getattr(source, f"_{name}")) for name in _TRANSFORMS},
        **{f"{role}_connection_name": name for role, (name, _) in zip(roles, connections, strict=True)},
        **{f"{role}_neuron_name": name for role, (name, _) in zip(("feedfwd", "feedback"), neurons, strict=True)},
        trainable_feedback=len(source.cells_) > 1,
    )


_MAKE = {"Serial": _serial, "Biclique": _biclique, "RecurrentSerial": _recurrent}
LAYERS = tuple(_MAKE)
