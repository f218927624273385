"""The plate: rows, columns, wells, fields, and what is no field of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaozarrs
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

from faro.errors import StorageError
from faro.model import FrameRole, RunNeeds
from faro.storage import OmeZarrWriterPlate, open_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.model import Stack

NAMES = {0: "B03_0000", 1: "B03_0001", 2: "H12 treated", 5: "B4"}


@pytest.fixture
def on_plate(needs: RunNeeds) -> RunNeeds:
    return replace(needs, fovs=(0, 1, 2, 5), fov_names=NAMES)


@pytest.fixture
def plate(tmp_path: Path, on_plate: RunNeeds) -> OmeZarrWriterPlate:
    made = OmeZarrWriterPlate(tmp_path / "run")
    made.open(on_plate, {})
    return made


def ome_of(group: Path) -> Any:
    return json.loads((group / "zarr.json").read_text())["attributes"]["ome"]


def test_only_rows_and_columns_with_positions_are_declared(
    plate: OmeZarrWriterPlate,
) -> None:
    images = plate.path / "images.ome.zarr"
    said = ome_of(images)["plate"]
    assert [row["name"] for row in said["rows"]] == ["B", "H"]
    assert [column["name"] for column in said["columns"]] == ["3", "4", "12"]
    assert [(w["path"], w["rowIndex"], w["columnIndex"]) for w in said["wells"]] == [
        ("B/3", 0, 0),
        ("B/4", 0, 1),
        ("H/12", 1, 2),
    ]
    assert said["field_count"] == 2
    (acquisition,) = said["acquisitions"]
    assert acquisition["name"] == "run"
    assert acquisition["starttime"] > 1_700_000_000
    fields = ome_of(images / "B" / "3")["well"]["images"]
    assert [field["path"] for field in fields] == ["0", "1"]
    yaozarrs.validate_zarr_store(str(images))


def test_fields_keep_their_frames_whatever_the_order(
    plate: OmeZarrWriterPlate, make_stack: Callable[..., Stack]
) -> None:
    order = [(5, 2), (0, 0), (2, 3), (1, 1), (5, 0), (0, 3)]
    for fov, timestep in order:
        plate.store_stack(make_stack(fov, timestep), {})
    run = open_run(plate.path)
    assert run.fovs == (0, 1, 2, 5)
    for fov in run.fovs:
        for timestep in range(4):
            assert run.has(fov, timestep) == ((fov, timestep) in order)
    for fov, timestep in order:
        given = make_stack(fov, timestep)
        np.testing.assert_array_equal(run.stack(fov, timestep).pixels, given.pixels)
        assert run.stack(fov, timestep).acquired_s == given.acquired_s


def test_what_differs_lies_beside_the_wells(
    plate: OmeZarrWriterPlate, make_stack: Callable[..., Stack]
) -> None:
    red = make_stack(1, 1, role=FrameRole.STIM, channels=("Red",))
    small = make_stack(1, 2, pixels=np.ones((2, 10, 12), np.uint16))
    for stack in (make_stack(1, 1), red, small):
        plate.store_stack(stack, {})
    images = plate.path / "images.ome.zarr"
    others = images / "others.ome.zarr"
    assert ome_of(others / "OME")["series"] == [
        "p001_1.ome.zarr",
        "p001_stim.ome.zarr",
    ]
    for group in (images, others, others / "p001_1.ome.zarr"):
        yaozarrs.validate_zarr_store(str(group))
    run = open_run(plate.path)
    found = run.stack(1, 1, role=FrameRole.STIM)
    np.testing.assert_array_equal(found.pixels, red.pixels)
    np.testing.assert_array_equal(run.stack(1, 2).pixels, small.pixels)
    assert [line["series"] for line in run.journal] == [
        "B/3/1",
        "others.ome.zarr/p001_stim.ome.zarr",
        "others.ome.zarr/p001_1.ome.zarr",
    ]


def test_the_plate_and_each_well_open_as_a_mosaic_also_when_time_grew(
    plate: OmeZarrWriterPlate, make_stack: Callable[..., Stack]
) -> None:
    far = make_stack(2, 9)
    plate.store_stack(far, {})
    plate.store_stack(make_stack(0, 0), {})
    images = plate.path / "images.ome.zarr"
    for group, shape in ((images, (2 * 24, 3 * 40)), (images / "B" / "3", (24, 80))):
        (node, *_) = list(Reader(parse_url(str(group), mode="r"))())
        assert node.data[0].shape[-2:] == shape
    (node, *_) = list(Reader(parse_url(str(images), mode="r"))())
    corner = np.asarray(node.data[0][9, :, 24:, 80:])
    np.testing.assert_array_equal(corner, far.pixels)


def test_positions_that_come_later_become_fields_or_lie_beside(
    plate: OmeZarrWriterPlate, on_plate: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    plate.store_stack(make_stack(0, 6), {})
    names = {**NAMES, 7: "A1", 8: "somewhere"}
    plate.extend(replace(on_plate, fovs=(0, 7, 8), fov_names=names, n_timepoints=5))
    for fov in (7, 8):
        plate.store_stack(make_stack(fov, 4), {})
    images = plate.path / "images.ome.zarr"
    assert [row["name"] for row in ome_of(images)["plate"]["rows"]] == ["A", "B", "H"]
    assert (images / "others.ome.zarr" / "p008.ome.zarr").is_dir()
    yaozarrs.validate_zarr_store(str(images))
    run = open_run(plate.path)
    assert run.fovs == (0, 1, 2, 5, 7, 8)
    assert run.has(7, 4)
    assert run.has(8, 4)
    (node, *_) = list(Reader(parse_url(str(images), mode="r"))())
    assert node.data[0].shape[-2:] == (3 * 24, 4 * 40)


def test_positions_without_a_well_are_refused_all_at_once(
    tmp_path: Path, on_plate: RunNeeds
) -> None:
    lost = replace(on_plate, fov_names={0: "A1", 1: "Pos1", 2: "a2"})
    writer = OmeZarrWriterPlate(tmp_path / "run")
    (problem,) = writer.problems(lost)
    assert problem.where == "writer/wells"
    assert "3 positions are in no well: 1 ('Pos1'), 2 ('a2'), 5 ('')" in problem.what
    assert "OmeZarrWriter" in problem.remedy
    with pytest.raises(StorageError, match="3 positions are in no well"):
        writer.open(lost, {})
    assert not writer.path.exists()
    given = OmeZarrWriterPlate(tmp_path / "run", wells={1: "A2", 2: "A3", 5: "C1"})
    assert not given.problems(lost)
    given.open(lost, {})
    wells = ome_of(given.path / "images.ome.zarr")["plate"]["wells"]
    assert [well["path"] for well in wells] == ["A/1", "A/2", "A/3", "C/1"]


def test_the_plan_of_the_plate_says_the_well_before_the_name_does(
    tmp_path: Path, on_plate: RunNeeds
) -> None:
    planned = replace(on_plate, fov_wells={0: "D5", 1: "D6", 2: "D6"})
    writer = OmeZarrWriterPlate(tmp_path / "run", wells={1: "A1"})
    assert not writer.problems(planned)
    writer.open(planned, {})
    fields = json.loads((writer.path / "images.ome.zarr" / "zarr.json").read_text())
    assert fields["attributes"]["faro"]["fields"] == {
        "0": "D/5/0",
        "1": "A/1/0",
        "2": "D/6/0",
        "5": "B/4/0",
    }
