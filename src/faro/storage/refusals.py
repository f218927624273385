"""Why a folder cannot take a run; and taking one that can."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from faro import settings
from faro.errors import Problem, StorageError
from faro.storage import disk
from faro.storage.layout import is_free, next_free
from faro.system.disk import sync_file, sync_folder

if TYPE_CHECKING:
    from pathlib import Path

    from faro.model import RunNeeds
    from faro.storage.layout import RunLayout


def path_problems(layout: RunLayout) -> list[Problem]:
    """Return why the folder of a run cannot be used."""
    path = layout.path
    if not is_free(path):
        holds = "a run" if layout.run_json.exists() else "something"
        what = f"{path} already holds {holds}; it is never overwritten."
        remedy = f"This one is free: {next_free(path)}"
        return [Problem("writer/path", what, remedy)]
    parent = disk.existing_ancestor(path)
    if not parent.is_dir():
        what = f"{parent} is a file, so {path} cannot be created."
        return [Problem("writer/path", what, "Choose another folder.")]
    if not os.access(parent, os.W_OK):
        what = f"{parent} cannot be written to."
        return [Problem("writer/path", what, "Choose another folder.")]
    return []


def space_problems(path: Path, free: int, needs: RunNeeds) -> list[Problem]:
    """Return why a run may not fit where there are ``free`` bytes."""
    reserve = settings.load().disk_reserve_bytes
    if free >= needs.n_bytes + reserve:
        return []
    what = (
        f"the run may need {_gb(needs.n_bytes)} and {_gb(reserve)} stay reserved, "
        f"but {_gb(free)} are free on the disk of {path}."
    )
    remedy = (
        f"Free {_gb(needs.n_bytes + reserve - free)}, write to another disk, or "
        "set FARO_DISK_RESERVE_MB."
    )
    return [Problem("writer/space", what, remedy)]


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist: two writers cannot share a folder."""
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            sync_file(file.fileno())
        sync_folder(path.parent)
    except OSError as error:
        problem = f"{path} cannot be created: {error}."
        remedy = f"This folder is free: {next_free(path.parent)}"
        raise StorageError(problem, remedy=remedy) from error


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB"
