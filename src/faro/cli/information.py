"""``faro info``, ``faro convert``: what a run holds, and the run in another layout."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import Progress

from faro.cli.exporting import known_compression
from faro.errors import StorageError
from faro.run import time_per_fov_s
from faro.run.stored_pipeline import recipe_of_run
from faro.storage import OmeZarrWriter, OmeZarrWriterPlate, TiffWriter, open_run
from faro.storage.converting import convert
from faro.storage.layout import next_free
from faro.storage.shown import facts_of_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from faro.storage import Run

LAYOUTS = ("collection", "plate", "tiff")


def run_info(console: Console, directory: Path) -> int:
    """Print what a run holds; return the exit code."""
    for name, value in _facts(open_run(directory)):
        console.print(f"{name:<12}{value}", markup=False)
    return 0


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    """Yield what there is to know of a run, in words."""
    yield from facts_of_run(run)
    yield from _pace(run)
    said = run.info.get("description") or {}
    recipe = recipe_of_run(run)
    if recipe is not None:
        yield "pipeline", ", ".join(_components(recipe.words))
    if said.get("reanalysis_of"):
        yield "from", str(said["reanalysis_of"]["path"])


def _pace(run: Run) -> Iterator[tuple[str, str]]:
    """Yield how long a position took, where the run tells."""
    try:
        took_s = time_per_fov_s(run)
    except StorageError:
        return
    yield "pace", f"{took_s:.3g} s a position and timepoint (time_per_fov_s)"


def _components(words: Any) -> Iterator[str]:
    """Yield the names of the components of a pipeline."""
    for part in (*words.get("segmenters", ()), *words.get("features", ())):
        yield _short(part)
    for name in ("tracker", "stimulator"):
        if words.get(name):
            yield _short(words[name])


def _short(part: Any) -> str:
    path = part if isinstance(part, str) else part["component"]
    return str(path).rpartition(":")[2]


def run_convert(
    console: Console,
    directory: Path,
    output: Path | None,
    *,
    layout: str,
    compression: str,
) -> int:
    """Write a run in another layout; return the exit code."""
    makers: dict[str, Any] = {
        "collection": OmeZarrWriter,
        "plate": OmeZarrWriterPlate,
        "tiff": partial(TiffWriter, compression=known_compression(compression)),
    }
    if layout not in makers:
        problem = f"There is no layout {layout!r}."
        raise StorageError(problem, remedy=f"Use one of: {', '.join(LAYOUTS)}.")
    source = open_run(directory)
    path = output or next_free(Path(f"{source.path.name}-{layout}"))
    with Progress(console=console) as line:
        task = line.add_task("positions", total=len(source.fovs))
        done = convert(
            source,
            makers[layout](path),
            told=lambda n, _: line.update(task, completed=n),
        )
    console.print(
        f"{path}: {done.n_frames} stacks, {done.n_labels} label images and "
        f"{done.n_cells} rows, each image compared with the source.",
        markup=False,
    )
    if done.n_renamed:
        console.print(f"{done.n_renamed} rows got a track id of their own.")
    return 0
