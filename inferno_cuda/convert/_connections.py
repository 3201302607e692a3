"""What makes a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..neural.connections._windows import Windows
from ._synapses import make_synapse
from ._transfer import Unfit, transfer
from ._updaters import make_updater

if TYPE_CHECKING:
    from ._copier import Copier

_IMAGE = ("height", "width", "channels", "filters", "dt", "kernel")
_POSITIONAL = {
    "LinearDense": ("in_shape", "out_shape", "dt"),
    "LinearDirect": ("shape", "dt"),
    "LinearLateral": ("shape", "dt"),
    "Conv2D": _IMAGE,
}
CONNECTIONS = tuple(_POSITIONAL)


def make_connection(copier: Copier, name: str, source: nn.Module) -> nn.Module:
    synapse = _synapse(copier, name, source)
    delayed = "delay_" in source._parameters
    new = copier.target.cls(name)(
        *(getattr(source, attribute) for attribute in _POSITIONAL[name]),
        synapse=lambda *args: synapse,
        bias="bias_" in source._parameters,
        delay=source.synapse.delay if delayed else None,
        batch_size=source.batchsz,
        **{key: getattr(source, key) for key in ("stride", "padding", "dilation") if name == "Conv2D"},
    )
    if name == "LinearLateral":
        _check_diagonal(source)
    transfer(source, new, copier.value)
    if source.updater_ is not None:
        new.updater = make_updater(copier, source, new)
    return new


def _synapse(copier: Copier, name: str, source: nn.Module) -> nn.Module:
    inner = source.synapse_
    if copier.has(inner):
        return copier.value(inner)
    kind = copier.kind(inner)
    if kind is None:
        raise Unfit("its synapse has no counterpart")
    shape, fit = _of_pixels(copier, source) if name == "Conv2D" else (None, None)
    return copier.keep(inner, make_synapse(copier, kind, inner, shape, fit))


def _of_pixels(copier: Copier, conv: Any) -> tuple[tuple[int, ...], Callable[[torch.Tensor], torch.Tensor]]:
    """inferno-ai's synapse has an element for every tap at every place, ours has one a pixel."""
    image = (conv.channels, conv.height, conv.width)
    windows = Windows(image, *map(tuple, (conv.kernel, conv.stride, conv.padding, conv.dilation)))
    if copier.target.package == "inferno":
        taps = conv.channels * conv.kernel[0] * conv.kernel[1]
        return (taps, conv.outheight * conv.outwidth), windows.unfold

    def fold(record: torch.Tensor) -> torch.Tensor:
        images = windows.fold(record)
        if images is None:
            raise Unfit("the windows of its synapse's history disagree about pixels that they share")
        return images

    return image, fold


def _check_diagonal(source: nn.Module) -> None:
    for name in ("weight_", "delay_"):
        param = source._parameters.get(name)
        if param is not None and bool(param.detach().diagonal().any()):
            raise Unfit(f"the diagonal of '{name}' is not zero")
