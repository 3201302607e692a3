"""Connection rules and random numbers of large sparse networks: the same on every backend, device and in any chunks."""

from __future__ import annotations

import math
import numbers

import torch

from .. import reference
from ..reference import DISTRIBUTIONS, RULES, Wiring
from .backend import runs_native
from .native import status

_NUMBERS = {
    "fixed_indegree": "indegree",
    "fixed_outdegree": "outdegree",
    "fixed_total_number": "number",
    "pairwise_bernoulli": "p",
}
_DRAWN = {
    "constant": ("value",),
    "uniform": ("low", "high"),
    "normal": ("mean", "std"),
    "lognormal": ("mu", "sigma"),
}
_LEAST_ACCEPTED = 1e-3

if status.loaded:
    _raw_connect = torch.ops.inferno_cuda.connect_.default
    _raw_bernoulli = torch.ops.inferno_cuda.bernoulli_.default
    _raw_draw = torch.ops.inferno_cuda.draw_.default

    @torch.library.register_fake("inferno_cuda::connect_")
    def _(row, column, index, rule, autapses, multapses, seed, stream, rows, columns, number, first):
        return None

    @torch.library.register_fake("inferno_cuda::bernoulli_")
    def _(kept, seed, stream, number, first):
        return None

    @torch.library.register_fake("inferno_cuda::draw_")
    def _(out, index, distribution, seed, stream, a, b, low, high, redraw):
        return None


def _whole(name: str, value: object, low: int, high: int, must: str) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} was {value!r}; it must be an integer")
    if not low <= value < high:
        raise ValueError(f"{name} was {value}; it must be {must}")
    return int(value)


def _real(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} was {value!r}; it must be a number")
    if not math.isfinite(value):
        raise ValueError(f"{name} was {value}; it must be finite")
    return float(value)


def _seeded(seed: int, stream: int) -> tuple[int, int]:
    seed = _whole("seed", seed, 0, 2**64, "at least 0 and below 2^64")
    return seed, _whole("stream", stream, 0, 2**32, "at least 0 and below 2^32")


def _known(name: str, value: object, known) -> None:
    if value not in known:
        raise ValueError(f"{name} was {value!r}; it must be one of {', '.join(map(repr, known))}")


def _names(what: str, given, wanted) -> None:
    if set(given) != set(wanted):
        needs = ", ".join(wanted) or "none"
        raise TypeError(f"parameters of {what} were {', '.join(given) or 'none'}; they must be {needs}")


def _wiring(rule, sources, targets, autapses, multapses, parameters) -> Wiring:
    _known("rule", rule, RULES)
    sources = _whole("sources", sources, 0, 2**31, "a number of neurons, at least 0 and below 2^31")
    targets = _whole("targets", targets, 0, 2**31, "a number of neurons, at least 0 and below 2^31")
    alike = rule == "one_to_one" or not autapses
    if alike and sources != targets:
        needs = "one_to_one" if rule == "one_to_one" else "autapses=False"
        raise ValueError(f"sources were {sources}, targets {targets}; for {needs} they must be as many")
    if rule == "one_to_one" and not autapses:
        raise ValueError("autapses was False; one_to_one within a population has nothing but autapses")
    _names(rule, parameters, [_NUMBERS[rule]] if rule in _NUMBERS else [])
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
    value = _whole(name, value, 0, 2**62, "at least 0 and below 2^62")
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
    p = _real("p", p)
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
    seed, stream = _seeded(seed, stream)
    begin = _whole("begin", begin, 0, wiring.count + 1, f"at least 0 and at most {wiring.count}, all of the rule")
    end = _whole("end", end, begin, wiring.count + 1, f"at least begin, {begin}, and at most {wiring.count}")
    index = torch.empty(end - begin, dtype=torch.int64, device=device)
    if begin == end or not runs_native(index, "connect"):
        return reference.connect(wiring, seed=seed, stream=stream, begin=begin, end=end, device=device)
    return _native_connect(wiring, _signed(seed), stream, begin, index)


def _signed(seed: int) -> int:
    """The 64 bits of a seed as torch's integers have them."""
    return seed - 2**64 if seed >= 2**63 else seed


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


def draw(
    distribution: str,
    *,
    seed: int,
    stream: int,
    index: torch.Tensor,
    dtype: torch.dtype = torch.float64,
    low: float | None = None,
    high: float | None = None,
    bounded: str | None = None,
    **parameters,
) -> torch.Tensor:
    """A random number for each index, which depends on the seed, the stream and the index alone.

    Distributions and their parameters: ``"constant"`` (value); ``"uniform"`` (low, high), between the two; ``"normal"``
    (mean, std); ``"lognormal"`` (mu, sigma), exp of a normal number. They are computed in float64 and rounded once.

    Args:
        distribution: one of the above.
        seed: below 2^64.
        stream: below 2^32.
        index: int64, of any shape.
        dtype: of the numbers, float64 or float32.
        low, high: bounds of normal and lognormal numbers, which they may equal; None is no bound.
        bounded: what is done with a number outside: ``"redraw"`` draws again until one is inside, ``"clip"`` takes the
            bound. Needed with bounds.

    Returns:
        The numbers, in the shape and on the device of index.

    Raises:
        ValueError: unknown distribution; a number out of range; bounds between which less than 0.001 of all numbers
            lie, where they are to be drawn again.
        TypeError: wrong dtypes; parameters of another distribution.
    """
    _known("distribution", distribution, _DRAWN)
    if not isinstance(index, torch.Tensor) or index.dtype != torch.int64:
        raise TypeError(f"index was {getattr(index, 'dtype', index)}; it must be an int64 tensor")
    if dtype not in (torch.float64, torch.float32):
        raise TypeError(f"dtype was {dtype}; it must be torch.float64 or torch.float32")
    seed, stream = _seeded(seed, stream)
    if distribution == "uniform":
        parameters |= {name: value for name, value in (("low", low), ("high", high)) if value is not None}
        low = high = None
    _names(distribution, parameters, _DRAWN[distribution])
    a, b = (*(_real(name, parameters[name]) for name in _DRAWN[distribution]), 0.0)[:2]
    low, high = _bounds(distribution, a, b, low, high, bounded)
    if distribution == "constant":
        return torch.full_like(index, a, dtype=dtype)
    low, high, redraw = -math.inf if low is None else low, math.inf if high is None else high, bounded == "redraw"
    if not index.numel() or not runs_native(index, "draw"):
        options = {"a": a, "b": b, "low": low, "high": high, "redraw": redraw}
        return reference.draw(distribution, seed=seed, stream=stream, index=index, dtype=dtype, **options)
    index = index.contiguous()
    out = torch.empty(index.shape, dtype=dtype, device=index.device)
    _raw_draw(out, index, DISTRIBUTIONS.index(distribution), _signed(seed), stream, a, b, low, high, redraw)
    return out


def _bounds(distribution, a, b, low, high, bounded):
    """The bounds, of which both, one or none may be there."""
    if distribution == "uniform" and b < a:
        raise ValueError(f"high was {b}; it must be at least low, {a}")
    if distribution in ("normal", "lognormal") and b < 0:
        raise ValueError(f"{_DRAWN[distribution][1]} was {b}; it must be at least 0")
    low = None if low is None else _real("low", low)
    high = None if high is None else _real("high", high)
    has_bounds = low is not None or high is not None
    if has_bounds and distribution == "constant":
        raise ValueError(f"bounds of a {distribution} were {low}, {high}; there must be none")
    if bounded not in (None, "redraw", "clip") or (bounded is not None) != has_bounds:
        raise ValueError(
            f"bounded was {bounded!r} and the bounds {low}, {high}; "
            "with bounds it must be 'redraw' or 'clip', without it must be None"
        )
    if low is not None and high is not None and high < low:
        raise ValueError(f"high was {high}; it must be at least low, {low}")
    if bounded == "redraw":
        inside = _share_between(distribution, a, b, low, high)
        if inside < _LEAST_ACCEPTED:
            raise ValueError(
                f"low and high were {low}, {high}, between which {inside:.2g} of all numbers lie; to be drawn again it "
                f"must be at least {_LEAST_ACCEPTED}"
            )
    return low, high


def _share_between(distribution: str, a: float, b: float, low: float | None, high: float | None) -> float:
    """How much of a distribution lies between the bounds."""
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    if distribution == "lognormal":
        low, high = (math.log(bound) if bound > 0 else -math.inf for bound in (low, high))
    if b == 0:
        return float(low <= a <= high)
    return 0.5 * (math.erfc((low - a) / (b * math.sqrt(2))) - math.erfc((high - a) / (b * math.sqrt(2))))


def poisson_table(mean: float) -> torch.Tensor:
    """Cumulative probabilities of Poisson numbers of this mean, in units of 2^-32.

    Element j is the probability of at most j, rounded; those that round to 1 are left out, so the tail above a
    probability of 2^-33 is cut off. A word of 32 random bits then stands for as many events as there are elements that
    are at most the word, see :func:`inferno_cuda.reference.poisson_count`.

    Args:
        mean: events, from 0 to 1e6.

    Returns:
        A sorted int64 tensor ``[n]``, on the CPU; the same on every machine.

    Raises:
        ValueError: mean is not in this range.
        TypeError: mean is not a number.
    """
    mean = _real("mean", mean)
    if not 0 <= mean <= 1e6:
        raise ValueError(f"mean was {mean}; it must be from 0 to 1e6")
    return reference.poisson_table(mean)
