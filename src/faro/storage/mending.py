"""Mends what can be mended in a run that was killed or damaged.

Nothing is thrown away: what does not belong goes to ``quarantine``, under its path in
the run. What is lost is written into the journal, once, so that nobody takes it for
never acquired. Safe to end at any moment and to do again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faro.errors import StorageError
from faro.storage import disk
from faro.storage.checking import (
    frame_fault,
    frame_lines,
    label_fault,
    label_lines,
    planes_in,
    planes_told,
    stray_files,
    torn_segments,
)
from faro.storage.compaction import compact
from faro.storage.held import held
from faro.storage.journal import Journal, complete_bytes, damaged_lines
from faro.storage.jsontext import read_document
from faro.storage.layout import RunLayout
from faro.storage.ngff import ImageFacts, Place, SeriesFormat
from faro.storage.omexml import frames_by_series
from faro.storage.packing import finish_swaps
from faro.storage.places import Places
from faro.storage.planes import NAME as PLANES
from faro.storage.planes import PlaneFile
from faro.storage.reader import open_own_run
from faro.storage.rebuilding import rebuilt_nodes, rebuilt_run_json
from faro.system.disk import sync_file, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.storage.reader import Run

QUARANTINE: Final = "quarantine"


def repair(path: str | Path) -> list[str]:
    """Mend the run in the folder ``path``; return what was done, in words.

    Torn ends of journal and tables are cut off (they were never acknowledged), files
    that nobody was told of and files that are damaged are set aside, lost frames are
    recorded, metadata and OME-XML are written anew from the journal, and the cell
    table of a run that was not closed is made one Parquet file.

    Raises
    ------
    StorageError
        If there is no run, it is being written, or something is missing that cannot
        be made anew; it is named.
    """
    layout = RunLayout(Path(path).absolute())

    def aside(path: Path) -> str:
        return set_aside(layout, path)

    done = rebuilt_run_json(layout, aside)
    open_own_run(layout.path)
    with held(layout.path):
        done += [*_journal(layout), *_segments(layout)]
        if n_begun := finish_swaps(layout.images):
            done.append(f"finished the packing of {n_begun} arrays")
        done += rebuilt_nodes(layout, aside)
        run = open_own_run(layout.path)
        journal = Journal(layout.journal, "power-loss")
        done += _strays(layout, run)
        done += _lost_frames(layout, run, journal)
        done += _lost_labels(layout, run, journal)
        done += _planes(layout, run)
        if not layout.cells.exists() and (rows := compact(layout)):
            done.append(f"wrote {rows} rows to {layout.cells.name}")
        if done:
            journal.append("repaired", done=done)
        journal.close()
    return done


def set_aside(layout: RunLayout, path: Path) -> str:
    """Move a file of the run to the quarantine; return what was done."""
    inside = path.relative_to(layout.path)
    target = layout.path / QUARANTINE / inside
    number = 1
    while target.exists():
        number += 1
        target = target.with_name(f"{inside.name}.{number}")
    disk.make_folder(target.parent)
    disk.replace(path, target)
    sync_folder(path.parent)
    return f"set aside {inside.as_posix()}"


def _journal(layout: RunLayout) -> Iterator[str]:
    """Cut off a torn last line; copy damaged ones to the quarantine."""
    path = layout.journal
    if not path.is_file():
        problem = f"{path} is missing; what was stored cannot be told from the rest."
        raise StorageError(problem, remedy="Restore it from a copy.")
    torn = path.stat().st_size - complete_bytes(path)
    if torn:
        cut(path, path.stat().st_size - torn)
        yield f"cut {torn} bytes of a torn line off {path.name}"
    damaged = damaged_lines(path)
    kept = _damaged(layout)
    if damaged:
        numbers = {number for number, _ in damaged}
        lines = path.read_bytes().splitlines(keepends=True)
        before = kept.read_bytes() if kept.exists() else b""
        disk.make_folder(kept.parent)
        aside = b"".join(line + b"\n" for _, line in damaged)
        disk.write_atomic(kept, before + aside)
        whole = [line for n, line in enumerate(lines, 1) if n not in numbers]
        disk.write_atomic(path, b"".join(whole))
        yield f"set aside {len(damaged)} damaged lines of {path.name}"


def _damaged(layout: RunLayout) -> Path:
    """Return where damaged lines of the journal are kept."""
    return layout.path / QUARANTINE / f"{layout.journal.name}.damaged"


def _segments(layout: RunLayout) -> Iterator[str]:
    """Cut torn ends off the parts of the cell table."""
    for path, whole in list(torn_segments(layout)):
        torn = path.stat().st_size - whole
        if whole:
            cut(path, whole)
            yield f"cut {torn} bytes of a torn frame off {path.name}"
        else:
            yield set_aside(layout, path)


def _strays(layout: RunLayout, run: Run) -> Iterator[str]:
    """Set aside image files that nobody was told of.

    Where lines of the journal were damaged it may have told of them; then they stay.
    """
    if _damaged(layout).exists():
        return
    for path in list(stray_files(run)):
        yield set_aside(layout, path)


def _lost_frames(layout: RunLayout, run: Run, journal: Journal) -> Iterator[str]:
    """Set aside damaged stacks, and record what is lost."""
    places = Places(run)
    for line in list(frame_lines(run)):
        fault, path = frame_fault(run, line), places.of_frame(line)
        if not fault or path is None:
            continue  # What shares its file with others stays: they may be whole.
        facts = {k: line[k] for k in ("fov", "timestep", "role", "series")}
        journal.append("frame_lost", **facts, what=fault)
        yield f"recorded the loss of the stack {_said(facts)}: {fault}"
        if path.exists():
            yield set_aside(layout, path)


def _lost_labels(layout: RunLayout, run: Run, journal: Journal) -> Iterator[str]:
    """Set aside damaged label images, and record what is lost."""
    places = Places(run)
    series_of = {places.fov_of(name): name for name in places.ordinary_series()}
    for line in list(label_lines(run)):
        fault, series = label_fault(run, line), series_of.get(line["fov"], "")
        path = places.of_labels(series, line["name"], line["timestep"])
        if not fault or path is None:
            continue
        facts = {k: line[k] for k in ("name", "fov", "timestep")}
        journal.append("labels_lost", **facts, what=fault)
        yield f"recorded the loss of the labels {_said(facts)}: {fault}"
        if path.exists():
            yield set_aside(layout, path)


def _planes(layout: RunLayout, run: Run) -> Iterator[str]:
    """Write the OME-XML of series anew from the journal, where it tells less."""
    if run.info.get("layout") == "tiff":
        return
    lines = frames_by_series(run.journal)
    for series, told in sorted(planes_told(run).items()):
        folder = layout.images / series
        if planes_in(folder / PLANES) == told:
            continue
        facts, n_timepoints = facts_on_disk(folder)
        file = PlaneFile(folder, series, facts, n_timepoints)
        file.rewrite(facts, n_timepoints, lines.get(series, ()))
        yield f"wrote {PLANES} of {series} anew"


def facts_on_disk(folder: Path) -> tuple[ImageFacts, int]:
    """Return what the metadata of an image group say, and the length of its t axis."""
    group, array = (read_document(folder / p / "zarr.json") for p in ("", "0"))
    attributes = group["attributes"]
    multiscale = attributes["ome"]["multiscales"][0]
    axes = {axis["name"]: axis for axis in multiscale["axes"]}
    names = list(axes)
    transforms = multiscale["datasets"][0]["coordinateTransformations"]
    scale = dict(zip(names, transforms[0]["scale"], strict=True))
    shift: dict[str, Any] = dict.fromkeys(names)
    if len(transforms) > 1:
        shift = dict(zip(names, transforms[1]["translation"], strict=True))
    place = Place(
        scale["x"] if axes["x"].get("unit") else None,
        scale["t"] if axes["t"].get("unit") else None,
        (shift["x"], shift["y"], shift.get("z")),
        scale.get("z") if axes.get("z", {}).get("unit") else None,
    )
    channels = tuple(c["label"] for c in attributes["ome"]["omero"]["channels"])
    n_timepoints, _, *shape = array["shape"]
    form = SeriesFormat(channels, tuple(shape), array["data_type"])
    name, about = multiscale["name"], attributes.get("faro", {})
    return ImageFacts(name, form, place, faro=about), n_timepoints


def cut(path: Path, n_bytes: int) -> None:
    """Leave the first ``n_bytes`` of a file, on the device when this returns."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.ftruncate(descriptor, n_bytes)
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def _said(facts: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items())
