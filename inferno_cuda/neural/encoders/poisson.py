"""Encoders that turn intensities into random spike trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...state import Module, _check
from .. import functional as nf
from .mixins import GeneratorMixin, RefractoryStepMixin, StepMixin


class _PoissonEncoder(GeneratorMixin, StepMixin, Module):
    """What the encoders share: intensities times a frequency are the rates to draw from."""

    # names of the functions that draw all steps at once, and one at a time
    _functions: tuple[str, str]

    def _set_up(self, frequency: float, generator: torch.Generator | None) -> None:
        self.__frequency = _check.span("frequency", frequency)
        GeneratorMixin.__init__(self, generator)

    @property
    def frequency(self) -> float:
        """Firing rate of an input of 1, in Hz.

        Raises:
            ValueError: if the new value is negative or infinite.
        """
        return self.__frequency

    @frequency.setter
    def frequency(self, value: float) -> None:
        value = _check.span("frequency", value)
        self._check_frequency("frequency", value)
        self.__frequency = value

    def _check_frequency(self, name: str, value: float) -> None:
        """Raises ValueError for a frequency that cannot be met."""

    def forward(self, inputs: Tensor, online: bool = False) -> Tensor | Iterator[Tensor]:
        """Draws spikes.

        Args:
            inputs: intensities, nominally in [0, 1], of any shape.
            online: whether the steps are drawn one at a time.

        Returns:
            Spikes, bool, ``(steps, *inputs.shape)``; or an iterator over ``steps`` tensors of the shape of ``inputs``.

        Raises:
            ValueError: if an input is negative or NaN, or a rate cannot be met.
        """
        rates = self.frequency * _check.instance("inputs", inputs, Tensor).detach()
        draw = getattr(nf, self._functions[bool(online)])
        return draw(rates, self.steps, self.dt, generator=self.generator, **self._options())

    def _options(self) -> dict[str, Any]:
        return {}

    def extra_repr(self) -> str:
        return f"steps={self.steps}, dt={self.dt}, frequency={self.frequency}"


class HomogeneousPoissonEncoder(RefractoryStepMixin, _PoissonEncoder):
    """Exponential intervals between spikes, each after a refractory period.

    Args:
        steps: number of steps.
        step_time: length of a step, in ms.
        frequency: firing rate of an input of 1, in Hz.
        refrac: refractory period, in ms; None for that of one step, whatever the step time becomes.
        compensate: whether the exponential part is shortened by the refractory period, so that the rates are met. With
            a ``refrac`` below ``step_time`` there are somewhat fewer spikes still: events of one step are one spike.
        generator: where random numbers come from; None for torch's own source.

    Raises:
        ValueError: if ``steps`` is not a positive integer or another number is out of range.
        TypeError: if ``generator`` is neither a generator nor None.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import HomogeneousPoissonEncoder
        >>> encoder = HomogeneousPoissonEncoder(1000, 1.0, 50.0, generator=torch.Generator().manual_seed(7))
        >>> spikes = encoder(torch.tensor([0.0, 0.5, 1.0]))  # 0, 25 and 50 spikes are expected in these 1000 ms
        >>> spikes.shape, spikes.any(0)
        (torch.Size([1000, 3]), tensor([False,  True,  True]))
    """

    _functions = ("homogeneous_poisson_exp_interval", "homogeneous_poisson_exp_interval_online")

    def __init__(
        self,
        steps: int,
        step_time: float,
        frequency: float,
        *,
        refrac: float | None = None,
        compensate: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        Module.__init__(self)
        RefractoryStepMixin.__init__(self, steps, step_time, refrac)
        self._set_up(frequency, generator)
        self.__compensated = bool(compensate)

    @property
    def compensated(self) -> bool:
        """Whether the exponential part is shortened by the refractory period.

        Raises:
            ValueError: if set to True with ``frequency * refrac`` of 1000 or more.
        """
        return self.__compensated

    @compensated.setter
    def compensated(self, value: bool) -> None:
        if value:
            _check_compensation("compensated", value, self.frequency, self.refrac)
        self.__compensated = bool(value)

    @property
    def refrac(self) -> float:
        """Refractory period, in ms. Setting it to None makes it follow :attr:`dt`.

        Raises:
            ValueError: if the new value is negative or infinite, or too long for the frequency to be compensated.
        """
        return RefractoryStepMixin.refrac.fget(self)

    @refrac.setter
    def refrac(self, value: float | None) -> None:
        if self.compensated:
            span = self.dt if value is None else _check.span("refrac", value)
            _check_compensation("refrac", value, self.frequency, span)
        RefractoryStepMixin.refrac.fset(self, value)

    def _check_frequency(self, name: str, value: float) -> None:
        if self.compensated:
            _check_compensation(name, value, value, self.refrac)

    def _options(self) -> dict[str, Any]:
        return {"refrac": self.refrac, "compensate": self.compensated}

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, refrac={self.refrac}, compensated={self.compensated}"


class HomogeneousPoissonApproxEncoder(_PoissonEncoder):
    """Independent steps, with a spike in each with probability ``rate * step_time / 1000``, at most 1.

    Args:
        steps: number of steps.
        step_time: length of a step, in ms.
        frequency: firing rate of an input of 1, in Hz.
        generator: where random numbers come from; None for torch's own source.

    Raises:
        ValueError: if ``steps`` is not a positive integer or another number is out of range.
        TypeError: if ``generator`` is neither a generator nor None.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import HomogeneousPoissonApproxEncoder
        >>> encoder = HomogeneousPoissonApproxEncoder(1000, 1.0, 50.0, generator=torch.Generator().manual_seed(7))
        >>> spikes = encoder(torch.tensor([0.0, 0.5, 1.0]))  # 0, 25 and 50 spikes are expected in these 1000 ms
        >>> spikes.shape, spikes.any(0)
        (torch.Size([1000, 3]), tensor([False,  True,  True]))
    """

    _functions = ("homogenous_poisson_bernoulli_approx", "homogenous_poisson_bernoulli_approx_online")

    def __init__(
        self, steps: int, step_time: float, frequency: float, *, generator: torch.Generator | None = None
    ) -> None:
        Module.__init__(self)
        StepMixin.__init__(self, steps, step_time)
        self._set_up(frequency, generator)


class PoissonIntervalEncoder(_PoissonEncoder):
    """Poisson distributed numbers of steps between spikes, at least one; their mean is ``1000 / rate`` ms.

    Args:
        steps: number of steps.
        step_time: length of a step, in ms.
        frequency: firing rate of an input of 1, in Hz.
        generator: where random numbers come from; None for torch's own source.

    Raises:
        ValueError: if ``steps`` is not a positive integer or another number is out of range.
        TypeError: if ``generator`` is neither a generator nor None.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import PoissonIntervalEncoder
        >>> encoder = PoissonIntervalEncoder(1000, 1.0, 50.0, generator=torch.Generator().manual_seed(7))
        >>> spikes = encoder(torch.tensor([0.0, 0.5, 1.0]))  # 0, 25 and 50 spikes are expected in these 1000 ms
        >>> spikes.shape, spikes.any(0)
        (torch.Size([1000, 3]), tensor([False,  True,  True]))
    """

    _functions = ("poisson_interval", "poisson_interval_online")

    def __init__(
        self, steps: int, step_time: float, frequency: float, *, generator: torch.Generator | None = None
    ) -> None:
        Module.__init__(self)
        StepMixin.__init__(self, steps, step_time)
        self._set_up(frequency, generator)


def _check_compensation(name: str, value: float | bool | None, frequency: float, refrac: float) -> None:
    if not frequency * refrac < 1000:
        raise ValueError(
            f"'{name}' of {value} makes 'frequency * refrac' {frequency * refrac}; "
            "it must be less than 1000 for the frequency to be compensated"
        )
