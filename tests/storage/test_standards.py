"""Other people's readers are the judges: yaozarrs, ome-zarr-py, zarr, tensorstore."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tensorstore as ts
import yaozarrs
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

from faro.model import FrameRole, RunNeeds
from faro.storage import OmeZarrWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.model import Stack

SERIES = ("p000.ome.zarr", "p000_stim.ome.zarr", "p001.ome.zarr")
OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


@dataclass(frozen=True)
class Written:
    """A run and what was put into it."""

    images: Path
    pixels: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]


@pytest.fixture(params=["going_on", "closed"])
def written(
    request: pytest.FixtureRequest,
    writer: OmeZarrWriter,
    make_stack: Callable[..., Stack],
) -> Written:
    stacks = [make_stack(0, timestep) for timestep in range(3)]
    labels = np.zeros((24, 40), np.int32)
    labels[3:8, 5:9] = 70_000
    for stack in reversed(stacks):
        writer.store_stack(stack, {})
    writer.store_labels("nuclei", 0, 1, labels)
    writer.store_labels("stim_mask", 0, 1, (labels > 0).astype(np.uint8) * 255)
    writer.store_stack(make_stack(0, 1, role=FrameRole.STIM, channels=("Red",)), {})
    if request.param == "closed":
        writer.close({})
    pixels = np.stack([stack.pixels for stack in stacks])
    return Written(writer.path / "images.ome.zarr", pixels, labels)


def test_yaozarrs_validates_the_collection_and_each_series(written: Written) -> None:
    yaozarrs.validate_zarr_store(str(written.images))
    for name in SERIES:
        yaozarrs.validate_zarr_store(str(written.images / name))
    for label in ("nuclei", "stim_mask"):
        folder = written.images / "p000.ome.zarr" / "labels" / label
        yaozarrs.validate_zarr_store(str(folder))


def test_a_run_without_any_frame_validates(tmp_path: Path, needs: RunNeeds) -> None:
    unknown = replace(
        needs, pixel_size_um=None, interval_s=None, fov_positions_um={}, fov_names={}
    )
    for number, some in enumerate((needs, unknown)):
        writer = OmeZarrWriter(tmp_path / f"run{number}")
        writer.open(some, {})
        yaozarrs.validate_zarr_store(str(writer.path / "images.ome.zarr"))
        writer.close({})
        yaozarrs.validate_zarr_store(str(writer.path / "images.ome.zarr"))


def test_axes_scale_and_translation_are_true(written: Written) -> None:
    group = yaozarrs.open_group(str(written.images / "p000.ome.zarr"))
    ome = group.attrs["ome"]
    (multiscale,) = ome["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == list("tcyx")
    units = [axis.get("unit") for axis in multiscale["axes"]]
    assert units == ["second", None, "micrometer", "micrometer"]
    scale, translation = multiscale["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == [30.0, 1.0, 0.325, 0.325]
    assert translation["translation"] == [0.0, 0.0, -20.0, 100.0]
    for channel in ome["omero"]["channels"]:
        assert set(channel["window"]) == {"min", "max", "start", "end"}
        assert channel["window"]["max"] == 65535


def test_zarr_python_reads_images_and_labels(written: Written) -> None:
    image: Any = zarr.open_group(str(written.images / "p000.ome.zarr"), mode="r")
    assert image["0"].metadata.dimension_names == ("t", "c", "y", "x")
    np.testing.assert_array_equal(image["0"][:3], written.pixels)
    labels = image["labels/nuclei/0"]
    assert (labels.shape, labels.dtype) == ((4, 24, 40), np.int32)
    np.testing.assert_array_equal(labels[1], written.labels)
    assert image["labels/stim_mask/0"].dtype == np.uint8
    assert set(np.unique(image["labels/stim_mask/0"][1])) == {0, 255}


def test_tensorstore_reads_images(written: Written) -> None:
    path = str(written.images / "p000.ome.zarr" / "0")
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}
    array = ts.open(spec).result()
    assert array.domain.labels == ("t", "c", "y", "x")
    np.testing.assert_array_equal(array[:3].read().result(), written.pixels)


def test_ome_zarr_py_reads_a_series_with_its_labels(written: Written) -> None:
    location = parse_url(str(written.images / "p000.ome.zarr"), mode="r")
    nodes = list(Reader(location)())
    image = nodes[0]
    np.testing.assert_array_equal(np.asarray(image.data[0][:3]), written.pixels)
    assert image.metadata["channel_names"] == ["mCherry", "GFP"]
    names = {node.zarr.basename() for node in nodes}
    assert {"nuclei", "stim_mask"} <= names
    (nuclei,) = (node for node in nodes if node.zarr.basename() == "nuclei")
    np.testing.assert_array_equal(np.asarray(nuclei.data[0][1]), written.labels)


def test_ome_xml_names_every_series_by_its_path(written: Written) -> None:
    root = ET.parse(written.images / "OME" / "METADATA.ome.xml").getroot()
    images = root.findall(f"{OME}Image")
    assert [image.attrib["ID"] for image in images] == [f"Image:{n}" for n in SERIES]
    pixels = images[0].find(f"{OME}Pixels")
    assert pixels is not None
    assert (
        pixels.attrib.items()
        >= {
            "SizeX": "40",
            "SizeY": "24",
            "SizeC": "2",
            "SizeT": "4",
            "Type": "uint16",
            "PhysicalSizeX": "0.325",
            "TimeIncrement": "30.0",
        }.items()
    )
    names = [channel.attrib["Name"] for channel in pixels.findall(f"{OME}Channel")]
    assert names == ["mCherry", "GFP"]


def test_each_series_tells_of_every_plane_stored_so_far(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    file = writer.path / "images.ome.zarr" / "p000.ome.zarr" / "frames.ome.xml"

    def told() -> tuple[int, list[tuple[str, ...]]]:
        root = ET.parse(file).getroot()
        pixels = root.find(f"{OME}Image/{OME}Pixels")
        assert pixels is not None
        keys = ("TheT", "TheC", "DeltaT", "ExposureTime", "PositionX")
        planes = [tuple(p.attrib[k] for k in keys) for p in pixels.iter(f"{OME}Plane")]
        return int(pixels.attrib["SizeT"]), planes

    assert told() == (4, [])
    writer.store_stack(make_stack(0, 2), {})
    first = [("2", "0", "60.25", "50.0", "100.0"), ("2", "1", "60.25", "50.0", "100.0")]
    assert told() == (4, first)
    writer.store_stack(make_stack(0, 12_345, channels=("GFP",)), {})
    second = ("12345", "1", "370350.25", "50.0", "100.0")
    assert told() == (12_346, [*first, second])
    writer.close({})
    assert told() == (12_346, [*first, second])


def test_channels_have_colours_in_both_kinds_of_metadata(writer: OmeZarrWriter) -> None:
    image = writer.path / "images.ome.zarr" / "p000.ome.zarr"
    omero = yaozarrs.open_group(str(image)).attrs["ome"]["omero"]
    assert [c["color"] for c in omero["channels"]] == ["FF0000", "00FF00"]
    root = ET.parse(image.parent / "OME" / "METADATA.ome.xml").getroot()
    colours = [int(c.attrib["Color"]) % 2**32 for c in root.iter(f"{OME}Channel")]
    assert [f"{colour:08X}" for colour in colours[:2]] == ["FF0000FF", "00FF00FF"]


def test_contrast_and_position_are_there_from_the_first_frame_on(
    tmp_path: Path, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    writer = OmeZarrWriter(tmp_path / "run")
    writer.open(replace(needs, fov_positions_um={}), {})
    writer.store_stack(make_stack(0, 0, position_um=(7.0, 8.0, None)), {})
    image = writer.path / "images.ome.zarr" / "p000.ome.zarr"
    ome = yaozarrs.open_group(str(image)).attrs["ome"]
    transforms = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert transforms[1]["translation"] == [0.0, 0.0, 8.0, 7.0]
    assert all(c["window"]["end"] <= 900 for c in ome["omero"]["channels"])


def test_a_closed_run_has_times_and_contrast_for_every_plane(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    writer.store_stack(make_stack(0, 0), {})
    writer.store_stack(make_stack(1, 1, channels=("GFP",)), {})
    writer.close({})
    images = writer.path / "images.ome.zarr"
    root = ET.parse(images / "OME" / "METADATA.ome.xml").getroot()
    planes = [plane.attrib for plane in root.iter(f"{OME}Plane")]
    assert [(p["TheT"], p["TheC"]) for p in planes] == [
        ("0", "0"),
        ("0", "1"),
        ("1", "1"),
    ]
    assert planes[2]["DeltaT"] == "30.25"
    assert planes[2]["ExposureTime"] == "50.0"
    assert planes[2]["PositionX"] == "100.0"
    yaozarrs.validate_zarr_store(str(images))
    for name in ("p000.ome.zarr", "p001.ome.zarr"):
        ome = yaozarrs.open_group(str(images / name)).attrs["ome"]
        windows = [channel["window"] for channel in ome["omero"]["channels"]]
        assert all(90 <= w["start"] < w["end"] <= 900 for w in windows)


def test_a_channel_that_was_never_taken_shows_its_full_range(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    writer.store_stack(make_stack(0, 0, channels=("GFP",)), {})
    writer.close({})
    image = writer.path / "images.ome.zarr" / "p000.ome.zarr"
    omero = yaozarrs.open_group(str(image)).attrs["ome"]["omero"]
    absent, taken = (channel["window"] for channel in omero["channels"])
    assert (absent["start"], absent["end"]) == (0, 65535)
    assert taken["end"] < 1000


def test_stage_positions_seen_during_the_run_place_images_and_labels(
    tmp_path: Path, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    writer = OmeZarrWriter(tmp_path / "run")
    writer.open(replace(needs, fov_positions_um={}), {})
    writer.store_stack(make_stack(0, 0, position_um=(7.0, 8.0, None)), {})
    writer.store_labels("nuclei", 0, 0, np.ones((24, 40), np.int32))
    writer.close({})
    image = writer.path / "images.ome.zarr" / "p000.ome.zarr"
    for folder, expected in (
        (image, [0.0, 0.0, 8.0, 7.0]),
        (image / "labels" / "nuclei", [0.0, 8.0, 7.0]),
    ):
        ome = yaozarrs.open_group(str(folder)).attrs["ome"]
        dataset = ome["multiscales"][0]["datasets"][0]
        assert dataset["coordinateTransformations"][1]["translation"] == expected


def test_an_image_whose_pixel_size_is_unknown_claims_no_unit(
    tmp_path: Path, needs: RunNeeds
) -> None:
    writer = OmeZarrWriter(tmp_path / "run")
    writer.open(replace(needs, pixel_size_um=None, interval_s=None), {})
    image = writer.path / "images.ome.zarr" / "p000.ome.zarr"
    (multiscale,) = yaozarrs.open_group(str(image)).attrs["ome"]["multiscales"]
    assert all("unit" not in axis for axis in multiscale["axes"])
    (scale,) = multiscale["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == [1.0] * 4
