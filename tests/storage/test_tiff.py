"""TIFF files: what other programs read in them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile

from faro.errors import StorageError
from faro.storage import TiffWriter, open_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.model import RunNeeds, Stack
    from faro.storage.tifftree import Compression

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"
CODES = {"zstd": 50_000, "zlib": 8, "none": 1}


@pytest.fixture
def writer(tmp_path: Path, needs: RunNeeds) -> TiffWriter:
    made = TiffWriter(tmp_path / "run")
    made.open(needs, {})
    return made


@pytest.mark.parametrize("compression", ["zstd", "zlib", "none"])
def test_a_file_says_all_of_its_stack(
    tmp_path: Path,
    needs: RunNeeds,
    make_stack: Callable[..., Stack],
    compression: Compression,
) -> None:
    writer = TiffWriter(tmp_path / "run", compression=compression)
    writer.open(needs, {})
    stack = make_stack(0, 12)
    writer.store_stack(stack, {})
    path = writer.path / "images" / "p000" / "p000_t00012.ome.tif"
    with tifffile.TiffFile(path) as file:
        (series,) = file.series
        assert (series.axes, file.is_ome) == ("CYX", True)
        np.testing.assert_array_equal(series.asarray(), stack.pixels)
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        assert page.compression == CODES[compression]
        assert page.get_resolution(unit="micrometer")[0] == pytest.approx(1 / 0.325)
        root = ET.fromstring(file.ome_metadata or "")
    (image,) = root.findall(f"{OME}Image")
    assert image.attrib["Name"] == "A1 left t=12"
    date = image.find(f"{OME}AcquisitionDate")
    assert date is not None
    assert (date.text or "").startswith("2023-11-14T22:13:20")
    pixels = next(root.iter(f"{OME}Pixels")).attrib
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (
        "0.325",
        "\N{MICRO SIGN}m",
    )
    channels = [c.attrib["Name"] for c in root.iter(f"{OME}Channel")]
    assert channels == ["mCherry", "GFP"]
    planes = [plane.attrib for plane in root.iter(f"{OME}Plane")]
    assert [p["TheC"] for p in planes] == ["0", "1"]
    for plane in planes:
        assert float(plane["DeltaT"]) == stack.acquired_s
        assert float(plane["ExposureTime"]) == 50.0
        assert float(plane["PositionY"]) == -20.0


def test_only_the_channels_of_the_stack_are_in_its_file(
    writer: TiffWriter, make_stack: Callable[..., Stack]
) -> None:
    writer.store_stack(make_stack(0, 0, channels=("GFP",)), {})
    path = writer.path / "images" / "p000" / "p000_t00000.ome.tif"
    assert tifffile.imread(path).shape == (24, 40)
    assert open_run(writer.path).stack(0, 0).channels == ("GFP",)


def test_labels_are_files_with_their_ids(writer: TiffWriter) -> None:
    labels = np.zeros((24, 40), np.uint32)
    labels[5:9] = 3_000_000_000
    writer.store_labels("tracks", 1, 2, labels)
    path = writer.path / "images" / "p001" / "labels" / "tracks" / "p001_t00002.tif"
    found = tifffile.imread(path)
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found, labels)


def test_no_half_file_is_left_where_writing_failed(
    writer: TiffWriter,
    make_stack: Callable[..., Stack],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        message = "No space left on device"
        raise OSError(message)

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", full)
        with pytest.raises(StorageError, match="No space left"):
            writer.store_stack(make_stack(0, 0), {})
    folder = writer.path / "images" / "p000"
    assert list(folder.iterdir()) == []
    writer.store_stack(make_stack(0, 0), {})
    assert open_run(writer.path).has(0, 0)


def test_a_damaged_file_is_reported(
    writer: TiffWriter, make_stack: Callable[..., Stack]
) -> None:
    writer.store_stack(make_stack(0, 0), {})
    path = writer.path / "images" / "p000" / "p000_t00000.ome.tif"
    path.write_bytes(b"version https://git-lfs")
    with pytest.raises(StorageError, match=r"p000_t00000\.ome\.tif is no OME-TIFF"):
        open_run(writer.path).stack(0, 0)


WITHOUT = """
import sys
sys.modules["imagecodecs"] = None
from faro.errors import MissingExtraError
from faro.model import RunNeeds
from faro.storage import TiffWriter, open_run

folder = sys.argv[1]
needs = RunNeeds(1, (0,), ("a",), (8, 8))
(problem,) = TiffWriter(f"{folder}/other").problems(needs)
assert problem.where == "writer/compression", problem
assert "faro-microscopy[tiff]" in problem.remedy, problem
assert not TiffWriter(f"{folder}/other", compression="zlib").problems(needs)
try:
    open_run(f"{folder}/run").stack(0, 0)
except MissingExtraError as error:
    sys.stdout.write(str(error))
"""


def test_without_imagecodecs_the_extra_is_named(
    writer: TiffWriter, make_stack: Callable[..., Stack]
) -> None:
    writer.store_stack(make_stack(0, 0), {})
    command = [sys.executable, "-c", WITHOUT, str(writer.path.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pip install 'faro-microscopy[tiff]'" in done.stdout
