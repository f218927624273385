"""A matrix: layouts, moments of a run, and the programs that people read with.

Every position opens with its axes, scale and labels while the run goes on, after a kill
without repair, and finished. napari and bioio run in a process of their own, because
their imports warn and here warnings are errors; .ci/run installs them apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tensorstore as ts
import yaozarrs
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

from faro.model import FrameRole, RunNeeds, Stack, StackNeeds
from faro.storage import OmeZarrWriter, OmeZarrWriterPlate, open_run

if TYPE_CHECKING:
    from pathlib import Path

    from faro.storage.writer import RunWriter

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"
WRITERS: dict[str, type[RunWriter]] = {
    "collection": OmeZarrWriter,
    "plate": OmeZarrWriterPlate,
}
MOMENTS = ("going_on", "killed", "finished")
PLACES = {
    "collection": ("p000.ome.zarr", "p001.ome.zarr", "p002.ome.zarr"),
    "plate": ("A/1/0", "A/1/1", "C/12/0"),
}
SHAPE = (24, 40)
CHANNELS = ["mCherry", "GFP"]
STORED = ((2, 0), (0, 2), (1, 1), (0, 0), (2, 2))
"""(fov, timestep) of the stacks and labels, in the order in which they are stored."""
N_PLANNED = 4
NEEDS = RunNeeds(
    n_timepoints=N_PLANNED,
    fovs=(0, 1, 2),
    channels=("mCherry", "GFP"),
    image_shape=SHAPE,
    stim_channels=("Cyan",),
    pixel_size_um=0.325,
    interval_s=30.0,
    fov_names={0: "A1_0000", 1: "A1_0001", 2: "C12"},
    fov_positions_um={0: (100.0, -20.0, 3.5), 1: (400.0, -20.0, 3.5)},
)


N_Z = 3
DEEP = np.random.default_rng(7).integers(1, 999, (2, N_Z, *SHAPE), dtype=np.uint16)


def pixels_of(fov: int, timestep: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng([fov, timestep])
    pixels: np.ndarray[Any, Any] = rng.integers(1, 4096, (2, *SHAPE), np.uint16)
    return pixels


def labels_of(fov: int, timestep: int) -> np.ndarray[Any, Any]:
    labels: np.ndarray[Any, Any] = pixels_of(fov, timestep)[0].astype(np.int32)
    return labels + 70_000


def expected_pixels(fov: int) -> np.ndarray[Any, Any]:
    """Return (T, C, Y, X) of one position, zeros where nothing was stored."""
    whole: np.ndarray[Any, Any] = np.zeros((N_PLANNED, 2, *SHAPE), np.uint16)
    for place in STORED:
        if place[0] == fov:
            whole[place[1]] = pixels_of(*place)
    return whole


def expected_labels(fov: int) -> np.ndarray[Any, Any]:
    whole = np.zeros((N_PLANNED, *SHAPE), np.int32)
    for place in STORED:
        if place[0] == fov:
            whole[place[1]] = labels_of(*place)
    return whole


def write(writer: RunWriter) -> None:
    writer.open(NEEDS, {})
    for fov, timestep in STORED:
        writer.store_stack(
            Stack(pixels_of(fov, timestep), ("mCherry", "GFP"), fov, timestep), {}
        )
        writer.store_labels("nuclei", fov, timestep, labels_of(fov, timestep))
    red = np.full((1, *SHAPE), 9, np.uint16)
    writer.store_stack(Stack(red, ("Cyan",), 0, 0, FrameRole.STIM), {})


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_readers as matrix

for layout, kind in matrix.WRITERS.items():
    writer = kind(Path(sys.argv[2]) / layout)
    matrix.write(writer)
sys.stdout.write("stored")
sys.stdout.flush()
number = 0
while True:  # until it is killed, in the middle of something
    writer.store_labels("later", 0, number, matrix.labels_of(0, 0))
    number += 1
"""


@dataclass(frozen=True)
class Written:
    """One run of the matrix."""

    layout: str
    moment: str
    path: Path

    @property
    def images(self) -> Path:
        return self.path / "images.ome.zarr"

    @property
    def places(self) -> list[Path]:
        """The image group of each position, by index."""
        return [self.images / place for place in PLACES[self.layout]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    folder = tmp_path_factory.mktemp("matrix")
    here = str(__file__).rpartition("test_readers.py")[0]
    command = [sys.executable, "-c", CHILD, here, str(folder / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.read(len("stored")) == "stored"
        process.kill()
    for moment in ("going_on", "finished"):
        for layout, kind in WRITERS.items():
            writer = kind(folder / moment / layout)
            write(writer)
            if moment == "finished":
                writer.close({})
    return {
        f"{layout}-{moment}": Written(layout, moment, folder / moment / layout)
        for layout in WRITERS
        for moment in MOMENTS
    }


@pytest.fixture(params=[f"{w}-{m}" for w in WRITERS for m in MOMENTS])
def run(request: pytest.FixtureRequest, runs: dict[str, Written]) -> Written:
    return runs[request.param]


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the image group of a run with a z axis, its labels found in 2-D."""
    writer = OmeZarrWriter(tmp_path_factory.mktemp("deep") / "run")
    planned = {fov: (StackNeeds(NEEDS.channels, N_Z, 0.5),) for fov in NEEDS.fovs}
    writer.open(replace(NEEDS, stacks=planned), {})
    stack = Stack(DEEP, NEEDS.channels, 0, 1, z_um=(3.5, 4.0, 4.5))
    writer.store_stack(stack, {})
    writer.store_labels("nuclei", 0, 1, labels_of(0, 0))
    writer.store_labels("volumes", 0, 1, DEEP[0].astype(np.int32))
    return writer.path / "images.ome.zarr" / "p000.ome.zarr"


def test_a_z_axis_and_labels_that_stand_for_all_its_planes_are_valid(
    deep: Path,
) -> None:
    for group, axes, scale, z_um in (
        (deep, "tczyx", [30.0, 1.0, 0.5, 0.325, 0.325], 3.5),
        (deep / "labels" / "volumes", "tzyx", [30.0, 0.5, 0.325, 0.325], 3.5),
        # One plane as thick as the stack, its centre in the middle of it.
        (deep / "labels" / "nuclei", "tzyx", [30.0, 1.5, 0.325, 0.325], 4.0),
    ):
        yaozarrs.validate_zarr_store(str(group))
        ome: Any = yaozarrs.open_group(str(group)).attrs["ome"]
        (multiscale,) = ome["multiscales"]
        assert [axis["name"] for axis in multiscale["axes"]] == list(axes)
        assert multiscale["axes"][-3] == {
            "name": "z",
            "type": "space",
            "unit": "micrometer",
        }
        first, second = multiscale["datasets"][0]["coordinateTransformations"]
        assert first["scale"] == scale
        assert second["translation"][-3:] == [z_um, -20.0, 100.0]
    root = ET.parse(deep / "frames.ome.xml").getroot()
    planes = [plane.attrib for plane in root.iter(f"{OME}Plane")]
    assert [(p["TheC"], p["TheZ"], p["PositionZ"]) for p in planes] == [
        (c, z, z_um)
        for c in "01"
        for z, z_um in (("0", "3.5"), ("1", "4.0"), ("2", "4.5"))
    ]


def test_yaozarrs_validates_all(run: Written) -> None:
    yaozarrs.validate_zarr_store(str(run.images))
    for place in run.places:
        yaozarrs.validate_zarr_store(str(place))
        yaozarrs.validate_zarr_store(str(place / "labels" / "nuclei"))
    if run.layout == "plate":
        yaozarrs.validate_zarr_store(str(run.images / "others.ome.zarr"))


def test_our_reader_has_all_that_was_acknowledged_and_nothing_else(
    run: Written,
) -> None:
    stored = open_run(run.path)
    for fov in NEEDS.fovs:
        for timestep in range(N_PLANNED):
            assert stored.has(fov, timestep) == ((fov, timestep) in STORED)
    for place in STORED:
        np.testing.assert_array_equal(stored.stack(*place).pixels, pixels_of(*place))
        np.testing.assert_array_equal(
            stored.labels("nuclei", *place), labels_of(*place)
        )
    assert stored.has(0, 0, "Cyan", role=FrameRole.STIM)


def test_zarr_reads_axes_scale_and_labels(run: Written) -> None:
    for fov, place in enumerate(run.places):
        group: Any = zarr.open_group(str(place), mode="r")
        assert group["0"].metadata.dimension_names == tuple("tcyx")
        np.testing.assert_array_equal(group["0"][:], expected_pixels(fov))
        labels = group["labels/nuclei/0"]
        assert labels.metadata.dimension_names == tuple("tyx")
        np.testing.assert_array_equal(labels[:], expected_labels(fov))
        for name, scale in (("", [30, 1, 0.325, 0.325]), ("labels/nuclei", None)):
            (dataset,) = group[name].attrs["ome"]["multiscales"][0]["datasets"]
            (first, *_) = dataset["coordinateTransformations"]
            assert first["scale"] == (scale or [30, 0.325, 0.325])


def test_tensorstore_reads_axes_and_labels(run: Written) -> None:
    for fov, place in enumerate(run.places):
        for folder, axes, expected in (
            (place / "0", "tcyx", expected_pixels(fov)),
            (place / "labels" / "nuclei" / "0", "tyx", expected_labels(fov)),
        ):
            kvstore = {"driver": "file", "path": str(folder)}
            array = ts.open({"driver": "zarr3", "kvstore": kvstore}).result()
            assert array.domain.labels == tuple(axes)
            np.testing.assert_array_equal(array.read().result(), expected)


def test_ome_zarr_py_reads_positions_and_labels(run: Written) -> None:
    for fov, place in enumerate(run.places):
        image, *others = list(Reader(parse_url(str(place), mode="r"))())
        np.testing.assert_array_equal(np.asarray(image.data[0]), expected_pixels(fov))
        assert [axis["name"] for axis in image.metadata["axes"]] == list("tcyx")
        transforms = image.metadata["coordinateTransformations"][0]
        assert transforms[0]["scale"] == [30.0, 1.0, 0.325, 0.325]
        (nuclei,) = (n for n in others if n.zarr.basename() == "nuclei")
        np.testing.assert_array_equal(np.asarray(nuclei.data[0]), expected_labels(fov))


NAPARI = """
import json, sys, zlib
import numpy as np
from napari_ome_zarr import napari_get_reader

def layers(path):
    return [
        {
            "kind": kind,
            "scale": list(about["scale"]),
            "names": about.get("name"),
            "shape": list(data[0].shape),
            "crc": zlib.crc32(np.ascontiguousarray(data[0])),
        }
        for data, about, kind in napari_get_reader(path)(path)
    ]

sys.stdout.write("found: " + json.dumps({p: layers(p) for p in sys.argv[1:]}))
"""

BIOIO = """
import json, sys, zlib
import numpy as np
from bioio import BioImage
import bioio_ome_zarr

def image(path):
    # A path that does not end in .zarr is not recognised, so the reader is named.
    named = None if path.endswith(".zarr") else bioio_ome_zarr.Reader
    found = BioImage(path, reader=named)
    return {
        "order": found.dims.order,
        "shape": list(found.shape),
        "scale": [found.scale.T, found.scale.Y, found.scale.X],
        "channels": list(found.channel_names),
        "crc": zlib.crc32(np.ascontiguousarray(found.data)),
    }

sys.stdout.write("found: " + json.dumps({p: image(p) for p in sys.argv[1:]}))
"""


def told_by(code: str, module: str, paths: list[Path]) -> dict[str, Any]:
    """Return what a program found at ``paths``; skip where it is not installed."""
    if find_spec(module) is None:
        pytest.skip("needs napari-ome-zarr and bioio, which .ci/run installs apart")
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.partition("found: ")[2])
    return found


def crc(array: np.ndarray[Any, Any]) -> int:
    return zlib.crc32(array.tobytes())


def test_napari_opens_roots_and_positions_with_scale_and_labels(
    runs: dict[str, Written], deep: Path
) -> None:
    roots = [run.images for run in runs.values()]
    places = [place for run in runs.values() for place in run.places]
    found = told_by(NAPARI, "napari_ome_zarr", [*roots, *places, deep])
    for run in runs.values():
        for fov, place in enumerate(run.places):
            image, *labels = found[str(place)]
            assert (image["kind"], image["scale"]) == ("image", [30.0, 0.325, 0.325])
            assert [name.partition(": ")[2] for name in image["names"]] == CHANNELS
            assert image["crc"] == crc(expected_pixels(fov))
            nuclei = next(x for x in labels if "nuclei" in x["names"])
            assert (nuclei["kind"], nuclei["scale"]) == ("labels", image["scale"])
            assert nuclei["crc"] == crc(expected_labels(fov))
        layers = found[str(run.images)]
        kinds = [layer["kind"] for layer in layers]
        if run.layout == "collection":
            assert (kinds.count("image"), kinds.count("labels")) == (4, 3)
        else:
            assert kinds.count("image") == 1
            assert layers[0]["shape"] == [N_PLANNED, 2, 2 * SHAPE[0], 2 * SHAPE[1]]
    image, *labels = found[str(deep)]
    assert image["shape"] == [N_PLANNED, 2, N_Z, *SHAPE]
    assert image["scale"] == [30.0, 0.5, 0.325, 0.325]
    scales = {layer["names"]: layer["scale"] for layer in labels}
    assert scales["labels/labels/nuclei"] == [30.0, 1.5, 0.325, 0.325]
    assert scales["labels/labels/volumes"] == image["scale"]


def test_bioio_opens_positions_and_labels(runs: dict[str, Written], deep: Path) -> None:
    places = [place for run in runs.values() for place in run.places]
    labels = [place / "labels" / "nuclei" for place in places]
    found = told_by(BIOIO, "bioio_ome_zarr", [*places, *labels, deep])
    for run in runs.values():
        for fov, place in enumerate(run.places):
            image, nuclei = found[str(place)], found[str(place / "labels" / "nuclei")]
            assert (image["order"], image["channels"]) == ("TCZYX", CHANNELS)
            assert image["shape"] == [N_PLANNED, 2, 1, *SHAPE]
            assert image["scale"] == nuclei["scale"] == [30.0, 0.325, 0.325]
            assert image["crc"] == crc(expected_pixels(fov))
            assert nuclei["shape"] == [N_PLANNED, 1, 1, *SHAPE]
            assert nuclei["crc"] == crc(expected_labels(fov))
    expected = np.zeros((N_PLANNED, *DEEP.shape), np.uint16)
    expected[1] = DEEP
    assert found[str(deep)]["crc"] == crc(expected)
    assert found[str(deep)]["shape"] == [N_PLANNED, 2, N_Z, *SHAPE]
