"""Synapses of connection rules and their random numbers, each by its index alone."""

from typing import NamedTuple

import torch

from .exponential import exp
from .words import below, normal_quantile, permuted, philox, uniform

RULES = (
    "one_to_one",
    "all_to_all",
    "fixed_indegree",
    "fixed_outdegree",
    "fixed_total_number",
    "pairwise_bernoulli",
)
DISTRIBUTIONS = ("uniform", "normal", "lognormal")


class Wiring(NamedTuple):
    """A rule with its numbers. Rows are targets, or sources for "fixed_outdegree"; columns are those of the other side.

    Without autapses a row has one column less, and numbers of columns from that of the row on are one too small.
    """

    rule: str
    rows: int
    columns: int
    autapses: bool
    multapses: bool
    per_row: int  # synapses of a row, of the rules with a fixed degree
    threshold: int  # a pair is connected if its word is below, of "pairwise_bernoulli"
    count: int  # synapses, or pairs


def connect(wiring, *, seed, stream, begin, end, device="cpu"):
    """Synapses begin to end - 1 of a rule in its order.

    Args:
        wiring: rule and numbers.
        seed, stream: of the words, see :func:`philox`.
        begin, end: range of synapses; of pairs for "pairwise_bernoulli", of which the connected ones are returned.

    Returns:
        source int32, target int32, and index int64: the number of synapse, or pair.
    """
    index = torch.arange(begin, end, device=device)
    if wiring.rule == "pairwise_bernoulli":
        return connect_pairs(wiring, index[_kept(wiring, seed, stream, index)])
    row, column = _with_autapses(wiring, *_places(wiring, seed, stream, index))
    source, target = (row, column) if wiring.rule == "fixed_outdegree" else (column, row)
    return source.int(), target.int(), index


def connect_pairs(wiring, pairs):
    """Source, target and number of synapses between chosen pairs, an int64 tensor, of "pairwise_bernoulli"."""
    target, source = _with_autapses(wiring, pairs // wiring.columns, pairs % wiring.columns)
    return source.int(), target.int(), pairs


def _with_autapses(wiring, row, column):
    return row, column if wiring.autapses else column + (column >= row)


def _kept(wiring, seed, stream, index):
    """Four neighbouring pairs share the words of one counter."""
    words = torch.stack(philox(seed, stream, index >> 2), -1)
    return words.gather(-1, (index & 3).unsqueeze(-1)).squeeze(-1) < wiring.threshold


def _places(wiring, seed, stream, index):
    """Row and column of each synapse, columns not counting that of an autapse."""
    rule, columns = wiring.rule, wiring.columns
    if rule == "one_to_one":
        return index, index
    if rule == "all_to_all":
        return index // columns, index % columns
    if wiring.multapses:
        words = philox(seed, stream, index)
        row = below(*words[2:], wiring.rows) if rule == "fixed_total_number" else index // wiring.per_row
        return row, below(*words[:2], columns)
    if rule == "fixed_total_number":
        place = permuted(index, wiring.rows * columns, seed, stream, torch.zeros_like(index))
        return place // columns, place % columns
    row = index // wiring.per_row
    return row, permuted(index % wiring.per_row, columns, seed, stream, row)


def draw(distribution, *, seed, stream, index, dtype, a, b, low, high, redraw):
    """One random number for each index, computed in float64 and rounded once.

    Args:
        distribution: ``"uniform"`` between a and b, ``"normal"`` of mean a and standard deviation b, or
            ``"lognormal"``: exp of the latter.
        seed, stream: of the words, see :func:`philox`.
        index: int64 tensor.
        low, high: bounds, which may be infinite.
        redraw: numbers outside the bounds are drawn again with attempt 1, 2, ..., instead of moved to the bound.
    """
    values = _attempt(distribution, seed, stream, index, 0, a, b)
    if not redraw:
        return values.clamp(low, high).to(dtype)
    outside, attempt = (values < low) | (values > high), 0
    while outside.any():
        attempt += 1
        values[outside] = _attempt(distribution, seed, stream, index[outside], attempt, a, b)
        outside = (values < low) | (values > high)
    return values.to(dtype)


def _attempt(distribution, seed, stream, index, attempt, a, b):
    u = uniform(*philox(seed, stream, index, attempt)[:2])
    if distribution == "uniform":
        return a + (b - a) * u
    normal = a + b * normal_quantile(u)
    return exp(normal) if distribution == "lognormal" else normal
