"""Every example: no false alarm, and it runs, to its end and without an error."""

from __future__ import annotations

import importlib.util
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import faro
from faro.experiment.document_start import START
from faro.experiment.document_text import (
    document_from,
    parsed,
    read_data,
    text_of,
)
from faro.run.files import Prepared, examine, problems_of

if TYPE_CHECKING:
    from types import ModuleType

    from faro.storage.reader import Run

FOLDER = Path(__file__).parents[2] / "examples"
FILES = sorted(FOLDER.glob("*.toml"))
SCRIPTS = {p.stem for p in FOLDER.glob("*.py") if "__main__" in p.read_text("utf-8")}
WITH_A_FIGURE = {
    "dose_response_ramp",
    "erk_clamp",
    "front_and_rear",
    "line_sweep",
    "steer_cells_up",
}
"""See test_figures.py."""
N_STORIES = 14
SHORTENED = ("interval", "time_per_fov_s")
FASTER = 30
MUCH_FASTER = 6_000
"""For intervals of minutes."""
START_S = 0.5

# Example: stacks, stimulations that fire.
EXPECTED = {
    "cell_migration": (32, 24),
    "cell_migration_control": (64, 24),
    "demo_microscope": (10, 0),
    "dose_ramp": (108, 8),
    "full_field_pulses": (48, 12),
    "moving_line": (16, 14),
    "own_stimulator": (8, 6),
    "record_only": (30, 0),
    "simulated_optogenetics": (32, 16),
    "store_as_ome_zarr": (12, 0),
    "store_as_plate": (24, 0),
    "store_as_tiff": (12, 0),
    "two_lights": (16, 24),
}
SMALLER = {"dose_ramp": {"rows": 1, "columns": 1}}
"""What is changed so that the example is done in seconds; the whole runs as well."""


def hurried(value: Any) -> Any:
    """Return words whose intervals are shorter, and that start in a moment."""
    if isinstance(value, list):
        return [hurried(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    found = {name: hurried(inner) for name, inner in value.items()}
    for name in SHORTENED:
        if name in found:
            found[name] /= FASTER if found[name] < 60 else MUCH_FASTER
    if "start_at" in found:
        begin = datetime.now(UTC) + timedelta(seconds=START_S)
        found["start_at"] = begin.isoformat()
    return found


def changed(value: Any, changes: dict[str, Any]) -> Any:
    """Return words with some values replaced wherever they are."""
    if isinstance(value, list):
        return [changed(inner, changes) for inner in value]
    if not isinstance(value, dict):
        return value
    return {n: changes.get(n, changed(inner, changes)) for n, inner in value.items()}


def test_every_example_is_expected_here() -> None:
    assert {path.stem for path in FILES} == set(EXPECTED)


def test_the_fourteen_stories_are_in_the_table_and_their_files_are_there() -> None:
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("|") and "](" in line]
    assert len(rows) == N_STORIES
    named = {name for line in lines for name in re.findall(r"\]\((.*?)\)", line)}
    kinds = {".toml", ".py", ".ipynb"}
    assert named == {p.name for p in FOLDER.glob("*") if p.suffix in kinds}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_raises_no_false_alarm(path: Path) -> None:
    for offline in (False, True):
        problems = problems_of(path, offline=offline)
        # Four hours of each day are too late for a time of day.
        assert [p for p in problems if not p.where.endswith("start_at")] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_is_the_same_in_every_format(path: Path) -> None:
    document = document_from(read_data(path))
    for kind in ("toml", "yaml", "json"):
        assert document_from(parsed(text_of(document, kind), kind)) == document
        full = text_of(document, kind, full=True)
        assert document_from(parsed(full, kind)) == document


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    words = changed(read_data(path), SMALLER.get(path.stem, {}))
    run = carried_out(hurried(words), path, tmp_path / "run")
    assert_done(run, *EXPECTED[path.stem])


@pytest.mark.long
def test_the_dose_ramp_runs_in_all_63_positions(tmp_path: Path) -> None:
    path = FOLDER / "dose_ramp.toml"
    run = carried_out(hurried(read_data(path)), path, tmp_path / "run")
    assert_done(run, 63 * 36, 42 * 4)
    kinds = [line["kind"] for line in run.journal]
    timed = kinds.count("waiting") + kinds.count("start_time_passed")
    assert (timed, kinds.count("paused")) == (1, 1)


def test_the_file_to_begin_with_runs_and_needs_no_change(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(START, encoding="utf-8")
    assert problems_of(path) == []
    run = carried_out(hurried(read_data(path)), path, tmp_path / "run")
    assert (run.summary or {})["n_stimulated"] == 7


def test_a_table_is_run(tmp_path: Path) -> None:
    script("from_a_table").main(str(tmp_path / "run"), 0.05)
    run = faro.open_run(tmp_path / "run")
    assert_done(run, 16, 4)
    metadata = run.info["description"]["fov_metadata"]
    assert {said["cell_line"] for said in metadata.values()} == {"HEK293 ERK-KTR"}


def test_a_stored_run_is_replayed_reanalysed_and_converted(tmp_path: Path) -> None:
    path = FOLDER / "store_as_tiff.toml"
    stored = tmp_path / "stored"
    source = carried_out(hurried(read_data(path)), path, stored)
    for name in ("replay_a_run", "reanalyse_a_run", "convert_a_run"):
        output = tmp_path / name
        script(name).main(str(stored), str(output))
        run = faro.open_run(output)
        assert_done(run, 12, 0)
        for fov, timestep in ((0, 0), (1, 5)):
            frame = run.frame(fov, timestep, "miRFP")
            assert (frame == source.frame(fov, timestep, "miRFP")).all()
    again = faro.open_run(tmp_path / "reanalyse_a_run").cells
    assert "std_miRFP_nuc" in again.columns


def test_the_masks_of_a_run_with_light_are_made_again(tmp_path: Path) -> None:
    path = FOLDER / "cell_migration_control.toml"
    stored = tmp_path / "stored"
    source = carried_out(hurried(read_data(path)), path, stored)
    output = tmp_path / "again"
    script("replay_a_run").main(str(stored), str(output))
    run = faro.open_run(output)
    lit = [line for line in source.journal if line["kind"] == "stim_armed"]
    assert lit
    for line in lit:
        mask = run.labels("stim_mask", line["fov"], line["timestep"])
        assert mask.any()


def test_every_script_is_run_here() -> None:
    ran = {"from_a_table", "replay_a_run", "reanalyse_a_run", "convert_a_run"}
    assert ran | WITH_A_FIGURE == SCRIPTS


def script(name: str) -> ModuleType:
    """Return an example that is a script, as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_done(run: Run, n_stacks: int, n_stimulated: int) -> None:
    summary = run.summary or {}
    assert summary["reason"] == "completed"
    assert (summary["n_errors"], summary["n_skipped"]) == (0, 0)
    assert (summary["n_stacks"], summary["n_stimulated"]) == (n_stacks, n_stimulated)


def carried_out(words: dict[str, Any], source: Path, output: Path) -> Run:
    """Run a file; whoever is waited for comes at once."""
    prepared, problems = examine(words, source)
    assert isinstance(prepared, Prepared), [str(problem) for problem in problems]
    with prepared.rig.open() as microscope:
        controller = prepared.controller(microscope, output)
        controller.notices.paused.connect(lambda _: controller.resume())
        mode = prepared.document.stim_mode
        controller.run_experiment(prepared.events, stim_mode=mode)
    return faro.open_run(output)
