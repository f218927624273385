"""Makes metadata that are damaged or missing anew, from what the journal tells.

All metadata of a run follow from ``run.json`` and the journal: the tree that a writer
would make of them is made beside the run, and what is damaged is taken from there. Of
``run.json`` itself there is a copy in ``provenance``.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import numpy as np
import yaozarrs
from pydantic import ValidationError

from faro.errors import FaroError, StorageError
from faro.model import RunNeeds
from faro.storage import disk
from faro.storage.chunks import CHECKSUM_BYTES, StoredArray, open_array
from faro.storage.collection import Collection
from faro.storage.images import GROW_BY, ImageStore
from faro.storage.journal import JournalReader
from faro.storage.jsontext import document, read_document
from faro.storage.layout import FORMAT, SeriesKey, series_key
from faro.storage.packing import MOST_TIMEPOINTS, crc32c, packed_metadata
from faro.storage.plate import Plate
from faro.storage.told import needs_from, told_by
from faro.storage.zarrseries import NODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from faro.storage.layout import RunLayout
    from faro.storage.ngff import Json
    from faro.storage.told import Told

BESIDE: Final = ".rebuilt"
BLOSC_HEADER: Final = 8
TYPE_OF: Final = {1: "uint8", 4: "int32"}


def rebuilt_run_json(layout: RunLayout, set_aside: Callable[[Path], str]) -> list[str]:
    """Put the copy of ``run.json`` in its place, where that is damaged or missing.

    Raises
    ------
    StorageError
        If it is, and there is no copy.
    """
    if says_run(layout.run_json) or not layout.journal.is_file():
        return []
    if not says_run(layout.run_copy):
        problem = f"{layout.run_json} is damaged, and there is no copy of it."
        remedy = f"Restore it from a copy; {layout.run_copy} would do."
        raise StorageError(problem, remedy=remedy)
    done = [set_aside(layout.run_json)] if layout.run_json.exists() else []
    disk.write_atomic(layout.run_json, layout.run_copy.read_bytes())
    return [*done, f"wrote {layout.run_json.name} anew, from its copy"]


def rebuilt_nodes(layout: RunLayout, set_aside: Callable[[Path], str]) -> Iterator[str]:
    """Write ``zarr.json`` and ``METADATA.ome.xml`` anew, where they are damaged.

    Yields what was done, in words. What is damaged goes aside.
    """
    info = read_document(layout.run_json)
    if info.get("layout") == "tiff":
        return
    beside = layout.path / BESIDE
    shutil.rmtree(beside, ignore_errors=True)
    try:
        lines = JournalReader(layout.journal).lines()
        packed = any(line["kind"] == "packed" for line in lines)
        made = beside / layout.path.name / layout.images.name
        store = _made_beside(layout, info, lines, made)
        arrays, others = _whole_and_not(layout, made)
        for inside in arrays:
            metadata = _array_metadata(layout.images, made, inside, packed=packed)
            if metadata is not None:
                yield from _put(layout, inside, document(metadata), set_aside)
        if others:
            _look(layout, store, told_by(lines))
            store.finish(lines)
        for inside in others:
            yield from _put(layout, inside, (made / inside).read_bytes(), set_aside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def says_run(path: Path) -> bool:
    """Return whether a file is the ``run.json`` of a run of ours, of any version."""
    try:
        return bool(read_document(path).get("format") == FORMAT)
    except StorageError:
        return False


def _made_beside(
    layout: RunLayout, info: Mapping[str, Any], lines: list[dict[str, Any]], made: Path
) -> ImageStore:
    """Make the metadata of a run in another folder, as its writer would have."""
    about: dict[str, Any] = {"uuid": info["uuid"], "created": info["created"]}
    tree: Collection | Plate = Collection(made, "process", **about)
    told, needs = told_by(lines), needs_from(info["needs"])
    n_timepoints = told.n_timepoints
    if info.get("layout") == "plate":
        wells = (info.get("writer") or {}).get("wells") or {}
        given = {int(fov): str(well) for fov, well in wells.items()}
        tree = Plate(made, given, "process", **about)
        planned = [needs, *(s for s in told.steps if isinstance(s, RunNeeds))]
        if n_timepoints > max(each.n_timepoints for each in planned):
            n_timepoints = -(-n_timepoints // GROW_BY) * GROW_BY
    bare = replace(told, labels={}, n_timepoints=n_timepoints)
    said = ((x["fov"], x["name"]) for x in lines if x["kind"] == "labels")
    label_names = list(dict.fromkeys(said))
    store = ImageStore(tree, needs, **about, stored=bare)
    ordinary = {
        series.facts.faro["fov"]: name
        for name, series in store.by_name.items()
        if series_key(series.facts.name) == SeriesKey(series.facts.faro["fov"])
    }
    for fov, name in label_names:
        folder = layout.images / ordinary[fov] / "labels" / name / "0"
        image = StoredArray.at(made / ordinary[fov] / "0").shape
        like = _label_like(folder, image)
        if like is not None:
            store.store_labels(name, fov, 0, like)
    return store


def _label_like(folder: Path, image: tuple[int, ...]) -> np.ndarray | None:
    """Return empty labels (Y, X) or (Z, Y, X) as those stored; None if there are none.

    Where their metadata are damaged, the header of a chunk tells type and size: blosc
    keeps bytes per value and of all, from the third byte on.
    """
    try:
        open_array(folder)
        known = StoredArray.at(folder)
        return np.zeros(known.shape[1:], known.dtype)
    except StorageError:
        pass
    file = next(iter(sorted(folder.glob("c.*"))), None)
    if file is None:
        return None
    with file.open("rb") as opened:
        head = opened.read(BLOSC_HEADER)
    n_values = int.from_bytes(head[4:], "little") // max(head[3], 1)
    n_z, rest = divmod(n_values, image[-2] * image[-1])
    if rest or head[3] not in TYPE_OF:
        return None
    axes = (n_z, *image[-2:]) if file.name.count(".") > len("tyx") else image[-2:]
    return np.zeros(axes, TYPE_OF[head[3]])


def _whole_and_not(layout: RunLayout, made: Path) -> tuple[list[Path], list[Path]]:
    """Return what is damaged or missing, inside the images: arrays, and others."""
    arrays: list[Path] = []
    others: list[Path] = []
    for path in sorted(made.rglob(NODE)):
        inside, expected = path.relative_to(made), read_document(path)
        is_array = expected["node_type"] == "array"
        check = _is_array if is_array else _is_group
        if not check(layout.images / inside, expected):
            (arrays if is_array else others).append(inside)
    for path in sorted(made.rglob("*.ome.xml")):
        inside = path.relative_to(made)
        if path.parent.name == "OME" and not _is_xml(layout.images / inside):
            others.append(inside)
    return arrays, others


def _is_array(path: Path, expected: Json) -> bool:
    try:
        found = read_document(path)
        open_array(path.parent)
        same = all(found[k] == expected[k] for k in ("data_type", "dimension_names"))
        return same and found["shape"][1:] == expected["shape"][1:]
    except (FaroError, KeyError, TypeError):
        return False


def _is_group(path: Path, expected: Json) -> bool:
    try:
        found = read_document(path)
        if found["node_type"] != "group" or found["zarr_format"] != 3:
            return False
        said, ome = found["attributes"], expected["attributes"].get("ome")
        if ome is not None:
            yaozarrs.validate_ome_object(said["ome"])
            return bool(said["ome"].keys() >= ome.keys())
    except (FaroError, KeyError, TypeError, AttributeError, ValidationError):
        return False
    return True


def _is_xml(path: Path) -> bool:
    try:
        ET.fromstring(path.read_bytes())
    except (OSError, ET.ParseError):
        return False
    return True


def _array_metadata(images: Path, made: Path, inside: Path, *, packed: bool) -> Any:
    """Return the ``zarr.json`` of an array; None if it cannot be told."""
    metadata = read_document(made / inside)
    files = sorted((images / inside.parent).glob("c.*"))
    lengths = map(_end_of, _others(images, made))
    metadata["shape"][0] = max([metadata["shape"][0], *lengths])
    if packed and files:
        return _packed(metadata, files[0].read_bytes())
    return metadata


def _others(images: Path, made: Path) -> list[Path]:
    """Return arrays whose time axis has the length of all: fields of a plate."""
    root = json.loads((made / NODE).read_bytes())
    if "plate" not in root["attributes"]["ome"]:
        return []
    fields = root["attributes"]["faro"]["fields"].values()
    return [images / field / "0" / NODE for field in fields]


def _end_of(node: Path) -> int:
    try:
        return int(read_document(node)["shape"][0])
    except (FaroError, KeyError, TypeError, ValueError, IndexError):
        return 0


def _packed(metadata: Json, shard: bytes) -> Json | None:
    """Return the metadata of a packed array.

    A shard ends with the checksum of its table. The length of the table, and so the
    number of timepoints, is the one that fits.
    """
    for step in range(2, MOST_TIMEPOINTS + 1):
        new = packed_metadata(metadata, step)
        inner = new["codecs"][0]["configuration"]["chunk_shape"]
        outer = new["chunk_grid"]["configuration"]["chunk_shape"]
        n_bytes = 16 * int(np.prod([o // i for o, i in zip(outer, inner, strict=True)]))
        table = shard[-n_bytes - CHECKSUM_BYTES : -CHECKSUM_BYTES]
        said = int.from_bytes(shard[-CHECKSUM_BYTES:], "little")
        if len(table) == n_bytes and crc32c(table) == said:
            return new
    return None


def _look(layout: RunLayout, store: ImageStore, told: Told) -> None:
    """Let the contrast be that of the first stack of every series, as it was."""
    for series, lines in told.frames.items():
        line = lines[0]
        try:
            array = StoredArray.at(layout.images / series / "0")
            pixels = array.read(line["timestep"])[line["channel_indices"]]
        except (FaroError, ValueError, IndexError):
            continue
        store.by_name[series].note_window(line["channel_indices"], pixels)


def _put(
    layout: RunLayout, inside: Path, data: bytes, set_aside: Callable[[Path], str]
) -> Iterator[str]:
    path = layout.images / inside
    if path.exists():
        yield set_aside(path)
    disk.make_folder(path.parent)
    disk.write_atomic(path, data)
    yield f"wrote {path.relative_to(layout.path).as_posix()} anew, from the journal"
