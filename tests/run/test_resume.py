"""A run that was ended goes on: nothing lost, doubled or fired twice."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from faro.errors import RefusedError, RunStateError, StorageError
from faro.run import Controller, ImageProcessingPipeline, RunLimits, RunState
from faro.storage import OmeZarrWriter, open_run, verify
from faro.testing import resume_trials
from faro.testing.canned import CannedMicroscope
from faro.testing.cut_runs import Abandoned, Counting, cut_to, pipeline, same, scope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence, segment_discs

if TYPE_CHECKING:
    from pathlib import Path

    from faro.microscope.dmd import DMD
    from faro.protocols import StimulationContext

KILLS = ((0.15,), (0.6, 0.35), (0.95,), (1.4, 0.1), (-0.9, 1.2))
"""Seconds after which processes are killed; the last one before it says anything."""


def trials(
    folder: Path, *kills: tuple[float, ...], layout: str = "collection"
) -> list[Path]:
    """Return runs that were killed at these moments; some at the same time."""
    paths = [folder / f"run-{n}" for n in range(len(kills))]
    with ThreadPoolExecutor(3) as pool:
        run = partial(resume_trials.killed_run, layout=layout)
        list(pool.map(run, paths, kills))
    return paths


@pytest.mark.long
def test_a_run_killed_twice_ends_with_the_same_tracks_and_masks(tmp_path: Path) -> None:
    whole, killed = trials(tmp_path, (), (0.6, 0.35))
    assert resume_trials.differences(whole, killed) == []
    assert verify(killed) == []


@pytest.mark.long
@pytest.mark.parametrize("layout", ["collection", "plate", "tiff"])
def test_killed_runs_end_with_the_same_tracks_and_masks(
    tmp_path: Path, layout: str
) -> None:
    all_kills = KILLS if layout == "collection" else KILLS[1:2]
    whole, *killed = trials(tmp_path, (), *all_kills, layout=layout)
    for path in killed:
        assert resume_trials.differences(whole, path) == []
        assert verify(path) == []


def stopped(path: Path, dmd: DMD, at: int = 2) -> None:
    """Leave a run in ``path`` that was stopped at a timepoint, closed."""
    controller = Controller(scope(dmd), pipeline(), writer=OmeZarrWriter(path))

    def stop(timestep: int, _fov: int) -> None:
        if timestep == at and controller.state is RunState.RUNNING:
            controller.stop_run()

    controller.notices.acquiring.connect(stop)
    events = disc_sequence(6, 2, time_plan={"interval": 0.1, "loops": 6})
    summary = controller.run_experiment(events)
    assert summary.reason == "stopped by the user"


def test_a_run_that_was_stopped_goes_on_and_is_then_complete(
    tmp_path: Path, dmd: DMD
) -> None:
    stopped(tmp_path / "run", dmd)
    summary = Controller(scope(dmd), pipeline()).resume(tmp_path / "run")
    assert (summary.reason, summary.n_stacks) == ("completed", 12)
    run = open_run(tmp_path / "run")
    assert run.summary is not None
    assert run.summary["reason"] == "completed"
    notes = [x["note"]["n"] for x in run.journal if x["kind"] == "stim_decided"]
    assert sorted(notes) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert len(run.cells) == summary.n_cells == 36
    assert verify(tmp_path / "run") == []


def test_a_complete_run_is_left_as_it_is(
    tmp_path: Path, dmd: DMD, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "run"
    writer = OmeZarrWriter(path)
    first = Controller(scope(dmd), pipeline(), writer=writer)
    done = first.run_experiment(disc_sequence(2, 1))
    before = (path / "journal.jsonl").read_bytes()
    controller = Controller(scope(dmd), pipeline(), writer=writer)
    with caplog.at_level("INFO", "faro"):
        again = controller.resume(path)
    assert (again.completed, again.n_stacks, again.n_cells) == (True, 2, done.n_cells)
    assert "nothing is left to do" in caplog.text
    assert (path / "journal.jsonl").read_bytes() == before
    assert controller.state is RunState.IDLE


def test_what_changed_is_named_and_the_run_is_left_alone(
    tmp_path: Path, dmd: DMD, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, module = tmp_path / "run", tmp_path / "my_segmenter.py"
    module.write_text("def bright(pixels):\n    return pixels > 500\n")
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"one")
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_segmenter  # type: ignore[import-not-found]

    def made(**changes: Any) -> ImageProcessingPipeline:
        light = Counting()
        light.weights = str(weights)  # type: ignore[attr-defined]
        return ImageProcessingPipeline(my_segmenter.bright, stimulator=light, **changes)

    writer = Abandoned(path)
    events = disc_sequence(2, 1)
    Controller(scope(dmd), made(), writer=writer).run_experiment(events)
    cut_to(path, tmp_path / "cut", 9)
    before = (tmp_path / "cut" / "journal.jsonl").read_bytes()
    module.write_text("def bright(pixels):\n    return pixels > 400\n")
    weights.write_bytes(b"two")
    other = CannedMicroscope(disc_frame, SHAPE)
    limits = RunLimits(mask_deadline_s=7.0)
    controller = Controller(other, made(z="mean"), limits=limits)
    with pytest.raises(RefusedError) as refused:
        controller.resume(tmp_path / "cut")
    text = str(refused.value)
    for named in (
        'pipeline/z: it was "max" and is "mean"',
        "limits/mask_deadline_s: it was 30.0 and is 7.0",
        "dmd_calibration: it was",
        "modules/my_segmenter",
        f"files/{weights}: it is not what it was",
        "Undo the change, or begin a new run.",
    ):
        assert named in text
    assert (tmp_path / "cut" / "journal.jsonl").read_bytes() == before
    assert controller.state is RunState.IDLE
    sys.modules.pop("my_segmenter")


def test_a_state_of_another_version_is_named_and_the_run_is_left_alone(
    tmp_path: Path, dmd: DMD
) -> None:
    path = tmp_path / "run"
    stopped(path, dmd)
    known = path / "state" / "p001.json"
    words = json.loads(known.read_text(encoding="utf-8"))
    states = words["states"]
    del states["tracker"]["tracks"]["seen"]
    known.write_text(json.dumps(words), encoding="utf-8")
    first = path / "state" / "p000.json"
    other = json.loads(first.read_text(encoding="utf-8"))
    other["states"]["features/0"]["colour"] = []
    first.write_text(json.dumps(other), encoding="utf-8")
    before = (path / "journal.jsonl").read_bytes()
    with pytest.raises(RefusedError) as refused:
        Controller(scope(dmd), pipeline()).resume(path)
    text = str(refused.value)
    for named in (
        "state/position 0: The stored state of MovementFeatures has 'colour'",
        "state/position 1: The stored state of the tracks lacks 'seen'",
        "another version of FARO wrote it. Go on with that version",
    ):
        assert named in text
    assert (path / "journal.jsonl").read_bytes() == before


def test_a_writer_of_another_folder_is_refused(tmp_path: Path, dmd: DMD) -> None:
    stopped(tmp_path / "run", dmd)
    writer = OmeZarrWriter(tmp_path / "other")
    controller = Controller(scope(dmd), pipeline(), writer=writer)
    with pytest.raises(RefusedError, match="the writer is for"):
        controller.resume(tmp_path / "run")


def test_a_run_that_is_being_written_is_not_resumed(tmp_path: Path, dmd: DMD) -> None:
    controller = Controller(
        scope(dmd), pipeline(), writer=OmeZarrWriter(tmp_path / "run")
    )
    controller.run_experiment(disc_sequence(2, 1), finish=False)
    with pytest.raises(RunStateError):
        controller.resume(tmp_path / "run")
    with pytest.raises(StorageError, match="being written"):
        Controller(scope(dmd), pipeline()).resume(tmp_path / "run")
    assert controller.finish_experiment().completed


def test_a_run_killed_before_its_first_frame_is_run(tmp_path: Path, dmd: DMD) -> None:
    path = tmp_path / "run"
    writer = Abandoned(path)
    Controller(scope(dmd), pipeline(), writer=writer).run_experiment(
        disc_sequence(3, 2)
    )
    cut_to(path, tmp_path / "cut", 0)
    summary = Controller(scope(dmd), pipeline()).resume(tmp_path / "cut")
    assert (summary.completed, summary.n_stacks) == (True, 6)
    kinds = [x["kind"] for x in open_run(tmp_path / "cut").journal]
    assert kinds.index("run_resumed") < kinds.index("run_started")


@pytest.mark.parametrize(("clock", "moved"), [("shift", True), ("keep", False)])
def test_the_schedule_goes_on_by_the_clock_policy(
    tmp_path: Path, dmd: DMD, clock: Any, *, moved: bool
) -> None:
    path = tmp_path / "run"
    stopped(path, dmd)
    controller = Controller(scope(dmd), pipeline())
    assert controller.resume(path, clock=clock).completed
    lines = open_run(path).journal
    resumed = next(x for x in lines if x["kind"] == "schedule_resumed")
    assert (resumed["shift_s"] > 0) == moved
    ends = next(x for x in lines if x["kind"] == "run_finished")
    first = next(
        x for x in lines if x["kind"] == "timepoint" and x["run_s"] > ends["run_s"]
    )
    assert first["started_s"] > ends["run_s"]
    planned = first["timestep"] * 0.1 + resumed["shift_s"]
    assert first["planned_s"] == pytest.approx(planned)
    assert sorted({x["timestep"] for x in lines if x["kind"] == "frame"}) == [*range(6)]


def test_a_planned_pause_that_was_not_over_is_asked_for_again(
    tmp_path: Path, dmd: DMD
) -> None:
    path = tmp_path / "run"
    events = [
        event.replace(metadata={"wait": {"pause_before": "Add the drug."}})
        if event.timestep == 2
        else event
        for event in disc_sequence(4, 1)
    ]
    asked: list[str] = []
    controller = Controller(scope(dmd), pipeline(), writer=OmeZarrWriter(path))

    def stop(what: str) -> None:
        asked.append(what)
        controller.stop_run()

    controller.notices.paused.connect(stop)
    controller.run_experiment(events)
    again = Controller(scope(dmd), pipeline())

    def go_on(what: str) -> None:
        asked.append(what)
        again.resume()

    again.notices.paused.connect(go_on)
    assert again.resume(path).n_stacks == 4
    assert asked == ["Add the drug.", "Add the drug."]


def test_events_that_were_added_are_part_of_what_is_left(
    tmp_path: Path, dmd: DMD
) -> None:
    path = tmp_path / "run"
    controller = Controller(scope(dmd), pipeline(), writer=Abandoned(path))
    controller.run_experiment(disc_sequence(2, 1), finish=False)
    controller.continue_experiment(disc_sequence(2, 1), finish=True)
    lines = open_run(path).journal
    added = next(n for n, x in enumerate(lines) if x["kind"] == "experiment_extended")
    cut_to(path, tmp_path / "cut", added + 1)
    summary = Controller(scope(dmd), pipeline()).resume(tmp_path / "cut")
    assert summary.n_stacks == 4
    same(open_run(path), open_run(tmp_path / "cut"))


def test_a_run_that_goes_on_may_be_left_open(tmp_path: Path, dmd: DMD) -> None:
    stopped(tmp_path / "run", dmd)
    controller = Controller(scope(dmd), pipeline())
    controller.resume(tmp_path / "run", finish=False)
    assert controller.state is RunState.OPEN
    more = disc_sequence(2, 2)
    assert controller.continue_experiment(more, finish=True).n_stacks == 16
    assert verify(tmp_path / "run") == []


def test_memory_that_cannot_be_stored_is_an_error_on_record(
    tmp_path: Path, dmd: DMD
) -> None:
    def stimulate(context: StimulationContext) -> bool:
        context.memory["lock"] = object()
        return True

    made = ImageProcessingPipeline(segment_discs, stimulator=stimulate)
    controller = Controller(scope(dmd), made, writer=OmeZarrWriter(tmp_path / "run"))
    summary = controller.run_experiment(disc_sequence(2, 1))
    assert summary.n_stimulated == 1
    errors = [e.message for e in controller.background_errors]
    assert any("lock holds object, which cannot be stored" in e for e in errors)
