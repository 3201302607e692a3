"""Surrogate gradients: what backward passes take for the derivative of a spike.

A neuron fires where its voltage has reached the threshold: a step, of which the derivative is zero almost everywhere. A
surrogate leaves the step as it is and puts a function with some width in place of the derivative (Neftci, Mostafa and
Zenke, IEEE Signal Processing Magazine 36(6), 51, 2019). In all of them ``x`` is the voltage less the threshold, in mV,
and ``scale`` is in 1/mV: the larger, the narrower. Those of this module are part of the kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from . import reference

__all__ = [
    "ATan",
    "Boxcar",
    "FastSigmoid",
    "Gaussian",
    "Sigmoid",
    "StraightThrough",
    "SuperSpike",
    "Surrogate",
    "Triangular",
]


@dataclass(frozen=True)
class Surrogate:
    """The step function with the gradient of a smooth one: what the surrogates have in common.

    Immutable, hashable, and equal to another of the same class and scale. A class of your own has :meth:`derivative`
    and, if it is to be used in place of the step, :meth:`smooth`; neurons run it in torch, also if it is a subclass of
    one that has a kernel.

    Args:
        scale: in 1/mV.

    Raises:
        ValueError: if ``scale`` is not positive and finite.
    """

    #: Name of the surrogate among the kernels; None if there is no kernel.
    name: ClassVar[str | None] = None
    scale: float = 1.0

    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            # the kernel computes the class that it is named after, not what a subclass makes of it
            cls.name = None

    def __post_init__(self) -> None:
        scale = float(self.scale)
        if not 0 < scale < math.inf:
            raise ValueError(f"'scale' was {self.scale!r}; it must be positive and finite (1/mV)")
        object.__setattr__(self, "scale", scale)

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """What stands for the derivative of the spike at ``x`` (mV), in 1/mV; shape and dtype of ``x``."""
        raise NotImplementedError(f"{type(self).__name__} must implement 'derivative'")

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        """A smooth spike at ``x`` (mV), of which :meth:`derivative` is the derivative; 1/2 at the threshold."""
        raise NotImplementedError(f"{type(self).__name__} must implement 'smooth'")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """1 where ``x >= 0``, else 0, in the dtype of ``x``; the gradient is :meth:`derivative`.

        Works in any torch code, also under ``torch.compile`` and ``torch.func``.

        Raises:
            TypeError: if ``x`` is not floating point, so that it could have no gradient.
        """
        if not x.is_floating_point():
            raise TypeError(f"'x' was {x.dtype}; it must be floating point")
        return reference.heaviside(x, self.derivative)


class _BuiltIn(Surrogate):
    """A surrogate that has a kernel; its formulas are those of the reference."""

    _formulas: ClassVar[str]

    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        if cls.name is not None:
            cls._formulas = cls.name

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return reference.surrogate_derivative(self._formulas, x, self.scale)

    def smooth(self, x: torch.Tensor) -> torch.Tensor:
        return reference.surrogate_smooth(self._formulas, x, self.scale)


class ATan(_BuiltIn):
    r"""The derivative of an arc tangent; the integral is 1.

    .. math::

        \frac{k / 2}{1 + (\frac{\pi}{2} k x)^2}

    The long tails keep gradients of neurons far from the threshold (Fang, Yu, Chen, Masquelier, Huang and Tian,
    ICCV 2021, whose alpha is ``k``).

    Args:
        scale: :math:`k`, in 1/mV.

    Raises:
        ValueError: if ``scale`` is not positive and finite.

    Example:
        >>> import torch
        >>> from inferno_cuda.surrogate import ATan
        >>> above = torch.tensor([-1.0, 0.0, 1.0], requires_grad=True)  # mV
        >>> spikes = ATan(scale=2.0)(above)
        >>> spikes.sum().backward()
        >>> spikes.detach(), above.grad
        (tensor([0., 1., 1.]), tensor([0.0920, 1.0000, 0.0920]))
    """

    name = "atan"


class Sigmoid(_BuiltIn):
    r"""The derivative of the logistic function; the integral is 1.

    .. math::

        k\, \sigma(k x) (1 - \sigma(k x)), \qquad \sigma(u) = \frac{1}{1 + e^{-u}}

    See Neftci, Mostafa and Zenke, IEEE Signal Processing Magazine 36(6), 51 (2019).

    Args:
        scale: :math:`k`, in 1/mV.

    Raises:
        ValueError: if ``scale`` is not positive and finite.
    """

    name = "sigmoid"


class FastSigmoid(_BuiltIn):
    r"""The derivative of a sigmoid without an exponential; the integral is 1.

    .. math::

        \frac{k / 2}{(1 + k |x|)^2}

    The shape is that of :class:`SuperSpike`, of unit area.

    Args:
        scale: :math:`k`, in 1/mV.

    Raises:
        ValueError: if ``scale`` is not positive and finite.
    """

    name = "fast_sigmoid"


class SuperSpike(_BuiltIn):
    r"""The fast sigmoid as it was published: 1 at the threshold, the integral is 2 / k.

    .. math::

        \frac{1}{(1 + k |x|)^2}

    From Zenke and Ganguli, Neural Computation 30(6), 1514 (2018), whose beta is ``k``.

    Args:
        scale: :math:`k`, in 1/mV.

    Raises:
        ValueError: if ``scale`` is not positive and finite.
    """

    name = "super_spike"


class Triangular(_BuiltIn):
    r"""A triangle of the width 2 / k; the integral is 1.

    .. math::

        k \max(0, 1 - k |x|)

    See Esser et al., PNAS 113(41), 11441 (2016), and Bellec et al., NeurIPS 2018. Farther off than 1 / k, the
    gradient is exactly zero.

    Args:
        scale: :math:`k`, in 1/mV.

    Raises:
        ValueError: if ``scale`` is not positive and finite.
    """

    name = "triangular"


class Gaussian(_BuiltIn):
    r"""A normal density of the standard deviation 1 / k; the integral is 1.

    .. math::

        \frac{k}{\sqrt{2 \pi}} e^{-(k x)^2 / 2}

    See Yin, Corradi and Bohte, Nature Machine Intelligence 3, 905 (2021).

    Args:
        scale: :math:`k`, in 1/mV.

    Raises:
        ValueError: if ``scale`` is not positive and finite.
    """

    name = "gaussian"


class Boxcar(_BuiltIn):
    r"""A rectangle of the width 1 / k; the integral is 1.

    .. math::

        k \ \text{where}\ |x| < \frac{1}{2k}, \ \text{else}\ 0

    See Wu, Deng, Li, Zhu and Shi, Frontiers in Neuroscience 12, 331 (2018), whose ``a`` is 1 / k. Outside the
    rectangle the gradient is exactly zero.

    Args:
        scale: :math:`k`, in 1/mV.

    Raises:
        ValueError: if ``scale`` is not positive and finite.
    """

    name = "boxcar"


class StraightThrough(_BuiltIn):
    r"""The same gradient everywhere, as if the spike were linear in the voltage.

    .. math::

        k

    The estimator of Bengio, Leonard and Courville, arXiv:1308.3432 (2013). Its integral is infinite.

    Args:
        scale: :math:`k`, in 1/mV.

    Raises:
        ValueError: if ``scale`` is not positive and finite.
    """

    name = "straight_through"
