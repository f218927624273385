"""The report of runs that differ: treatments, plan, light, dose; public, unfinished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.view.test_report import parsed
from typer.testing import CliRunner

from faro.cli import app
from faro.errors import StorageError
from faro.experiment import Channel, RTMEvent, needs
from faro.model import CellTable, HardwareFacts, Stack
from faro.storage import OmeZarrWriter, open_run
from faro.view import facts_of, write_report
from faro.view.grouping import grouping_of

if TYPE_CHECKING:
    from pathlib import Path

SHAPE, N_TIMES = (40, 48), 4
TREATMENTS = ("DMSO", "inhibitor", "DMSO", "inhibitor")
PIPELINE = {
    "segmenters": [
        {
            "name": "cells",
            "use_channel": 0,
            "component": {
                "component": "faro.analysis.segmentation:OtsuSegmenter",
                "parameters": {"min_area_px": 7},
            },
        }
    ],
    "tracker": "faro.analysis.tracking:StreamingTracker",
    "stimulators": {"Blue": {"component": "mine:Ramp", "parameters": {"step": 0.5}}},
}
EVENTS = [
    RTMEvent(
        index={"t": t, "p": p},
        channels=[Channel("nuclei", 10)],
        stim_channels=[Channel("Blue", 250)] if t == 2 and p != 3 else (),
        min_start_time=60.0 * t,
        metadata={"treatment": TREATMENTS[p]},
    )
    for t in range(N_TIMES)
    for p in range(len(TREATMENTS))
]


def write_run(path: Path) -> OmeZarrWriter:
    """Write a run of two treatments with light and dose; it is not closed."""
    facts = HardwareFacts(image_shape=SHAPE, pixel_size_um=0.5)
    writer = OmeZarrWriter(path, durability="process")
    said: dict[str, Any] = {
        "experiment": [event.words() for event in EVENTS],
        "fov_metadata": {str(e.fov): dict(e.metadata) for e in EVENTS},
        "pipeline": PIPELINE,
        "microscope": {"name": "Rig <7>"},
    }
    writer.open(needs(EVENTS, facts), said)
    writer.record("run_started", run_s=0.0)
    for event in EVENTS:
        here = {"fov": event.fov, "timestep": event.timestep}
        pixels = np.full((1, *SHAPE), 100, np.uint16)
        stack = Stack(pixels, ("nuclei",), event.fov, event.timestep)
        writer.store_stack(stack, {})
        writer.store_cells(**here, cells=cells_of(event))
        if event.stim_channels:
            light = {**here, "channel": "Blue"}
            asked = {"exposure_ms": 250.0, "lit_fraction": 0.1 + event.fov / 10}
            writer.record("stim_armed", **light, **asked)
            writer.record("stim_confirmed", **light, fired_s=1.0)
    return writer


def cells_of(event: RTMEvent) -> CellTable:
    """Return two cells; those that were lit answer by their FOV, and have a dose."""
    lit = event.timestep > 2 and event.fov != 3
    table = {
        "fov": np.full(2, event.fov, np.int64),
        "timestep": np.full(2, event.timestep, np.int64),
        "label": np.array([1, 2]),
        "track_id": np.array([1, 2]),
        "parent_id": np.zeros(2, np.int64),
        "y": np.array([10.0, 20.0]),
        "x": np.array([10.0, 30.0]),
        "area": np.full(2, 9, np.int64),
        "brightness": np.array([1.0, 3.0]) + (event.fov if lit else 0.0),
        "dose_Blue_ms": np.array([0.0, 250.0 if lit else 0.0]),
    }
    return CellTable(table, {"brightness": "1", "dose_Blue_ms": "ms"})


def test_a_page_says_what_was_planned_and_what_came_of_each_treatment(
    tmp_path: Path,
) -> None:
    writer = write_run(tmp_path / "run")
    going_on = parsed(write_report(writer.path).html).text
    writer.record("run_finished", reason="completed")
    writer.close({"reason": "completed"})
    text = parsed(write_report(writer.path).html).text
    for words in (
        "4 positions; 4 timepoints in 3 min, every 60 s; 19 exposures.",
        "light Blue, 250 ms",
        "segmenter of cells OtsuSegmenter min_area_px = 7, use_channel = 0",
        "tracker StreamingTracker none",
        "stimulator of Blue Ramp step = 0.5",
        "microscope Rig <7>",
        "DMSO 2 4",
        "brightness, change",
        "DMSO Blue 2 0.5 s 20 % (10 to 30)",
        "inhibitor Blue 1 0.2 s 20 %",
        "DMSO Blue 125 ms 250 ms 2 of 4",
        "inhibitor minus DMSO",
        "platform",
    ):
        assert words in text, words
    assert "killed or is still running" in going_on
    assert "killed or is still running" not in text
    for words in ("inhibitor Blue 1", "4 positions; 4 timepoints", "DMSO Blue 125 ms"):
        assert words in going_on


def test_the_numbers_of_a_treatment_are_those_of_its_fovs(tmp_path: Path) -> None:
    writer = write_run(tmp_path / "run")
    writer.close({"reason": "completed"})
    answer = facts_of(open_run(writer.path)).answer
    brightness = answer.responses[-1]
    assert brightness.name == "brightness, change"
    ends = {arm.name: brightness.of(arm)[1].tolist() for arm in answer.arms}
    assert ends == {"DMSO": [0.0, 2.0], "inhibitor": [1.0, 0.0]}
    assert answer.compare == ("inhibitor", "DMSO")


def test_a_public_recording_has_a_report_elsewhere(
    shared_data: Path, tmp_path: Path
) -> None:
    recording = shared_data / "erk_ktr"
    before = sorted(recording.iterdir())
    given = ["report", str(recording), "-o", str(tmp_path / "made")]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert "13 in 2 FOVs x 3 timepoints" in result.output
    assert sorted(recording.iterdir()) == before
    found = parsed(tmp_path / "made" / "report.html")
    for words in (
        "no journal",
        "652 cells measured",
        "13 frames",
        "reference mCitrine, 600 ms",
        "Sustained Phase 2 post Drug",
        "C/N ratio (ERK), change",
    ):
        assert words in found.text, words
    assert "killed" not in found.text
    assert "stimulations fired" not in found.text
    assert any("cells outlined" in str(alt) for alt in found.alts)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    writer = write_run(tmp_path / "run")
    writer.close({"reason": "completed"})
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="faro report RUN -o FOLDER"):
        write_report(writer.path, output=tmp_path / "taken")


def test_the_usual_names_of_treatments_are_found() -> None:
    said = {"0": {"group": "a", "treatment": "drug"}, "1": {"treatment": "drug"}}
    two = grouping_of({"fov_metadata": said}, (), (0, 1))
    assert two.key == "group"
    named = grouping_of({"fov_metadata": said}, (), (0, 1), key="treatment")
    assert named.key == "treatment"
    of_events = grouping_of({}, EVENTS, range(4))
    assert (of_events.key, of_events.compare) == ("treatment", ("inhibitor", "DMSO"))
    assert grouping_of({}, (), (0,)).compare == ("loop", "control")
