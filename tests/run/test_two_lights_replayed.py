"""A run that got a second stimulation channel on the way, replayed and re-analysed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.experiment import PowerChannel
from faro.microscope import ReplayMicroscope
from faro.reanalysis import reanalyze
from faro.run import Controller
from faro.run.comparison import compare_with_recording
from faro.run.differences import differences
from faro.run.stored import replayable_events
from faro.run.stored_pipeline import recipe_of_file
from faro.storage import OmeZarrWriter, open_run
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faro.microscope.dmd import DMD
    from faro.storage import Run

CYAN, RED = "CyanStim", "RedStim"
LIGHTS = [PowerChannel(CYAN, 100, power=10), PowerChannel(RED, 50, power=20)]
NAMES = {CYAN: "stim_mask", RED: "stim_mask_RedStim"}
FILE = """
[pipeline]
segmenters = [{ component = "faro.testing.discs:segment_discs", name = "nuclei" }]
stimulator = "two_lights_of_a_user:by_column"
"""
MODULE = """
import numpy as np

def by_column(context):
    masks = {}
    for n, name in enumerate(context.stim_channels):
        masks[name] = np.zeros(context.shape, np.uint8)
        masks[name][:, : 9 + 5 * n + context.timestep] = 200 + n
    return masks

by_column.needs = ()
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "two_lights_of_a_user.py").write_text(MODULE, encoding="utf-8")
    path = tmp_path / "pipeline.toml"
    path.write_text(FILE, encoding="utf-8")
    yield path
    sys.modules.pop("two_lights_of_a_user", None)


@pytest.fixture
def recorded(tmp_path: Path, dmd: DMD, file: Path) -> Run:
    """Two timepoints with one light, then two with both."""
    presets = ("miRFP", "mScarlet3", CYAN, RED)
    microscope = CannedMicroscope(disc_frame, SHAPE, presets, dmd=dmd)
    writer = OmeZarrWriter(tmp_path / "recorded")
    controller = Controller(microscope, recipe_of_file(file).make(), writer=writer)
    one = disc_sequence(2, 2, stim_channels=LIGHTS[:1])
    controller.run_experiment(one, finish=False)
    both = disc_sequence(2, 2, stim_channels=LIGHTS)
    assert controller.continue_experiment(both, finish=True).completed
    return open_run(writer.path)


def masks_of(run: Run, names: dict[str, str]) -> dict[tuple[str, int, int], Any]:
    """Return the grey levels of each mask, by light, position and time."""
    found = {}
    for light, name in names.items():
        for fov in run.fovs:
            for timestep in range(run.n_timepoints):
                mask = run.images.labels(name, fov, timestep)
                if mask is not None:
                    found[light, fov, timestep] = np.unique(mask).tolist()
    return found


def test_a_replay_compares_the_masks_of_the_same_light(
    recorded: Run, file: Path, dmd: DMD, tmp_path: Path
) -> None:
    events, _ = replayable_events(recorded, light=True)
    writer = OmeZarrWriter(tmp_path / "again")
    with ReplayMicroscope(recorded, dmd=dmd) as microscope:
        controller = Controller(microscope, recipe_of_file(file).make(), writer=writer)
        assert controller.run_experiment(events).completed
    again = open_run(writer.path)
    assert [str(d) for d in differences(again, recorded)] == []
    masks = compare_with_recording(again, recorded)["masks"]
    n_masks = len(masks_of(recorded, NAMES))
    assert n_masks == 2 * (1 + 1 + 1)
    assert (masks["masks compared"], masks["identical"]) == (n_masks, n_masks)
    assert (masks["fired only"], masks["computed only"]) == (0, 0)


def test_a_re_analysis_keeps_the_names(
    recorded: Run, file: Path, tmp_path: Path
) -> None:
    done = reanalyze(recorded.path, file, tmp_path / "out")
    again = open_run(done.path)
    assert [str(d) for d in differences(again, recorded)] == []
    assert masks_of(again, NAMES) == masks_of(recorded, NAMES)
    assert not {n for n in again.label_names if "Cyan" in n}
    third = reanalyze(again.path, file, tmp_path / "third")
    assert third.computed == {}
    assert [str(d) for d in differences(open_run(third.path), recorded)] == []
