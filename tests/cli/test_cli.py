"""The command line as a person uses it: real processes, real folders."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import faro
from faro.cli import app
from faro.cli.demo import carry_out, demo_events, simulated

if TYPE_CHECKING:
    from pathlib import Path

SPEED = 5
OTHER_LIGHT = """
[[pipeline.segmenters]]
component = "LocalThresholdSegmenter"

[[pipeline.features]]
component = "ErkKtrFeatures"
parameters = { channel = "mScarlet3" }

[pipeline.stimulator]
component = "PercentageOfCell"
parameters = { fraction = 0.3, direction = [1, 0] }
"""


def small_demo(path: Path, seed: int = 3) -> None:
    events = demo_events(fovs_per_arm=1, timepoints=8, interval_s=0.3)
    microscope = simulated(seed, speed=SPEED)
    summary = carry_out(path, seed, events, microscope=microscope)
    assert summary.completed
    assert (summary.n_stacks, summary.n_errors, summary.n_skipped) == (24, 0, 0)
    assert summary.n_stimulated == 8


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "run"
    small_demo(path)
    return path


def test_version_and_help_name_what_there_is() -> None:
    runner = CliRunner()
    assert faro.__version__ in runner.invoke(app, ["version"]).output
    shown = runner.invoke(app, ["--help"]).output
    assert all(verb in shown for verb in ("demo", "replay", "report"))


def test_a_report_of_a_run_is_written_and_summed_up(demo_run: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(demo_run)])
    assert result.exit_code == 0, result.output
    assert "latency" in result.output
    assert "8 stimulations fired" in result.output
    assert (demo_run / "report.html").is_file()
    assert (demo_run / "report.png").is_file()


def test_a_run_of_ours_can_be_replayed_and_gives_the_same_cells(
    demo_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    given = ["replay", str(demo_run), "-o", str(out), "--diff"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert "No difference" in result.output
    assert "masks: identical 8" in result.output
    recorded, again = faro.open_run(demo_run).cells, faro.open_run(out).cells
    assert len(recorded) == len(again) > 0
    for column in ("fov", "timestep", "label", "track_id", "cnr"):
        assert recorded[column].tolist() == again[column].tolist()


def test_a_replay_with_another_pipeline_names_the_first_difference(
    demo_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(OTHER_LIGHT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    far = os.path.relpath(demo_run, tmp_path)
    given = ["replay", far, "-o", "out", "--diff", "--pipeline", str(other)]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 1, result.output
    assert "First difference: fov 0, timepoint 4, stimulate: " in result.output
    assert "stimulate: 8 frames differ" in result.output
    assert "segment" not in result.output.split("First difference")[1]
    fired = faro.open_run(demo_run).labels("stim_mask", 0, 4)
    now = faro.open_run("out").labels("stim_mask", 0, 4)
    assert now[fired > 0].sum() == 0


def test_a_replay_keeps_the_planned_times(demo_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "timed"
    given = ["replay", str(demo_run), "-o", str(out), "--speed", "20"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    recorded, again = faro.open_run(demo_run), faro.open_run(out)
    for t in range(8):
        assert again.stack(0, t).planned_s == recorded.stack(0, t).planned_s
    assert again.summary is not None
    assert again.summary["duration_s"] > recorded.stack(0, 7).planned_s / 20


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--speed", "soon"], "'soon' is no speed"),
        (["--pipeline", "none.toml"], "none.toml"),
    ],
)
def test_what_a_replay_cannot_do_is_said(
    demo_run: Path, tmp_path: Path, given: list[str], told: str
) -> None:
    arguments = ["replay", str(demo_run), "-o", str(tmp_path / "x"), *given]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert told in result.output


@pytest.mark.long
def test_two_demos_of_one_seed_are_equal_and_of_another_are_not(
    demo_run: Path, tmp_path: Path
) -> None:
    small_demo(tmp_path / "same")
    small_demo(tmp_path / "other", seed=4)
    first, same, other = (
        faro.open_run(p).cells
        for p in (demo_run, tmp_path / "same", tmp_path / "other")
    )
    assert first["cnr"].tolist() == same["cnr"].tolist()
    assert first["y"].tolist() == same["y"].tolist()
    assert first["y"].tolist() != other["y"].tolist()


def test_a_used_folder_is_refused_and_a_free_one_named(demo_run: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "-o", str(demo_run)])
    assert result.exit_code == 2
    assert "run_002" in result.output


def test_a_folder_without_a_run_is_an_error_that_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["replay", str(tmp_path)])
    assert result.exit_code == 2
    assert "holds no recorded run" in result.output


def test_the_real_recording_is_replayed_and_compared(
    shared_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "replay"
    arguments = ["replay", str(shared_data / "erk_ktr"), "-o", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "F1 at IoU 0.5 0.9" in result.output
    assert "cnr" in result.output
    run = faro.open_run(out)
    assert (run.fovs, run.n_timepoints) == ((0, 1), 3)
    assert (out / "report.html").is_file()


@pytest.mark.long
def test_the_demo_as_a_person_starts_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "faro", "demo"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "loop minus control" in done.stdout
    assert (tmp_path / "faro-demo" / "report.png").is_file()


def test_a_run_is_exported_for_fiji(demo_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiffs"
    done = CliRunner().invoke(
        app, ["export", str(demo_run), "-o", str(out), "--position", "0"]
    )
    assert done.exit_code == 0, done.output
    names = {path.name for path in out.iterdir()}
    assert {"p000.ome.tif", "p000_nuclei.ome.tif"} <= names
    assert not any(name.startswith("p001") for name in names)
    assert "files. In Fiji" in done.output
    wrong = ["export", str(demo_run), "-o", str(out), "--compression", "gif"]
    assert CliRunner().invoke(app, wrong).exit_code == 2
