"""What fires where a mask is late or failed: nothing, or what was declared."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.errors import RefusedError
from faro.microscope.dmd import DMD
from faro.run import Controller, ImageProcessingPipeline, LateMask, RunLimits, late
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence, segment_discs
from faro.testing.memory import MemorySink

FAILS_AT = 2


def light_one(context: Any) -> Any:
    """Return the mask of one cell, another one at each timepoint."""
    return context.cells.select(context.cells.label == 1 + context.timestep % 3)


def fails_at_two(context: Any) -> Any:
    if context.timestep == FAILS_AT:
        message = "rubbish at two"
        raise ZeroDivisionError(message)
    return light_one(context)


def run_it(
    microscope: CannedMicroscope, sink: MemorySink, **limits: Any
) -> dict[int, str]:
    """Run four timepoints; return what was armed at which, with its policy."""
    fallback = limits.pop("fallback", None)
    stimulator = limits.pop("stimulator", fails_at_two)
    pipeline = ImageProcessingPipeline(
        segment_discs, stimulator=stimulator, fallback=fallback
    )
    controller = Controller(
        microscope, pipeline, writer=sink, limits=RunLimits(**limits)
    )
    assert controller.run_experiment(disc_sequence(4, 1)).completed
    return {a["timestep"]: a.get("policy", "") for a in sink.kinds("stim_armed")}


def test_nothing_fires_by_default_and_the_record_says_so(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    assert run_it(microscope, sink) == {1: "", 3: ""}
    (skipped,) = sink.kinds("stim_skipped")
    assert (skipped["timestep"], skipped["policy"]) == (FAILS_AT, "skip")
    assert skipped["due_s"] - skipped["asked_s"] == pytest.approx(30.0)


def test_previous_fires_what_fired_before(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    armed = run_it(microscope, sink, late_mask="previous")
    assert armed == {1: "", 2: "previous", 3: ""}
    shown = [np.asarray(fired.pattern) for fired in microscope.fired]
    np.testing.assert_array_equal(shown[1], shown[0])
    assert not np.array_equal(shown[1], shown[2])
    stored = sink.labels["stim_mask", 0, 2]
    np.testing.assert_array_equal(stored, sink.labels["stim_mask", 0, 1])


def test_previous_fires_nothing_where_nothing_fired_before(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def never(context: Any) -> Any:
        if context.timestep < 3:
            raise ZeroDivisionError
        return True

    armed = run_it(microscope, sink, late_mask="previous", stimulator=never)
    assert armed == {3: ""}


def test_blank_takes_the_event_in_the_dark(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    assert run_it(microscope, sink, late_mask="blank")[2] == "blank"
    assert microscope.fired[1].pattern is not None
    assert not microscope.fired[1].pattern.any()


def test_a_fallback_is_asked_and_sees_why(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    asked: list[LateMask] = []

    def fallback(what: LateMask) -> Any:
        if what.reason != late.REHEARSAL:
            asked.append(what)
        mask = np.zeros(what.shape, bool)
        mask[:10] = True
        return mask

    armed = run_it(microscope, sink, fallback=fallback)
    assert armed[2] == "fallback"
    (what,) = asked
    assert (what.fov, what.timestep, what.shape) == (0, 2, SHAPE)
    assert what.reason == "failed: stimulate"
    assert what.previous is not None
    assert sink.labels["stim_mask", 0, 2][:10].all()


@pytest.mark.parametrize("trouble", ["raises", "hangs", "answers rubbish"])
def test_a_fallback_that_fails_fires_nothing(
    trouble: str,
    microscope: CannedMicroscope,
    sink: MemorySink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(late, "FALLBACK_DEADLINE_S", 0.1)
    gate = threading.Event()

    def fallback(what: LateMask) -> Any:
        if what.reason == late.REHEARSAL:
            return None
        if trouble == "raises":
            raise ZeroDivisionError
        if trouble == "hangs":
            gate.wait(60.0)
        return "light"

    assert 2 not in run_it(microscope, sink, fallback=fallback)
    gate.set()
    assert "fallback" in [e["stage"] for e in sink.kinds("error")]


@pytest.mark.parametrize(
    ("answer", "severity", "word"),
    [
        (lambda: np.ones((3, 3), bool), "error", "(3, 3)"),
        (lambda: 1 / 0, "warning", "ZeroDivisionError"),
        (lambda: True, "", ""),
    ],
)
def test_a_fallback_is_tried_before_the_run(
    answer: Any, severity: str, word: str, microscope: CannedMicroscope
) -> None:
    asked = []

    def fallback(what: LateMask) -> Any:
        asked.append((what.channel, what.reason, what.shape))
        return answer()

    made = ImageProcessingPipeline(
        segment_discs, stimulator=light_one, fallback=fallback
    )
    found = Controller(microscope, made).validate_events(disc_sequence(2, 1))
    assert asked == [("CyanStim", late.REHEARSAL, SHAPE)]
    told = [(p.where, p.severity) for p in found]
    assert told == ([("pipeline/fallback", severity)] if severity else [])
    assert all(word in p.what for p in found)


def test_a_fallback_that_is_no_function_is_refused() -> None:
    with pytest.raises(RefusedError, match="is no function"):
        ImageProcessingPipeline(segment_discs, fallback="blank")  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("policy", ["previous", "blank"])
def test_a_stimulator_that_wants_no_light_gets_none(
    policy: str, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def only_once(context: Any) -> Any:
        return context.timestep == 1

    armed = run_it(microscope, sink, late_mask=policy, stimulator=only_once)
    assert armed == {1: ""}


@settings(max_examples=30, deadline=None)
@given(
    troubles=st.lists(
        st.sampled_from(["", "", "segment", "stimulate", "dark", "no frame"]),
        min_size=12,
        max_size=12,
    ),
    policy=st.sampled_from(["skip", "previous", "blank"]),
    mode=st.sampled_from(["current", "previous"]),
)
def test_every_stimulation_has_a_record_and_the_right_place(
    tmp_path_factory: pytest.TempPathFactory,
    troubles: list[str],
    policy: Any,
    mode: str,
) -> None:
    """Whatever fails, at each place: armed or skipped once, fired as it was armed."""

    def trouble_at(fov: int, timestep: int) -> str:
        return troubles[6 * fov + timestep]

    def fails(event: Any) -> bool:
        said = event.metadata["faro"]
        place = said["fov"], said["timestep"]
        return said["role"] == "image" and trouble_at(*place) == "no frame"

    def stimulate(context: Any) -> Any:
        trouble = trouble_at(context.fov, context.timestep)
        if trouble in {"segment", "stimulate"}:
            raise ZeroDivisionError
        return None if trouble == "dark" else light_one(context)

    sink, dmd = MemorySink(tmp_path_factory.mktemp("late")), DMD(SHAPE, np.eye(3))
    microscope = CannedMicroscope(disc_frame, SHAPE, dmd=dmd, fail=fails)
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=stimulate)
    limits = RunLimits(late_mask=policy, max_missing_in_a_row=0)
    controller = Controller(microscope, pipeline, writer=sink, limits=limits)
    events = disc_sequence(6, 2, stim_frames=range(6))
    assert controller.run_experiment(events, stim_mode=mode).completed

    def places(kind: str) -> list[tuple[int, int]]:
        return [(note["fov"], note["timestep"]) for note in sink.kinds(kind)]

    armed, skipped = places("stim_armed"), places("stim_skipped")
    first = 0 if mode == "current" else 1
    due = [(fov, t) for t in range(first, 6) for fov in range(2)]
    assert sorted(armed + skipped) == sorted(due)
    assert places("stim_confirmed") == armed
    assert [(f.fov, f.timestep) for f in microscope.fired] == armed
    for note, fired in zip(sink.kinds("stim_armed"), microscope.fired, strict=True):
        mask = sink.labels["stim_mask", fired.fov, fired.timestep].astype(np.uint8)
        np.testing.assert_array_equal(fired.pattern, dmd.warp(mask))
        trouble = trouble_at(note["fov"], note["from_timestep"])
        assert note.get("policy", "") == (policy if trouble else "")
        assert trouble != "dark"


def test_the_policy_is_part_of_the_record(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    run_it(microscope, sink, late_mask="previous")
    assert sink.description["limits"]["late_mask"] == "previous"
