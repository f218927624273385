"""What became of a run, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faro.model.shown import table_html

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What became of a run.

    Attributes
    ----------
    reason
        ``"completed"``, or why it ended before its plan did.
    n_stacks, n_cells
        Complete imaging stacks and rows of the cell table.
    n_stimulated, n_skipped
        Stimulations that fired, and those for which nothing fired.
    n_errors
        Failures recorded while the run went on.
    duration_s
        From the first event to the last table row.
    path
        The run folder, None if the run was not stored.
    light_ms
        Light by channel, ms of full light on a field, all positions together; the dose
        of each position is in ``summary.json``.
    """

    reason: str
    n_stacks: int
    n_cells: int
    n_stimulated: int
    n_skipped: int
    n_errors: int
    duration_s: float
    path: Path | None = None
    light_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def completed(self) -> bool:
        """Whether the whole plan was carried out."""
        return self.reason == COMPLETED

    def _repr_html_(self) -> str:
        rows = [
            ("ended", self.reason),
            ("stacks", str(self.n_stacks)),
            ("cells", f"{self.n_cells} rows"),
            ("light", f"{self.n_stimulated} fired, {self.n_skipped} skipped"),
            ("errors", str(self.n_errors or "none")),
            ("duration", f"{self.duration_s:.1f} s"),
            ("stored in", str(self.path or "nothing was stored")),
        ]
        return table_html("Run", rows)


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is.

    Attributes
    ----------
    n_done, n_total
        Positions and timepoints imaged, and planned.
    now_s, planned_end_s
        Seconds since the run started; planned start of the last position, with what
        pauses have moved.
    lateness_s
        Actual minus planned start of the newest position.
    doing
        What holds the run up, in words; empty if nothing does.
    """

    n_done: int
    n_total: int
    now_s: float
    planned_end_s: float
    lateness_s: float
    doing: str = ""

    @property
    def left_s(self) -> float:
        """Seconds until the last position is due, with the lateness of now."""
        return max(0.0, self.planned_end_s + max(self.lateness_s, 0.0) - self.now_s)


def counted(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the numbers of a summary that the recorder has counted."""
    return {
        "n_stacks": counts.get("stacks_image", 0),
        "n_stimulated": counts.get("stim_confirmed", 0),
        "n_skipped": counts.get("stim_skipped", 0),
        "n_errors": counts.get("error", 0),
    }


def plain(summary: RunSummary) -> dict[str, Any]:
    """Return a summary as JSON-able facts."""
    names = ("reason", "n_stacks", "n_cells", "n_stimulated", "n_skipped", "n_errors")
    facts = {name: getattr(summary, name) for name in names}
    return {**facts, "duration_s": round(summary.duration_s, 3)}
