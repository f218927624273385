"""Dose in a run: a column, a total, ceilings before firing, an account on disk."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import faro
from faro.experiment import PowerChannel
from faro.model import Stimulus
from faro.policies import DoseCeiling
from faro.run import Controller, ImageProcessingPipeline, RunLimits
from faro.run.dose_record import ledger_of
from faro.run.files import prepare
from faro.storage import OmeZarrWriter
from faro.testing.discs import SHAPE, disc_sequence, segment_discs

if TYPE_CHECKING:
    from pathlib import Path

    from faro.testing.canned import CannedMicroscope
    from faro.testing.memory import MemorySink

CYAN_MS = 10.0
"""What one stimulation of `disc_sequence` is: 100 ms at 10 %."""


def first_cell(context: Any) -> Any:
    return context.cells.select(context.cells.label == 1)


def grey_cells(context: Any) -> Any:
    lit = context.cells.select(np.ones(len(context.cells), bool))
    return lit.astype(np.uint8) * np.uint8(128)


def run(
    microscope: CannedMicroscope,
    sink: Any,
    stimulator: Any = first_cell,
    **limits: Any,
) -> Any:
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=stimulator)
    controller = Controller(
        microscope, pipeline, writer=sink, limits=RunLimits(**limits)
    )
    return controller.run_experiment(disc_sequence(4, 1))


def test_the_dose_is_a_column_and_a_total(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    summary = run(microscope, sink)
    doses = [table.columns["dose_CyanStim_ms"] for _, _, table in sink.tables[2:]]
    assert [d[0] for d in doses] == [CYAN_MS, 2 * CYAN_MS]
    assert [d[1] for d in doses] == [0.0, 0.0]
    last = sink.tables[-1][2].columns
    assert set(last["dose_miRFP_ms"]) == {40.0}  # imaging light counts
    assert summary.light_ms["miRFP"] == 40.0
    assert 0 < summary.light_ms["CyanStim"] < 3 * CYAN_MS  # the mean of the field
    assert sink.closed is not None
    assert sink.closed["dose_ms"][0] == summary.light_ms


def test_half_grey_is_half_the_dose(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    run(microscope, sink, grey_cells)
    dose = sink.tables[2][2].columns["dose_CyanStim_ms"]
    assert dose == pytest.approx(CYAN_MS * 128 / 255, rel=1e-3)


def test_a_part_of_the_exposure_is_a_part_of_the_dose(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def quarter(context: Any) -> Any:
        return Stimulus(first_cell(context).astype(np.uint8) * 255, {}, 0.25)

    run(microscope, sink, quarter)
    assert [line["exposure_ms"] for line in sink.kinds("stim_armed")] == [25.0] * 3
    dose = sink.tables[3][2].columns["dose_CyanStim_ms"]
    assert dose[0] == pytest.approx(2 * CYAN_MS / 4)
    assert dose[1] == 0.0


def test_a_part_that_means_nothing_is_refused(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    with pytest.raises(faro.FaroError, match="exposure_fraction"):
        run(microscope, sink, lambda _: Stimulus(None, {}, 1.5))


def test_the_whole_field_lights_every_cell(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    run(microscope, sink, lambda _context: True)
    assert set(sink.tables[3][2].columns["dose_CyanStim_ms"]) == {2 * CYAN_MS}


def test_a_stimulator_that_waits_for_nothing_has_its_cells_counted(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    class Left:
        needs = ()

        def stimulate(self, _context: Any) -> Any:
            mask = np.zeros(SHAPE, bool)
            mask[:, : SHAPE[1] // 2] = True
            return mask

    run(microscope, sink, Left())
    table = sink.tables[-1][2].columns
    x = np.asarray(table["x"], float)
    left, right = x < SHAPE[1] / 2 - 15, x > SHAPE[1] / 2 + 15
    assert set(table["dose_CyanStim_ms"][left]) == {2 * CYAN_MS}
    assert set(table["dose_CyanStim_ms"][right]) == {0.0}


def test_a_cell_that_has_had_enough_stays_dark_the_others_are_lit(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def more(context: Any) -> Any:
        labels = context.cells.label
        return context.cells.select((labels == 1) | (context.timestep == labels))

    ceiling = DoseCeiling(CYAN_MS, of="cell", channel="CyanStim")
    run(microscope, sink, more, dose_ceilings=(ceiling,), when_over_dose="clip")
    armed = sink.kinds("stim_armed")
    assert [a.get("cells_dimmed") for a in armed] == [None, 1, 1]
    received = sink.kinds("light")[-1]
    assert received["channel"] == "CyanStim"
    assert len(received["track_id"]) == 1  # the third cell only


def test_a_grey_cell_is_dimmed_to_what_is_left(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    half = CYAN_MS * 128 / 255
    ceiling = DoseCeiling(1.5 * half, of="cell", channel="CyanStim")
    run(microscope, sink, grey_cells, dose_ceilings=(ceiling,), when_over_dose="clip")
    levels = [
        fired.pattern.max() for fired in microscope.fired if fired.pattern is not None
    ]
    assert levels == [128, 63]
    assert len(sink.kinds("stim_skipped")) == 1


def test_an_exposure_is_shortened_to_what_the_field_may_have(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    ceiling = DoseCeiling(1.5 * CYAN_MS, channel="CyanStim")
    run(
        microscope,
        sink,
        lambda _context: True,
        dose_ceilings=(ceiling,),
        when_over_dose="clip",
    )
    armed = sink.kinds("stim_armed")
    assert [a["exposure_ms"] for a in armed] == [100.0, 50.0]
    assert armed[1]["exposure_wanted_ms"] == 100.0


def test_refusing_leaves_the_stimulation_out_and_says_why(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    ceiling = DoseCeiling(1.5 * CYAN_MS, of="cell", channel="CyanStim")
    run(microscope, sink, dose_ceilings=(ceiling,))
    skipped = sink.kinds("stim_skipped")
    assert [s["reason"] for s in skipped] == [f"dose: no more than {ceiling}"] * 2
    assert len(microscope.fired) == 1


def test_images_are_left_out_when_stimulation_has_used_what_there_is(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    ceiling = DoseCeiling(125.0)  # images are 120 ms
    run(microscope, sink, lambda _context: True, dose_ceilings=(ceiling,))
    missing = sink.kinds("frame_missing")
    assert missing
    assert "dose: no more than 125 ms" in missing[0]["reason"]
    total = sum(sink.closed["dose_ms"][0].values()) if sink.closed else 0.0
    assert total <= 125.0


def test_the_preflight_knows_what_is_too_much(microscope: CannedMicroscope) -> None:
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=first_cell)
    ceilings = (
        DoseCeiling(30.0, channel="miRFP"),
        DoseCeiling(15.0, of="cell", channel="CyanStim"),
        DoseCeiling(15.0, channel="Cyan"),
    )
    limits = RunLimits(dose_ceilings=ceilings)
    events = disc_sequence(4, 1)
    found = Controller(microscope, pipeline, limits=limits).validate_events(events)
    dose = {p.where: p for p in found if "dose_ceilings" in p.where}
    assert [p.severity for p in dose.values()] == ["error", "warning", "error"]
    assert "images alone give 40 ms" in dose["limits.dose_ceilings[0]"].what
    assert "full masks would give 30 ms" in dose["limits.dose_ceilings[1]"].what
    assert "'Cyan'" in dose["limits.dose_ceilings[2]"].what


def test_light_that_cannot_be_counted_is_refused(microscope: CannedMicroscope) -> None:
    limits = RunLimits(dose_ceilings=(DoseCeiling(1e6),))
    bare = disc_sequence(2, 1, stim_channels=[PowerChannel("CyanStim", power=10)])
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=first_cell)
    found = Controller(microscope, pipeline, limits=limits).validate_events(bare)
    assert any("its dose is not known" in p.what for p in found)


def test_ceilings_are_declared_in_the_file(tmp_path: Path) -> None:
    words = """
microscope = "simulated"
[sequence]
channels = [{config = "miRFP", exposure = 50}]
stage_positions = [[0, 0]]
[limits]
when_over_dose = "clip"
dose_ceilings = [{most_ms = 500, of = "cell", channel = "miRFP", per_s = 3600}]
"""
    path = tmp_path / "e.toml"
    path.write_text(words)
    limits = prepare(path).limits
    ceiling = DoseCeiling(500, of="cell", channel="miRFP", per_s=3600)
    assert limits.dose_ceilings == (ceiling,)
    assert limits.when_over_dose == "clip"
    path.write_text(words.replace("500", "-1"))
    with pytest.raises(faro.FaroError, match="dose_ceilings"):
        prepare(path)


def test_the_account_on_disk_is_that_of_the_run(
    microscope: CannedMicroscope, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    run(microscope, OmeZarrWriter(path), grey_cells)
    stored = faro.open_run(path)
    folded = ledger_of(stored)
    rows = stored.to_pandas()
    rows = rows[rows.timestep == 3]
    got = folded.received(0, rows.track_id.to_numpy())["CyanStim"]
    last = CYAN_MS * 128 / 255  # was fired after these rows
    assert got == pytest.approx(rows["dose_CyanStim_ms"].to_numpy() + last, rel=1e-3)
    assert folded.totals()[0] == pytest.approx(stored.summary["dose_ms"]["0"])  # type: ignore[index]


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from faro.microscope.dmd import DMD
from faro.run import Controller, ImageProcessingPipeline
from faro.storage import OmeZarrWriter
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence, segment_discs

def frame(fov, timestep, channel):
    if timestep == 2 and channel == "CyanStim":
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return disc_frame(fov, timestep, channel)

microscope = CannedMicroscope(frame, SHAPE, dmd=DMD(SHAPE, np.eye(3)))
pipeline = ImageProcessingPipeline(
    segment_discs, stimulator=lambda c: c.cells.select(c.cells.label == 1)
)
writer = OmeZarrWriter(Path(sys.argv[1]))
Controller(microscope, pipeline, writer=writer).run_experiment(disc_sequence(4, 1))
"""


def test_light_that_was_fired_is_on_disk_when_the_process_is_killed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], check=False, timeout=120
    )
    assert done.returncode not in {0, 1}
    ledger = ledger_of(faro.open_run(path))
    received = ledger.received(0, np.arange(1, 4))["CyanStim"]
    assert received.tolist() == [2 * CYAN_MS, 0.0, 0.0]
