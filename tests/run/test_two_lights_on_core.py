"""Two stimulation channels on the real engine: each mask shows with its own light."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.experiment import (
    PowerChannel,
    RTMSequence,
    events_from_table,
    load_events,
    save_events,
)
from faro.microscope.simulated import SimulatedMicroscope
from faro.model import FrameRole
from faro.run import Controller, ImageProcessingPipeline
from faro.run.recorder import mask_sha256
from faro.storage import OmeZarrWriter, OmeZarrWriterPlate, TiffWriter, open_run
from faro.view.numbers import facts_of
from faro.view.panels import panels_of, rows_of
from faro.view.report import write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CYAN, RED = "CyanStim", "RedStim"
MASKS = {CYAN: "stim_mask_CyanStim", RED: "stim_mask_RedStim"}
SHAPE = (128, 160)
LIGHTS = [PowerChannel(CYAN, 100, power=10), PowerChannel(RED, 80, power=20)]
WRITERS: dict[str, Callable[[Path], Any]] = {
    "collection": OmeZarrWriter,
    "plate": lambda path: OmeZarrWriterPlate(path, wells={0: "A1", 1: "A2"}),
    "tiff": TiffWriter,
}
LONGEST_S = 60.0


def left_and_right(context: Any) -> Any:
    """Return cyan on the left, red on the right; another border each time."""
    border = 60 + 5 * context.timestep + context.fov
    left = np.zeros(context.shape, np.uint8)
    left[:, :border] = 255
    right = np.zeros(context.shape, np.uint8)
    right[:, border + 10 :] = 100 + context.timestep
    lights = {CYAN: left, RED: right}
    if context.timestep == 2:
        del lights[CYAN]
    return lights


left_and_right.needs = ()  # type: ignore[attr-defined]  # a function may carry it


def sequence(loops: int = 4, interval_s: float = 0.0) -> RTMSequence:
    return RTMSequence(
        stage_positions=[(0.0, 0.0), (600.0, 0.0)],
        channels=[{"config": "miRFP", "exposure": 20}],
        time_plan={"interval": interval_s, "loops": loops},
        stim_channels=LIGHTS,
        stim_frames=range(1, loops),
    )


@pytest.fixture(scope="module")
def microscope() -> Iterator[SimulatedMicroscope]:
    with SimulatedMicroscope(seed=4, image_shape=SHAPE) as rig:
        yield rig


def watched(
    rig: SimulatedMicroscope, patch: pytest.MonkeyPatch
) -> list[tuple[str, float, np.ndarray]]:
    """Return a list that takes filter, level and pattern of each exposure."""
    seen: list[tuple[str, float, np.ndarray]] = []
    expose = rig.bench.expose

    def noted(exposure_ms: float) -> Any:
        light = rig.bench.light
        level = light.levels_percent.get(light.line, 0.0)
        seen.append((light.filter, level, np.array(light.pattern)))
        return expose(exposure_ms)

    patch.setattr(rig.bench, "expose", noted)
    return seen


@pytest.mark.parametrize(
    ("mode", "layout"),
    [*(("current", layout) for layout in WRITERS), ("previous", "collection")],
)
def test_the_slm_shows_the_mask_of_the_channel_that_fires(
    mode: str,
    layout: str,
    microscope: SimulatedMicroscope,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dmd = microscope.dmd
    assert dmd is not None
    seen = watched(microscope, monkeypatch)
    pipeline = ImageProcessingPipeline(stimulator=left_and_right)
    writer = WRITERS[layout](tmp_path / "run")
    controller = Controller(microscope, pipeline, writer=writer)
    summary = controller.run_experiment(sequence(), stim_mode=mode)
    assert (summary.completed, summary.n_errors) == (True, 0)

    run = open_run(tmp_path / "run")
    armed = [line for line in run.journal if line["kind"] == "stim_armed"]
    shots = [shot for shot in seen if shot[0] in {CYAN, RED} and shot[1] > 0]
    assert [(a["channel"], float(a["power"])) for a in armed] == [s[:2] for s in shots]
    assert len({(a["timestep"], a["channel"]) for a in armed}) == 5
    for line, (_, _, pattern) in zip(armed, shots, strict=True):
        assert line["mask_label"] == MASKS[line["channel"]]
        place = line["fov"], line["timestep"]
        stored = run.labels(line["mask_label"], *place).astype(np.uint8)
        assert mask_sha256(stored) == line["mask_sha256"]
        np.testing.assert_array_equal(pattern, dmd.warp(stored))
    images = [pattern for name, _, pattern in seen if name == "miRFP"]
    assert not any(pattern.any() for pattern in images)
    skipped = [line for line in run.journal if line["kind"] == "stim_skipped"]
    assert {(s["channel"], s["reason"]) for s in skipped} == {
        (CYAN, "left out of the answer")
    }
    assert len(skipped) == 2


def test_the_microscope_answers_and_its_frames_are_stored(
    microscope: SimulatedMicroscope, tmp_path: Path
) -> None:
    pipeline = ImageProcessingPipeline(stimulator=left_and_right)
    writer = OmeZarrWriter(tmp_path / "run")
    Controller(microscope, pipeline, writer=writer).run_experiment(sequence())
    run = open_run(tmp_path / "run")
    for fov in run.fovs:
        for timestep in (1, 3):
            for name in (CYAN, RED):
                mask = run.labels(MASKS[name], fov, timestep) > 0
                light = run.frame(fov, timestep, name, role=FrameRole.STIM)
                inside, outside = light[mask].mean(), light[~mask].mean()
                assert inside > outside + 20
        assert run.has(fov, 2, RED, role=FrameRole.STIM)
        assert not run.has(fov, 2, CYAN, role=FrameRole.STIM)


def test_the_report_shows_the_light_of_each_channel(
    microscope: SimulatedMicroscope, tmp_path: Path
) -> None:
    pipeline = ImageProcessingPipeline(stimulator=left_and_right)
    writer = OmeZarrWriter(tmp_path / "run")
    Controller(microscope, pipeline, writer=writer).run_experiment(sequence())
    run = open_run(tmp_path / "run")
    facts = facts_of(run)
    (panels,) = panels_of(run, facts, rows_of(facts)[:1], (0, 2, 3))
    assert "no light" in panels[0].alt
    assert panels[1].lit == ((RED, "orange"),)
    assert "the lit region in orange" in panels[1].alt
    assert "CyanStim light in blue, RedStim light in orange" in panels[2].alt
    pixels = panels[2].pixels
    assert pixels is not None
    middle = pixels[pixels.shape[0] // 2].astype(int)
    left, right = middle[: len(middle) // 4], middle[-len(middle) // 4 :]
    assert np.median(left[:, 2] - left[:, 0]) > 20
    assert np.median(right[:, 0] - right[:, 2]) > 20
    page = write_report(tmp_path / "run").html.read_text("utf-8")
    for name in (CYAN, RED):
        assert f"lit region as fired in {name}" in page


@pytest.mark.parametrize(("name", "dose_ms"), [(CYAN, 20.0), (RED, 0.0)])
def test_cells_answer_to_cyan_and_not_to_red(name: str, dose_ms: float) -> None:
    with SimulatedMicroscope(seed=4, image_shape=SHAPE) as rig:
        pipeline = ImageProcessingPipeline(stimulator=lambda _: {name: True})
        assert Controller(rig, pipeline).run_experiment(sequence()).n_stimulated == 6
        dose = float(np.median(rig.truth(0.0, 0.0).dose_ms))
    assert dose == pytest.approx(dose_ms, rel=0.5)


STORY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_two_lights_on_core import SHAPE, left_and_right, sequence
from faro.microscope.simulated import SimulatedMicroscope
from faro.run import Controller, ImageProcessingPipeline
from faro.storage import OmeZarrWriter

with SimulatedMicroscope(seed=4, image_shape=SHAPE) as rig:
    controller = Controller(
        rig,
        ImageProcessingPipeline(stimulator=left_and_right),
        writer=OmeZarrWriter(Path(sys.argv[2])),
    )
    controller.run_experiment(sequence(600, 0.02))
"""


def test_a_kill_leaves_the_masks_of_both_channels_bit_exact(tmp_path: Path) -> None:
    path = tmp_path / "run"
    command = [sys.executable, "-c", STORY, str(Path(__file__).parent), str(path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    journal = path / "journal.jsonl"
    give_up_s = time.monotonic() + LONGEST_S
    try:
        while _count(journal, '"stim_confirmed"') < 12:
            assert time.monotonic() < give_up_s
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    run = open_run(path)
    assert run.summary is None
    told = {
        (line["name"], line["fov"], line["timestep"])
        for line in run.journal
        if line["kind"] == "labels"
    }
    armed = [line for line in run.journal if line["kind"] == "stim_armed"]
    kept = [a for a in armed if (a["mask_label"], a["fov"], a["timestep"]) in told]
    assert {a["channel"] for a in kept} == {CYAN, RED}
    for line in kept:
        mask = run.labels(line["mask_label"], line["fov"], line["timestep"])
        assert mask_sha256(mask.astype(np.uint8)) == line["mask_sha256"]


def _count(journal: Path, word: str) -> int:
    return journal.read_text("utf-8").count(word) if journal.exists() else 0


def test_both_channels_go_through_files_and_tables(tmp_path: Path) -> None:
    events = tuple(sequence())
    save_events(events, tmp_path / "events.json")
    assert tuple(load_events(tmp_path / "events.json")) == events
    table: dict[str, list[Any]] = {
        "timestep": [event.timestep for event in events],
        "fov": [event.fov for event in events],
        "fov_x": [event.x_pos for event in events],
        "channels": [[c.words() for c in e.channels] for e in events],
        "stim_channels": [[c.words() for c in LIGHTS] for _ in events],
        "stim": [event.has_stim for event in events],
    }
    again = events_from_table(table)
    assert [e.stim_channels for e in again] == [e.stim_channels for e in events]
