"""Z stacks of whole runs on the demo devices, read back by readers of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

import faro
from faro.microscope import MMDemo
from faro.storage import open_run

if TYPE_CHECKING:
    from pathlib import Path

    from faro.storage.writer import RunWriter

    Plane = tuple[int, int, str, int]
    Pixels = np.ndarray[Any, Any]

KINDS: dict[str, type[RunWriter]] = {
    "collection": faro.OmeZarrWriter,
    "plate": faro.OmeZarrWriterPlate,
    "tiff": faro.TiffWriter,
}
OWN = {
    "z_plan": {"relative": [0, 1.5]},
    "channels": [{"config": "Cy5", "exposure": 5}],
}
SEQUENCE = faro.RTMSequence(
    channels=[
        {"config": "Cy5", "exposure": 5},
        {"config": "FITC", "exposure": 5, "do_stack": False},
        {"config": "DAPI", "exposure": 5, "z_offset": 1.0},
    ],
    stage_positions=[
        {"x": 0, "y": 0, "z": 10, "name": "A1"},
        {"x": 9, "y": 9, "z": 20, "name": "B2", "sequence": OWN},
    ],
    z_plan={"range": 4, "step": 2},
    time_plan={"interval": 0, "loops": 2},
)
COLUMNS = ("fov", "timestep", "channel", "z", "series", "channel_index", "z_um")
HEIGHTS: dict[tuple[int, str], list[float]] = {
    (0, "Cy5"): [8, 10, 12],
    (0, "FITC"): [10],
    (0, "DAPI"): [9, 11, 13],
    (1, "Cy5"): [20, 21.5],
}


def run_it(writer: RunWriter) -> dict[Plane, Pixels]:
    """Run the sequence; return what the camera gave, by (fov, t, channel, z)."""
    taken: dict[Plane, Pixels] = {}

    def keep(pixels: Pixels, event: Any, _metadata: Any) -> None:
        index, config = event.index, event.channel.config
        taken[index["p"], index["t"], config, index.get("z", 0)] = pixels.copy()

    with MMDemo() as demo:
        demo.mmc.setProperty("Camera", "OnCameraCCDXSize", 64)
        demo.mmc.setProperty("Camera", "OnCameraCCDYSize", 48)
        demo.connect_frame(keep)
        summary = faro.Controller(demo, writer=writer).run_experiment(SEQUENCE)
    assert (summary.reason, summary.n_errors) == ("completed", 0)
    return taken


def arrays_of(images: Path, series: str) -> Pixels:
    """Return (T, C, Z, Y, X) of one image, by readers of others."""
    folder = images / series
    if images.name == "images":
        files = sorted(folder.glob("*.ome.tif"))
        return np.stack([tiff_of(file) for file in files])
    location = parse_url(folder)
    assert location is not None
    node = next(iter(Reader(location)()))
    pixels = np.asarray(node.data[0])
    assert np.array_equal(zarr.open_array(folder / "0", mode="r")[:], pixels)
    axes = [axis["name"] for axis in node.metadata["axes"]]
    deep = axes == ["t", "c", "z", "y", "x"]
    assert deep or axes == ["t", "c", "y", "x"]
    return pixels if deep else pixels[:, :, np.newaxis]


def tiff_of(file: Path) -> Pixels:
    """Return (C, Z, Y, X) of the OME-TIFF of one timepoint."""
    with tifffile.TiffFile(file) as opened:
        series = opened.series[0]
        pixels = np.asarray(series.asarray(squeeze=False))
        axes = series.get_axes(squeeze=False)
    order = [axes.index(axis) for axis in "CZYX"]
    rest = [i for i, axis in enumerate(axes) if axis not in "CZYX"]
    moved = np.transpose(pixels, [*rest, *order])
    return moved.reshape(moved.shape[len(rest) :])


@pytest.mark.parametrize("kind", KINDS)
def test_every_plane_is_where_it_was_taken(kind: str, tmp_path: Path) -> None:
    writer = KINDS[kind](tmp_path / "run")
    taken = run_it(writer)
    frames = open_run(writer.path).frames
    images = writer.path / ("images" if kind == "tiff" else "images.ome.zarr")
    arrays = {name: arrays_of(images, name) for name in set(frames["series"])}
    assert {a.shape[2] for a in arrays.values()} == {1, 2, 3}
    rows = zip(*(frames[name] for name in COLUMNS), strict=True)
    heights: dict[tuple[int, str], list[float]] = {}
    n_planes = 0
    for fov, time, channel, z, series, index, z_um in rows:
        plane = max(0, z)
        found = arrays[series][time, index, plane]
        assert np.array_equal(found, taken[fov, time, channel, plane])
        n_planes += 1
        if time == 0:
            heights.setdefault((fov, channel), []).append(z_um)
    assert n_planes == len(taken) == 18
    assert heights == HEIGHTS
    if kind == "plate":
        yaozarrs.validate_zarr_store(str(images))
