"""Steps of every connection, with a delay on each synapse and without."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch

from .case import DT, MAX_DELAY, Case, Output, Subject, seeded, spikes_into, times
from .cases_synapses import MODELS as SYNAPSES

# arguments before the keywords, and the shape of the input
KINDS = {
    "dense": ("LinearDense", (784, 1000, DT), (784,)),
    "lateral": ("LinearLateral", (1000, DT), (1000,)),
    "direct": ("LinearDirect", (1000, DT), (1000,)),
    "conv": ("Conv2D", (28, 28, 1, 16, DT, 5), (1, 28, 28)),
}


def _connection(
    library: ModuleType, kind: str, batch: int, delay: float | None, on_grid: bool, synapse: str, device: str
):
    """A connection with a full history, and its next input."""
    random = seeded()
    name, arguments, inshape = KINDS[kind]
    constructor, options = SYNAPSES[synapse]
    connection = getattr(library, name)(
        *arguments,
        synapse=getattr(library, constructor).partialconstructor(**options),
        delay=delay,
        batch_size=batch,
        weight_init=lambda like: torch.rand(like.shape, generator=random) - 0.5,
        delay_init=lambda like: times(like.shape, random, on_grid),
    ).to(device)
    # Through the synapse alone, which is fast, so that even slow connections start with a full history.
    synapse = connection.synapse
    if tuple(synapse.shape) == tuple(inshape):
        return connection, spikes_into(synapse, (batch, *inshape), device)
    spikes = spikes_into(lambda x: synapse(connection.like_synaptic(x)), (batch, *inshape), device)
    return connection, spikes


def step(
    kind: str, batch: int, delay: float | None, on_grid: bool = True, synapse: str = "exp"
) -> Callable[[ModuleType, str], Subject]:
    def build(library: ModuleType, device: str) -> Subject:
        connection, spikes = _connection(library, kind, batch, delay, on_grid, synapse, device)

        def outputs():
            yield Output("output currents", connection(spikes))

        return Subject(outputs, lambda: connection(spikes))

    return build


def syncurrent(batch: int) -> Callable[[ModuleType, str], Subject]:
    """The currents that every synapse of a dense connection sees, one by one."""

    def build(library: ModuleType, device: str) -> Subject:
        connection, _ = _connection(library, "dense", batch, MAX_DELAY, False, "exp", device)

        def outputs():
            yield Output("delayed currents", connection.syncurrent)

        return Subject(outputs, lambda: connection.syncurrent)

    return build


SHAPES = {
    "dense": "dense 784 to 1,000",
    "lateral": "lateral 1,000",
    "direct": "direct 1,000",
    "conv": "conv 28 x 28, 16 of 5 x 5",
}


def _delayed(kind: str, batch: int, note: str = "", **options) -> Case:
    what = f"{SHAPES[kind]}, batch {batch}{note and ', ' + note.replace('-', ' ')}"
    name = "-".join(filter(None, (kind, str(batch), note)))
    return Case(name, what, step(kind, batch, MAX_DELAY, **options))


def _undelayed(kind: str, batch: int) -> Case:
    what = f"{SHAPES[kind]}, batch {batch}, no delay"
    return Case(f"{kind}-{batch}-no-delay", what, step(kind, batch, None), rounded=kind in ("dense", "lateral"))


CONNECTIONS = (
    *(_delayed("dense", batch) for batch in (1, 16, 64)),
    _delayed("dense", 16, "off-grid", on_grid=False),
    _delayed("dense", 16, "delta", synapse="delta"),
    _delayed("dense", 16, "double-exp", synapse="double-exp"),
    *(_delayed(kind, batch) for kind in ("lateral", "direct", "conv") for batch in (1, 16)),
    _delayed("direct", 16, "off-grid", on_grid=False),
    _delayed("conv", 16, "off-grid", on_grid=False),
    *(_undelayed(kind, batch) for kind in KINDS for batch in (1, 16)),
    Case("dense-16-syncurrent", "dense.syncurrent, batch 16", syncurrent(16)),
)
