"""How the results of the training suite are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bench_text import seconds_text, share_text, times_text

if TYPE_CHECKING:
    from .training import TrainingResult
    from .training_neurons import NeuronRate

_NAME, _NUMBER = 28, 16


def _line(cells: list[str]) -> str:
    return "  " + "  ".join([f"{cells[0]:<{_NAME}}", *(f"{cell:>{_NUMBER}}" for cell in cells[1:])]).rstrip()


def contender_row(result: TrainingResult) -> list[str]:
    """The lines of a case."""
    if result.problem:
        return [f"  not timed, {result.problem}"]
    beside, memory = result.case.beside, bool(result.memory)
    header = ["", "median (IQR)", "by ours"]
    header += [f"without {beside.split()[0]}"] if beside else []
    header += ["peak memory", "by ours"] if memory else []
    lines = [_line(header)]
    for name, timing in result.seconds.items():
        share = f"({100 * timing.iqr / timing.median:.0f}%)"
        cells = [name, f"{seconds_text(timing.median)} {share:>5}", times_text(result.ratio(name))]
        cells += [times_text(result.ratio_beside(name))] if beside else []
        cells += _memory_cells(result, name) if memory else []
        if name in result.compiling:
            cells.append(f"first pass {seconds_text(result.compiling[name])}")
        lines.append(_line(cells))
    return lines + [f"  {name}: not installed" for name in result.missing]


def _memory_cells(result: TrainingResult, name: str) -> list[str]:
    size, ours = result.memory.get(name), next(iter(result.memory.values()))
    text = "-" if size is None else f"{size / 2**20:,.1f} MiB"
    first = name == next(iter(result.memory))
    return [text, times_text(size / ours if size and ours and not first else None)]


def neuron_header() -> str:
    return "neuron-steps per second\n" + _line(["", "forward", "backward", "both", "of copy"])


def neuron_row(rate: NeuronRate, bandwidth: float) -> str:
    shown = (rate.forward, rate.backward, rate.both)
    numbers = ["-" if seconds <= 0 else f"{rate.count / seconds / 1e9:.3g} G" for seconds in shown]
    return _line([rate.model, *numbers, share_text(rate.share(bandwidth))])
