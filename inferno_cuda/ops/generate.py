"""Connection rules of large sparse networks: the same synapses on every backend and device, in any chunks."""

from __future__ import annotations

import torch

from .. import reference
from ..reference import RULES, Wiring
from ._generate_checks import known, names, real, seeded, signed, whole
from .backend import runs_native
from .native import status

_NUMBERS = {
    "fixed_indegree": "indegree",
    "fixed_outdegree": "outdegree",
    "fixed_total_number": "number",
    "pairwise_bernoulli": "p",
}

if status.loaded:
    _raw_connect = torch.ops.inferno_cuda.connect_.default
    _raw_bernoulli = torch.ops.inferno_cuda.bernoulli_.default

    @torch.library.register_fake("inferno_cuda::connect_")
    def _(row, column, index, rule, autapses, multapses, seed, stream, rows, columns, number, first):
        return None

    @torch.library.register_fake("inferno_cuda::bernoulli_")
    def _(kept, seed, stream, number, first):
        return None


def _wiring(rule, sources, targets, autapses, multapses, parameters) -> Wiring:
    known("rule", rule, RULES)
    sources = whole("sources", sources, 0, 2**31, "a number of neurons, at least 0 and below 2^31")
    targets = whole("targets", targets, 0, 2**31, "a number of neurons, at least 0 and below 2^31")
    alike = rule == "one_to_one" or not autapses
    if alike and sources != targets:
        needs = "one_to_one" if rule == "one_to_one" else "autapses=False"
        raise ValueError(f"sources were {sources}, targets {targets}; for {needs} they must be as many")
    if rule == "one_to_one" and not autapses:
        raise ValueError("autapses was False; one_to_one within a population has nothing but autapses")
    names(rule, parameters, [_NUMBERS[rule]] if rule in _NUMBERS else [])
    rows, columns = (sources, targets) if rule == "fixed_outdegree" else (targets, sources)
    columns = max(columns - (not autapses), 0)
    per_row, threshold, count = 0, 0, rows * columns
    if rule == "one_to_one":
        count = rows
    elif rule == "pairwise_bernoulli":
        threshold = _threshold(parameters["p"])
    elif rule in _NUMBERS:
        per_row, count = _degree(rule, rows, columns, multapses, parameters[_NUMBERS[rule]])
    if count >= 2**62:
        raise ValueError(f"{rule} of {sources} sources and {targets} targets was {count} draws; it must be below 2^62")
    return Wiring(rule, rows, columns, bool(autapses), bool(multapses), per_row, threshold, count)


def _degree(rule, rows, columns, multapses, value) -> tuple[int, int]:
    """Synapses a row, and in all."""
    name = _NUMBERS[rule]
    value = whole(name, value, 0, 2**62, "at least 0 and below 2^62")
    each = rule != "fixed_total_number"
    pairs = columns if each else rows * columns
    if value and rows and not pairs:
        raise ValueError(f"{name} was {value}; it must be 0 where there is no pair to connect")
    if not multapses and value > pairs and rows:
        raise ValueError(f"{name} was {value}; without multapses it must be at most {pairs}, the number of pairs")
    if not each and value and not rows:
        raise ValueError(f"{name} was {value}; it must be 0 where there is no pair to connect")
    return (value, value * rows) if each else (0, value)


def _threshold(p: float) -> int:
    p = real("p", p)
    threshold = round(p * 2**32) if 0 <= p <= 1 else -1
    if threshold < 0 or (threshold == 0 and p > 0):
        raise ValueError(f"p was {p}; it must be a probability, 0 or from 2^-32 to 1")
    return threshold


def connect_count(
    rule: str, sources: int, targets: int, autapses: bool = True, multapses: bool = True, **parameters
) -> int:
    """How many synapses a rule has, or how many pairs "pairwise_bernoulli" chooses from: the range of :func:`connect`.

    Args:
        rule, sources, targets, autapses, multapses, parameters: as for :func:`connect`.

    Raises:
        ValueError, TypeError: as :func:`connect`.
    """
    return _wiring(rule, sources, targets, autapses, multapses, parameters).count


def connect(
    rule: str,
    *,
    seed: int,
    stream: int,
    sources: int,
    targets: int,
    begin: int,
    end: int,
    autapses: bool = True,
    multapses: bool = True,
    device: torch.device | str = "cpu",
    **parameters,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Synapses begin to end - 1 of a connection rule, in the order in which the rule makes them.

    A synapse depends on the rule, the seed, the stream and its number alone: in whatever chunks, on whatever backend
    and device a rule is run, the synapses are the same.

    Rules and their parameters:

    - ``"one_to_one"``: synapse k from source k to target k.
    - ``"all_to_all"``: every source to every target, target by target.
    - ``"fixed_indegree"`` (indegree): every target from as many sources, which are drawn; target by target.
    - ``"fixed_outdegree"`` (outdegree): every source to as many targets, which are drawn; source by source.
    - ``"fixed_total_number"`` (number): so many pairs, which are drawn.
    - ``"pairwise_bernoulli"`` (p): each pair with probability p, to the nearest multiple of 2^-32. Here begin and end
      count pairs, ``target * sources + source``, and what is returned are those of the range that are connected.

    Args:
        rule: one of the above.
        seed: below 2^64; with the stream, what the random numbers depend on.
        stream: below 2^32.
        sources, targets: numbers of neurons. Synapses have local numbers, from 0.
        begin, end: the range, within 0 and :func:`connect_count`.
        autapses: whether a neuron may connect to itself. False only where sources and targets are the same population;
            pairs of "all_to_all" and "pairwise_bernoulli" are then numbered without those.
        multapses: whether a pair may be drawn more than once. Without, a degree takes the first elements of a
            pseudo-random permutation of all candidates.
        device: where the synapses are made.

    Returns:
        source int32, target int32, and index int64, ``[n]`` each: index is the number of the synapse (or pair), which
        its weight and delay are drawn with, see :func:`draw`.

    Raises:
        ValueError: unknown rule; a number out of range; more synapses without multapses than there are pairs.
        TypeError: a number is of another type; parameters of another rule.
    """
    wiring = _wiring(rule, sources, targets, autapses, multapses, parameters)
    seed, stream = seeded(seed, stream)
    begin = whole("begin", begin, 0, wiring.count + 1, f"at least 0 and at most {wiring.count}, all of the rule")
    end = whole("end", end, begin, wiring.count + 1, f"at least begin, {begin}, and at most {wiring.count}")
    index = torch.empty(end - begin, dtype=torch.int64, device=device)
    if begin == end or not runs_native(index, "connect"):
        return reference.connect(wiring, seed=seed, stream=stream, begin=begin, end=end, device=device)
    return _native_connect(wiring, signed(seed), stream, begin, index)


def _native_connect(wiring: Wiring, seed: int, stream: int, begin: int, index: torch.Tensor):
    """As the reference's connect, of the range that begins at begin and has the size of index, which is written."""
    if wiring.rule == "pairwise_bernoulli":
        kept = torch.empty(index.shape, dtype=torch.bool, device=index.device)
        _raw_bernoulli(kept, seed, stream, wiring.threshold, begin)
        return reference.connect_pairs(wiring, kept.nonzero().squeeze(1) + begin)
    row, column = (torch.empty(index.shape, dtype=torch.int32, device=index.device) for _ in range(2))
    flags = (RULES.index(wiring.rule), wiring.autapses, wiring.multapses)
    _raw_connect(
        row, column, index, *flags, seed, stream, wiring.rows, wiring.columns, wiring.per_row, begin
    )
    return (row, column, index) if wiring.rule == "fixed_outdegree" else (column, row, index)
