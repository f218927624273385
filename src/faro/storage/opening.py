"""Opens a stored run, ours or one of the public FARO project."""

from __future__ import annotations

from pathlib import Path

from faro.errors import StorageError
from faro.storage.layout import RunLayout
from faro.storage.public_faro import IMAGES, PublicFaroRun, is_public_run
from faro.storage.reader import Run, open_run


def open_source(path: str | Path) -> Run | PublicFaroRun:
    """Open a run folder of ours, or a recording of the public FARO project.

    Raises
    ------
    StorageError
        If the folder holds neither.
    """
    folder = Path(path).absolute()
    run_json = RunLayout(folder).run_json
    if run_json.is_file():
        return open_run(folder)
    if is_public_run(folder):
        return PublicFaroRun(folder)
    state = "holds no recorded run" if folder.is_dir() else "is no folder"
    problem = f"{folder} {state}: there is neither {run_json.name} nor {IMAGES}."
    raise StorageError(problem, remedy="Give the folder of a run.")
