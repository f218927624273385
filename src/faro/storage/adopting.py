"""Takes over what another run holds: linked where that is possible, else stored anew.

A linked file is one file with two names. Neither run ever changes a file in place, so
each can be packed, repaired or deleted without the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.model import CellTable, FrameRole, Stack
from faro.storage.chunks import StoredArray
from faro.storage.references import references

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from faro.storage.reader import Run
    from faro.storage.writer import RunWriter

TOLD: Final = frozenset(
    {
        "error",
        "stim_decided",
        "reference_measured",
        "reference_skipped",
        "frame_missing",
        "not_segmented",
        "latency",
    }
)
"""What a journal says of the analysis, and the run that takes it over says too."""
NOT_TOLD: Final = ("kind", "wall", "run_s")
ARRAY: Final = "0"


@dataclass(slots=True)
class Adopted:
    """How many frames and label images were taken over.

    Attributes
    ----------
    linked, stored
        Those whose file both runs share, and those that were stored anew.
    """

    linked: int = 0
    stored: int = 0

    def count(self, *, linked: bool) -> None:
        """Count one."""
        if linked:
            self.linked += 1
        else:
            self.stored += 1


def adopt_frames(writer: RunWriter, source: Run, fov: int) -> Adopted:
    """Take over all frames of a position, of every role; missing ones stay missing.

    Raises
    ------
    StorageError
        If they cannot be read or written.
    """
    done = Adopted()
    lines = [n for n in source.journal if n["kind"] == "frame" and n["fov"] == fov]
    for line in lines:
        array = _array(source, str(line["series"]))
        outline = _outline(source, line) if array is not None else None
        linked = (
            array is not None
            and outline is not None
            and _link_stack(writer, outline, line, array)
        )
        if not linked:
            _store_again(writer, source, line)
        done.count(linked=linked)
    if not lines:
        for stack in _all_stacks(source, fov):
            writer.store_stack(stack, {})
            done.count(linked=False)
    return done


def adopt_labels(
    writer: RunWriter, source: Run, fov: int, names: Collection[str]
) -> Adopted:
    """Take over the label images of a position that ``source`` has.

    Raises
    ------
    StorageError
        If they cannot be read or written.
    """
    done = Adopted()
    sums = {
        (line["name"], line["timestep"]): line["crc32"]
        for line in source.journal
        if _is(line, "labels", fov) and line["name"] in names
    }
    for (name, timestep), crc32 in sums.items():
        array = _array(source, f"p{fov:03d}.ome.zarr/labels/{name}")
        place = name, fov, timestep
        linked = array is not None and _link_labels(writer, place, array, crc32)
        if not linked:
            labels = source.labels(*place)
            writer.store_labels(*place, labels)
        done.count(linked=linked)
    return done


def adopt_cells(writer: RunWriter, source: Run, fov: int) -> int:
    """Take over the rows of a position, frame by frame; return how many.

    What reference frames showed is told by `adopt_words`, and left out here.
    """
    cells, total = source.cells, 0
    told = references(source.journal)
    names = [name for name in cells.names if name not in told]
    if "fov" not in names:
        return 0
    here = np.flatnonzero(cells["fov"] == fov)
    times = cells["timestep"][here]
    listed = {n["timestep"] for n in source.journal if _is(n, "cells", fov)}
    for timestep in sorted(listed or set(times.tolist())):
        rows = here[times == timestep]
        table = CellTable({name: cells[name][rows] for name in names})
        writer.store_cells(fov, timestep, table)
        total += len(rows)
    return total


def adopt_words(
    writer: RunWriter, source: Run, fov: int, stages: tuple[str, ...] = ()
) -> int:
    """Have the journal say what ``source`` says of its analysis; return the errors.

    Parameters
    ----------
    stages
        Beginnings of the stages whose errors are told; all if empty.
    """
    n_errors = 0
    for line in source.journal:
        if line["kind"] not in TOLD or line.get("fov") not in (fov, -1):
            continue
        is_error = line["kind"] == "error"
        if is_error and stages and not str(line["stage"]).startswith(stages):
            continue
        n_errors += is_error
        facts = {k: v for k, v in line.items() if k not in NOT_TOLD}
        writer.record(line["kind"], **facts)
    return n_errors


def _link_stack(
    writer: RunWriter, stack: Stack, line: Mapping[str, Any], source: StoredArray
) -> bool:
    """Store a stack by sharing its file; return whether that was possible.

    The journal says of it what ``line``, of the other run, says.
    """
    parts = writer.open_parts("link a stack")
    at = [int(index) for index in line["channel_indices"]]
    series = parts.images.link(stack, source, at)
    if series is None:
        return False
    facts = {k: v for k, v in line.items() if k not in ("kind", "wall")}
    record = {**facts, "series": series}
    parts.journal.append("frame", **record)
    parts.images.note(record)
    return True


def _link_labels(
    writer: RunWriter, place: tuple[str, int, int], source: StoredArray, crc32: int
) -> bool:
    """Store labels by sharing their file; return whether that was possible."""
    parts = writer.open_parts("link labels")
    if not parts.images.link_labels(place, source):
        return False
    facts = dict(zip(("name", "fov", "timestep"), place, strict=True))
    parts.journal.append("labels", **facts, crc32=crc32)
    return True


def _is(line: Mapping[str, Any], kind: str, fov: int) -> bool:
    return bool(line["kind"] == kind and line["fov"] == fov)


def _array(source: Run, group: str) -> StoredArray | None:
    """Return an array of a run of ours, None where images lie otherwise."""
    path = source.path / "images.ome.zarr" / group / ARRAY
    return StoredArray.at(path) if (path / "zarr.json").is_file() else None


def _outline(source: Run, line: Mapping[str, Any]) -> Stack | None:
    """Return a stack of the shape of a stored one, without its pixels.

    ``pixels`` is one number, broadcast to (C, Y, X) or (C, Z, Y, X).
    """
    if "shape" not in line or "crc32" not in line:
        return None
    dtype = _dtype(source, line)
    pixels = np.broadcast_to(np.zeros((), dtype), line["shape"])
    x, y, z = line.get("position_um") or (None, None, None)
    return Stack(
        pixels=pixels,
        channels=tuple(line["channels"]),
        fov=line["fov"],
        timestep=line["timestep"],
        role=FrameRole(line["role"]),
        position_um=(x, y, z),
        z_um=tuple(line.get("z_um") or ()),
        z_offsets_um=tuple(line.get("z_offsets_um") or ()),
    )


def _dtype(source: Run, line: Mapping[str, Any]) -> str:
    array = _array(source, str(line["series"]))
    return source.image_dtype if array is None else array.dtype


def _store_again(writer: RunWriter, source: Run, line: Mapping[str, Any]) -> None:
    """Store the stack of a journal line anew."""
    times = {n: line[n] for n in ("started_s", "lateness_s") if n in line}
    place = line["fov"], line["timestep"]
    role = FrameRole(line["role"])
    stored = source.images.stacks(*place, role)
    for found, stack in zip(stored, source.stacks(*place, role=role), strict=True):
        if found.name == line["series"]:
            writer.store_stack(stack, times)


def _all_stacks(source: Run, fov: int) -> Iterator[Stack]:
    """Yield every stack of a position, of all roles, in the order of time."""
    for timestep in range(source.n_timepoints):
        for role in FrameRole:
            yield from source.stacks(fov, timestep, role=role)
