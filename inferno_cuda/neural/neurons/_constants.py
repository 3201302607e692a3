"""The constants of adaptation as the step takes them: computed once for each change of what they depend on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

_PLAIN = (torch.Tensor, nn.Parameter)  # which have values that can be read, unlike what compilers put in their place


class Constants:
    """The constants computed last, and what from. A copy is empty.

    On the CPU what they depend on is compared by value; elsewhere that would wait for the device, so a change is
    noticed there unless it is written past autograd, through ``.data``. Fused optimizers write like that: what requires
    a gradient is not trusted there.
    """

    def __init__(self) -> None:
        self._key: tuple | None = None
        self._sources: Sequence[torch.Tensor] = ()
        self._value: torch.Tensor | None = None

    def get(
        self, make: Callable[..., torch.Tensor], dt: float, dtype: torch.dtype, sources: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """``make(dt, *sources)``, of shape ``(constants, K)``, in the type that states of ``dtype`` compute in.

        No gradient reaches the sources.
        """
        if torch.compiler.is_compiling():
            # a compiler sees neither values nor versions
            return _make(make, dt, dtype, [source.detach() for source in sources])
        if type(sources[0]) in _PLAIN and sources[0].is_cpu:
            key = (dt, dtype, *[source.tolist() for source in sources])
        elif any(source.requires_grad or source.is_inference() for source in sources):
            key = None  # these do not count all their versions
        else:
            # the sources are kept, so that no other tensor can take their place unnoticed
            key = (dt, dtype, *[(id(source), source._version) for source in sources])
        if key is None or key != self._key:
            # made outside of inference mode, since it is used after it
            with torch.inference_mode(False), torch.no_grad():
                self._value = _make(make, dt, dtype, sources)
            self._key, self._sources = key, sources
        return self._value

    def differentiable(
        self, make: Callable[..., torch.Tensor], dt: float, dtype: torch.dtype, sources: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """As :meth:`get`, with a gradient to the sources; made anew for each step, as is its graph."""
        self._key = None  # the sources are about to be changed
        return _make(make, dt, dtype, sources)

    def __deepcopy__(self, memo: dict[int, Any]) -> Constants:
        return Constants()

    def __reduce__(self) -> tuple:
        return Constants, ()


def _make(
    make: Callable[..., torch.Tensor], dt: float, dtype: torch.dtype, sources: Sequence[torch.Tensor]
) -> torch.Tensor:
    # adding zero leaves no -0.0, which compares equal to 0.0 and would be one of two results for the same key
    return make(dt, *sources).to(torch.float64 if dtype == torch.float64 else torch.float32) + 0.0
