"""Checks a run on disk against its own journal: finished, going on, or killed.

Nothing is changed. What is found has a place, what is wrong, and what to do.
"""

from __future__ import annotations

import zlib
from collections import Counter
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaozarrs

from faro.errors import FaroError, Problem
from faro.model import FrameRole
from faro.storage.cellread import open_segments, read_cells
from faro.storage.hashes import labels_crc32, pixels_crc32
from faro.storage.held import is_held
from faro.storage.journal import complete_bytes, damaged_lines
from faro.storage.layout import RunLayout
from faro.storage.omexml import frames_by_series
from faro.storage.places import Places
from faro.storage.planes import NAME as PLANES
from faro.storage.reader import open_own_run
from faro.storage.rebuilding import says_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from faro.storage.reader import Run

MEND: Final = "faro repair mends it."
COPY: Final = "Restore it from a copy; faro repair sets it aside and says so."
UNREADABLE: Final = (FaroError, OSError, ValueError, KeyError, pa.ArrowException)

Line = dict[str, Any]


def verify(path: str | Path) -> list[Problem]:
    """Return everything that is wrong with the run in the folder ``path``.

    Every stored stack and label image is read and compared with its checksum, every
    row is counted, and the metadata are validated (NGFF with `yaozarrs`). A run that
    was killed, or is still written, is checked as far as it got; that it was not
    closed is a warning.

    Raises
    ------
    StorageError
        If there is no run.
    """
    layout = RunLayout(Path(path).absolute())
    if not says_run(layout.run_json) and says_run(layout.run_copy):
        what = "it is damaged or missing; there is a copy of it in provenance."
        return [Problem(layout.run_json.name, what, MEND)]
    run = open_own_run(layout.path)
    checks: tuple[Callable[[RunLayout, Run], Iterator[Problem]], ...] = (
        _state,
        _journal,
        _frames,
        _labels,
        _strays,
        _cells,
        _metadata,
    )
    return [problem for check in checks for problem in check(layout, run)]


def held_by(path: str | Path) -> dict[str, int]:
    """Return how many ``stacks``, ``label images`` and ``rows`` a run says it holds.

    Raises
    ------
    StorageError
        If there is no run.
    """
    run = open_own_run(Path(path).absolute())
    rows = (line["rows"] for line in run.journal if line["kind"] == "cells")
    return {
        "stacks": sum(1 for _ in frame_lines(run)),
        "label images": sum(1 for _ in label_lines(run)),
        "rows": sum(rows),
    }


def _state(layout: RunLayout, run: Run) -> Iterator[Problem]:
    if is_held(layout.path):
        what = "the run is being written; what is under way may look unfinished."
        yield Problem("run", what, "Check again when it is done.", "warning")
    elif run.summary is None:
        what = "the run was not closed: its process was ended."
        yield Problem("run", what, "faro repair completes its tables.", "warning")


def _journal(layout: RunLayout, run: Run) -> Iterator[Problem]:
    del run
    journal = layout.journal
    if not journal.is_file():
        yield Problem(journal.name, "there is none.", "Restore it from a copy.")
        return
    torn = journal.stat().st_size - complete_bytes(journal)
    if torn:
        what = f"its last line is torn ({torn} bytes); it was never acknowledged."
        yield Problem(journal.name, what, MEND, "warning")
    for number, text in damaged_lines(journal):
        what = f"line {number} is damaged: {text[:60]!r}."
        yield Problem(f"{journal.name}:{number}", what, COPY)


def frame_lines(run: Run) -> Iterator[Line]:
    """Yield the journal's stored stacks that were not given up since."""
    kept: dict[tuple[object, ...], Line] = {}
    for line in run.journal:
        key = line.get("series"), line.get("timestep")
        if line["kind"] == "frame":
            kept[key] = line
        elif line["kind"] == "frame_lost":
            kept.pop(key, None)
    yield from kept.values()


def label_lines(run: Run) -> Iterator[Line]:
    """Yield the last line of every stored label image that was not given up since."""
    last: dict[tuple[object, ...], Line] = {}
    for line in run.journal:
        key = line.get("name"), line.get("fov"), line.get("timestep")
        if line["kind"] == "labels":
            last[key] = line
        elif line["kind"] == "labels_lost":
            last.pop(key, None)
    yield from last.values()


def frame_fault(run: Run, line: Line) -> str:
    """Return what is wrong with a stored stack, in words; empty if nothing is."""
    fov, timestep, role = line["fov"], line["timestep"], FrameRole(line["role"])
    try:
        for stored in run.images.stacks(fov, timestep, role):
            if stored.name != line["series"]:
                continue
            if list(stored.channels) != list(line["channels"]) and sorted(
                stored.channels
            ) != sorted(line["channels"]):
                return f"has channels {list(stored.channels)}, not {line['channels']}"
            order = np.argsort(np.argsort(line["channel_indices"]))
            pixels = stored.read()
            if len(order) == len(pixels) and run.info.get("layout") != "tiff":
                pixels = pixels[order]
            if line.get("crc32") not in (None, pixels_crc32(pixels)):
                return "differs from what was written"
            return ""
    except UNREADABLE as error:
        return f"cannot be read: {error}"
    return "is missing"


def label_fault(run: Run, line: Line) -> str:
    """Return what is wrong with stored labels, in words; empty if nothing is."""
    try:
        labels = run.images.labels(line["name"], line["fov"], line["timestep"])
    except UNREADABLE as error:
        return f"cannot be read: {error}"
    if labels is None:
        return "is missing"
    same = line.get("crc32") in (None, labels_crc32(labels))
    return "" if same else "differs from what was written"


def stray_files(run: Run) -> Iterator[Path]:
    """Yield image files that no line of the journal tells of."""
    frames: set[tuple[str, int]] = set()
    labels: set[tuple[int | None, int, str]] = set()
    places = Places(run)
    for line in run.journal:
        if line["kind"] == "frame":
            frames.add((line["series"], line["timestep"]))
        elif line["kind"] == "labels":
            labels.add((line["fov"], line["timestep"], line["name"]))
    for file in places.files():
        if file.label:
            place = places.fov_of(file.series), file.timestep, file.label
            known = place in labels
        else:
            known = (file.series, file.timestep) in frames
        if not known:
            yield file.path


def torn_segments(layout: RunLayout) -> Iterator[tuple[Path, int]]:
    """Yield parts of the cell table with a torn end, and the bytes that are whole."""
    for path in open_segments(layout):
        whole = whole_batches(path)
        if whole < path.stat().st_size:
            yield path, whole


def whole_batches(path: Path) -> int:
    """Return the bytes of a segment up to the end of its last complete frame."""
    whole = 0
    with pa.OSFile(str(path)) as file:
        try:
            stream = pa.ipc.open_stream(file)
            while True:
                whole = file.tell()
                stream.read_next_batch()
        except (StopIteration, pa.ArrowInvalid, OSError, EOFError):
            return whole


def _frames(layout: RunLayout, run: Run) -> Iterator[Problem]:
    del layout
    for line in run.journal:
        if line["kind"] in ("frame_lost", "labels_lost") and not line.get("again"):
            what = f"{line.get('what')}; this was found and said by faro repair."
            where = _where(line["kind"].removesuffix("_lost"), line)
            yield Problem(where, what, "Restore it from a copy.", "warning")
    for line in frame_lines(run):
        if fault := frame_fault(run, line):
            yield Problem(_where("frame", line), f"{fault}.", COPY)


def _labels(layout: RunLayout, run: Run) -> Iterator[Problem]:
    del layout
    for line in label_lines(run):
        if fault := label_fault(run, line):
            yield Problem(_where("labels", line), f"{fault}.", COPY)


def _strays(layout: RunLayout, run: Run) -> Iterator[Problem]:
    for path in stray_files(run):
        what = "no line of the journal tells of it: it was never acknowledged."
        where = path.relative_to(layout.path).as_posix()
        yield Problem(where, what, "faro repair sets it aside.", "warning")


def _cells(layout: RunLayout, run: Run) -> Iterator[Problem]:
    for path, whole in torn_segments(layout):
        torn = path.stat().st_size - whole
        what = f"its end is torn ({torn} bytes); it was never acknowledged."
        yield Problem(path.relative_to(layout.path).as_posix(), what, MEND, "warning")
    lines = [line for line in run.journal if line["kind"] == "cells"]
    yield from _segment_faults(layout, lines)
    try:
        if layout.cells.exists():
            pq.read_table(layout.cells, page_checksum_verification=True)
        table = read_cells(layout)
    except UNREADABLE as error:
        yield Problem("tables/cells", f"cannot be read: {error}.", COPY)
        return
    counted: Counter[tuple[int, int]] = Counter()
    if len(table):
        columns = (table["fov"].to_pylist(), table["timestep"].to_pylist())
        counted.update(zip(*columns, strict=True))
    expected: Counter[tuple[int, int]] = Counter()
    for line in lines:
        expected[line["fov"], line["timestep"]] += line["rows"]
    for fov, timestep in sorted(expected.keys() | counted.keys()):
        rows, told = counted[fov, timestep], expected[fov, timestep]
        if rows != told:
            what = f"has {rows} rows, and the journal tells of {told}."
            severity: Any = "error" if rows < told else "warning"
            where = f"cells/fov {fov}, timepoint {timestep}"
            yield Problem(where, what, COPY if rows < told else "Use them.", severity)


def _segment_faults(layout: RunLayout, lines: list[Line]) -> Iterator[Problem]:
    """Yield frames whose bytes in a segment are not the ones that were written."""
    for path in open_segments(layout):
        data = path.read_bytes()
        for line in lines:
            if line.get("file") != path.name or not line.get("n_bytes"):
                continue
            part = data[line["offset"] : line["offset"] + line["n_bytes"]]
            if zlib.crc32(part) != line["crc32"]:
                what = f"differs from what was written to {path.name}."
                yield Problem(_where("cells", line), what, COPY)


def _metadata(layout: RunLayout, run: Run) -> Iterator[Problem]:
    if run.info.get("layout") == "tiff":
        return
    try:
        yaozarrs.validate_zarr_store(str(layout.images))
    except (ValueError, OSError, KeyError, TypeError) as error:
        text = " ".join(str(error).split())
        yield Problem(layout.images.name, f"is not valid NGFF: {text[:300]}.", MEND)
    for series, planned in sorted(planes_told(run).items()):
        path = layout.images / series / PLANES
        told = planes_in(path)
        if told != planned:
            what = f"tells of {told} planes, the journal of {planned}."
            where = path.relative_to(layout.path).as_posix()
            # The journal is written first: a kill can come between the two.
            behind = run.summary is None and 0 < told < planned
            yield Problem(where, what, MEND, "warning" if behind else "error")


def planes_told(run: Run) -> dict[str, int]:
    """Return series to the number of planes that the journal tells of."""
    told: Counter[str] = Counter()
    for series, lines in frames_by_series(run.journal).items():
        for line in lines:
            shape = line.get("shape") or [len(line["channels"]), 0, 0]
            told[series] += prod(shape[:-2])
    return dict(told)


def planes_in(path: Path) -> int:
    """Return the planes in the OME-XML of a series, -1 if it cannot be read."""
    try:
        root = ET.fromstring(path.read_bytes())
    except (OSError, ET.ParseError):
        return -1
    return sum(element.tag.endswith("}Plane") for element in root.iter())


def _where(kind: str, line: Mapping[str, Any]) -> str:
    named = f" {line['name']!r}" if "name" in line else ""
    role = f" ({line['role']})" if line.get("role", "image") != "image" else ""
    return f"{kind}{named}/fov {line['fov']}, timepoint {line['timestep']}{role}"
