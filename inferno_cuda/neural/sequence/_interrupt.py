"""Ctrl-C is waited for between steps, never in the midst of one."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import torch


class Interrupt:
    """Within its context, the first SIGINT is kept for :meth:`check`; a second one raises at once.

    Only where Python's own handler would have raised KeyboardInterrupt: handlers of a program stay as they are. In
    compiled code signals are left alone.
    """

    def __init__(self) -> None:
        self._came = False
        self._installed = False

    def __enter__(self) -> Interrupt:
        if not torch.compiler.is_compiling() and threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._keep)
                self._installed = True
        return self

    def __exit__(self, *exception: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            raise KeyboardInterrupt
        self._came = True

    @property
    def came(self) -> bool:
        """Whether there was one."""
        return self._came

    def check(self) -> None:
        """Raises KeyboardInterrupt if there was one."""
        if self._came:
            raise KeyboardInterrupt
