"""Folders of hosts that ended badly, with their logs, go with the tests."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have temporary folders made in one that is removed; its path must be short."""
    tmp_path_factory.getbasetemp()
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="f-") as folder:
        tempfile.tempdir = folder
        yield
        tempfile.tempdir = before
