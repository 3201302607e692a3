"""The models that `validate` runs: sizes at which both simulators take seconds, not minutes."""

from __future__ import annotations

from collections.abc import Callable

from ..sim import Network, models
from .validation import ValidationCase

_SMALL = {"excitatory": 4000, "weight": 0.25}  # the working point of 10,000 excitatory neurons stays


def _microcircuit(scale: float) -> Callable[..., Network]:
    return lambda **options: models.microcircuit(scale, "poisson", **options)


def _brunel(regime: str) -> Callable[..., Network]:
    return lambda **options: models.brunel(regime, **_SMALL, **options)


def _vogels_abbott(kind: str) -> Callable[..., Network]:
    return lambda **options: models.vogels_abbott(kind, **options)


VALIDATION = (
    ValidationCase("microcircuit-0.1", "microcircuit, scale 0.1, Poisson", _microcircuit(0.1), 500.0, 2000.0),
    ValidationCase("microcircuit-0.2", "microcircuit, scale 0.2, Poisson", _microcircuit(0.2), 500.0, 2000.0),
    ValidationCase("brunel-sr", "Brunel, synchronous regular", _brunel("synchronous regular"), 100.0, 200.0),
    ValidationCase("brunel-si-fast", "Brunel, SI fast", _brunel("synchronous irregular, fast"), 200.0, 500.0),
    ValidationCase("brunel-ai", "Brunel, AI", _brunel("asynchronous irregular"), 200.0, 500.0),
    ValidationCase("brunel-si-slow", "Brunel, SI slow", _brunel("synchronous irregular, slow"), 200.0, 1000.0),
    ValidationCase("cuba", "Vogels-Abbott, CUBA", _vogels_abbott("cuba"), 500.0, 2000.0),
    ValidationCase("coba", "Vogels-Abbott, COBA", _vogels_abbott("coba"), 300.0, 1000.0),
)
