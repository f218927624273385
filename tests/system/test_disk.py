"""What is synced is what was meant; which calls are made differs between systems."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from faro.system import disk

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda _, n=name: made.append(n), raising=False)
    return made


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("linux", ["fdatasync", "fsync", "fsync"]),
        ("darwin", ["fsync", "fsync", "fsync"]),
        ("win32", ["fsync", "fsync"]),
    ],
)
def test_each_system_syncs_in_its_way(
    system: str,
    expected: list[str],
    calls: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if sys.platform == "win32" and system != "win32":
        pytest.skip("a folder cannot be opened on Windows")
    monkeypatch.setattr(sys, "platform", system)
    disk.sync_data(0)
    disk.sync_file(0)
    disk.sync_folder(tmp_path)
    assert calls == expected
