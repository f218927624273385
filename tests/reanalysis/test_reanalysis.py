"""Only what changed is computed, the rest is taken over, and nothing is invented."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

import faro
from faro.analysis import ErkKtrFeatures, OtsuSegmenter
from faro.cli import app
from faro.errors import MissingFrameError, RefusedError
from faro.experiment.refusal import ExperimentError
from faro.microscope import DMD, ReplayMicroscope
from faro.reanalysis import reanalyze
from faro.run.differences import differences
from faro.run.stored import replayable_events
from faro.run.stored_pipeline import recipe_of_file
from faro.storage import OmeZarrWriter, verify

if TYPE_CHECKING:
    from pathlib import Path

    from tests.reanalysis.conftest import Lab

    from faro.storage import Run

N_FOVS = 3


def live(recording: Path, pipeline: Path, path: Path) -> Run:
    """Return what the loop itself makes of the same frames."""
    source = faro.open_run(recording)
    events, _ = replayable_events(source, light=True)
    dmd = DMD(source.image_shape, np.eye(3))
    with ReplayMicroscope(source, dmd=dmd) as microscope:
        parts = recipe_of_file(pipeline).make()
        controller = faro.Controller(microscope, parts, writer=OmeZarrWriter(path))
        controller.run_experiment(events)
    return faro.open_run(path)


def test_it_gives_what_the_loop_gives_bit_for_bit(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    pipeline = lab.said()
    done = reanalyze(recording, pipeline, tmp_path / "out")
    again = faro.open_run(done.path)
    loop = live(recording, pipeline, tmp_path / "loop")
    assert [str(d) for d in differences(again, loop)] == []
    assert len(again.cells) == done.n_cells > 50
    assert {"nuclei", "tracks", "stim_mask"} <= set(again.label_names)
    assert done.computed == {"segment": N_FOVS, "follow": N_FOVS}
    assert again.summary is not None
    assert again.summary["reason"] == "completed"
    assert not (tmp_path / "out.work").exists()
    assert not [p for p in verify(done.path) if p.severity == "error"]


def test_masks_have_the_names_of_the_whole_recording_at_each_position(
    lab: Lab, tmp_path: Path
) -> None:
    """Two channels give light at position 0 only, one at the others."""
    source = lab.write("source", red_at=0)
    run = faro.open_run(reanalyze(source, lab.said(), tmp_path / "out").path)
    loop = live(source, lab.said(), tmp_path / "loop")
    assert [str(d) for d in differences(run, loop)] == []
    names = {n for n in run.label_names if n.startswith("stim_mask")}
    assert names == {"stim_mask_Blue", "stim_mask_Red"}
    for fov in range(N_FOVS):
        assert run.labels("stim_mask_Blue", fov, 2).any()
    assert run.labels("stim_mask_Red", 0, 2).any()


def test_frames_are_linked_and_survive_the_source(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    source = shutil.copytree(recording, tmp_path / "source")
    done = reanalyze(source, lab.said(), tmp_path / "out")
    chunk = "images.ome.zarr/p000.ome.zarr/0/c.2.0.0.0"
    assert (source / chunk).samefile(done.path / chunk)
    assert done.stored == 0
    before = faro.open_run(recording).stack(0, 2)
    shutil.rmtree(source)
    kept = faro.open_run(done.path).stack(0, 2)
    assert np.array_equal(kept.pixels, before.pixels)
    assert kept.planned_s == before.planned_s
    assert not verify(done.path)


def test_a_missing_frame_stays_missing_and_is_told(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    run = faro.open_run(reanalyze(recording, lab.said(), tmp_path / "out").path)
    assert not run.has(*lab.missing)
    for name in ("nuclei", "tracks"):
        with pytest.raises(MissingFrameError):
            run.labels(name, *lab.missing)
    here = (run.cells["fov"] == lab.missing[0]) & (
        run.cells["timestep"] == lab.missing[1]
    )
    assert not here.any()
    told = [n for n in run.journal if n["kind"] == "frame_missing"]
    assert {(n["fov"], n["timestep"]) for n in told} == {lab.missing}


def test_another_tracker_needs_no_segmentation(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    first = reanalyze(recording, lab.said(), tmp_path / "first")
    other = lab.said("other", tracker="parameters = { memory = 0 }")
    second = reanalyze(first.path, other, tmp_path / "second")
    assert second.computed == {"follow": N_FOVS}
    assert second.reused == {"segment/nuclei": N_FOVS}
    loop = live(recording, other, tmp_path / "loop")
    assert not list(differences(faro.open_run(second.path), loop))


def test_another_feature_needs_no_tracking(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    first = reanalyze(recording, lab.said(), tmp_path / "first")
    more = lab.said("more", features=lab.ratio + lab.feature("Doubled"))
    second = reanalyze(first.path, more, tmp_path / "second")
    assert second.computed == {"follow": N_FOVS}
    assert second.reused == {"segment/nuclei": N_FOVS, "track": N_FOVS}
    run = faro.open_run(second.path)
    assert run.cells["doubled"].tolist() == (2 * run.cells["area"]).tolist()
    assert not list(differences(run, live(recording, more, tmp_path / "loop")))
    third = reanalyze(second.path, more, tmp_path / "third")
    assert third.computed == {}
    assert not list(differences(faro.open_run(third.path), run))


def test_changed_code_of_the_user_is_computed_again(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    file = lab.said(features=lab.feature("Doubled", factor=3))
    first = reanalyze(recording, file, tmp_path / "first")
    module = tmp_path / "user_parts.py"
    module.write_text(module.read_text("utf-8") + "\n# changed\n", encoding="utf-8")
    second = reanalyze(first.path, file, tmp_path / "second")
    assert second.computed == {"follow": N_FOVS}
    assert second.reused == {"segment/nuclei": N_FOVS, "track": N_FOVS}


def test_one_changed_position_is_computed_alone(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    first = reanalyze(recording, lab.said(), tmp_path / "first")
    changed = lab.write("changed", other=1)
    done = reanalyze(changed, lab.said(), tmp_path / "out", reuse=[first.path])
    assert done.computed == {"segment": 1, "follow": 1}
    assert done.reused == {"segment/nuclei": N_FOVS - 1, "follow": N_FOVS - 1}
    loop = live(changed, lab.said(), tmp_path / "loop")
    assert not list(differences(faro.open_run(done.path), loop))


def test_a_position_that_cannot_be_read_stops_no_other(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    source = shutil.copytree(recording, tmp_path / "source")
    chunk = source / "images.ome.zarr/p001.ome.zarr/0/c.1.0.0.0"
    data = bytearray(chunk.read_bytes())
    data[20:60] = bytes(40)
    chunk.write_bytes(data)
    given = ["reanalyze", str(source), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*given, "--pipeline", str(lab.said())])
    assert result.exit_code == 1
    assert "failed    position 1" in result.output
    run = faro.open_run(tmp_path / "out")
    assert set(np.unique(run.cells["fov"])) == {0, 2}
    told = [n for n in run.journal if n["kind"] == "reanalysed"]
    assert [bool(n["failed"]) for n in told] == [False, True, False]


def test_a_component_that_fails_is_told_frame_by_frame(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    file = lab.said(features=lab.feature("Raises"))
    done = reanalyze(recording, file, tmp_path / "out")
    assert done.n_errors == 4
    assert not done.completed
    run = faro.open_run(done.path)
    errors = [n for n in run.journal if n["kind"] == "error"]
    assert {(n["fov"], n["stage"]) for n in errors} == {(1, "features/Raises")}
    assert np.isfinite(run.cells["fine"][run.cells["fov"] == 0]).all()


def test_what_is_wrong_is_said_before_anything_is_computed(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    file = lab.said()
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "notes.txt").touch()
    with pytest.raises(RefusedError, match=r"taken_002"):
        reanalyze(recording, file, taken)
    wrong = lab.said("wrong", features=lab.ratio.replace("reporter", "GFP"))
    with pytest.raises(RefusedError, match="GFP"):
        reanalyze(recording, wrong, tmp_path / "out")
    work = tmp_path / "out.work"
    work.mkdir()
    (work / "reanalysis.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RefusedError, match="another re-analysis"):
        reanalyze(recording, file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pipeline_of_a_script_is_said_in_words_or_refused(
    recording: Path, tmp_path: Path
) -> None:
    made = faro.ImageProcessingPipeline(
        segmenters=OtsuSegmenter(), features=ErkKtrFeatures("reporter")
    )
    done = reanalyze(recording, made, tmp_path / "out")
    file = faro.open_run(done.path).info["description"]["experiment_file"]
    assert "OtsuSegmenter" in json.dumps(file["pipeline"])
    lost: Any = faro.ImageProcessingPipeline(segmenters=lambda pixels: pixels > 300)
    with pytest.raises(ExperimentError, match="--pipeline FILE"):
        reanalyze(recording, lost, tmp_path / "no")


def test_the_public_recording_is_imported_and_analysed(
    shared_data: Path, lab: Lab, tmp_path: Path
) -> None:
    features = lab.ratio.replace("reporter", "mScarlet3")
    file = lab.said(features=features, light="")
    done = reanalyze(shared_data / "erk_ktr", file, tmp_path / "out")
    assert done.completed
    assert done.linked > 0
    run = faro.open_run(done.path)
    source = faro.open_run(shared_data / "erk_ktr")
    assert (run.fovs, run.n_timepoints) == (source.fovs, source.n_timepoints)
    for fov in run.fovs:
        for t in range(3):
            for channel in source.channels:
                then, now = (r.frame(fov, t, channel) for r in (source, run))
                assert np.array_equal(then, now)
    assert not [p for p in verify(done.path) if p.severity == "error"]
    assert lab.light not in file.read_text("utf-8")
