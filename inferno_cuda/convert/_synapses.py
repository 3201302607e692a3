"""What makes a synapse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ._transfer import Fit, transfer

if TYPE_CHECKING:
    from ._copier import Copier

_HYPERPARAMETERS = {
    "DeltaCurrent": ("spike_charge",),
    "DeltaPlusCurrent": ("spike_charge",),
    "SingleExponentialCurrent": ("spike_charge", "time_constant"),
    "DoubleExponentialCurrent": ("spike_charge", "tc_decay", "tc_rise"),
}
SYNAPSES = tuple(_HYPERPARAMETERS)


def make_synapse(
    copier: Copier, name: str, source: nn.Module, shape: tuple[int, ...] | None = None, fit: Fit | None = None
) -> nn.Module:
    """The counterpart of a synapse; with another shape, into which ``fit`` brings its records."""
    options = copier.source.lookup(source)
    mode = options.pop("mode")
    options["interp_mode" if name.startswith("Delta") else "spike_interp_mode"] = mode
    options.update({attribute: getattr(source, attribute) for attribute in _HYPERPARAMETERS[name]})
    new = copier.target.cls(name)(
        source.shape if shape is None else shape,
        source.dt,
        **options,
        delay=source.delay,
        batch_size=source.batchsz,
        inplace=source.inplace,
    )
    transfer(source, new, copier.value, fit)
    return new
