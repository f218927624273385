"""The page that describes a run folder, held against run folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from faro.storage import OmeZarrWriter, TiffWriter
from faro.storage.layout import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.model import CellTable, RunNeeds, Stack

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "run-folder.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_page_is_of_the_version_that_is_written(page: str) -> None:
    assert f"This is layout **{SCHEMA_VERSION}**" in page


@pytest.mark.parametrize("kind", [OmeZarrWriter, TiffWriter])
def test_every_file_and_key_is_on_the_page(
    page: str,
    kind: type[OmeZarrWriter | TiffWriter],
    tmp_path: Path,
    needs: RunNeeds,
    make_stack: Callable[..., Stack],
    make_cells: Callable[..., CellTable],
) -> None:
    writer: Any = kind(tmp_path / "run")
    writer.open(needs, {})
    stack = make_stack(0, 0, z_um=(1.0,), pixels=make_stack(0, 0).pixels[:, None])
    writer.store_stack(stack, {"started_s": 0.1, "lateness_s": 0.1})
    writer.store_labels("nuclei", 0, 0, stack.pixels[0, 0])
    writer.store_cells(0, 0, make_cells(0, 0))
    writer.close({"reason": "completed"})
    tree = page.partition("```text")[2].partition("```")[0]
    for path in writer.path.iterdir():
        assert path.name.startswith(".") or path.name in tree, path
    for folder in ("tables", "provenance"):
        for path in (writer.path / folder).iterdir():
            assert path.name in page, path
    known = set(re.findall(r"`([a-z_0-9.]+)`", page))
    info = json.loads((writer.path / "run.json").read_text(encoding="utf-8"))
    assert set(info) <= known
    journal = (writer.path / "journal.jsonl").read_text(encoding="utf-8")
    told = [json.loads(line) for line in journal.splitlines()]
    assert {line["kind"] for line in told} <= known
    (frame,) = (line for line in told if line["kind"] == "frame")
    assert set(frame) <= known
    frames = pq.read_schema(writer.path / "tables" / "frames.parquet")
    assert set(frames.names) <= known
