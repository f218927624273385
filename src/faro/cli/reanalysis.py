"""``faro reanalyze``: new segmentation, tracks, features or light on stored data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from faro.errors import Problem, RefusedError
from faro.reanalysis import LocalProcesses, Serial, reanalyze
from faro.reanalysis.cluster import DaskCluster

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from faro.reanalysis import Engine, ReanalysisProgress, ReanalysisSummary


def run_reanalysis(  # noqa: PLR0913  the options of the command
    console: Console,
    directory: Path,
    output: Path | None,
    *,
    pipeline: Path | None,
    workers: int,
    scheduler: str | None,
    reuse: Sequence[Path],
) -> int:
    """Re-analyse ``directory``, print what came of it; return the exit code."""
    engine = _engine(workers, scheduler)
    columns = (
        TextColumn("faro"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames, position {task.fields[fovs]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as line:
        task = line.add_task("frames", total=None, fovs="-")

        def told(at: ReanalysisProgress) -> None:
            fovs = f"{at.n_fovs}/{at.of_fovs}"
            line.update(task, total=at.of_frames, completed=at.n_frames, fovs=fovs)

        summary = reanalyze(
            directory, pipeline, output, engine=engine, reuse=reuse, told=told
        )
    _tell(console, summary)
    return 0 if summary.completed else 1


def _engine(workers: int, scheduler: str | None) -> Engine:
    """Return who computes."""
    if scheduler is not None:
        if workers != 1:
            what = "the scheduler says how many workers there are."
            raise RefusedError([Problem("--workers", what, "Leave it out.")])
        return DaskCluster(scheduler)
    return Serial() if workers == 1 else LocalProcesses(workers)


def _tell(console: Console, summary: ReanalysisSummary) -> None:
    """Print what was computed, what was there, and what failed."""
    said = console.print
    said(f"  cells     {summary.n_cells} in {summary.n_fovs} positions", markup=False)
    said(f"  computed  {_counted(summary.computed)}", markup=False)
    said(f"  reused    {_counted(summary.reused)}", markup=False)
    said(f"  files     {summary.linked} linked, {summary.stored} stored anew")
    if summary.n_errors:
        said(f"  errors    {summary.n_errors}; the journal has them", markup=False)
    for fov, reason in summary.failed.items():
        said(f"  failed    position {fov}: {reason}", markup=False)
    said(f"  stored in {summary.path}", markup=False)


def _counted(stages: dict[str, int]) -> str:
    """Return stages with the number of positions."""
    told = [f"{stage} of {n} positions" for stage, n in stages.items()]
    return ", ".join(told) or "nothing"
