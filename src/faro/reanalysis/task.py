"""One task of a re-analysis: one stage of one position, by whatever process."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from faro.analysis import warm_up
from faro.errors import FaroError
from faro.experiment import needs
from faro.microscope import DMD, ReplayMicroscope
from faro.model import FrameRole
from faro.reanalysis.components import StoredLabels, StoredTracks
from faro.reanalysis.parts import PartWriter, begin_part, counts_of, part_is_done
from faro.run import Notices, RunLimits, RunState
from faro.run.growing import GrowingPlan
from faro.run.images import not_imaged
from faro.run.jobs import BackgroundError
from faro.run.moments import Moment
from faro.run.one_run import RunParts
from faro.run.open_run import OpenRun
from faro.run.state import StateMachine
from faro.run.stored import mask_labels_of, replayable_events
from faro.run.stored_pipeline import PipelineRecipe
from faro.storage import open_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.experiment import RTMEvent
    from faro.protocols.analysis import Labels
    from faro.run import ImageProcessingPipeline
    from faro.storage import Run

NEVER_S = 1e7
LIMITS = RunLimits(
    mask_deadline_s=NEVER_S,
    step_deadline_s=NEVER_S,
    drain_deadline_s=NEVER_S,
    n_workers=1,
    max_in_flight=4,
    fov_share=1.0,
)
"""Nothing is given up because it takes long: nobody waits for light."""


@dataclass(frozen=True, slots=True)
class Task:
    """One stage of one position. Picklable; paths are on a disk that all workers see.

    Attributes
    ----------
    stage
        ``"segment"``: label images. ``"follow"``: all that is made of them.
    source
        The run that holds the frames.
    part
        Where the results go.
    fov
        Position index.
    words, folder
        The pipeline, as in an experiment file, and the folder of the user's modules.
    address
        Of the results.
    labels_from
        Name of labels that exist to the run that holds them.
    tracks_from
        The run that holds the tracks, empty to make them.
    stim_mode
        As for `Controller.run_experiment`.
    """

    stage: Literal["segment", "follow"]
    source: str
    part: str
    fov: int
    words: Mapping[str, Any]
    folder: str | None
    address: str
    labels_from: Mapping[str, str] = field(default_factory=dict)
    tracks_from: str = ""
    stim_mode: str = "current"

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.stage} p{self.fov:03d}"


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of a task.

    Attributes
    ----------
    n_frames
        Frames that were worked on.
    n_errors
        Failures of components, which the part records.
    seconds
        How long it took.
    """

    n_frames: int
    n_errors: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task: a result, or what kept it from one, in words.

    Attributes
    ----------
    error, traceback
        Empty where there is a result.
    """

    task: Task
    result: TaskResult | None = None
    error: str = ""
    traceback: str = ""


class TaskError(FaroError, RuntimeError):
    """A task that could not be carried out to its end."""

    def __init__(self, name: str, reason: str) -> None:
        remedy = "Mend the cause and start the same re-analysis again: it goes on."
        super().__init__(f"{name} ended early: {reason}.", remedy=remedy)


def attempt(task: Task) -> Outcome:
    """Do a task and return what became of it; never raises. Any process."""
    try:
        return Outcome(task, carry_out(task))
    except Exception as error:  # noqa: BLE001  told, and the other tasks go on
        lines = "".join(traceback.format_exception(error))
        return Outcome(task, error=f"{type(error).__name__}: {error}", traceback=lines)


def carry_out(task: Task) -> TaskResult:
    """Do a task; a part that is there already, with the same address, is kept.

    Any process. A part that was begun and not finished is begun again.

    Raises
    ------
    FaroError
        If the run cannot be read, the part not written, or the pipeline not made.
    """
    started_s = time.perf_counter()
    part = Path(task.part)
    if part_is_done(part, task.address):
        return TaskResult(*counts_of(part, task.stage), 0.0)
    begin_part(part)
    source = open_run(task.source)
    folder = None if task.folder is None else Path(task.folder)
    pipeline = PipelineRecipe(task.words, folder, task.name).make()
    warm_up()
    events, _ = replayable_events(source, light=True, fovs=(task.fov,))
    do = _segment if task.stage == "segment" else _follow
    do(task, source, pipeline, events)
    counts = counts_of(part, task.stage)
    return TaskResult(*counts, time.perf_counter() - started_s)


def _segment(
    task: Task, source: Run, pipeline: ImageProcessingPipeline, events: list[RTMEvent]
) -> None:
    """Store the labels of all segmenters that are not stored yet."""
    methods = [
        StoredLabels.of(m, open_run(task.labels_from[m.name]))
        if m.name in task.labels_from
        else m
        for m in pipeline.segmenters
    ]
    writer = PartWriter(Path(task.part), task.address)
    with ReplayMicroscope(source) as microscope:
        facts = microscope.facts()
    names = [m.name for m in methods if m.name not in task.labels_from]
    writer.open(needs(events, facts, names), {"task": task.name})
    n_frames = 0
    for event in events:
        moment = _moment(source, event)
        if moment is None:
            continue
        stack = moment.flat(pipeline.z)
        known: dict[str, Labels] = {}
        for method in methods:
            if not_imaged(method, stack.channels) is not None:
                continue
            try:
                known[method.name] = labels = method.labels_of(stack, known)
            except Exception as error:  # noqa: BLE001  a plug-in may raise anything
                _note(writer, error, f"segment/{method.name}", event)
                continue
            if method.name in names:
                writer.store_labels(method.name, event.fov, event.timestep, labels)
        n_frames += 1
    writer.close({"n_frames": n_frames})


def _follow(
    task: Task, source: Run, pipeline: ImageProcessingPipeline, events: list[RTMEvent]
) -> None:
    """Track, measure and decide, in the loop itself, on labels that are stored."""
    pipeline.segmenters = tuple(
        StoredLabels.of(m, open_run(task.labels_from[m.name]))
        for m in pipeline.segmenters
    )
    if task.tracks_from:
        pipeline.tracker = StoredTracks(open_run(task.tracks_from), task.fov)
    light = bool(pipeline.deciders)
    if not light:
        events = [event.replace(stim_channels=()) for event in events]
    labels = {m.name for m in pipeline.segmenters}
    writer = PartWriter(Path(task.part), task.address, leave_out=labels)
    dmd = DMD(source.image_shape, np.eye(3)) if light else None
    with ReplayMicroscope(source, dmd=dmd) as microscope:
        machine = StateMachine()
        machine.move(RunState.RUNNING)
        parts = RunParts(microscope, pipeline, writer, LIMITS, Notices(), machine)
        masks = mask_labels_of(source) if light else {}
        plan = GrowingPlan(tuple(events), task.stim_mode, mask_labels=masks)
        names = pipeline.labels_for((), masks)
        needed = needs(events, microscope.facts(), names)
        opened = OpenRun(parts, plan, needed, None, {"task": task.name})
        try:
            summary = opened.run.carry_out()
        finally:
            opened.close()
    if not summary.completed:
        raise TaskError(task.name, summary.reason)


def _moment(source: Run, event: RTMEvent) -> Moment | None:
    """Return the images of an event, None where one of them is missing."""
    stacks = source.stacks(event.fov, event.timestep, role=FrameRole.IMAGE)
    where = {
        channel: (number, row)
        for number, stack in reversed(list(enumerate(stacks)))
        for row, channel in enumerate(stack.channels)
    }
    order = [where.get(channel.config) for channel in event.channels]
    known = tuple(place for place in order if place is not None)
    if not known or len(known) != len(order):
        return None
    return Moment(tuple(stacks), known)


def _note(writer: PartWriter, error: Exception, stage: str, event: RTMEvent) -> None:
    """Record what a component raised, as the loop does."""
    at = {"fov": event.fov, "timestep": event.timestep}
    failure = BackgroundError.of(error, stage=stage, **at)
    writer.record(
        "error",
        **at,
        stage=stage,
        exc_type=failure.exc_type,
        message=failure.message,
        traceback=failure.traceback,
    )
