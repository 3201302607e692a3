"""What `accelerate` did, for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What became of a module."""

    ACCELERATED = "accelerated"
    ALREADY = "already accelerated"
    SKIPPED = "skipped"
    LEFT_OUT = "left out by filter_fn"


@dataclass(frozen=True)
class Row:
    """One module of a model.

    Attributes:
        fqn: its name in the model; empty for the model itself.
        cls: name of the library's class.
        library: name of the library.
        outcome: what became of it.
        runs: what runs instead of the library's code; empty if nothing does.
        reason: why it was skipped; empty if it was not.
    """

    fqn: str
    cls: str
    library: str
    outcome: Outcome
    runs: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Verification:
    """How far the accelerated model is from the library's, after the same steps from the same state.

    Attributes:
        steps: number of steps.
        output_difference: largest absolute difference of any output in any step.
        state_difference: largest absolute difference of any parameter, buffer or other tensor of a module after any
            step.
        spike_mismatches: number of spikes that only one of the two has, in what is bool, or consists of zeros and ones:
            in the outputs of all steps, and in the state after the last one. A spike that is both an output and still
            part of the state then counts in each.
    """

    steps: int
    output_difference: float
    state_difference: float
    spike_mismatches: int

    def __str__(self) -> str:
        steps = f"{self.steps} step{'s' * (self.steps != 1)}"
        return (
            f"verified over {steps}: largest difference of outputs {self.output_difference:.3g}, "
            f"of state {self.state_difference:.3g}; {self.spike_mismatches} spikes differ"
        )


@dataclass(frozen=True)
class Report:
    """The modules of the known libraries in a model, in its order; ``print`` shows them as a table.

    Attributes:
        rows: one for each module; shared ones have one row. Other modules, such as ``torch.nn.Linear``, are no
            library's and have none.
        verification: what ``verify`` found; None if it was not asked for.
    """

    rows: tuple[Row, ...]
    verification: Verification | None = None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, outcome: Outcome) -> tuple[Row, ...]:
        """The modules of which this became."""
        return tuple(row for row in self.rows if row.outcome is outcome)

    @property
    def accelerated(self) -> tuple[Row, ...]:
        """The modules that run on our ops since this call."""
        return self.of(Outcome.ACCELERATED)

    @property
    def skipped(self) -> tuple[Row, ...]:
        """The modules of known libraries that stay as they are, each with its reason."""
        return self.of(Outcome.SKIPPED)

    def __str__(self) -> str:
        lines = [*table(self.rows), self._counts()]
        if self.verification is not None:
            lines.append(str(self.verification))
        return "\n".join(lines)

    def _counts(self) -> str:
        counts = [(len(self.of(outcome)), outcome.value) for outcome in Outcome]
        listed = ", ".join(f"{count} {text}" for count, text in counts if count)
        running = self.of(Outcome.ACCELERATED) + self.of(Outcome.ALREADY)
        if running:
            return f"{listed}; with gradients or under torch.compile the library's own code runs"
        return listed or "no modules of a known library; those of inferno_cuda run its ops already, see explain"


def table(rows: tuple[Row, ...]) -> list[str]:
    """Rows as aligned lines, under a heading."""
    if not rows:
        return []
    cells = [("module", "class", "", "runs, or why it does not")]
    for row in rows:
        what = row.runs if row.outcome in (Outcome.ACCELERATED, Outcome.ALREADY) else row.reason
        cells.append((row.fqn or "(model)", f"{row.library}.{row.cls}", row.outcome.value, what))
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    return [
        "  ".join([*(text.ljust(width) for text, width in zip(line, widths, strict=False)), line[3]]).rstrip()
        for line in cells
    ]
