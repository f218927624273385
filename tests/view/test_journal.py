"""What the journal tells: endings, light, latency, errors."""

from __future__ import annotations

import math
from typing import Any

import pytest

from faro.view import journal as told


def line(kind: str, **facts: Any) -> dict[str, Any]:
    return {"kind": kind, **facts}


STARTED, DONE = line("run_started"), line("run_finished", reason="completed")


@pytest.mark.parametrize(
    ("lines", "complete", "words"),
    [
        ([STARTED, DONE], True, ""),
        ([STARTED], False, "killed or is still running"),
        ([], False, "killed or is still running"),
        ([STARTED, DONE, STARTED], False, "killed or is still running"),
        ([STARTED, line("run_finished", reason="canceled")], False, "canceled"),
    ],
)
def test_an_ending_says_whether_all_was_done(
    lines: list[dict[str, Any]],
    complete: bool,  # noqa: FBT001  a column of the table
    words: str,
) -> None:
    ending = told.ending_of(lines)
    assert ending.complete is complete
    assert words in ending.sentence


def test_the_duration_is_from_the_first_to_the_last_line() -> None:
    walls = ["2026-03-04T10:00:00+00:00", "2026-03-04T10:01:30.500000+00:00"]
    assert told.duration_s([line("a", wall=w) for w in walls]) == 90.5
    assert told.duration_s([]) is None


def test_light_counts_what_fired_and_why_the_rest_did_not() -> None:
    light = told.light_of(
        [
            line("stim_armed", fov=0, timestep=3, from_timestep=2),
            line("stim_armed", fov=1, timestep=4, channel="B", whole_field=True),
            line("stim_armed", fov=1, timestep=4, channel="A", mask_label="mask_A"),
            line("stim_armed", fov=1, timestep=5, channel="A", mask_label="mask_A"),
            line("stim_confirmed", fov=0, timestep=3),
            line("stim_confirmed", fov=1, timestep=4, channel="B"),
            line("stim_confirmed", fov=1, timestep=4, channel="A"),
            line("stim_skipped", fov=1, timestep=3, reason="late"),
            line("stim_skipped", fov=2, timestep=3, reason="late"),
        ]
    )
    assert light.fired == ((0, 3), (1, 4), (1, 4))
    assert light.skipped == {"late": 2}
    assert light.n_skipped == 2
    assert light.shone[0, 3] == (told.Shone("", "stim_mask"),)
    assert light.shone[1, 4] == (told.Shone("B", None), told.Shone("A", "mask_A"))
    assert (1, 5) not in light.shone
    assert light.channels == ("", "B", "A")
    assert light.first_from == 2


def test_stages_keep_their_order_and_their_gaps() -> None:
    loop = told.loop_times_of(
        [
            line("latency", timestep=0, stages_ms={"b": 1.0}, frame_to_mask_ms=1.0),
            line(
                "latency",
                timestep=1,
                stages_ms={"b": 2.0, "a": 3.0},
                frame_to_mask_ms=5.0,
                frame_to_display_ms=7.0,
            ),
            line("stim_confirmed", timestep=1, frame_to_display_ms=9.0),
            line("stim_confirmed", timestep=2, frame_to_display_ms=None),
        ]
    )
    assert list(loop.stages_ms) == ["b", "a"]
    assert math.isnan(loop.stages_ms["a"][0])
    assert loop.to_mask_ms.tolist() == [1.0, 5.0]
    assert loop.to_light_ms.tolist() == [7.0, 9.0]


def test_equal_errors_are_told_once_with_their_number() -> None:
    raised = {"stage": "track", "exc_type": "KeyError", "message": "'x'"}
    lines = [
        line("error", fov=f, timestep=2, traceback=f"tb{f}", **raised) for f in (3, 4)
    ]
    (group,) = told.errors_of(lines)
    assert (group.count, group.where, group.traceback) == (
        2,
        "FOV 3, timepoint 2",
        "tb3",
    )


def test_a_run_without_a_schedule_is_not_late() -> None:
    at_once = [
        line("timepoint", timestep=t, planned_s=0.0, lateness_s=0.1 * t)
        for t in range(3)
    ]
    assert told.lateness_of(at_once).late_ms.size == 0
    in_turn = [{**entry, "planned_s": t} for t, entry in enumerate(at_once)]
    assert told.lateness_of(in_turn).late_ms.size == 3


def test_lateness_is_in_milliseconds_and_skips_what_is_unknown() -> None:
    late = told.lateness_of(
        [
            line("timepoint", timestep=0, lateness_s=0.25),
            line("timepoint", timestep=1, lateness_s=None),
        ]
    )
    assert (late.timesteps.tolist(), late.late_ms.tolist()) == ([0], [250.0])


def test_the_planned_second_of_a_timepoint_is_its_earliest() -> None:
    lines = [
        line("frame", timestep=1, planned_s=5.0),
        line("frame", timestep=1, planned_s=4.0),
        line("cells", timestep=2, planned_s=1.0),
    ]
    assert told.planned_s_of(lines) == {1: 4.0}
