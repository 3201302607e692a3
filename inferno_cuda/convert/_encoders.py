"""What makes an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ._transfer import transfer

if TYPE_CHECKING:
    from ._copier import Copier

ENCODERS = ("HomogeneousPoissonEncoder", "HomogeneousPoissonApproxEncoder", "PoissonIntervalEncoder")


def make_encoder(copier: Copier, name: str, source: nn.Module) -> nn.Module:
    options = {"generator": copier.value(source.generator)}
    if name == "HomogeneousPoissonEncoder":
        options.update(refrac=copier.source.refrac(source), compensate=source.compensated)
    new = copier.target.cls(name)(source.steps, source.dt, source.frequency, **options)
    transfer(source, new, copier.value)
    return new
