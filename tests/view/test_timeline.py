"""The picture and the text of a plan."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from matplotlib.collections import LineCollection

from faro.experiment import PowerChannel, RTMSequence, Treatment, arrange, plan
from faro.view.schedule import (
    Lane,
    ranges,
    schedule_lines,
    schedule_of,
    span_text,
)
from faro.view.timeline import MOST_ROWS, timeline_of, write_timeline

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
