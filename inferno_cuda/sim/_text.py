"""What a network says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from ._build import size_text

if TYPE_CHECKING:
    from .network import Network


def summary(network: Network) -> str:
    """One line."""
    rows = network._run.rows
    if rows is not None:
        synapses = f"{rows.count:,} synapses"
    else:
        expected = sum(projection.expected for projection in network.projections)
        synapses = f"about {expected:,.0f} synapses, not built yet"
    populations = f"{len(network.populations)} population{'s' * (len(network.populations) != 1)}"
    trials = f", {network.trials} trials" if network.trials > 1 else ""
    return f"<network: {network.size:,} neurons in {populations}, {synapses}{trials}, at {network.time:g} ms>"


def explanation(network: Network) -> str:
    """What runs where and why, how synapses are kept, and who drives whom."""
    rows, device = network._run.rows, network.device
    choice = ops.choose("simulate", device)
    lines = [summary(network), f"runs on {device} with the {choice.backend} backend{_because(choice.reason)}"]
    if rows.count:
        each, ranges = f"{rows.nbytes / rows.count:.1f} bytes a synapse", len(rows.bounds) - 1
        lines.append(
            f"synapses: {size_text(rows.nbytes)}, {each}, in {ranges} range{'s' * (ranges != 1)} of targets; delays of "
            f"{rows.min_delay} to {rows.max_delay} steps of {network.dt:g} ms"
        )
        kept = "float64" if rows.weight_bits == 64 else f"int{rows.weight_bits}"
        why = ""
        if rows.weight_bits == 64 and network.dtype.itemsize == 4 and network.weight_bits is None:
            why = ", since 32 bits would round the smallest weights beside the largest sums"
        lines.append(f"weights: {kept} multiples of {rows.quantum:g}, so that all sums are exact{why}")
    for population in network.populations:
        ports = int(rows.ports[population.first])
        sums = "one sum of arriving weights" if ports == 1 else "two sums of arriving weights, by their sign"
        drive = repr(population._generators) if population._generators is not None else sums
        lines.append(f"{population!r}: {drive}")
    return "\n".join([*lines, *map(repr, network.projections), *map(repr, network.stimuli)])


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
