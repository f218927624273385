"""JSON that every reader takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.errors import StorageError
from faro.model import FrameRole, RunNeeds
from faro.storage.jsontext import one_line, plain, read_document

if TYPE_CHECKING:
    from pathlib import Path


def test_one_line_holds_no_line_end_and_no_nan() -> None:
    line = one_line({"text": "a\nb", "nan": float("nan"), "inf": np.float32("inf")})
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"text": "a\nb", "nan": None, "inf": None}


def test_numpy_enums_sets_and_dataclasses_become_plain() -> None:
    needs = RunNeeds(1, (0,), ("GFP",), (2, 3))
    value = {"role": FrameRole.STIM, "n": np.int64(3), "on": np.True_, "needs": needs}
    found = plain(value)
    assert found["role"] == "stim"
    assert (found["n"], found["on"]) == (3, True)
    assert found["needs"]["image_shape"] == [2, 3]
    assert plain(np.arange(3)) == [0, 1, 2]


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_document_is_reported_with_its_path(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(StorageError, match=r"run\.json"):
        read_document(path)
