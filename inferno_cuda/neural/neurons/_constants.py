"""The constants of adaptation as the step takes them: computed once for each change of what they depend on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


class Constants:
    """The constants computed last, and what from. A copy is empty."""

    def __init__(self) -> None:
        self._key: tuple | None = None
        self._sources: Sequence[torch.Tensor] = ()
        self._value: torch.Tensor | None = None

    def get(
        self, make: Callable[..., torch.Tensor], dt: float, dtype: torch.dtype, sources: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """``make(dt, *sources)``, of shape ``(constants, K)``, in the type that states of ``dtype`` compute in."""
        if torch.compiler.is_compiling() or torch.is_inference(sources[0]):
            # a compiler does not see versions, and an inference tensor does not count them
            return self._make(make, dt, dtype, sources)
        # the sources are kept, so that no other tensor can take their place unnoticed
        key = (dt, dtype, *[(id(source), source._version) for source in sources])
        if key != self._key:
            self._value = self._make(make, dt, dtype, sources)
            self._key, self._sources = key, sources
        return self._value

    @staticmethod
    def _make(make, dt, dtype, sources) -> torch.Tensor:
        return make(dt, *sources).to(torch.float64 if dtype == torch.float64 else torch.float32)

    def __deepcopy__(self, memo: dict[int, Any]) -> Constants:
        return Constants()

    def __reduce__(self) -> tuple:
        return Constants, ()
