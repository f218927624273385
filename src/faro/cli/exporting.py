"""``faro export``: a run as OME-TIFF files, its tracks as masks and a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from faro.errors import StorageError
from faro.storage import export_ome_tiff, open_run
from faro.storage.graphfile import write_geff
from faro.storage.tifftree import Compression
from faro.storage.trackfiles import write_ctc

if TYPE_CHECKING:
    from rich.console import Console

    from faro.storage import Run


def run_export(  # noqa: PLR0913  the options of the command
    console: Console,
    directory: Path,
    output: Path | None,
    *,
    positions: list[int] | None,
    compression: str,
    tracks: bool = False,
    geff: bool = False,
) -> int:
    """Write the files and name them; return the exit code."""
    chosen = known_compression(compression)
    run = open_run(directory)
    if tracks or geff:
        where = output or Path(f"{run.path.name}-tracks")
        return _tracks(console, run, where, positions, ctc=tracks, geff=geff)
    folder = output or Path(f"{run.path.name}-tiff")
    files = export_ome_tiff(run, folder, fovs=positions, compression=chosen)
    for path in files:
        console.print(str(path), markup=False)
    console.print(f"{len(files)} files. In Fiji: File > Import > Bio-Formats.")
    return 0


def known_compression(name: str) -> Compression:
    """Return how TIFF pages are compressed.

    Raises
    ------
    StorageError
        If there is no such way.
    """
    known = get_args(Compression)
    if name not in known:
        problem = f"There is no compression {name!r}."
        raise StorageError(problem, remedy=f"Use one of: {', '.join(known)}.")
    chosen: Any = name
    way: Compression = chosen
    return way


def _tracks(
    console: Console,
    run: Run,
    folder: Path,
    positions: list[int] | None,
    *,
    ctc: bool,
    geff: bool,
) -> int:
    """Write the tracks of positions, a folder each; return the exit code."""
    for fov in positions or run.fovs:
        if ctc:
            files = write_ctc(run, folder / f"p{fov:03d}_RES", fov)
            console.print(f"{files[-1].parent}: {len(files)} files", markup=False)
        if geff:
            group = write_geff(run, folder / f"p{fov:03d}.geff", fov)
            console.print(f"{group}: the graph", markup=False)
    return 0
