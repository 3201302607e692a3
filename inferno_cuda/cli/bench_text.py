"""Numbers as the benchmark prints them."""

from __future__ import annotations


def seconds_text(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}" if seconds < 999.5 * scale else f"{seconds / scale:,.0f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def times_text(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.3g}x" if ratio < 999.5 else f"{ratio:,.0f}x"


def share_text(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
