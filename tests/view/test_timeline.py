"""The picture and the text of a plan."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import LineCollection

from faro.experiment import (
    PowerChannel,
    RTMSequence,
    Treatment,
    arrange,
    combine,
    plan,
    wait_before,
)
from faro.view.schedule import (
    Lane,
    Schedule,
    Stop,
    ranges,
    schedule_lines,
    schedule_of,
    span_text,
)
from faro.view.timeline import (
    LETTER,
    LONGEST,
    MOST_ROWS,
    marks_of,
    timeline_of,
    write_timeline,
)

if TYPE_CHECKING:
    from pathlib import Path

    from faro.experiment import PlannedEvent


def planned(n_fovs: int = 4, n_timepoints: int = 6) -> list[PlannedEvent]:
    sequence = RTMSequence(
        channels=[PowerChannel("DAPI", 50)],
        stage_positions=[{"x": x, "name": f"n{x}"} for x in range(n_fovs)],
        time_plan={"interval": 90, "loops": n_timepoints},
        stim_channels=[PowerChannel("Cyan", 100, power=5)],
        ref_channels=[PowerChannel("Phase", 10)],
        ref_frames=[0],
    )
    groups = [
        Treatment("ramp", stim_frames=[2, 3], stim_exposure=[100, 200]),
        Treatment("dark"),
    ]
    layout = {f"n{x}": "ramp" if x % 2 else "dark" for x in range(n_fovs)}
    return list(plan(arrange(sequence, groups, layout)))


def test_positions_that_do_the_same_are_one_row() -> None:
    schedule = schedule_of(planned())
    assert [row.label for row in schedule.rows] == ["dark (p0, 2)", "ramp (p1, 3)"]
    assert [lane.channel for lane in schedule.lanes] == ["DAPI", "Cyan", "Phase"]
    light: Lane = schedule.lanes[1]
    assert light not in schedule.rows[0].ticks
    ticks = schedule.rows[1].ticks[light]
    assert [(t.planned_s, t.timestep, t.dose) for t in ticks] == [
        (180.0, 2, 500.0),
        (270.0, 3, 1000.0),
    ]


def test_the_text_says_when_and_how_long() -> None:
    assert schedule_lines(schedule_of(planned())) == [
        "4 positions; 6 timepoints in 7.5 min, every 90 s; 32 exposures.",
        "  image DAPI, 50 ms",
        "  light Cyan, 100 to 200 ms, power 5",
        "  reference Phase, 10 ms",
        "  dark (p0, 2): reference Phase, 10 ms at t=0",
        "  ramp (p1, 3): reference Phase, 10 ms at t=0; "
        "light Cyan, 100 to 200 ms, power 5 at t=2-3",
    ]


def test_light_is_drawn_as_high_as_its_dose_where_and_when_it_is_given() -> None:
    figure = timeline_of(schedule_of(planned()), "a ramp")
    ax = figure.axes[0]
    assert ax.get_title(loc="left") == "a ramp: 4 positions, 6 timepoints"
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "dark (p0, 2)",
        "ramp (p1, 3)",
    ]
    assert ax.get_xlabel() == "planned start, min"
    lanes = [c for c in ax.collections if isinstance(c, LineCollection)]
    drawn = [lane.get_segments() for lane in lanes]
    lit = [segments for segments in drawn[3:] if len(segments) == 2]
    (first, second) = lit[0]
    assert (first[0][0], second[0][0]) == (3.0, 4.5)
    heights = [abs(end[1] - start[1]) for start, end in (first, second)]
    assert heights[0] * 2 == pytest.approx(heights[1])


def test_very_many_kinds_of_positions_are_cut_and_said() -> None:
    events = RTMSequence(
        channels=["a"], stage_positions=[(x, 0) for x in range(MOST_ROWS + 6)]
    )
    moved = [
        event.model_copy(update={"min_start_time": float(event.fov)})
        for event in events
    ]
    ax = timeline_of(schedule_of(plan(moved))).axes[0]
    assert "6 more kinds of positions" in ax.get_xlabel()


def test_a_picture_is_written_as_its_name_says(tmp_path: Path) -> None:
    png = write_timeline(planned(), tmp_path / "a.png")
    assert png.read_bytes().startswith(b"\x89PNG")
    svg = write_timeline(planned(), tmp_path / "a.svg")
    assert ET.parse(svg).getroot().tag.endswith("svg")
    write_timeline([], tmp_path / "empty.png")


def test_numbers_and_spans_are_short() -> None:
    assert ranges([1, 3, 5]) == "1, 3, 5"
    assert ranges([0, 2, 4, 6]) == "0, 2, ..., 6"
    assert ranges([0, 5, 7, 20, 30, 44, 59, 61]).endswith(" and 2 more")
    assert [span_text(s) for s in (0, 600, 86_400)] == ["0 s", "10 min", "24 h"]


def test_phases_and_waits_are_marked_where_they_begin() -> None:
    words = {"channels": ["DAPI"], "time_plan": {"interval": 60, "loops": 5}}
    phases = [
        RTMSequence(**words, rtm_metadata={"phase": name})
        for name in ("before the drug", "after the drug")
    ]
    waiting = wait_before(phases[1], pause_before="Add the drug.")
    timed = wait_before(phases[0], start_at="18:30")
    schedule = schedule_of(plan(combine(timed, waiting)))
    assert schedule_lines(schedule)[2:4] == [
        "  at 0 s: wait until 18:30",
        "  at 5 min: pause: Add the drug.",
    ]
    marks = [(m.start_s, m.text, m.before, m.level) for m in marks_of(schedule)]
    assert marks == [
        (0.0, "wait until 18:30", False, 0),
        (0.0, "before the drug \N{RIGHTWARDS ARROW}", False, 1),
        (300.0, "pause: Add the drug.", False, 0),
        (300.0, "after the drug \N{RIGHTWARDS ARROW}", False, 1),
    ]
    ax = timeline_of(schedule).axes[0]
    assert {text.get_text() for text in ax.texts} == {text for _, text, *_ in marks}


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(1, 90))
def test_words_above_the_rows_never_overlap(starts: list[int], length: int) -> None:
    stops = tuple(Stop(float(s), "x" * length) for s in sorted(starts))
    found = marks_of(Schedule((), (), (0.0, 50.0), 1, 1, 1, stops))
    assert all(len(mark.text) <= LONGEST for mark in found)
    spans: dict[int, list[tuple[float, float]]] = {}
    for mark in found:
        place, width = mark.start_s / 50, LETTER * len(mark.text)
        span = (place - width, place) if mark.before else (place, place + width)
        for left, right in spans.setdefault(mark.level, []):
            assert span[1] < left or right < span[0]
        spans[mark.level].append(span)
