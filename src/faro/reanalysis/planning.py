"""What has to be computed for each position, and what is there already."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from faro.reanalysis.addresses import (
    Addresses,
    Code,
    addresses,
    frames_address,
)
from faro.reanalysis.assembling import Piece
from faro.reanalysis.known import known_addresses
from faro.reanalysis.task import Task
from faro.run.stored import replayable_events, stim_mode_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from faro.reanalysis.task import Outcome
    from faro.run.stored_pipeline import PipelineRecipe
    from faro.storage import Run


@dataclass(slots=True)
class FovPlan:
    """What is done for one position.

    Attributes
    ----------
    n_frames
        Its frames.
    addresses
        Of its results.
    segment, follow
        The tasks; None where the results are there.
    labels_from
        Name of a segmentation to the run that holds it, or will.
    follow_from
        The run that holds the rest, or will.
    reused
        Stages whose results are there.
    """

    fov: int
    n_frames: int
    addresses: Addresses
    segment: Task | None = None
    follow: Task | None = None
    labels_from: dict[str, str] = field(default_factory=dict)
    follow_from: str = ""
    reused: Counter[str] = field(default_factory=Counter)

    @property
    def n_tasks(self) -> int:
        """How many tasks there are."""
        return (self.segment is not None) + (self.follow is not None)

    def first(self) -> Task | None:
        """Return the task that can be begun, None if nothing is to do."""
        return self.segment or self.follow

    def after(self, task: Task) -> Task | None:
        """Return the task that comes after ``task``."""
        return self.follow if task.stage == "segment" else None

    def piece(self, outcome: Outcome | None = None, failed_at: str = "") -> Piece:
        """Return where the results are, without those of a task that failed."""
        there = dict(self.labels_from)
        if failed_at == "segment" and self.segment is not None:
            there = {k: v for k, v in there.items() if v != self.segment.part}
        return Piece(
            self.fov,
            there,
            "" if failed_at else self.follow_from,
            self.addresses.words(),
            outcome.error if outcome is not None else "",
        )


def planned(
    base: Run, known: Sequence[Run], recipe: PipelineRecipe, work: Path
) -> list[FovPlan]:
    """Return what is done for each position of ``base``.

    Parameters
    ----------
    known
        Runs whose results may be taken over, the first that has them.
    work
        Where parts go.
    """
    words = recipe.resolved()
    code = Code.now(words)
    plans = []
    stored = {line["fov"] for line in base.journal if line["kind"] == "frame"}
    for fov in sorted(stored):
        events, _ = replayable_events(base, light=True, fovs=(fov,))
        frames = frames_address(base, fov)
        wanted = addresses(frames, words, code, events)
        plan = FovPlan(fov, len(events), wanted)
        found = [(run, known_addresses(run, fov, frames)) for run in known]
        task = _task(base, recipe, words, fov, work)
        _plan_labels(plan, found, task)
        _plan_follow(plan, found, task)
        plans.append(plan)
    return plans


def _task(
    base: Run, recipe: PipelineRecipe, words: dict[str, Any], fov: int, work: Path
) -> Task:
    """Return the segmentation of a position, without what exists."""
    return Task(
        stage="segment",
        source=str(base.path),
        part=str(work / f"p{fov:03d}.segment"),
        fov=fov,
        words=words,
        folder=None if recipe.folder is None else str(recipe.folder),
        address="",
        stim_mode=stim_mode_of(base),
    )


def _plan_labels(
    plan: FovPlan, found: Sequence[tuple[Run, Addresses]], task: Task
) -> None:
    """Find labels that exist; plan to make the others."""
    for name, address in plan.addresses.segment.items():
        for run, held in found:
            if held.segment.get(name) == address and name in run.label_names:
                plan.labels_from[name] = str(run.path)
                plan.reused[f"segment/{name}"] += 1
                break
    missing = [n for n in plan.addresses.segment if n not in plan.labels_from]
    if missing:
        there = dict(plan.labels_from)
        whole = " ".join(plan.addresses.segment[name] for name in missing)
        plan.segment = replace(task, address=whole, labels_from=there)
        plan.labels_from |= dict.fromkeys(missing, task.part)


def _plan_follow(
    plan: FovPlan, found: Sequence[tuple[Run, Addresses]], task: Task
) -> None:
    """Find tracks, features and masks that exist; plan to make the others."""
    wanted = plan.addresses
    tracks_from = ""
    for run, held in found:
        same_masks = held.decide == wanted.decide
        if held.measure == wanted.measure and same_masks:
            plan.follow_from = str(run.path)
            plan.reused["follow"] += 1
            return
        if held.track == wanted.track and not tracks_from:
            tracks_from = str(run.path)
            plan.reused["track"] += 1
    part = task.part.removesuffix("segment") + "follow"
    plan.follow_from = part
    plan.follow = replace(
        task,
        stage="follow",
        part=part,
        address=wanted.decide,
        labels_from=dict(plan.labels_from),
        tracks_from=tracks_from,
    )
