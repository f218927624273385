"""Opens a run that was ended, to go on with it, once it may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.analysis import warm_up
from faro.errors import Problem, RefusedError
from faro.run.changed import changes
from faro.run.description import described
from faro.run.one_run import RunParts
from faro.run.open_run import OpenRun, warned
from faro.run.preflight import preflight
from faro.run.remembered import state_problems
from faro.run.summary import COMPLETED, RunSummary
from faro.storage import writer_of
from faro.storage.told import needs_from

if TYPE_CHECKING:
    from pathlib import Path

    from faro.experiment.document import StepTimes
    from faro.protocols import Microscope, Sink
    from faro.run.limits import RunLimits
    from faro.run.notices import Notices
    from faro.run.past import Past
    from faro.run.pipeline import ImageProcessingPipeline
    from faro.run.state import StateMachine


def reopened(  # noqa: PLR0913  what a controller holds
    past: Past,
    microscope: Microscope,
    pipeline: ImageProcessingPipeline | None,
    limits: RunLimits,
    notices: Notices,
    state: StateMachine,
    *,
    times: StepTimes | None = None,
) -> tuple[OpenRun, list[str]]:
    """Return the run, open again, and what was set aside.

    Raises
    ------
    RefusedError
        If rig, files or definition changed, or it cannot go on; nothing is touched
        then.
    StorageError
        If another process writes it, or something is missing that was acknowledged.
    """
    run, plan = past.run, past.plan
    said = described(plan.events, microscope, pipeline, limits)
    problems = changes(run, said)
    if pipeline is not None:
        problems += state_problems(past, pipeline)
    events = past.events_left()
    if events:
        parts = microscope, pipeline, None
        problems += preflight(events, *parts, plan.stim_mode, times=times)[0]
    warned(problems)
    if pipeline is not None:
        warm_up()
    writer = writer_of(run.path)
    done = writer.reopen(past.unfinished())
    try:
        given = RunParts(microscope, pipeline, writer, limits, notices, state)
        needs = needs_from(run.info["needs"])
        return OpenRun(given, plan, needs, times, {}, past), done
    except BaseException:
        writer.let_go()
        raise


def check_writer(writer: Sink | None, folder: Path) -> None:
    """Refuse a writer of another folder.

    Raises
    ------
    RefusedError
        If there is one.
    """
    if writer is not None and writer.path != folder:
        what = f"the writer is for {writer.path}, the run to go on with in {folder}."
        remedy = "Leave the writer out: the run knows how it is stored."
        raise RefusedError([Problem("writer/path", what, remedy)])


def summary_of(past: Past) -> RunSummary:
    """Return what became of a run that was closed."""
    said, counts = past.run.summary or {}, past.so_far.counts
    return RunSummary(
        reason=str(said.get("reason", COMPLETED)),
        n_stacks=counts["stacks_image"],
        n_cells=past.so_far.n_rows,
        n_stimulated=counts["stim_confirmed"],
        n_skipped=counts["stim_skipped"],
        n_errors=counts["error"],
        duration_s=float(said.get("duration_s", past.so_far.last_s)),
        path=past.run.path,
    )
