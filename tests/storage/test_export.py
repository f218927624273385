"""Runs as OME-TIFF, held against what tifffile and the OME schema make of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile

from faro.errors import StorageError
from faro.model import FrameRole, Stack, StackNeeds
from faro.storage import (
    OmeZarrWriter,
    OmeZarrWriterPlate,
    TiffWriter,
    export_ome_tiff,
    open_run,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.model import RunNeeds
    from faro.storage.writer import RunWriter

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


def fill(writer: RunWriter, make_stack: Callable[..., Stack]) -> None:
    """Store t = 0 and 2 of position 0, one channel at 3, and a read-out."""
    for timestep in (2, 0):
        writer.store_stack(make_stack(0, timestep), {})
    writer.store_stack(make_stack(0, 3, channels=("GFP",)), {})
    red = make_stack(0, 2, role=FrameRole.STIM, channels=("Red",))
    writer.store_stack(red, {})
    writer.store_stack(make_stack(1, 1), {})
    labels = np.zeros((24, 40), np.int32)
    labels[4:9, 5:30] = 70_000
    writer.store_labels("nuclei", 0, 2, labels)


def planes_of(path: Path) -> dict[tuple[int, int, int], np.ndarray[Any, Any]]:
    """Return the planes of a file by (t, c, z), as its OME-XML says."""
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        root = ET.fromstring(file.ome_metadata or "")
        pages = [page.asarray() for page in file.pages]
    data = [d.attrib for d in root.iter(f"{OME}TiffData")]
    assert len(data) == len(pages)
    return {
        (int(d["FirstT"]), int(d["FirstC"]), int(d["FirstZ"])): pages[int(d["IFD"])]
        for d in data
    }


@pytest.mark.parametrize("kind", [OmeZarrWriter, OmeZarrWriterPlate, TiffWriter])
@pytest.mark.parametrize("closed", [False, True])
def test_every_stored_plane_is_there_and_no_other(
    tmp_path: Path,
    needs: RunNeeds,
    make_stack: Callable[..., Stack],
    kind: type[RunWriter],
    *,
    closed: bool,
) -> None:
    writer = kind(tmp_path / "run")
    writer.open(replace(needs, fov_names={0: "A1", 1: "B2"}), {})
    fill(writer, make_stack)
    if closed:
        writer.close({})
    files = export_ome_tiff(open_run(writer.path), tmp_path / "out")
    names = {path.name for path in files}
    assert names == {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "p000.ome.tif",
        "p000_nuclei.ome.tif",
        "p000_stim.ome.tif",
        "p001.ome.tif",
    }
    found = planes_of(tmp_path / "out" / "p000.ome.tif")
    expected = {
        (t, c, 0): make_stack(0, t).pixels[c] for t in (0, 2) for c in (0, 1)
    } | {(3, 1, 0): make_stack(0, 3, channels=("GFP",)).pixels[0]}
    assert found.keys() == expected.keys()
    for place, plane in expected.items():
        np.testing.assert_array_equal(found[place], plane)
    labels = planes_of(tmp_path / "out" / "p000_nuclei.ome.tif")
    assert labels.keys() == {(2, 0, 0)}
    assert labels[2, 0, 0].max() == 70_000


def test_the_metadata_is_that_of_the_run(
    writer: OmeZarrWriter, tmp_path: Path, make_stack: Callable[..., Stack]
) -> None:
    fill(writer, make_stack)
    export_ome_tiff(open_run(writer.path), tmp_path / "out", fovs=[0])
    path = tmp_path / "out" / "p000.ome.tif"
    with tifffile.TiffFile(path) as file:
        root = ET.fromstring(file.ome_metadata or "")
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        series = file.series[0]
        assert (series.axes, series.shape) == ("TCYX", (4, 2, 24, 40))
        whole = series.asarray()
    np.testing.assert_array_equal(whole[2], make_stack(0, 2).pixels)
    assert not whole[1].any()
    assert [i.attrib["Name"] for i in root.findall(f"{OME}Image")] == ["A1 left"]
    pixels = next(root.iter(f"{OME}Pixels")).attrib
    assert (pixels["SizeT"], pixels["PhysicalSizeX"]) == ("4", "0.325")
    assert pixels["TimeIncrement"] == "30.0"
    planes = [plane.attrib for plane in root.iter(f"{OME}Plane")]
    told = {(p["TheT"], p["TheC"], p["DeltaT"]) for p in planes}
    assert told == {
        ("0", "0", "0.25"),
        ("0", "1", "0.25"),
        ("2", "0", "60.25"),
        ("2", "1", "60.25"),
        ("3", "1", "90.25"),
    }
    assert {p["PositionX"] for p in planes} == {"100.0"}
    names = [channel.attrib["Name"] for channel in root.iter(f"{OME}Channel")]
    assert names == ["mCherry", "GFP"]


def test_planes_of_a_z_stack_are_a_z_axis(
    tmp_path: Path, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    writer = OmeZarrWriter(tmp_path / "run")
    planned = {0: (StackNeeds(needs.channels, 3, 0.5),)}
    writer.open(replace(needs, stacks=planned), {})
    pixels = np.random.default_rng(1).integers(1, 99, (2, 3, 24, 40), np.uint16)
    stack = make_stack(0, 0, pixels=pixels, z_um=(1.0, 1.5, 2.0))
    writer.store_stack(stack, {})
    (path,) = export_ome_tiff(open_run(writer.path), tmp_path / "out")
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        assert series.axes == "CZYX"
        np.testing.assert_array_equal(series.asarray(), pixels)
        root = ET.fromstring(file.ome_metadata or "")
    assert next(root.iter(f"{OME}Pixels")).attrib["PhysicalSizeZ"] == "0.5"


def test_a_recording_of_the_public_project_is_exported(
    recording: Path, tmp_path: Path
) -> None:
    run = open_run(recording)
    files = export_ome_tiff(run, tmp_path, fovs=[1])
    assert {"p001.ome.tif", "p001_ref.ome.tif"} <= {path.name for path in files}
    found = planes_of(tmp_path / "p001.ome.tif")
    np.testing.assert_array_equal(found[2, 1, 0], run.frame(1, 2, "mScarlet3"))


def test_what_is_there_is_not_replaced_and_what_is_not_is_named(
    writer: OmeZarrWriter, tmp_path: Path, make_stack: Callable[..., Stack]
) -> None:
    fill(writer, make_stack)
    run = open_run(writer.path)
    with pytest.raises(StorageError, match=r"no positions \[7\]. It has \[0, 1\]"):
        export_ome_tiff(run, tmp_path / "out", fovs=[7])
    (first, *_) = export_ome_tiff(run, tmp_path / "out", fovs=[1])
    before = first.read_bytes()
    with pytest.raises(StorageError, match=r"p001\.ome\.tif is there already"):
        export_ome_tiff(run, tmp_path / "out", fovs=[1])
    assert first.read_bytes() == before
