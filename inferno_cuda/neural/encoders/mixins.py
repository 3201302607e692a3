"""Properties that encoders are put together from."""

from __future__ import annotations

import torch

from ...state import _check


class StepTimeMixin:
    """A step time.

    Args:
        step_time: length of a step, in ms.

    Raises:
        ValueError: if ``step_time`` is not positive and finite.
    """

    def __init__(self, step_time: float) -> None:
        self.__step_time = _check.step("step_time", step_time)

    @property
    def dt(self) -> float:
        """Length of a step, in ms.

        Raises:
            ValueError: if the new value is not positive and finite.
        """
        return self.__step_time

    @dt.setter
    def dt(self, value: float) -> None:
        self.__step_time = _check.step("dt", value)


class StepMixin(StepTimeMixin):
    """A number of steps.

    Args:
        steps: number of steps.
        step_time: length of a step, in ms.

    Raises:
        ValueError: if ``steps`` is not a positive integer, or ``step_time`` not positive and finite.
    """

    def __init__(self, steps: int, step_time: float) -> None:
        StepTimeMixin.__init__(self, step_time)
        self.__steps = _check.size("steps", steps)

    @property
    def steps(self) -> int:
        """Number of steps.

        Raises:
            ValueError: if the new value is not a positive integer.
        """
        return self.__steps

    @steps.setter
    def steps(self, value: int) -> None:
        self.__steps = _check.size("steps", value)

    @property
    def duration(self) -> float:
        """Length of all steps together, in ms."""
        return self.steps * self.dt


class RefractoryStepMixin(StepMixin):
    """A refractory period.

    Args:
        steps: number of steps.
        step_time: length of a step, in ms.
        refrac: refractory period, in ms; None for that of one step, whatever the step time becomes.

    Raises:
        ValueError: if ``refrac`` is negative or infinite, or another argument out of range.
    """

    def __init__(self, steps: int, step_time: float, refrac: float | None) -> None:
        StepMixin.__init__(self, steps, step_time)
        self.__refrac = None if refrac is None else _check.span("refrac", refrac)

    @property
    def refrac(self) -> float:
        """Refractory period, in ms. Setting it to None makes it follow ``dt``.

        Raises:
            ValueError: if the new value is negative or infinite.
        """
        return self.dt if self.__refrac is None else self.__refrac

    @refrac.setter
    def refrac(self, value: float | None) -> None:
        self.__refrac = None if value is None else _check.span("refrac", value)


class GeneratorMixin:
    """A source of random numbers.

    Args:
        generator: where random numbers come from; None for torch's own source.

    Raises:
        TypeError: if ``generator`` is neither a generator nor None.
    """

    def __init__(self, generator: torch.Generator | None) -> None:
        self.generator = generator

    @property
    def generator(self) -> torch.Generator | None:
        """Where random numbers come from; None for torch's own source.

        Raises:
            TypeError: if the new value is neither a generator nor None.
        """
        return self.__generator

    @generator.setter
    def generator(self, value: torch.Generator | None) -> None:
        self.__generator = None if value is None else _check.instance("generator", value, torch.Generator)
