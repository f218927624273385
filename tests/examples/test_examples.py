"""Every example: no false alarm, and it runs on the simulated microscope."""

from __future__ import annotations

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
    from faro.storage.reader import Run

FOLDER = Path(__file__).parents[2] / "examples"
FILES = sorted(FOLDER.glob("*.toml"))
FASTER = 30

# Example: stacks, stimulations that fire.
EXPECTED = {
    "closed_loop": (64, 24),
    "dose_ramp": (90, 24),
    "full_field_pulses": (40, 6),
    "own_stimulator": (8, 6),
    "record_only": (30, 0),
    "three_phases": (32, 8),
}


def hurried(value: Any, faster: int = FASTER) -> Any:
    """Return words whose intervals are shorter."""
    if isinstance(value, dict):
        return {
            name: inner / faster if name == "interval" else hurried(inner, faster)
            for name, inner in value.items()
        }
    return [hurried(v, faster) for v in value] if isinstance(value, list) else value


def test_every_example_is_expected_here() -> None:
    assert {path.stem for path in FILES} == set(EXPECTED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_raises_no_false_alarm(path: Path) -> None:
    assert problems_of(path) == []
    assert problems_of(path, offline=True) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_is_the_same_in_every_format(path: Path) -> None:
    document = document_from(read_data(path))
    for kind in ("toml", "yaml", "json"):
        assert document_from(parsed(text_of(document, kind), kind)) == document
        full = text_of(document, kind, full=True)
        assert document_from(parsed(full, kind)) == document


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    run = carried_out(hurried(read_data(path)), path, tmp_path / "run")
    n_stacks, n_stimulated = EXPECTED[path.stem]
    summary = run.summary or {}
    assert summary["reason"] == "completed"
    assert (summary["n_errors"], summary["n_skipped"]) == (0, 0)
    assert (summary["n_stacks"], summary["n_stimulated"]) == (n_stacks, n_stimulated)


def test_the_file_to_begin_with_runs_and_needs_no_change(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(START, encoding="utf-8")
    assert problems_of(path) == []
    run = carried_out(hurried(read_data(path)), path, tmp_path / "run")
    assert (run.summary or {})["n_stimulated"] == 7


def carried_out(words: dict[str, Any], source: Path, output: Path) -> Run:
    prepared, problems = examine(words, source)
    assert isinstance(prepared, Prepared), [str(problem) for problem in problems]
    prepared.run(output)
    return faro.open_run(output)
