"""Steps of sparse connections, beside dense ones whose absent synapses have no weight, and torch's sparse matrices."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import torch

from .. import neural, ops
from .case import DT, MAX_DELAY, Case, Output, Subject, seeded, spikes_into, times
from .cases_synapses import MODELS as SYNAPSES

TORCH = "torch.sparse"


class Size(NamedTuple):
    """Inputs, outputs, and about what share of pairs a synapse joins."""

    inputs: int
    outputs: int
    density: float

    def __str__(self) -> str:
        return f"{self.inputs:,} to {self.outputs:,}, {100 * self.density:g} %"


SIZES = {"small": Size(1000, 1000, 0.1), "large": Size(10_000, 10_000, 0.01)}


def _synapses(size: Size, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and outputs of synapses, sorted by output and then by input; no two join the same pair."""
    pairs = size.inputs * size.outputs
    pair = torch.randint(pairs, (round(size.density * pairs),), generator=random).unique()
    return pair % size.inputs, pair // size.inputs


def step(name: str, batch: int, delay: float | None, synapse: str) -> Callable[[ModuleType, str], Subject]:
    """A step of a connection; of another library that of a dense one, with zeros for what is absent."""

    def build(library: ModuleType, device: str) -> Subject:
        size, random = SIZES[name], seeded()
        source, target = _synapses(size, random)
        values = {"weight": torch.rand(source.shape, generator=random) - 0.5}
        if delay is not None:
            values["delay"] = times(source.shape, random, True)
        constructor, options = SYNAPSES[synapse]
        options = {
            "synapse": getattr(library, constructor).partialconstructor(**options),
            "delay": delay,
            "batch_size": batch,
        }
        if library is neural:
            connection = neural.SparseConnection(size.inputs, size.outputs, DT, (source, target), **options)
        else:
            connection = library.LinearDense(size.inputs, size.outputs, DT, **options)
            every = torch.zeros(size.outputs, size.inputs)
            values = {what: every.index_put((target, source), x) for what, x in values.items()}
        for what, x in values.items():
            setattr(connection, what, x)
        connection = connection.to(device)
        spikes = spikes_into(connection.synapse, (batch, size.inputs), device)

        def outputs():
            yield Output("output currents", connection(spikes))

        return Subject(outputs, lambda: connection(spikes))

    return build


def product(name: str, batch: int, share: float = 1.0) -> Callable[[ModuleType, str], Subject]:
    """The sum alone, without delays: our op, or a product with a sparse matrix in compressed rows.

    ``share`` of the inputs are not 0.
    """

    def build(library: ModuleType, device: str) -> Subject:
        size, random = SIZES[name], seeded()
        source, target = _synapses(size, random)
        weight = (torch.rand(source.shape, generator=random) - 0.5).to(device)
        data = torch.rand(batch, size.inputs, generator=random)
        if share < 1.0:
            data = torch.where(torch.rand(data.shape, generator=random) < share, data, 0.0)
        data = data.to(device)
        if library is neural:
            links = ops.connectivity(source, target, inputs=size.inputs, outputs=size.outputs).to(device)

            def call():
                return ops.sparse_sum(data, weight, links)
        else:
            at = torch.stack([target, source]).to(device)
            matrix = torch.sparse_coo_tensor(at, weight, (size.outputs, size.inputs), check_invariants=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's CSR is a beta feature
                matrix = matrix.coalesce().to_sparse_csr()

            def call():
                return (matrix @ data.t()).t()

        def outputs():
            yield Output("sums", call())

        return Subject(outputs, call)

    return build


def _step(name: str, batch: int, delay: float | None = MAX_DELAY, synapse: str = "exp", **options) -> Case:
    notes = ["" if name == "small" else name, "" if synapse == "exp" else synapse, "" if delay else "no-delay"]
    title = "-".join(filter(None, ("sparse", str(batch), *notes)))
    what = f"sparse {SIZES[name]}, batch {batch}"
    what += "".join(f", {note.replace('-', ' ')}" for note in notes[1:] if note)
    return Case(title, what, step(name, batch, delay, synapse), **options)


def _product(name: str, batch: int, share: float = 1.0) -> Case:
    what, title = f"sum {SIZES[name]}, batch {batch}", f"sparse-sum-{batch}-{name}"
    if share < 1.0:
        what, title = f"{what}, {100 * share:g} % of inputs not 0", f"{title}-events"
    return Case(title, what, product(name, batch, share), subjects=("native", "torch", TORCH))


SPARSE = (
    *(_step("small", batch) for batch in (1, 16)),
    _step("small", 64, subjects=("native", "torch")),  # which takes inferno-ai long
    _step("small", 16, synapse="delta"),
    _step("small", 16, None),
    *(_step("large", batch, synapse="delta", subjects=("native", "torch")) for batch in (1, 16)),
    *(_product("small", batch) for batch in (1, 16, 64)),
    *(_product("large", batch) for batch in (1, 16)),
    *(_product("large", batch, 0.01) for batch in (1, 16)),
)
