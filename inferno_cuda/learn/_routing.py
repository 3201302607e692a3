"""Which side of an update the terms of a rule go to: to what is added, or to what is subtracted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor

from ..neural import Deferred
from ._terms import Reduction, Term, deferred, reduced, reduced_parts

Update = Tensor | Deferred
Sides = tuple[Update | None, Update | None]


def _both(one: Update, other: Update) -> Update:
    return Deferred(*one.outers, *other.outers) if isinstance(one, Deferred) else one + other


def routed(terms: Iterable[tuple[Update, float]]) -> Sides:
    """Sums of magnitudes by the sign of their rates: those whose rate is not negative, and the others."""
    sides: dict[bool, Update | None] = {True: None, False: None}
    for value, rate in terms:
        present = sides[rate >= 0]
        sides[rate >= 0] = value if present is None else _both(present, value)
    return sides[True], sides[False]


def two_factor(terms: Sequence[tuple[Term, float]], reduction: Reduction) -> Sides:
    """Reduced terms by the sign of their rates."""
    found = deferred([term for term, _ in terms], reduction)
    if found is not None:
        return routed((made, rate) for made, (_, rate) in zip(found, terms, strict=True))
    return routed((reduced(term, reduction), rate) for term, rate in terms)


def three_factor(
    terms: Sequence[tuple[Term, float]], signal: float | Tensor, scale: float, reduction: Reduction
) -> Sides:
    """Reduced terms times ``|signal * scale|``, by the signs of rate and signal; a negative signal swaps the sides.

    Args:
        terms: terms and their rates.
        signal: one number, or one for each sample. With one for each, those of all terms that go to a side are reduced
            as one batch.
        scale: factor of the signal; its sign does not matter.
        reduction: over the samples.

    Raises:
        ValueError: if ``signal`` has another shape than ``()`` or ``(B,)``.
    """
    if not isinstance(signal, Tensor) or signal.ndim == 0:
        signal = float(signal)
        factor = abs(signal * scale)
        return routed((reduced(term, reduction) * factor, rate * signal) for term, rate in terms)
    for term, _ in terms:
        if signal.shape != term.like.shape[:1]:
            raise ValueError(
                f"'signal' has the shape {tuple(signal.shape)}, it must be a number or have one for each of the "
                f"{len(term.like)} samples"
            )
    if not terms:
        return None, None
    like = terms[0][0].like
    signal = signal.to(like.device)
    factor, kept, swapped = (signal * scale).abs().to(like.dtype), signal >= 0, signal < 0

    def side(positive: bool) -> Tensor | None:
        parts = [(term, kept if (rate >= 0) == positive else swapped) for term, rate in terms]
        return reduced_parts(parts, factor, reduction)

    return side(True), side(False)

