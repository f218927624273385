"""A small run on disk, written with the real writer, whose numbers are known by hand.

Cells of the arm "loop" go up by 2 px per timepoint after the first light, those of
the control by 0, those of "shifted" to the right. A pixel is 0.5 um.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.model import CellTable, RunNeeds, Stack
from faro.storage import OmeZarrWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SHAPE = (40, 48)
FIRST_LIGHT = 1
CHANNELS = ("nuclei", "reporter")
ARMS = ("loop", "control", "shifted")
TRACEBACK = "Traceback (most recent call last):\nValueError: <b>no</b> cells"


@dataclass(frozen=True)
class Story:
    """What kind of run is written."""

    arms: tuple[str, ...] = ARMS
    fovs_per_arm: int = 4
    n_timepoints: int = 5
    planned_timepoints: int = 5
    cells: bool = True
    light: bool = True
    latency: bool = True
    error: bool = False
    ending: str | None = "completed"
    summary: Mapping[str, Any] = field(default_factory=dict)

    def arm(self, fov: int) -> str:
        return self.arms[fov // self.fovs_per_arm]

    @property
    def fovs(self) -> tuple[int, ...]:
        return tuple(range(len(self.arms) * self.fovs_per_arm))


def place(story: Story, fov: int, time: int) -> list[tuple[int, int]]:
    """Return where the two cells of a FOV are, (y, x)."""
    steps = max(0, time - FIRST_LIGHT)
    wobble = fov % story.fovs_per_arm
    up = {"loop": 2 * steps, "control": 0, "shifted": 0}.get(story.arm(fov), 0)
    right = steps if story.arm(fov) == "shifted" else 0
    drift = 1 if wobble == 3 and time == story.n_timepoints - 1 else 0
    return [(28 - up - drift, 10 + right), (30 - up - drift, 30 + right)]


def cells_of(story: Story, fov: int, time: int) -> CellTable:
    at = place(story, fov, time)
    n = len(at)
    lit = story.arm(fov) == "loop" and time > FIRST_LIGHT
    return CellTable(
        {
            "fov": np.full(n, fov, np.int64),
            "timestep": np.full(n, time, np.int64),
            "label": np.arange(1, n + 1, dtype=np.int64),
            "track_id": np.arange(1, n + 1, dtype=np.int64),
            "parent_id": np.zeros(n, np.int64),
            "y": np.array([y for y, _ in at], np.float64),
            "x": np.array([x for _, x in at], np.float64),
            "area": np.full(n, 9, np.int64),
            "cnr": np.array([0.5, 0.7]) + (0.25 if lit else 0.0),
        }
    )


def labels_of(story: Story, fov: int, time: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    labels = np.zeros(SHAPE, np.int32)
    for i, (y, x) in enumerate(place(story, fov, time)):
        labels[y - 1 : y + 2, x - 1 : x + 2] = i + 1
    return labels


def needs_of(story: Story) -> RunNeeds:
    return RunNeeds(
        n_timepoints=story.planned_timepoints,
        fovs=story.fovs,
        channels=CHANNELS,
        image_shape=SHAPE,
        stim_channels=("blue",),
        labels=("nuclei", "tracks", "stim_mask"),
        pixel_size_um=0.5,
        interval_s=2.0,
    )


def description_of(story: Story) -> dict[str, Any]:
    named = story.arms != ("",)
    metadata = {str(f): {"arm": story.arm(f)} if named else {} for f in story.fovs}
    return {
        "experiment": {},
        "fov_metadata": metadata,
        "seed": 7,
        "stim_direction": [-1, 0],
        "pixel_size_um": 0.5,
    }


def write_frame(writer: OmeZarrWriter, story: Story, fov: int, time: int) -> None:
    labels = labels_of(story, fov, time)
    plane = (100 + 500 * (labels > 0)).astype(np.uint16)
    stack = Stack(
        pixels=np.stack([plane, plane]),
        channels=CHANNELS,
        fov=fov,
        timestep=time,
        planned_s=2.0 * time,
        acquired_s=2.0 * time + 0.1,
        wall_ns=1_772_000_000_000_000_000 + time,
        exposures_ms=(10.0, 10.0),
        pixel_size_um=0.5,
    )
    writer.store_stack(stack, {})
    if not story.cells:
        return
    writer.store_labels("nuclei", fov, time, labels)
    writer.store_cells(fov, time, cells_of(story, fov, time))


def write_light(writer: OmeZarrWriter, story: Story, fov: int, time: int) -> None:
    here = {"fov": fov, "timestep": time}
    if story.latency:
        stages = {"started": 0.5, "segmented": 4.0, "decided": 0.5 + fov}
        writer.record(
            "latency",
            **here,
            stages_ms=stages,
            frame_to_mask_ms=5.0 + fov,
            frame_to_display_ms=None,
        )
    if not story.light or time < FIRST_LIGHT or story.arm(fov) == "control":
        return
    if story.error and (fov, time) == (1, 2):
        raised = {"exc_type": "ValueError", "message": "<b>no</b> cells"}
        writer.record("error", **here, stage="segment", **raised, traceback=TRACEBACK)
        writer.record("stim_skipped", **here, reason="no mask")
        return
    mask = (labels_of(story, fov, time) > 0).astype(np.uint8) * 255
    writer.store_labels("stim_mask", fov, time, mask)
    writer.record("stim_armed", **here, from_timestep=time, channel="blue")
    writer.record("stim_confirmed", **here, channel="blue", fired_s=2.0 * time + 0.2)


@pytest.fixture(scope="session")
def write_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes the run of a `Story` and returns its folder.

    Equal stories share a folder: tests look at runs, they do not change them.
    """
    written: dict[str, Path] = {}

    def write(**kind: Any) -> Path:
        key = repr(sorted(kind.items()))
        if key not in written:
            written[key] = _write(Story(**kind), tmp_path_factory.mktemp("runs"))
        return written[key]

    return write


def _write(story: Story, folder: Path) -> Path:
    writer = OmeZarrWriter(folder / "dish")
    writer.open(needs_of(story), description_of(story))
    writer.record("run_started", run_s=0.0)
    for time in range(story.n_timepoints):
        late = 0.5 if time == 3 else 0.0
        start = {"planned_s": 2.0 * time, "started_s": 2.0 * time + late}
        writer.record("timepoint", timestep=time, **start, lateness_s=late)
        for fov in story.fovs:
            write_frame(writer, story, fov, time)
            write_light(writer, story, fov, time)
    if story.ending is None:  # a killed process leaves the folder as it is now
        shutil.copytree(folder / "dish", folder / "killed")
    else:
        writer.record("run_finished", reason=story.ending)
    writer.close(story.summary)
    return folder / ("killed" if story.ending is None else "dish")
