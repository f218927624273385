"""Held against the ERK-KTR recording: labels, rings and every published number."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from faro.analysis import (
    BlobSegmenter,
    ErkKtrFeatures,
    LocalThresholdSegmenter,
    OtsuSegmenter,
    PixelCells,
    StreamingTracker,
    match_labels,
)
from faro.model import Stack

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from faro.protocols.analysis import Labels

CHANNELS = ("miRFP", "mScarlet3")
FRAMES = [(fov, timestep) for fov in (0, 1) for timestep in (0, 1, 2)]
PUBLISHED = {
    f"{statistic}_intensity_C{number}_{region}": f"{statistic}_{channel}_{region}"
    for statistic in ("mean", "median")
    for number, channel in enumerate(CHANNELS)
    for region in ("nuc", "ring")
} | {"area_nuc": "area_nuc", "cnr": "cnr", "cnr_median": "cnr_median"}


class Recording(NamedTuple):
    """What was stored: images (t, p, c, Y, X), labels (t, p, Y, X), the table."""

    raw: Any
    labels: Any
    rings: Any
    table: pd.DataFrame
    reference: npt.NDArray[np.uint16]

    def stack(self, fov: int, timestep: int) -> Stack:
        pixels = np.asarray(self.raw[timestep, fov])
        return Stack(pixels, CHANNELS, fov=fov, timestep=timestep)

    def cells(self, fov: int, timestep: int) -> PixelCells:
        return PixelCells(np.asarray(self.labels[timestep, fov]).astype(np.int32))

    def rows(self, fov: int, timestep: int) -> pd.DataFrame:
        here = (self.table["fov"] == fov) & (self.table["timestep"] == timestep)
        return self.table[here].drop_duplicates("label").sort_values("label")


@pytest.fixture(scope="module")
def recording(shared_data: Path) -> Recording:
    zarr = pytest.importorskip("zarr")
    pandas = pytest.importorskip("pandas")
    folder = shared_data / "erk_ktr"
    store = folder / "acquisition.ome.zarr"
    # both imaging channels again, then the reference channel
    pages = tifffile.imread(folder / "ref" / "001_00002.tiff")
    return Recording(
        raw=zarr.open_array(store / "0", mode="r"),
        labels=zarr.open_array(store / "labels" / "labels" / "0", mode="r"),
        rings=zarr.open_array(store / "labels" / "labels_ring" / "0", mode="r"),
        table=pandas.read_parquet(folder / "exp_data.parquet"),
        reference=np.asarray(pages[2], np.uint16),
    )


@pytest.mark.parametrize(("fov", "timestep"), FRAMES)
def test_every_published_number_is_recomputed_bit_for_bit(
    recording: Recording, fov: int, timestep: int
) -> None:
    cells, rows = recording.cells(fov, timestep), recording.rows(fov, timestep)
    ours = ErkKtrFeatures("mScarlet3").features(cells, recording.stack(fov, timestep))
    # the published x is the row and y the column
    ours |= {"row": cells.y, "column": cells.x}
    at = np.searchsorted(cells.label, rows["label"].to_numpy())
    assert cells.label[at].tolist() == rows["label"].tolist()
    assert len(rows) >= len(cells) - 2  # cells that the public project lost
    for published, name in (PUBLISHED | {"x": "row", "y": "column"}).items():
        expected = rows[published].to_numpy()
        found = np.asarray(ours[name])[at].astype(expected.dtype)
        assert np.array_equal(found, expected), published


def test_the_reference_intensity_is_recomputed(recording: Recording) -> None:
    cells, rows = recording.cells(1, 2), recording.rows(1, 2)
    at = np.searchsorted(cells.label, rows["label"].to_numpy())
    found = cells.mean(recording.reference)[at]
    expected = rows["ref_mean_intensity"].to_numpy()
    known = ~np.isnan(expected)
    assert known.sum() > 50
    assert np.array_equal(found[known], expected[known])


@pytest.mark.parametrize(("fov", "timestep"), FRAMES)
def test_the_recorded_rings_are_reproduced(
    recording: Recording, fov: int, timestep: int
) -> None:
    ring = recording.cells(fov, timestep).ring(margin=2, distance=4)
    assert np.array_equal(ring.labels, np.asarray(recording.rings[timestep, fov]))


@pytest.mark.parametrize(("fov", "timestep"), FRAMES)
def test_the_default_segmenter_finds_the_cells_of_the_experiment(
    recording: Recording, fov: int, timestep: int
) -> None:
    image = recording.stack(fov, timestep)["miRFP"]
    truth: Labels = np.asarray(recording.labels[timestep, fov]).astype(np.int32)
    match = match_labels(truth, LocalThresholdSegmenter().segment(image))
    assert match.f1 >= 0.95
    assert match.f1 > match_labels(truth, OtsuSegmenter().segment(image)).f1


def test_fields_that_take_turns_get_the_ids_they_get_alone_and_no_cell_is_lost(
    recording: Recording,
) -> None:
    prototype = StreamingTracker()
    alone: list[list[list[int]]] = []
    for fov in (0, 1):
        tracker = copy.deepcopy(prototype)
        frames = [recording.cells(fov, t) for t in (0, 1, 2)]
        alone.append([tracker.update(t, c).tolist() for t, c in enumerate(frames)])
    turns = [copy.deepcopy(prototype), copy.deepcopy(prototype)]
    mixed: list[list[list[int]]] = [[], []]
    for timestep in (0, 1, 2):
        for fov in (0, 1):
            cells = recording.cells(fov, timestep)
            ids = turns[fov].update(timestep, cells)
            assert len(set(ids.tolist())) == len(ids) == len(cells)
            assert ids.min() >= 1
            mixed[fov].append(ids.tolist())
    assert mixed == alone


@pytest.mark.parametrize(
    ("name", "best", "average_precision"),
    [
        ("", LocalThresholdSegmenter(), 0.55),
        ("", BlobSegmenter(diameter_px=20.0), 0.7),
        ("test_", LocalThresholdSegmenter(diameter_px=20.0), 0.65),
    ],
)
def test_nuclei_are_found_as_people_drew_them(
    shared_data: Path, name: str, best: Any, average_precision: float
) -> None:
    image = tifffile.imread(shared_data / "nuclei" / f"{name}img2d.tif")
    drawn = tifffile.imread(shared_data / "nuclei" / f"{name}mask2d.tif")
    match = match_labels(drawn, best.segment(image))
    assert match.average_precision >= average_precision
    plain = match_labels(drawn, OtsuSegmenter().segment(image))
    assert match.average_precision > plain.average_precision
