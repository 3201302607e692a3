"""Running for some time, with progress, up to Ctrl-C."""

from __future__ import annotations

import time

from tqdm import tqdm

from ..neural.sequence._interrupt import Interrupt
from ._runner import Runner


class _Display:
    """Model time, real-time factor and the time that is left, on a bar of tqdm."""

    def __init__(self, dt: float, steps: int, progress: bool) -> None:
        self._dt, self._started, self._done = dt, time.perf_counter(), 0
        layout = "{percentage:3.0f}%|{bar}| {desc}"
        self._bar = tqdm(total=steps, bar_format=layout) if progress else None
        self._steps = steps

    def update(self, steps: int) -> None:
        if self._bar is None:
            return
        self._done += steps
        wall = time.perf_counter() - self._started
        factor = wall / (self._done * self._dt / 1000)
        left = wall / self._done * (self._steps - self._done)
        done, total = (n * self._dt for n in (self._done, self._steps))
        text = f"{done:,.0f} of {total:,.0f} ms, real-time factor {factor:.3g}, {left:.0f} s left"
        self._bar.set_description_str(text, False)
        self._bar.update(steps)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def run_steps(runner: Runner, dt: float, steps: int, progress: bool) -> None:
    """Runs, in calls of about a third of a second.

    Raises:
        KeyboardInterrupt: on Ctrl-C, between two calls.
    """
    last = runner.step + steps
    display = _Display(dt, steps, progress)
    with Interrupt() as interrupt:
        try:
            while runner.step < last:
                interrupt.check()
                display.update(runner.advance(last))
        except BaseException as error:
            error.add_note(f"run: the network is at {runner.step * dt:g} ms, {(last - runner.step) * dt:g} ms are left")
            raise
        finally:
            display.close()
