"""What weights, delays, parameters and initial values are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..state import _check

__all__ = ["Constant", "Distribution", "LogNormal", "Normal", "Uniform"]

_BOUNDED = ("redraw", "clip")


@dataclass(frozen=True)
class Distribution:
    """Base of all distributions. Drawn in double precision, from the seed of the network, the same on every device.

    See :class:`Constant`, :class:`Uniform`, :class:`Normal`, :class:`LogNormal`.
    """

    kind: ClassVar[str] = ""

    def _parameters(self) -> dict[str, Any]:
        """Those of ``ops.draw``."""
        raise NotImplementedError(f"{type(self).__name__} cannot be drawn: use a subclass such as Normal")


@dataclass(frozen=True)
class Constant(Distribution):
    """Always the same number, as a plain number is too.

    Args:
        value: that number, finite.

    Raises:
        ValueError: if it is not finite.
    """

    value: float
    kind: ClassVar[str] = "constant"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _check.finite("value", self.value))

    def _parameters(self) -> dict[str, Any]:
        return {"value": self.value}


@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform between two numbers.

    Args:
        low: the smallest number.
        high: the largest number.

    Raises:
        ValueError: if one is not finite, or ``high`` is below ``low``.
    """

    low: float
    high: float
    kind: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", _check.finite("low", self.low))
        object.__setattr__(self, "high", _check.finite("high", self.high))
        _check.at_least("high", self.high, self.low, "low")

    def _parameters(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high}


@dataclass(frozen=True)
class _Bounded(Distribution):
    """What all distributions with tails do about them."""

    def _check_bounds(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _check.finite(name, value))
        if self.low is not None and self.high is not None:
            _check.at_least("high", self.high, self.low, "low")
        _check.one_of("bounded", self.bounded, _BOUNDED)

    def _bounds(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in ("low", "high")}
        bounds = {name: value for name, value in given.items() if value is not None}
        return {**bounds, "bounded": self.bounded} if bounds else {}


@dataclass(frozen=True)
class Normal(_Bounded):
    """Normal (Gaussian), possibly within bounds.

    Args:
        mean: mean before bounds.
        std: standard deviation before bounds, not negative.
        low: smallest number, None: no bound.
        high: largest number, None: no bound.
        bounded: ``"redraw"`` draws numbers outside of the bounds again, ``"clip"`` moves them to the bound.

    Raises:
        ValueError: if a number is not finite, ``std`` is negative, ``high`` is below ``low``, or ``bounded`` is
            neither. When numbers are drawn: if less than one in a thousand would be within the bounds.
    """

    mean: float
    std: float
    low: float | None = None
    high: float | None = None
    bounded: str = "redraw"
    kind: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", _check.finite("mean", self.mean))
        object.__setattr__(self, "std", _check.span("std", self.std))
        self._check_bounds()

    def _parameters(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std, **self._bounds()}


@dataclass(frozen=True)
class LogNormal(_Bounded):
    """Exponential function of a normal number, possibly within bounds.

    Args:
        mu: mean of the logarithm.
        sigma: standard deviation of the logarithm, not negative.
        low: smallest number, None: no bound.
        high: largest number, None: no bound.
        bounded: ``"redraw"`` draws numbers outside of the bounds again, ``"clip"`` moves them to the bound.

    Raises:
        ValueError: as of :class:`Normal`.
    """

    mu: float
    sigma: float
    low: float | None = None
    high: float | None = None
    bounded: str = "redraw"
    kind: ClassVar[str] = "lognormal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "mu", _check.finite("mu", self.mu))
        object.__setattr__(self, "sigma", _check.span("sigma", self.sigma))
        self._check_bounds()

    def _parameters(self) -> dict[str, Any]:
        return {"mu": self.mu, "sigma": self.sigma, **self._bounds()}
