"""Attribute access to named modules."""

from __future__ import annotations

from typing import Any

import torch.nn as nn


class Proxy:
    """Modules of a ``ModuleDict`` as attributes, read-only; those of dictionaries within it as well."""

    __slots__ = ("_inner", "_kind")

    def __init__(self, inner: nn.ModuleDict, kind: str) -> None:
        object.__setattr__(self, "_inner", inner)
        object.__setattr__(self, "_kind", kind)

    def __getattr__(self, name: str) -> Any:
        if name not in self._inner:
            # items() and the like; special methods are for Python to find, not here
            if not name.startswith("_") and hasattr(nn.ModuleDict, name):
                return getattr(self._inner, name)
            raise AttributeError(f"'{name}' is not a registered {self._kind}, there are: {', '.join(self._inner)}")
        value = self._inner[name]
        return Proxy(value, self._kind) if isinstance(value, nn.ModuleDict) else value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"'{name}' cannot be set here, add a {self._kind} to the layer instead")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._inner})

    def __repr__(self) -> str:
        return f"{self._kind}s: {', '.join(self._inner)}"
