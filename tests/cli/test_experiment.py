"""``faro init, show, check, run, schema`` as a person uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import faro
from faro.cli import app
from faro.experiment.document_start import START
from faro.experiment.document_text import document_from, parsed
from faro.testing.posix import open_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "experiment.toml"
    hurried = START.replace("interval = 1.0", "interval = 0.05")
    path.write_text(hurried, encoding="utf-8")
    return path


def faro_says(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_init_writes_the_file_to_begin_with_and_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert faro_says("init").exit_code == 0
    path = tmp_path / "experiment.toml"
    assert path.read_text(encoding="utf-8") == START
    again = faro_says("init")
    assert again.exit_code == 2
    assert "is there already" in again.output
    other = faro_says("init", "mine.yaml")
    assert other.exit_code == 2
    assert "mine.toml" in other.output
    assert [p.name for p in tmp_path.iterdir()] == ["experiment.toml"]


def test_check_says_that_a_good_file_can_run(file: Path) -> None:
    for option in ((), ("--offline",)):
        result = faro_says("check", file, *option)
        assert result.exit_code == 0, result.output
        assert "can run" in result.output


def test_check_lists_every_problem_and_ends_with_two(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    text = text.replace("exposure = 50", "exposre = 50", 1)
    file.write_text(text.replace("fraction = 0.3", "fracton = 0.3"), encoding="utf-8")
    result = faro_says("check", file)
    assert result.exit_code == 2
    assert "sequence.channels[0].exposre: " in result.output
    assert "pipeline.stimulator.parameters.fracton: " in result.output
    assert "2 to mend" in result.output


def test_a_start_that_is_over_is_said_without_the_microscope_too(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    over = '\n[sequence]\nstart_at = "2020-01-01T08:00:00+01:00"\n'
    file.write_text(text.replace("\n[sequence]\n", over, 1), encoding="utf-8")
    for option in ((), ("--offline",)):
        result = faro_says("check", file, *option)
        assert result.exit_code == 0, result.output
        assert "is over: nothing would be waited for" in result.output


def test_a_warning_is_said_and_does_not_keep_from_running(file: Path) -> None:
    with file.open("a", encoding="utf-8") as text:
        text.write("\n[times]\nstage_s = 1.5\n")
    result = faro_says("check", file)
    assert result.exit_code == 0, result.output
    assert "Warning: time_plan: 9 of 10 timepoints would start late" in result.output


def test_show_says_and_draws_what_happens(file: Path) -> None:
    result = faro_says("show", file)
    assert result.exit_code == 0, result.output
    assert "2 positions; 10 timepoints in 0.45 s, every 0.05 s" in result.output
    assert "light (p0): light CyanStim, 100 ms, power 10 at t=3-9" in result.output
    picture = file.with_name("experiment-timeline.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    drawn = file.with_name("drawn.svg")
    assert faro_says("show", file, "-o", drawn).exit_code == 0
    assert "<svg" in drawn.read_text(encoding="utf-8")
    wrong = faro_says("show", file, "-o", "drawn.txt")
    assert wrong.exit_code == 2
    assert ".png, .svg, .pdf" in wrong.output


@pytest.mark.parametrize("kind", ["toml", "yaml", "json"])
def test_show_converts_a_file_without_loss(file: Path, kind: str) -> None:
    document = document_from(parsed(file.read_text(encoding="utf-8"), "toml"))
    shown = faro_says("show", file, "--as", kind)
    assert shown.exit_code == 0, shown.output
    assert document_from(parsed(shown.output, kind)) == document
    target = file.with_name(f"other.{kind}")
    assert faro_says("show", file, "--as", kind, "-o", target).exit_code == 0
    assert target.read_text(encoding="utf-8") == shown.output


def test_show_knows_no_other_format(file: Path) -> None:
    result = faro_says("show", file, "--as", "yml")
    assert result.exit_code == 2
    assert "Did you mean 'yaml'?" in result.output


def test_the_schema_names_rigs_and_components() -> None:
    schema = json.loads(faro_says("schema").stdout)
    text = json.dumps(schema["$defs"]["PipelinePart"]["properties"]["stimulator"])
    assert '"PercentageOfCell"' in text
    assert '"OtsuSegmenter"' not in text
    assert '"simulated"' in json.dumps(schema["properties"]["microscope"])


def test_schema_is_json() -> None:
    result = faro_says("schema")
    assert result.exit_code == 0
    assert json.loads(result.output)["title"] == "FARO experiment"


def test_run_stores_a_run_that_can_be_shown_and_run_again(
    file: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    result = faro_says("run", file, "-o", first, "--no-progress")
    assert result.exit_code == 0, result.output
    assert "7 stimulations fired" in result.output
    assert (first / "report.html").is_file()
    shown = faro_says("show", first, "--as", "toml")
    assert shown.exit_code == 0, shown.output
    assert "faro.stimulation:PercentageOfCell" in shown.output
    again = tmp_path / "again"
    assert faro_says("run", first, "-o", again, "--no-progress").exit_code == 0
    one, two = faro.open_run(first).cells, faro.open_run(again).cells
    assert one["y"].tolist() == two["y"].tolist()
    used = faro_says("run", file, "-o", first, "--no-progress")
    assert used.exit_code == 2
    assert "again" not in used.output
    assert "first_002" in used.output


PAUSED = """
microscope = { rig = "simulated", parameters = { image_shape = [64, 64] } }
shared = { channels = ["miRFP"] }
phases = [{}, { pause_before = "Add the drug." }]
"""


def test_a_pause_that_nobody_can_end_is_refused(file: Path) -> None:
    file.write_text(PAUSED, encoding="utf-8")
    result = faro_says("run", file, "--in-process")
    assert result.exit_code == 2
    assert "'Add the drug.' waits for Enter, and this is no terminal" in result.output
    assert not list(file.parent.glob("*-run"))


@pytest.mark.skipif(sys.platform == "win32", reason="opens a pty")
def test_enter_in_the_terminal_goes_on_with_the_run(file: Path) -> None:
    file.write_text(PAUSED, encoding="utf-8")
    keyboard, program = open_terminal()
    command = [sys.executable, "-m", "faro", "run", str(file), "--in-process"]
    with subprocess.Popen(
        command, stdin=program, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as run:
        os.close(program)
        assert run.stderr is not None
        seen = ""
        while "Press Enter" not in seen and (line := run.stderr.readline()):
            seen += line
        os.write(keyboard, b"\n")
        run.communicate(timeout=60)
    os.close(keyboard)
    assert "Paused: Add the drug." in seen
    assert run.returncode == 0
    assert (faro.open_run(file.parent / "experiment-run").summary or {})[
        "n_stacks"
    ] == 2


def test_an_error_keeps_its_brackets(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("[sequence]", "[sequense]")
    file.write_text(text, encoding="utf-8")
    result = faro_says("run", file)
    assert result.exit_code == 2
    assert "sequense: there is no 'sequense'. Did you mean 'sequence'?" in result.output
    file.write_text('phases = 3\nmicroscope = "simulated"', encoding="utf-8")
    assert "[[phases]]" in faro_says("run", file).output
