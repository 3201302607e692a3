"""Weak references that survive copying and pickling, by following what they refer to."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator, Mapping
from typing import Any


class Weak:
    """A weak reference; call it for the object, or None once that is gone.

    A copy refers to the copy of the object, which dies with the copying unless something else that is copied holds it.
    """

    def __init__(self, target: Any) -> None:
        self._ref = _dead if target is None else weakref.ref(target)

    def __call__(self) -> Any:
        return self._ref()

    def __deepcopy__(self, memo: dict[int, Any]) -> Weak:
        target = copy.deepcopy(self(), memo)
        # the copy of the target may have copied this on its way
        return memo[id(self)] if id(self) in memo else memo.setdefault(id(self), type(self)(target))

    def __getstate__(self) -> Any:
        return (self(),)

    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)


def _dead() -> None:
    return None


class WeakMap(Mapping):
    """Objects by name, each for as long as it exists. Entries can be read as attributes too."""

    def __init__(self) -> None:
        self.__dict__["_entries"] = {}

    def _put(self, name: str, value: Any) -> None:
        self._entries[name] = Weak(value)

    def _drop(self, name: str) -> None:
        self._entries.pop(name, None)

    def _known(self, name: str) -> bool:
        """Whether there is an entry of that name, be the object gone or not."""
        return name in self._entries

    def _living(self) -> dict[str, Any]:
        living = {}
        for name, weak in self._entries.items():
            value = weak._ref()
            if value is not None:
                living[name] = value
        return living

    def __getitem__(self, name: str) -> Any:
        return self._living()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._living())

    def __len__(self) -> int:
        return len(self._living())

    def __getattr__(self, name: str) -> Any:
        # what is half made, as copying and unpickling start with, has no entries yet
        found = self.__dict__["_entries"].get(name) if "_entries" in self.__dict__ else None
        value = None if found is None else found()
        if value is None:
            raise AttributeError(f"attribute ('{name}') does not exist")
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"'{name}' cannot be set, the mapping is read-only")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self})

    def __repr__(self) -> str:
        return repr(self._living())

    def __getstate__(self) -> dict[str, Any]:
        return {"_entries": self._entries}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
