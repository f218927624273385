"""From a stack to a decision and a table: the worker side of the loop.

Segmentation runs freely; everything after it runs in frame order per FOV. The
decision is published before any feature, table or label that it does not need.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from faro.analysis import PixelCells
from faro.model import FrameRole
from faro.protocols import Waits
from faro.run.answers import columns_of
from faro.run.attempts import Attempts
from faro.run.deciding import Deciding, Seen
from faro.run.frozen import thawed
from faro.run.images import not_imaged
from faro.run.jobs import FrameJob, Segmented
from faro.run.references import referred, unusable
from faro.run.remembered import features_from, frozen_states, remembered, tracker_from
from faro.run.rows import images_of, parents_of, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from faro.model import Stack, Stimulus
    from faro.model.cells import Column
    from faro.protocols import FeatureExtractor, Tracker
    from faro.run.board import DecisionBoard
    from faro.run.dosing import LightMeter
    from faro.run.notices import Notices
    from faro.run.pipeline import ImageProcessingPipeline
    from faro.run.recorder import Recorder


@dataclass(slots=True)
class _FovState:
    """What one FOV remembers from frame to frame; its size does not grow.

    ``saved`` is what tracker and features remembered after the last frame that was
    stored; ``last`` the timestep and the cells of that frame, if reference frames are
    measured.
    """

    tracker: Tracker
    saved: dict[str, Any] = field(default_factory=dict)
    last: tuple[int | None, PixelCells | None] = (None, None)


class Analyst:
    """Carries out a pipeline on the stacks of a run.

    `segment` may be called for many stacks at once; `follow` is called in frame order
    per FOV (see `Lanes`). Both never raise: failures are recorded, and no light is
    fired for that frame. `instead` and `give_up` stand in for them where a component
    does not return.
    """

    def __init__(
        self,
        pipeline: ImageProcessingPipeline,
        board: DecisionBoard,
        recorder: Recorder,
        notices: Notices,
        on_failures: Callable[[int, str], None],
        meter: LightMeter,
    ) -> None:
        self._meter = meter
        self._on_failures, self._n_failed = on_failures, 0
        self._pipeline = pipeline
        self._recorder, self._notices = recorder, notices
        attempts = Attempts(recorder, notices)
        self._attempt, self._failed = attempts.make, attempts.failed
        self._deciding = Deciding(
            pipeline.deciders, board, recorder, attempts, meter.aimed
        )
        self._first = pipeline.features_before_tracks()
        early = pipeline.features_before_mask()
        self._early = tuple(f for f in early if f not in self._first)
        done = {*map(id, self._first), *map(id, self._early)}
        self._late = tuple(f for f in pipeline.features if id(f) not in done)
        self._fovs: dict[int, _FovState] = {}
        self._lock = threading.Lock()
        self.cells_seen = 0

    def announce(self, job: FrameJob) -> None:
        """Take note of a stack that is about to be segmented, in order per FOV."""
        self._deciding.announce(job)

    def segment(self, job: FrameJob) -> Segmented:
        """Return the label images of a stack; runs on any worker."""
        if job.stack.role is FrameRole.REF:
            return Segmented()
        stamps = job.stamps
        stamps.mark("started")
        self._deciding.settle(job.stack.fov)
        done = Segmented()
        for index, method in enumerate(self._pipeline.segmenters):
            stage = f"segment/{method.name}"
            if (lacking := not_imaged(method, job.stack.channels)) is not None:
                self._not_segmented(job, name=method.name, channel=lacking)
                done.failed = done.failed or (stage if index == 0 else "")
                continue
            make = partial(method.labels_of, known=done.labels)
            labels = self._attempt(job, stage, make)
            if labels is not None:
                done.labels[method.name] = labels
            elif index == 0:
                done.failed = stage
        stamps.mark("segmented")
        return done

    def _not_segmented(self, job: FrameJob, **facts: object) -> None:
        """Record that a moment has not the image that a segmenter looks at."""
        at = job.moment
        self._recorder.note("not_segmented", fov=at.fov, timestep=at.timestep, **facts)

    def instead(self, job: FrameJob) -> Segmented:
        """Return what goes on where `segment` does not return in time."""
        stage = job.stage
        self._failed(job, stage, _no_answer(stage))
        job.stamps = job.stamps.copy()  # the others stay with the thread that hangs
        return Segmented(failed=stage)

    def follow(
        self, job: FrameJob, segmented: Segmented, claim: Callable[[], bool]
    ) -> None:
        """Track, decide, publish, then measure and store; in order per FOV.

        Nothing is stored where ``claim()`` is False: the frame was given up meanwhile.
        """
        fov = self._state_of(job.stack.fov)
        if job.stack.role is FrameRole.REF:
            self._refer(job, fov, claim)
            return
        job.stamps.mark("queued")
        cells, failed = self._found(job, segmented), segmented.failed
        seen = Seen(cells, segmented.labels, failed)
        self._deciding.decide(job, Waits.LABELS, seen)
        cells, columns, failed = self._followed(job, cells, fov, failed)
        seen = Seen(cells, segmented.labels, failed)
        self._deciding.decide(job, Waits.TRACKS, seen)
        if cells is not None:
            columns |= self._measure(self._late, cells, job)[0]
        if not claim():
            return
        if self._pipeline.reference_features:
            fov.last = (job.stack.timestep, cells)
        n_cells = self._store(job, cells, columns, segmented, fov)
        self._tally(job)
        stack = job.stack
        self._notices.tell(
            self._notices.analysed.emit, stack.timestep, stack.fov, n_cells
        )

    def _refer(self, job: FrameJob, fov: _FovState, claim: Callable[[], bool]) -> None:
        """Measure the cells of this timepoint on a reference frame, and record it."""
        stack, (timestep, cells) = job.stack, fov.last
        columns: dict[str, Column] = {}
        reason = unusable(cells, timestep, stack)
        if cells is not None and not reason:
            for extractor in self._pipeline.reference_features:
                stage = f"reference_features/{type(extractor).__name__}"
                made = self._attempt(job, stage, partial(columns_of, extractor, cells))
                columns |= made or {}
        if not claim():
            return
        frame = {"fov": stack.fov, "timestep": stack.timestep}
        if cells is None or reason:
            self._recorder.note("reference_skipped", **frame, reason=reason)
        else:
            facts = referred(cells, columns)
            self._recorder.note("reference_measured", **frame, **facts)

    def give_up(self, job: FrameJob) -> None:
        """Let a FOV go on without a frame whose `follow` does not return.

        Its tracker goes on from the frame before.
        """
        stack, stage = job.stack, job.stage
        self._failed(job, stage, _no_answer(stage))
        self._deciding.give_up(job, f"failed: {stage}")
        self._tally(job)
        with self._lock:
            saved = self._fovs[stack.fov].saved
            fresh = tracker_from(self._pipeline, saved)
            fov = self._fovs[stack.fov] = _FovState(fresh, saved=saved)
        self._keep(job, fov)

    def _state_of(self, fov: int) -> _FovState:
        with self._lock:
            if fov not in self._fovs:
                self._begin(fov, {})
            return self._fovs[fov]

    def _begin(self, fov: int, states: dict[str, Any]) -> None:
        """Have a FOV begin, from the states of its tracker and features."""
        features_from(self._pipeline, fov, states)
        self._fovs[fov] = _FovState(tracker_from(self._pipeline, states), saved=states)

    def _found(self, job: FrameJob, segmented: Segmented) -> PixelCells | None:
        """Return the cells of the main segmenter, None where it failed."""
        if segmented.failed:
            return None
        main = self._pipeline.segmenters[0].name
        cells = PixelCells(segmented.labels[main], job.stack.pixel_size_um)
        cells.set_label_images(segmented.labels)
        return cells

    def _followed(
        self, job: FrameJob, cells: PixelCells | None, fov: _FovState, failed: str
    ) -> tuple[PixelCells | None, dict[str, Column], str]:
        """Return the tracked cells, the columns the mask needs, and what failed."""
        if cells is None:
            return None, {}, failed

        columns, failed = self._measure(self._first, cells, job)
        if failed:
            return None, {}, failed

        def track(stack: Stack) -> bool:
            cells.set_tracks(fov.tracker.update(stack.timestep, cells))
            cells.set_features({"parent_id": parents_of(fov.tracker, cells)})
            columns.update(self._meter.seen(stack, cells))
            return True

        if not self._attempt(job, "track", track):
            return None, {}, "track"
        job.stamps.mark("tracked")
        more, failed = self._measure(self._early, cells, job)
        columns |= more
        if self._early:
            job.stamps.mark("measured")
        return cells, columns, failed

    def _measure(
        self, extractors: Iterable[FeatureExtractor], cells: PixelCells, job: FrameJob
    ) -> tuple[dict[str, Column], str]:
        """Return the columns of ``extractors`` and the first stage that failed."""
        columns: dict[str, Column] = {}
        failed = ""
        for extractor in extractors:
            stage = f"features/{type(extractor).__name__}"
            found = self._attempt(job, stage, partial(columns_of, extractor, cells))
            if found is None:
                failed = failed or stage
                continue
            cells.set_features(found)
            columns.update(found)
        return columns, failed

    def _store(
        self,
        job: FrameJob,
        cells: PixelCells | None,
        columns: dict[str, Column],
        segmented: Segmented,
        fov: _FovState,
    ) -> int:
        """Hand everything to the recorder; return the number of cells."""
        stack = job.stack
        for name, labels in segmented.labels.items():
            self._recorder.labels(name, stack.fov, stack.timestep, labels)
        if cells is not None:
            table = table_of(stack, cells, cells["parent_id"], columns)
            self._recorder.cells(stack.fov, stack.timestep, table)
            tracks = cells.track_image()
            self._recorder.labels("tracks", stack.fov, stack.timestep, tracks)
            self._store_rings(job, cells)
            remember = partial(remembered, self._pipeline, stack.fov, fov.tracker)
            saved = self._attempt(job, "track/state", lambda _: remember())
            fov.saved = saved or {}
            job.stamps.mark("stored")
        self._keep(job, fov)
        if not job.recovered:
            self._recorder.note(
                "latency",
                fov=stack.fov,
                timestep=stack.timestep,
                stages_ms={s.stage: round(s.ms, 3) for s in job.stamps.stages()},
                frame_to_mask_ms=job.stamps.between_ms("acquired", "decided"),
            )
        n_cells = 0 if cells is None else len(cells)
        if not self._recorder.has_rows(stack.fov, stack.timestep):
            with self._lock:
                self.cells_seen += n_cells
        return n_cells

    def _keep(self, job: FrameJob, fov: _FovState) -> None:
        """Have what is remembered after a frame stored, to go on from after a kill."""
        if not self._recorder.keeps:
            return

        def freeze(_: Stack) -> dict[str, Any]:
            states = frozen_states(fov.saved)
            return {"states": states, "lights": self._deciding.state(job)}

        state = self._attempt(job, "track/state", freeze)
        self._recorder.state(job.moment.fov, job.moment.timestep, state)

    def restore(self, fov: int, state: Mapping[str, Any]) -> None:
        """Go on with a FOV from the state that was stored last; before any frame."""
        self._begin(fov, thawed(state["states"]))
        self._deciding.restore(fov, state["lights"])

    def lights_of(self, fov: int) -> dict[str, Stimulus]:
        """Return the light that was decided last at a FOV, by channel."""
        return self._deciding.lights_of(fov)

    def see_again(self, timestep: int, fov: int, cells: PixelCells) -> None:
        """Take the tracked cells of the last frame, for references that follow."""
        self._state_of(fov).last = (timestep, cells)

    def _store_rings(self, job: FrameJob, cells: PixelCells) -> None:
        stack = job.stack
        for extractor in self._pipeline.features:
            stage = f"features/{type(extractor).__name__}"
            images = (
                self._attempt(job, stage, partial(images_of, extractor, cells)) or {}
            )
            for name, image in images.items():
                self._recorder.labels(name, stack.fov, stack.timestep, image)

    def _tally(self, job: FrameJob) -> None:
        """Count the frames in a row on which something failed."""
        with self._lock:
            self._n_failed = self._n_failed + 1 if job.failed_at else 0
            n_failed = self._n_failed
        if n_failed:
            self._on_failures(n_failed, job.failed_at)


def _no_answer(stage: str) -> TimeoutError:
    return TimeoutError(f"{stage} did not return within its deadline")
