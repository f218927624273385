"""Re-analysis of a stored run: what to compute, who computes it, what came of it."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.errors import Problem, RefusedError
from faro.microscope import DMD, ReplayMicroscope
from faro.reanalysis.assembling import Piece, assemble
from faro.reanalysis.engines import Engine, Serial
from faro.reanalysis.planning import FovPlan, planned
from faro.run import Controller
from faro.run.stored import mask_labels_of, replayable_events, stim_mode_of
from faro.run.stored_pipeline import recipe_for
from faro.storage import OmeZarrWriter, open_run
from faro.storage.converting import convert
from faro.storage.held import Hold
from faro.storage.layout import is_free, next_free

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faro.reanalysis.task import Outcome, Task
    from faro.run import ImageProcessingPipeline
    from faro.run.stored_pipeline import PipelineRecipe
    from faro.storage import Run

    Told = Callable[["ReanalysisProgress"], object]

WORK: Final = ".work"
SPEC: Final = "reanalysis.json"
RUN: Final = "run"
IMPORTED: Final = "source"


@dataclass(frozen=True, slots=True)
class ReanalysisProgress:
    """How far a re-analysis is.

    Attributes
    ----------
    n_frames, of_frames
        Frames that passed a stage, of those that have to.
    n_fovs, of_fovs
        Positions that are done.
    """

    n_frames: int
    of_frames: int
    n_fovs: int
    of_fovs: int


@dataclass(frozen=True, slots=True)
class ReanalysisSummary:
    """What came of a re-analysis.

    Attributes
    ----------
    path
        The new run.
    n_fovs, n_cells
        Positions, and rows of the table.
    computed, reused
        Stage to the number of positions whose results were made, or were there.
    failed
        Position to why it has no results.
    n_errors
        Frames on which a component failed.
    linked, stored
        Frames and label images that are links, and those that were stored anew.
    seconds
        How long it took.
    """

    path: Path
    n_fovs: int
    n_cells: int
    computed: dict[str, int]
    reused: dict[str, int]
    failed: dict[int, str]
    n_errors: int
    linked: int
    stored: int
    seconds: float

    @property
    def completed(self) -> bool:
        """Whether every position has results, without an error."""
        return not self.failed and not self.n_errors


def reanalyze(
    directory: str | Path,
    pipeline: str | Path | ImageProcessingPipeline | None = None,
    output: str | Path | None = None,
    *,
    engine: Engine | None = None,
    reuse: Sequence[str | Path] = (),
    told: Told | None = None,
) -> ReanalysisSummary:
    """Run the stages of the loop on a stored run, and store what they give.

    Only what changed is computed: results whose frames, parameters and code are the
    same are taken from the run itself, or from others. Frames are linked, not copied,
    where the disk can. Killed at any moment, the same call goes on.

    Parameters
    ----------
    directory
        The run; ours or one of the public project.
    pipeline
        An experiment file, whose pipeline is used, or a pipeline; None for the run's.
    output
        The new run; None for a free name beside the run.
    engine
        Who computes; `Serial` by default. Closed at the end.
    reuse
        More runs whose results may be taken over.
    told
        Called with the progress after every task, on this thread.

    Raises
    ------
    RefusedError
        With everything that is wrong with the pipeline or the folder.
    StorageError
        If the run cannot be read, or the new one not written.
    """
    work = Reanalysis(Path(directory), recipe_for(directory, pipeline), output, reuse)
    return work.carry_out(engine or Serial(), told)


@dataclass(slots=True)
class _Results:
    """What has been done so far."""

    pieces: dict[int, Piece] = field(default_factory=dict)
    computed: Counter[str] = field(default_factory=Counter)
    n_frames: int = 0


class Reanalysis:
    """One re-analysis: checked when it is made, and carried out once.

    Parameters
    ----------
    directory, recipe, output, reuse
        As for `reanalyze`.

    Raises
    ------
    RefusedError
        With everything that is wrong.
    """

    def __init__(
        self,
        directory: Path,
        recipe: PipelineRecipe,
        output: str | Path | None = None,
        reuse: Sequence[str | Path] = (),
    ) -> None:
        self._source = open_run(directory)
        self._recipe, self._reuse = recipe, tuple(map(str, reuse))
        usual = self._source.path.with_name(f"{self._source.path.name}-reanalysed")
        self.path = Path(output).absolute() if output else next_free(usual)
        self._work = self.path.with_name(f"{self.path.name}{WORK}")
        self._refuse_what_is_wrong()

    def _refuse_what_is_wrong(self) -> None:
        problems = []
        if not is_free(self.path):
            what = f"{self.path} already holds something; it is never overwritten."
            remedy = f"This one is free: {next_free(self.path)}"
            problems.append(Problem("output", what, remedy))
        pipeline = self._recipe.make()
        light = bool(pipeline.deciders)
        events, _ = replayable_events(self._source, light=light)
        dmd = DMD(self._source.image_shape, np.eye(3)) if light else None
        with ReplayMicroscope(self._source, dmd=dmd) as microscope:
            controller = Controller(microscope, pipeline)
            mode = stim_mode_of(self._source)
            found = controller.validate_events(events, stim_mode=mode)
        problems += [p for p in found if p.severity == "error"]
        said = self._said()
        there = self._work / SPEC
        if there.is_file() and json.loads(there.read_text("utf-8")) != said:
            what = f"{self._work} holds another re-analysis that was not finished."
            remedy = "Give another output, or delete that folder."
            problems.append(Problem("output", what, remedy))
        if problems:
            raise RefusedError(problems)

    def _said(self) -> dict[str, Any]:
        """Return what is re-analysed and how, JSON-able."""
        source = {"path": str(self._source.path), "uuid": self._source.info.get("uuid")}
        said = {"source": source, "pipeline": self._recipe.resolved()}
        plain: dict[str, Any] = json.loads(json.dumps(said, default=str))
        return plain

    def carry_out(self, engine: Engine, told: Told | None = None) -> ReanalysisSummary:
        """Compute what is not there, put the run together; return what came of it."""
        started_s = time.perf_counter()
        self._work.mkdir(parents=True, exist_ok=True)
        spec = self._work / SPEC
        spec.write_text(json.dumps(self._said(), indent=1), encoding="utf-8")
        hold = Hold(self._work)
        try:
            base = self._base()
            others = [open_run(path) for path in self._reuse]
            plans = planned(base, [base, *others], self._recipe, self._work)
            results = self._computed(plans, engine, told)
            summary = self._assembled(base, plans, results, started_s)
        finally:
            engine.close()
            hold.release()
        shutil.rmtree(self._work)
        return summary

    def _base(self) -> Run:
        """Return a run of ours with the frames: the source, or what it became."""
        told = [line for line in self._source.journal if line["kind"] == "frame"]
        if told and all("crc32" in line for line in told):
            return self._source
        path = self._work / IMPORTED
        if path.exists() and open_run(path).summary is None:
            shutil.rmtree(path)
        if not path.exists():
            writer = OmeZarrWriter(path, durability="process")
            convert(self._source, writer, frames_only=True)
        return open_run(path)

    def _computed(
        self, plans: Sequence[FovPlan], engine: Engine, told: Told | None
    ) -> _Results:
        """Have every task done, the later stage of a position after the first."""
        results = _Results()
        of = {plan.fov: plan for plan in plans}
        waiting: deque[Task] = deque()
        for plan in plans:
            if (task := plan.first()) is not None:
                waiting.append(task)
            else:
                results.pieces[plan.fov] = plan.piece()
        n_tasks = sum(plan.n_tasks * plan.n_frames for plan in plans)
        running = 0
        while waiting or running:
            while waiting and running < engine.slots:
                engine.start(waiting.popleft())
                running += 1
            outcome = engine.next_done()
            running -= 1
            plan = of[outcome.task.fov]
            follows = self._noted(outcome, plan, results)
            if follows is not None:
                waiting.appendleft(follows)
            if told is not None:
                done = len(results.pieces)
                told(ReanalysisProgress(results.n_frames, n_tasks, done, len(plans)))
        return results

    def _noted(self, outcome: Outcome, plan: FovPlan, results: _Results) -> Task | None:
        """Note what became of a task; return what comes next for its position."""
        task = outcome.task
        if outcome.result is None:
            n_left = plan.n_tasks if task.stage == "segment" else 1
            results.n_frames += n_left * plan.n_frames
            results.pieces[plan.fov] = plan.piece(outcome, failed_at=task.stage)
            return None
        results.n_frames += plan.n_frames
        results.computed[task.stage] += 1
        follows = plan.after(task)
        if follows is None:
            results.pieces[plan.fov] = plan.piece()
        return follows

    def _assembled(
        self,
        base: Run,
        plans: Sequence[FovPlan],
        results: _Results,
        started_s: float,
    ) -> ReanalysisSummary:
        """Put the run together in the work folder, then move it to its place."""
        made = self._work / RUN
        if made.exists():
            shutil.rmtree(made)
        ordered = [results.pieces[plan.fov] for plan in plans]
        names = self._recipe.make().labels_for((), mask_labels_of(base))
        done = assemble(made, base, ordered, self._description(base), names)
        if self.path.exists():
            self.path.rmdir()
        made.rename(self.path)
        reused: Counter[str] = Counter()
        for plan in plans:
            reused.update(plan.reused)
        return ReanalysisSummary(
            path=self.path,
            n_fovs=len(plans),
            n_cells=done.n_cells,
            computed=dict(results.computed),
            reused=dict(reused),
            failed={p.fov: p.failed for p in ordered if p.failed},
            n_errors=done.n_errors,
            linked=done.frames.linked + done.labels.linked,
            stored=done.frames.stored + done.labels.stored,
            seconds=time.perf_counter() - started_s,
        )

    def _description(self, base: Run) -> dict[str, Any]:
        """Return what the new run says of itself."""
        before = dict(base.info.get("description") or {})
        said = self._said()
        file = dict(before.get("experiment_file") or {})
        folder = self._recipe.folder
        file |= {"pipeline": said["pipeline"]}
        if folder is not None:
            file["modules"] = str(folder)
        return {
            **before,
            "name": self.path.name,
            "experiment": [event.words() for event in base.events],
            "mask_labels": mask_labels_of(base),
            "reanalysis_of": said["source"],
            "experiment_file": file,
            "pipeline": self._recipe.make().describe(),
        }
