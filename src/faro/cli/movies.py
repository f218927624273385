"""``faro movie``: a movie of every position."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faro.storage import open_run
from faro.view.movie import MovieLook, write_movie

if TYPE_CHECKING:
    from rich.console import Console


def run_movie(  # noqa: PLR0913  the options of the command
    console: Console,
    directory: Path,
    output: Path | None,
    *,
    positions: list[int] | None,
    channel: str | None,
    rate_hz: float,
    gif: bool,
    outlines: bool,
) -> int:
    """Write the movies and name them; return the exit code."""
    run = open_run(directory)
    folder = output or Path(f"{run.path.name}-movies")
    folder.mkdir(parents=True, exist_ok=True)
    look = MovieLook(channel, rate_hz, outlines=outlines)
    for fov in positions or run.fovs:
        path = folder / f"p{fov:03d}{'.gif' if gif else '.mp4'}"
        console.print(str(write_movie(run, path, fov, look)), markup=False)
    return 0
