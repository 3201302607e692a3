"""Random numbers by index: the same on every backend and device, in any order."""

from __future__ import annotations

import math

import torch

from .. import reference
from ..reference import DISTRIBUTIONS
from ._generate_checks import known, names, real, seeded, signed
from .backend import runs_native
from .native import status

_DRAWN = {
    "constant": ("value",),
    "uniform": ("low", "high"),
    "normal": ("mean", "std"),
    "lognormal": ("mu", "sigma"),
}
_LEAST_ACCEPTED = 1e-3

if status.loaded:
    _raw_draw = torch.ops.inferno_cuda.draw_.default

    @torch.library.register_fake("inferno_cuda::draw_")
    def _(out, index, distribution, seed, stream, a, b, low, high, redraw):
        return None


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
    known("distribution", distribution, _DRAWN)
    if not isinstance(index, torch.Tensor) or index.dtype != torch.int64:
        raise TypeError(f"index was {getattr(index, 'dtype', index)}; it must be an int64 tensor")
    if dtype not in (torch.float64, torch.float32):
        raise TypeError(f"dtype was {dtype}; it must be torch.float64 or torch.float32")
    seed, stream = seeded(seed, stream)
    if distribution == "uniform":
        parameters |= {name: value for name, value in (("low", low), ("high", high)) if value is not None}
        low = high = None
    names(distribution, parameters, _DRAWN[distribution])
    a, b = (*(real(name, parameters[name]) for name in _DRAWN[distribution]), 0.0)[:2]
    low, high = _bounds(distribution, a, b, low, high, bounded)
    if distribution == "constant":
        return torch.full_like(index, a, dtype=dtype)
    low, high, redraw = -math.inf if low is None else low, math.inf if high is None else high, bounded == "redraw"
    if not index.numel() or not runs_native(index, "draw"):
        options = {"a": a, "b": b, "low": low, "high": high, "redraw": redraw}
        return reference.draw(distribution, seed=seed, stream=stream, index=index, dtype=dtype, **options)
    index = index.contiguous()
    out = torch.empty(index.shape, dtype=dtype, device=index.device)
    _raw_draw(out, index, DISTRIBUTIONS.index(distribution), signed(seed), stream, a, b, low, high, redraw)
    return out


def _bounds(distribution, a, b, low, high, bounded):
    """The bounds, of which both, one or none may be there."""
    if distribution == "uniform" and b < a:
        raise ValueError(f"high was {b}; it must be at least low, {a}")
    if distribution in ("normal", "lognormal") and b < 0:
        raise ValueError(f"{_DRAWN[distribution][1]} was {b}; it must be at least 0")
    low = None if low is None else real("low", low)
    high = None if high is None else real("high", high)
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
    mean = real("mean", mean)
    if not 0 <= mean <= 1e6:
        raise ValueError(f"mean was {mean}; it must be from 0 to 1e6")
    return reference.poisson_table(mean)
