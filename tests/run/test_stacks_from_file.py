"""Planes, focus and sequences of positions in an experiment file, run as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.testing import CliRunner

from faro.cli import app
from faro.run.files import prepare
from faro.storage import open_run

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
name = "stacks"
microscope.rig = "demo"
storage.path = "runs/stacks"

[sequence]
time_plan = { interval = 0.05, loops = 3 }
axis_order = "tpzc"
z_plan = { range = 4, step = 2 }
autofocus_plan = { axes = ["p"], autofocus_motor_offset = 1.5 }
keep_shutter_open_across = ["c"]
setup = { properties = [["Camera", "Offset", "2"]] }

[[sequence.channels]]
config = "Cy5"
exposure = 5

[[sequence.channels]]
config = "FITC"
exposure = 5
do_stack = false
acquire_every = 2

[[sequence.stage_positions]]
x = 0
y = 0
z = 10
name = "whole"

[[sequence.stage_positions]]
x = 9
y = 9
z = 20
name = "own"
properties = [["Camera", "Offset", "3"]]
sequence.z_plan = { relative = [0, 1.5] }
sequence.channels = [{ config = "Cy5", exposure = 6 }]
"""


def written(tmp_path: Path, text: str = TEXT) -> Path:
    file = tmp_path / "stacks.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_says_stacks_focus_and_sequences_of_positions(tmp_path: Path) -> None:
    prepared = prepare(written(tmp_path))
    summary = prepared.run()
    assert (summary.reason, summary.n_errors) == ("completed", 0)
    run = open_run(prepared.path)
    found = {
        (fov, time): [(*s.channels, s.n_z) for s in run.stacks(fov, time)]
        for fov in run.fovs
        for time in range(3)
    }
    deep, flat, own = ("Cy5", 3), ("FITC", 0), ("Cy5", 2)
    assert found == {
        (0, 0): [deep, flat],
        (0, 1): [deep],
        (0, 2): [deep, flat],
        **{(1, time): [own] for time in range(3)},
    }
    focused = [line for line in run.journal if line["kind"] == "autofocus"]
    assert [(line["timestep"], line["fov"]) for line in focused] == [
        (time, fov) for time in range(3) for fov in range(2)
    ]


def faro_says(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, [*words])
    return found.exit_code, " ".join(found.output.split())


def test_it_is_checked_and_shown(tmp_path: Path) -> None:
    file = str(written(tmp_path))
    assert faro_says("check", file)[0] == 0
    picture = tmp_path / "stacks.png"
    code, text = faro_says("show", file, "-o", str(picture))
    assert (code, "17 exposures" in text) == (0, True)
    assert picture.stat().st_size > 0


def test_a_typo_in_a_plan_is_named(tmp_path: Path) -> None:
    text = TEXT.replace("step = 2", "stepp = 2").replace("relative", "relativ")
    code, shown = faro_says("check", str(written(tmp_path, text)))
    assert code != 0
    assert "there is no 'stepp'. Did you mean 'step'?" in shown
    assert "there is no 'relativ'. Did you mean 'relative'?" in shown
    assert "2 to mend" in shown
