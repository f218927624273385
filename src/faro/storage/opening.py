"""Opens a stored run, ours or one of the public FARO project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faro.errors import StorageError
from faro.storage.layout import RunLayout
from faro.storage.plain_images import is_plain, open_plain
from faro.storage.public_faro import IMAGES, RAW, is_public_run, open_public_run
from faro.storage.reader import open_own_run

if TYPE_CHECKING:
    from faro.storage.reader import Run


def open_run(path: str | Path) -> Run:
    """Open a run folder; it may still be written, or its writer may have been killed.

    Folders of the public FARO project are opened too, whichever of its three writers
    made them, and so are plain images: OME-Zarr (an image, a collection, a plate, or a
    folder of them) and OME-TIFF (a file, or a folder of them), each image a position.
    Nothing is read before it is asked for.

    Raises
    ------
    StorageError
        If it is no run, or was written by a newer version of the layout.
    """
    folder = Path(path).absolute()
    layout = RunLayout(folder)
    run_json = layout.run_json
    if run_json.is_file():
        return open_own_run(folder)
    if layout.journal.is_file():
        problem = f"{run_json} is missing; the rest of a run is there."
        raise StorageError(problem, remedy=f"Make it anew: faro repair {folder}")
    if is_public_run(folder):
        return open_public_run(folder)
    if is_plain(folder):
        return open_plain(folder)
    state = "holds no recorded run" if folder.is_dir() else "is no folder"
    problem = f"{folder} {state}: there is neither {run_json.name} nor {IMAGES} "
    problem += f"nor {RAW}/."
    raise StorageError(problem, remedy="Give the folder that the writer was given.")
