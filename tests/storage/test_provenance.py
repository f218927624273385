"""What a run folder says about what made it, from its first moment on."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq

from faro.storage import OmeZarrWriter, open_run
from faro.storage.sources import sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from faro.model import RunNeeds, Stack


def read(writer: OmeZarrWriter, name: str) -> Any:
    return json.loads((writer.path / "provenance" / name).read_text(encoding="utf-8"))


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    command = ["git", *who, "-C", str(folder), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_whole_environment_is_written_at_the_start(writer: OmeZarrWriter) -> None:
    found = read(writer, "environment.json")
    for name in ("numpy", "pytest", "tensorstore"):
        assert found["versions"][name] == version(name)
    assert found["python"] == sys.version
    assert found["host"]
    assert found["n_cpus"] >= 1
    assert found["command"]


def test_only_the_folder_of_the_run_holds_a_run_json(writer: OmeZarrWriter) -> None:
    """Whoever looks for runs by that name finds one, not its copy too."""
    assert list(writer.path.rglob("run.json")) == [writer.path / "run.json"]


def test_modules_of_the_user_are_found_again_by_hash_and_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lab code"
    folder.mkdir()
    source = folder / "my_segmenter_of_provenance.py"
    source.write_text("def segment(pixels):\n    return pixels > 3\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    monkeypatch.syspath_prepend(str(folder))
    importlib.import_module(source.stem)
    component = {"component": f"{source.stem}:segment", "parameters": {}}
    description = {"pipeline": {"segmenters": [{"component": component}]}}
    found = sources(description)
    (mine,) = (m for m in found["modules"] if m["module"] == source.stem)
    assert mine["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    state = {"commit": git(folder, "rev-parse", "HEAD"), "changed": False}
    assert found["git"][str(folder.resolve())] == state
    source.write_text("def segment(pixels):\n    return pixels > 4\n")
    again = sources(description)
    assert again["git"][str(folder.resolve())] == {**state, "changed": True}
    (changed,) = (m for m in again["modules"] if m["module"] == source.stem)
    assert changed["sha256"] != mine["sha256"]


def test_files_that_components_read_are_hashed(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"learned")
    parameters = {"model": str(weights), "name": "nuclei", "absent": "/no/such/file"}
    found = sources({"pipeline": {"tracker": {"parameters": parameters}}})
    assert found["files"] == {str(weights): hashlib.sha256(b"learned").hexdigest()}


def test_our_own_and_installed_modules_are_not_the_users() -> None:
    paths = ["faro.analysis.segmentation:X", "numpy:array", "json:dumps", "no.such:X"]
    found = sources({"features": [{"component": path} for path in paths]})
    assert not [m for m in found["modules"] if m["module"] != "__main__"]


def test_a_repository_without_git_says_why_it_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "my_tracker_of_provenance.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("my_tracker_of_provenance")
    found = sources({"component": "my_tracker_of_provenance:X"})
    assert "unknown" in found["git"][str(tmp_path.resolve())]


def test_the_frame_index_tells_of_every_frame_while_the_run_goes_on(
    writer: OmeZarrWriter, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    writer.store_stack(make_stack(1, 2), {"lateness_s": 0.5, "started_s": 60.1})
    writer.store_stack(make_stack(0, 3, channels=("GFP",)), {})
    live = pd.DataFrame(open_run(writer.path).frames)
    assert live[["fov", "timestep", "channel", "channel_index"]].values.tolist() == [
        [1, 2, "mCherry", 0],
        [1, 2, "GFP", 1],
        [0, 3, "GFP", 1],
    ]
    assert live["acquired_s"].tolist() == [60.25, 60.25, 90.25]
    assert live["lateness_s"][0] == 0.5
    assert live["exposure_ms"].tolist() == [50.0] * 3
    assert live["y_um"].tolist() == [-20.0] * 3
    assert str(live["acquired_at"][0]).startswith("2023-11-14")
    assert not (writer.path / "tables" / "frames.parquet").exists()
    writer.close({})
    stored = pq.read_table(writer.path / "tables" / "frames.parquet")
    assert stored.column_names == list(live.columns)
    assert stored.schema.field("exposure_ms").metadata == {b"unit": b"ms"}
    assert stored["series"].to_pylist() == live["series"].tolist()
    assert needs.channels == ("mCherry", "GFP")
