"""Makes a run that was ended ready to be written on: what was not told is set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faro.errors import StorageError
from faro.storage.cellread import open_segments
from faro.storage.checking import stray_files
from faro.storage.mending import cut, set_aside
from faro.storage.places import Places

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from faro.storage.journal import Journal
    from faro.storage.layout import RunLayout
    from faro.storage.reader import Run
    from faro.storage.told import Told


AGAIN: Final = "not all of its moment was stored; it is taken again"


def cleared(layout: RunLayout, run: Run, told: Told) -> Iterator[str]:
    """Remove what the journal does not tell of; yield what was done, in words.

    Raises
    ------
    StorageError
        If something is missing that it tells of, or the run was packed.
    """
    if any(line["kind"] == "packed" for line in run.journal):
        problem = f"{layout.path} was packed: several timepoints share a file."
        raise StorageError(problem, remedy="Begin a new run.")
    yield from _segments(layout, told.segments)
    for path in list(stray_files(run)):
        yield set_aside(layout, path)
    for path in (layout.summary, layout.frames):
        if path.exists():
            yield set_aside(layout, path)


def given_up(
    layout: RunLayout,
    run: Run,
    journal: Journal,
    lines: Iterable[Mapping[str, Any]],
) -> Iterator[str]:
    """Set aside stacks whose moment is taken again, and record that; yield words."""
    places = Places(run)
    for line in lines:
        facts = {k: line[k] for k in ("fov", "timestep", "role", "series")}
        journal.append("frame_lost", **facts, what=AGAIN, again=True)
        path = places.of_frame(line)
        if path is not None and path.exists():
            yield set_aside(layout, path)


def _segments(layout: RunLayout, ends: Mapping[str, int]) -> Iterator[str]:
    """Cut off rows that nobody was told of; whole frames too."""
    for path in open_segments(layout):
        n_bytes, end = path.stat().st_size, ends.get(path.name, 0)
        if n_bytes < end:
            problem = f"{path} has {n_bytes} bytes, and {end} were acknowledged."
            raise StorageError(problem, remedy="Restore it from a copy.")
        if not end:
            yield set_aside(layout, path)
        elif n_bytes > end:
            cut(path, end)
            yield f"cut {n_bytes - end} bytes off {path.name}"
