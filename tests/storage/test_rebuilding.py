"""`repair` makes damaged metadata anew: the same as they were, of every layout."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.errors import StorageError
from faro.model import FrameRole, Stack, StackNeeds
from faro.storage import (
    OmeZarrWriter,
    OmeZarrWriterPlate,
    TiffWriter,
    open_run,
    pack,
    repair,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faro.model import RunNeeds
    from faro.storage.writer import RunWriter

WELLS = {0: "A1", 1: "B2", 2: "B2"}
DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: b"",
    "zeros": lambda data: bytes(len(data)),
    "torn": lambda data: data[: len(data) // 2],
    "other": lambda _: b"[1, 2]",
    "hollow": lambda _: b'{"zarr_format": 3, "node_type": "group", "attributes": {}}',
}


def written(
    kind: type[RunWriter], path: Path, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> RunWriter:
    """Store planned stacks and others: beyond the plan, planes, read-outs, labels."""
    writer = kind(path)
    deep = {2: (StackNeeds(needs.channels, 3, 0.5),)}
    fovs = (0, 1) if kind is OmeZarrWriterPlate else (0, 1, 2)
    stacks = {} if kind is OmeZarrWriterPlate else deep
    writer.open(
        replace(needs, fovs=fovs, fov_names=WELLS, stacks=stacks), {"name": "a"}
    )
    labels = np.arange(24 * 40, dtype=np.int32).reshape(24, 40)
    for fov in (0, 1):
        for timestep in (1, 0, needs.n_timepoints + 2):
            writer.store_stack(make_stack(fov, timestep), {})
            writer.store_labels("nuclei", fov, timestep, labels)
            writer.store_labels("mask", fov, timestep, (labels > 3).astype(np.uint8))
    writer.store_stack(make_stack(0, 2, role=FrameRole.STIM, channels=("Red",)), {})
    writer.store_stack(make_stack(0, 2, channels=("other",)), {})
    if stacks:
        pixels = np.full((2, 3, 24, 40), 7, np.uint16)
        z_um = (1.0, 1.5, 2.0)
        writer.store_stack(Stack(pixels, needs.channels, 2, 0, z_um=z_um), {})
        writer.store_labels("nuclei", 2, 0, labels)
        writer.store_labels("volumes", 2, 0, pixels[0].astype(np.int32))
    return writer


def metadata_in(path: Path) -> dict[Path, Any]:
    found = {p: json.loads(p.read_bytes()) for p in path.rglob("zarr.json")}
    return found | {p: p.read_bytes() for p in path.rglob("METADATA.ome.xml")}


def windows_of(said: Any) -> list[Any]:
    """Take the contrast of an image group away and return it."""
    omero = said["attributes"]["ome"].get("omero", {})
    return [channel.pop("window") for channel in omero.get("channels", ())]


def assert_same(found: Any, was: Any, *, closed: bool = True) -> None:
    """Assert that metadata are as they were; a time axis may have become longer.

    While a run goes on the contrast is of what came first.
    """
    if isinstance(was, bytes):
        assert found.count(b"<Plane ") in {was.count(b"<Plane "), 0}
        assert found.count(b"<Image ") == was.count(b"<Image ")
        return
    if "shape" in was:
        n_timepoints, *shape = found["shape"]
        assert n_timepoints >= was["shape"][0]
        found = {**found, "shape": [was["shape"][0], *shape]}
        for said in (found, was):
            # What is the default is left out where an array has grown.
            said.pop("attributes", None)
            said["codecs"][0].get("configuration", {}).pop("index_location", None)
    elif not closed and "ome" in was["attributes"]:
        assert len(windows_of(found)) == len(windows_of(was))
    assert found == was


def damage(path: Path, how: str) -> bool:
    """Damage a file; return whether that did something."""
    before = path.read_bytes()
    after = DAMAGES[how](before)
    if after is None:
        path.unlink()
    else:
        path.write_bytes(after)
    return after != before


def errors(path: Path) -> list[str]:
    return [str(p) for p in verify(path) if p.severity == "error"]


def planes(path: Path) -> Iterator[np.ndarray]:
    run = open_run(path)
    for line in run.journal:
        if line["kind"] == "frame":
            stack = run.stack(
                line["fov"], line["timestep"], role=FrameRole(line["role"])
            )
            yield stack.pixels
        elif line["kind"] == "labels":
            labels = run.labels(line["name"], line["fov"], line["timestep"])
            assert labels is not None
            yield labels


OFTEN = ("missing", "torn")
HOW = [
    how if how in OFTEN else pytest.param(how, marks=pytest.mark.long)
    for how in DAMAGES
]


@pytest.mark.parametrize("kind", [OmeZarrWriter, OmeZarrWriterPlate])
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("how", HOW)
def test_all_metadata_at_once_are_made_anew_as_they_were(
    tmp_path: Path,
    needs: RunNeeds,
    make_stack: Callable[..., Stack],
    kind: type[RunWriter],
    *,
    closed: bool,
    how: str,
) -> None:
    path = tmp_path / "run"
    writer = written(kind, path, needs, make_stack)
    if closed:
        writer.close({})
    else:
        writer.let_go()
    before, expected = metadata_in(path), list(planes(path))
    assert len(before) > 12
    for file in before:
        if file.name == "zarr.json":
            damage(file, how)
    assert errors(path)
    assert any("anew, from the journal" in line for line in repair(path))
    after = metadata_in(path / "images.ome.zarr")
    assert after.keys() == before.keys()
    for file, said in before.items():
        assert_same(after[file], said, closed=closed)
    assert errors(path) == []
    for found, was in zip(planes(path), expected, strict=True):
        np.testing.assert_array_equal(found, was)
    assert repair(path) == []
    assert not (path / ".rebuilt").exists()


@pytest.mark.long
def test_each_alone_is_made_anew_and_what_was_there_is_kept(
    tmp_path: Path, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    path = tmp_path / "run"
    written(OmeZarrWriter, path, needs, make_stack).close({})
    for file, said in metadata_in(path).items():
        damage(file, "torn")
        torn = file.read_bytes()
        inside = file.relative_to(path)
        done = repair(path)
        assert f"wrote {inside.as_posix()} anew, from the journal" in done
        assert (path / "quarantine" / inside).read_bytes() == torn
        assert_same(metadata_in(path / "images.ome.zarr")[file], said)
        assert errors(path) == []


@pytest.mark.parametrize("how", ["missing", "zeros"])
def test_the_metadata_of_packed_arrays_are_found_again(
    tmp_path: Path, needs: RunNeeds, make_stack: Callable[..., Stack], how: str
) -> None:
    path = tmp_path / "run"
    written(OmeZarrWriter, path, needs, make_stack).close({})
    expected = list(planes(path))
    pack(path, 3)
    before = metadata_in(path)
    for file in before:
        if file.name == "zarr.json":
            damage(file, how)
    repair(path)
    for file, said in before.items():
        if file.name == "zarr.json":
            assert_same(json.loads(file.read_bytes()), said)
    assert errors(path) == []
    for found, was in zip(planes(path), expected, strict=True):
        np.testing.assert_array_equal(found, was)


@pytest.mark.parametrize("kind", [OmeZarrWriter, TiffWriter])
@pytest.mark.parametrize("how", DAMAGES)
def test_run_json_is_made_anew_from_its_copy(
    tmp_path: Path,
    needs: RunNeeds,
    make_stack: Callable[..., Stack],
    kind: type[RunWriter],
    how: str,
) -> None:
    path = tmp_path / "run"
    written(kind, path, needs, make_stack).close({})
    whole = (path / "run.json").read_bytes()
    damage(path / "run.json", how)
    with pytest.raises(StorageError, match=r"run\.json"):
        open_run(path)
    (problem,) = verify(path)
    assert problem.where == "run.json"
    assert "faro repair" in problem.remedy
    assert "wrote run.json anew, from its copy" in repair(path)
    assert (path / "run.json").read_bytes() == whole
    assert errors(path) == []


def test_what_cannot_be_made_anew_is_refused_by_name(
    tmp_path: Path, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    path = tmp_path / "run"
    written(OmeZarrWriter, path, needs, make_stack).close({})
    journal = (path / "journal.jsonl").read_bytes()
    (path / "journal.jsonl").unlink()
    with pytest.raises(StorageError, match=r"journal\.jsonl is missing"):
        repair(path)
    (path / "journal.jsonl").write_bytes(journal)
    (path / "run.json").unlink()
    (path / "provenance" / "run.copy.json").unlink()
    for look in (verify, repair):
        with pytest.raises(StorageError, match=r"run\.json"):
            look(path)
