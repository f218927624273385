"""``faro resume`` as a person uses it: real processes, really killed."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from faro.cli import app
from faro.storage import open_run, verify
from faro.testing import resume_trials
from faro.testing.resume_trials import differences

if TYPE_CHECKING:
    from pathlib import Path

EXPERIMENT = """
name = "small"
[microscope]
rig = "simulated"
parameters = { seed = 4, image_shape = [128, 128] }
[sequence]
stage_positions = [{ x = 0, y = 0 }, { x = 1000, y = 0 }]
time_plan = { interval = 0.3, loops = 10 }
channels = [{ config = "miRFP", exposure = 50 }]
stim_channels = [{ config = "CyanStim", exposure = 100, power = 10 }]
stim_frames = { start = 1, stop = 10 }
[pipeline.stimulator]
component = "mine:Upper"
"""
MINE = """
from faro.stimulation import PercentageOfCell

class Upper(PercentageOfCell):
    def __init__(self) -> None:
        super().__init__(fraction=0.3, direction=(-1.0, 0.0))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    file = tmp_path / "small.toml"
    file.write_text(EXPERIMENT)
    return file


def frames_in(folder: Path) -> int:
    """Return how many imaging stacks a run has acknowledged so far."""
    if not (folder / "journal.jsonl").exists():
        return 0
    return sum(x["kind"] == "frame" for x in open_run(folder).journal)


def killed_at(n_frames: int, command: list[str], folder: Path) -> None:
    """Run a command and kill it when its run has so many frames."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 60.0
    while frames_in(folder) < n_frames and process.poll() is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    process.kill()
    process.wait()


@pytest.mark.long
@pytest.mark.parametrize("hosted", [True, False])
def test_a_run_from_a_file_is_killed_twice_and_goes_on(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hosted: bool
) -> None:
    monkeypatch.setattr(resume_trials, "N_FOVS", 2)
    monkeypatch.setattr(resume_trials, "N_TIMEPOINTS", 10)
    faro = [sys.executable, "-m", "faro"]
    more = [] if hosted else ["--in-process"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*faro, "run", str(file), "-o", str(whole), *more], check=True)
    killed_at(9, [*faro, "run", str(file), "-o", str(killed), *more], killed)
    resume = [*faro, "resume", str(killed), "--keep-clock", *more]
    killed_at(20, resume, killed)
    done = subprocess.run(resume, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exposures are left" in done.stdout
    assert differences(whole, killed) == []
    assert verify(killed) == []
    again = subprocess.run(resume, check=True, capture_output=True, text=True)
    assert "nothing is left to do" in again.stdout


def test_a_module_that_changed_is_named(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    faro = [sys.executable, "-m", "faro", "run", str(file), "--in-process"]
    killed_at(4, [*faro, "-o", str(folder)], folder)
    (tmp_path / "mine.py").write_text(MINE.replace("0.3", "0.4"))
    result = CliRunner().invoke(app, ["resume", str(folder), "--in-process"])
    assert result.exit_code == 2
    assert "modules/mine" in result.output
    assert "mine.py is not what it was" in result.output
