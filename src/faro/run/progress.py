"""A live line about a run, in the terminal or a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from faro.run.notices import Notices


class ProgressLine:
    """Shows what a run does now; fed by notices, so it cannot hold up the run.

    Parameters
    ----------
    notices
        Of the controller.
    n_events
        FOV-timepoints of the whole run.
    n_timepoints
        Timepoints of the whole run.
    console
        Where to show it; default standard error.
    analysed
        Whether there is an analysis, whose progress is shown; else that of the camera.
    """

    def __init__(
        self,
        notices: Notices,
        n_events: int,
        n_timepoints: int,
        console: Console | None = None,
        *,
        analysed: bool = True,
    ) -> None:
        self._notices, self._n_timepoints = notices, n_timepoints
        self._analysed = analysed
        self._cells = self._stimulated = self._failures = 0
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console or Console(stderr=True),
            refresh_per_second=8,
        )
        self._task = self._progress.add_task("faro", total=n_events, state="starting")

    def __enter__(self) -> Self:
        self._progress.start()
        self._notices.waiting.connect(self._on_waiting)
        self._notices.scheduled.connect(self._on_scheduled)
        self._notices.paused.connect(self._on_paused)
        self._notices.extended.connect(self._on_extended)
        self._notices.acquiring.connect(self._on_acquiring)
        self._notices.analysed.connect(self._on_analysed)
        self._notices.stimulated.connect(self._on_stimulated)
        self._notices.failed.connect(self._on_failed)
        return self

    def __exit__(self, *exc: object) -> None:
        self._notices.flush(1.0)
        self._notices.waiting.disconnect(self._on_waiting)
        self._notices.scheduled.disconnect(self._on_scheduled)
        self._notices.paused.disconnect(self._on_paused)
        self._notices.extended.disconnect(self._on_extended)
        self._notices.acquiring.disconnect(self._on_acquiring)
        self._notices.analysed.disconnect(self._on_analysed)
        self._notices.stimulated.disconnect(self._on_stimulated)
        self._notices.failed.disconnect(self._on_failed)
        self._state("done")
        self._progress.stop()

    def refresh(self) -> None:
        """Show the newest state now; else it is shown several times a second."""
        self._progress.refresh()

    def _state(self, now: str) -> None:
        extra = f" · {self._failures} failed" if self._failures else ""
        state = f"{now} · {self._cells} cells · {self._stimulated} stimulated{extra}"
        self._progress.update(self._task, state=state)

    def _on_waiting(self, timestep: int, wait_s: float) -> None:
        if wait_s >= 1.0:
            self._state(f"waiting {wait_s:.0f} s for t={timestep}")

    def _on_scheduled(self, words: str, wait_s: float) -> None:
        self._state(f"{words} ({wait_s / 60:.0f} min)")

    def _on_paused(self, what_to_do: str) -> None:
        self._state(f"paused: {what_to_do}")

    def _on_extended(self, n_events: int, n_timepoints: int) -> None:
        self._n_timepoints = n_timepoints
        self._progress.update(self._task, total=n_events)

    def _on_acquiring(self, timestep: int, fov: int) -> None:
        self._state(f"t {timestep + 1}/{self._n_timepoints}, fov {fov}")
        if not self._analysed:
            self._progress.advance(self._task)

    def _on_analysed(self, timestep: int, fov: int, n_cells: int) -> None:
        del timestep, fov
        self._cells = n_cells
        self._progress.advance(self._task)

    def _on_stimulated(self, timestep: int, fov: int) -> None:
        del timestep, fov
        self._stimulated += 1

    def _on_failed(self, timestep: int, fov: int, stage: str, message: str) -> None:
        self._failures += 1
        self._progress.console.print(
            f"[red]t={timestep} fov={fov} {stage}: {message}", highlight=False
        )
