"""The method of everything that runs sequences."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from .._coverage import Advanced, Chunk, Wanted
from ._run import Inputs, run


class Runnable:
    """Gives a module the method ``run``. Subclasses say what they can record, and what they run at once."""

    # what is recorded of a part besides its attributes, and where it is seen: its "input" or its "output"
    _recorded: ClassVar[Mapping[str, str]] = {}
    # whether a sequence that fails leaves the state as it was
    _all_or_nothing: ClassVar[bool] = True

    def _takes(self, keyword: str) -> bool:
        """Whether a keyword argument is one of ``forward``, beyond those that it takes but does not know."""
        return keyword in inspect.signature(self.forward).parameters

    def _advance(self, chunk: Chunk, kwargs: Mapping[str, Any], wanted: tuple[Wanted, ...]) -> Advanced | None:
        """Runs a sequence at once; None, with nothing changed, where only single steps will do."""
        return None

    def _runs_apart(self) -> bool:
        """Whether a sequence may run before what takes its outputs, and after what gives its inputs."""
        return False

    def run(
        self,
        inputs: Inputs,
        *,
        record: str | Iterable[str] = (),
        every: int = 1,
        neurons: Any = None,
        out: Any = None,
        chunk: int | None = None,
        steps: int | None = None,
        outputs: bool = True,
        progress: bool = False,
        callback: Callable[[int], None] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Runs a sequence of inputs, with the steps in front: see :func:`inferno_cuda.run`."""
        return run(
            self,
            inputs,
            record=record,
            every=every,
            neurons=neurons,
            out=out,
            chunk=chunk,
            steps=steps,
            outputs=outputs,
            progress=progress,
            callback=callback,
            **kwargs,
        )
