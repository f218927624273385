"""Puts many timepoints into one file, after a run: fewer files, the same images.

A shard of zarr v3 is its chunks one after the other, and a table that says where each
begins. Packing copies the chunks as they are, nothing is compressed again, and makes
the table anew. The packed array is written beside the old one, every timepoint is read
from both and compared, and only then they change places. Safe to end at any moment;
begun again, it goes on where it was.
"""

from __future__ import annotations

import copy
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from faro.errors import StorageError
from faro.storage import disk
from faro.storage.chunks import ABSENT, CHECKSUM_BYTES, SHARDING, StoredArray
from faro.storage.held import held
from faro.storage.journal import Journal
from faro.storage.jsontext import document, read_document
from faro.storage.layout import RunLayout
from faro.storage.places import Places, is_packed
from faro.storage.reader import open_own_run
from faro.system.disk import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faro.storage.ngff import Json

SHARD_BYTES: Final = 256_000_000
"""Largest uncompressed size of a packed shard."""
MOST_TIMEPOINTS: Final = 100
PACKING, UNPACKED = ".packing", ".unpacked"
"""Names, beside the array, of what is being written and of what it replaced."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing did.

    Attributes
    ----------
    arrays
        Arrays that were packed.
    files_before, files_after
        Chunk files in them.
    """

    arrays: int
    files_before: int
    files_after: int


def pack(
    path: str | Path,
    timepoints: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Packed:
    """Pack all images and labels of a run that is done.

    Parameters
    ----------
    path
        The run folder.
    timepoints
        Timepoints in a file; by default up to 100 and 256 MB.
    tell
        Called with the path of every array when it is packed.

    Raises
    ------
    StorageError
        If it is no run, is being written, was not closed or repaired, is stored as
        TIFF, or a packed file differs from what it was made of; then the originals are
        untouched.
    """
    layout = RunLayout(Path(path).absolute())
    run = open_own_run(layout.path)
    if run.info.get("layout") == "tiff":
        problem = f"{layout.path} is stored as TIFF files; these cannot be packed."
        raise StorageError(problem, remedy="Export it as OME-TIFF, a file a position.")
    repaired = any(line["kind"] == "repaired" for line in run.journal)
    if run.summary is None and not repaired:
        problem = f"{layout.path} was not closed."
        raise StorageError(problem, remedy="Run faro repair first.")
    total = Packed(0, 0, 0)
    with held(layout.path):
        finish_swaps(Places(run).images)
        for folder in list(Places(run).array_folders()):
            done = _pack_array(folder, timepoints)
            if done is not None:
                tell(folder.relative_to(layout.path).as_posix())
                total = Packed(
                    total.arrays + 1,
                    total.files_before + done[0],
                    total.files_after + done[1],
                )
        if total.arrays:
            journal = Journal(layout.journal, "power-loss")
            journal.append("packed", arrays=total.arrays, files=total.files_after)
            journal.close()
    return total


def _pack_array(folder: Path, timepoints: int | None) -> tuple[int, int] | None:
    """Pack one array; return its files before and after, None if it was packed."""
    old = StoredArray.at(folder)
    if is_packed(old.metadata):
        return None
    new = packed_metadata(old.metadata, timepoints)
    target = folder.with_name(f"{folder.name}{PACKING}")
    said = target / "zarr.json"
    if not (said.exists() and read_document(said) == new):
        shutil.rmtree(target, ignore_errors=True)  # begun with another size, or empty
        disk.make_folder(target)
        disk.write_atomic(said, document(new))
    step = new["chunk_grid"]["configuration"]["chunk_shape"][0]
    n_before = n_after = 0
    for start in range(0, old.shape[0], step):
        steps = range(start, min(start + step, old.shape[0]))
        files = {t: old.file_of(t) for t in steps if old.chunks_of(t)}
        if not files:
            continue
        n_before, n_after = n_before + len(files), n_after + 1
        shard = target / StoredArray(target, new).file_of(start).name
        if not shard.exists():
            disk.write_atomic(shard, _joined(old, files, start, new))
    _compare(old, StoredArray.at(target))
    _swap(folder)
    return n_before, n_after


def packed_metadata(metadata: Json, timepoints: int | None) -> Json:
    """Return the ``zarr.json`` of the packed array."""
    new = copy.deepcopy(metadata)
    chunk: list[int] = new["chunk_grid"]["configuration"]["chunk_shape"]
    size = int(np.prod(chunk)) * np.dtype(new["data_type"]).itemsize
    step = timepoints or max(2, min(MOST_TIMEPOINTS, SHARD_BYTES // size))
    if new["codecs"][0]["name"] != SHARDING:
        index = [{"name": "bytes", "configuration": {"endian": "little"}}]
        configuration = {
            "chunk_shape": chunk,
            "codecs": new["codecs"],
            "index_codecs": [*index, {"name": "crc32c"}],
            "index_location": "end",
        }
        new["codecs"] = [{"name": SHARDING, "configuration": configuration}]
    new["chunk_grid"]["configuration"]["chunk_shape"] = [step, *chunk[1:]]
    return new


def _joined(old: StoredArray, files: dict[int, Path], start: int, new: Json) -> bytes:
    """Return the shard of the timepoints from ``start`` on; chunks stay as they are."""
    step = new["chunk_grid"]["configuration"]["chunk_shape"][0]
    per_stack = old.chunks_per_file
    table = np.full((step * per_stack, 2), ABSENT, "<u8")
    parts: list[bytes] = []
    at = 0
    for timestep, file in files.items():
        for place, chunk in _chunks(old, file.read_bytes()):
            table[(timestep - start) * per_stack + place] = at, len(chunk)
            parts.append(chunk)
            at += len(chunk)
    index = table.tobytes()
    return b"".join([*parts, index, struct.pack("<I", crc32c(index))])


def _chunks(old: StoredArray, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield place and bytes of the chunks in a file of one timepoint."""
    if old.metadata["codecs"][0]["name"] != SHARDING:
        yield 0, data
        return
    end = len(data) - CHECKSUM_BYTES
    table = np.frombuffer(data[end - 16 * old.chunks_per_file : end], "<u8")
    for place, (offset, n_bytes) in enumerate(table.reshape(-1, 2)):
        if offset != ABSENT:
            yield place, data[int(offset) : int(offset + n_bytes)]


def _compare(old: StoredArray, new: StoredArray) -> None:
    """Raise StorageError unless both arrays hold the same."""
    for timestep in range(old.shape[0]):
        held_old, held_new = old.chunks_of(timestep), new.chunks_of(timestep)
        same = held_old == held_new
        if same and held_old:
            same = np.array_equal(old.read(timestep), new.read(timestep))
        if not same:
            problem = f"Timepoint {timestep} of {new.path} differs from {old.path}."
            remedy = "Check the disk and run faro verify; the originals are untouched."
            raise StorageError(problem, remedy=remedy)


def _swap(folder: Path) -> None:
    """Put the packed array in the place of the old one, then remove that.

    Ended between two steps, `finish_swaps` goes on.
    """
    target = folder.with_name(f"{folder.name}{PACKING}")
    away = folder.with_name(f"{folder.name}{UNPACKED}")
    if folder.exists() and target.exists():
        disk.replace(folder, away)
    if target.exists():
        disk.replace(target, folder)
    if away.exists():
        shutil.rmtree(away)
        sync_folder(away.parent)


def finish_swaps(images: Path) -> int:
    """Finish every change of places that was begun; return how many there were."""
    away = list(images.rglob(f"0{UNPACKED}"))
    for folder in away:
        _swap(folder.with_name(folder.name.removesuffix(UNPACKED)))
    return len(away)


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (RFC 3720) of the few bytes of a table.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _entry(index: int) -> int:
    for _ in range(8):
        index = (index >> 1) ^ (0x82F63B78 if index & 1 else 0)
    return index


_TABLE: Final = [_entry(index) for index in range(256)]
