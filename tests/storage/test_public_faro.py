"""Recordings of the public FARO project, with a real one as the judge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import tensorstore as ts
import tifffile
import zarr

from faro.errors import MissingFrameError, StorageError
from faro.model import FrameRole
from faro.run.stored import replayable_events
from faro.storage import open_run

if TYPE_CHECKING:
    from pathlib import Path

    from faro.protocols import FrameSource


def test_the_real_recording_is_a_frame_source(recording: Path) -> None:
    source: FrameSource = open_run(recording)
    assert source.channels == ("miRFP", "mScarlet3")
    assert (source.fovs, source.n_timepoints) == ((0, 1), 3)
    assert (source.image_shape, source.image_dtype) == ((1024, 1024), "uint16")
    assert source.pixel_size_um is None
    path = recording / "acquisition.ome.zarr" / "0"
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}
    expected = ts.open(spec).result()[2, 1, 1].read().result()
    np.testing.assert_array_equal(source.frame(1, 2, "mScarlet3"), expected)


def test_centroids_of_the_labels_are_where_the_table_says(recording: Path) -> None:
    run = open_run(recording)
    cells = run.cells
    for fov in run.fovs:
        labels = run.labels("labels", fov, 2)
        here = (cells["fov"] == fov) & (cells["timestep"] == 2)
        for label, y, x in zip(
            cells["label"][here][:20], cells["y"][here], cells["x"][here], strict=False
        ):
            rows, columns = np.nonzero(labels == label)
            assert rows.mean() == pytest.approx(y)
            assert columns.mean() == pytest.approx(x)


def test_rows_come_once_and_ids_start_at_one(
    recording: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = open_run(recording)
    with caplog.at_level("WARNING"):
        assert len(run.cells) == 870 - 218
    assert "218 rows come twice" in caplog.text
    raw = pd.read_parquet(recording / "exp_data.parquet")
    assert run.cells["track_id"].min() == raw["particle"].min() + 1
    assert "particle" not in run.cells
    keys = np.stack([run.cells[name] for name in ("fov", "timestep", "label")], axis=1)
    assert len(np.unique(keys, axis=0)) == len(keys)


def test_the_tracks_are_the_table_where_there_is_no_other(
    recording: Path, tmp_path: Path
) -> None:
    for name in ("acquisition.ome.zarr", "tracks"):
        (tmp_path / name).symlink_to(recording / name)
    whole, parts = open_run(recording).cells, open_run(tmp_path).cells
    assert len(parts) == len(whole)
    assert parts["area_nuc"].sum() == whole["area_nuc"].sum()
    events, left_out = replayable_events(open_run(tmp_path))
    moments = [(event.timestep, event.fov) for event in events]
    assert moments == [(t, p) for t in range(3) for p in (0, 1)]
    assert [c.config for c in events[0].channels] == list(open_run(tmp_path).channels)
    assert left_out == ()


def test_what_was_not_stored_is_missing_and_not_black(recording: Path) -> None:
    run = open_run(recording)
    assert run.has(0, 0, "miRFP")
    with pytest.raises(MissingFrameError, match="no labels 'stim_mask' of fov 0"):
        run.labels("stim_mask", 0, 0)
    with pytest.raises(
        MissingFrameError, match="Label images of this run: stim_mask, "
    ):
        run.labels("nuclei", 0, 0)
    for fov, timestep, channel in ((0, 3, "miRFP"), (2, 0, "miRFP"), (0, 0, "DAPI")):
        assert not run.has(fov, timestep, channel)
        with pytest.raises(MissingFrameError, match="no frame of fov"):
            run.frame(fov, timestep, channel)


def test_the_events_are_those_of_the_recording(recording: Path) -> None:
    events, left_out = replayable_events(open_run(recording))
    assert [(e.index["t"], e.index["p"]) for e in events] == [
        (t, p) for t in range(3) for p in range(2)
    ]
    assert [channel.config for channel in events[0].channels] == ["miRFP", "mScarlet3"]
    assert "mCitrine" in left_out


def test_reference_frames_are_read_from_their_files(recording: Path) -> None:
    run = open_run(recording)
    stack = run.stack(1, 2, role=FrameRole.REF)
    assert stack.channels == ("mCitrine",)
    pages = tifffile.imread(recording / "ref" / "001_00002.tiff")
    np.testing.assert_array_equal(stack.pixels[0], pages[2])
    np.testing.assert_array_equal(run.frame(1, 2, "miRFP"), pages[0])


def test_a_frame_whose_chunk_is_gone_is_missing(
    recording: Path, tmp_path: Path
) -> None:
    store = tmp_path / "acquisition.ome.zarr"
    (store / "0").mkdir(parents=True)
    original = recording / "acquisition.ome.zarr"
    (store / "zarr.json").write_bytes((original / "zarr.json").read_bytes())
    for name in ("zarr.json", "0.1.0.0.0"):
        (store / "0" / name).symlink_to(original / "0" / name)
    run = open_run(tmp_path)
    assert run.has(1, 0)
    assert not run.has(0, 0)
    assert run.label_names == ()
    assert len(run.cells) == 0


def test_other_axes_are_refused(tmp_path: Path) -> None:
    store = tmp_path / "acquisition.ome.zarr"
    (store / "0").mkdir(parents=True)
    axes = [{"name": name} for name in "tzyx"]
    ome = {"multiscales": [{"axes": axes}]}
    (store / "zarr.json").write_text(json.dumps({"attributes": {"ome": ome}}))
    (store / "0" / "zarr.json").write_text("{}")
    with pytest.raises(StorageError, match=r"has axes \(t, z, y, x\); understood: "):
        open_run(tmp_path)


def write_zarr(path: Path, axes: str, pixels: np.ndarray[Any, Any]) -> None:
    """Write an image as the public project does, with labels of every frame."""
    group = zarr.open_group(str(path), mode="a")
    names = ("miRFP", "mScarlet3", "stim_0")[: pixels.shape[-3] if "c" in axes else 1]
    ome: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [{"axes": [{"name": axis} for axis in axes]}],
        "omero": {"channels": [{"label": name} for name in names]},
    }
    group.attrs["ome"] = ome
    chunks = (*(1,) * (pixels.ndim - 2), *pixels.shape[-2:])
    array = group.create_array("0", shape=pixels.shape, dtype="uint16", chunks=chunks)
    labels: Any = group.create_group("labels")
    labels.attrs["ome"] = {"labels": ["labels"]}
    mask = pixels[..., 0, :, :] if "c" in axes else pixels
    shape = (1, *mask.shape[1:])
    kept = labels.create_array(
        "labels/0", shape=mask.shape, dtype="uint16", chunks=shape
    )
    for timestep in (0, 2):
        array[timestep] = pixels[timestep]
        kept[timestep] = mask[timestep]


def write_ome_group(path: Path, ome: dict[str, Any]) -> None:
    zarr.open_group(str(path), mode="a").attrs["ome"] = {"version": "0.5", **ome}


def random_pixels(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(len(shape)).integers(1, 999, shape, dtype=np.uint16)


@pytest.mark.parametrize("axes", ["tcyx", "tyx"])
def test_a_recording_of_one_position_is_read(tmp_path: Path, axes: str) -> None:
    pixels = random_pixels(3, *((3,) if axes == "tcyx" else ()), 8, 12)
    write_zarr(tmp_path / "acquisition.ome.zarr", axes, pixels)
    run = open_run(tmp_path)
    assert (run.fovs, run.n_timepoints, run.image_shape) == ((0,), 3, (8, 12))
    stack = run.stack(0, 2)
    expected = pixels[2, :2] if axes == "tcyx" else pixels[2][None]
    np.testing.assert_array_equal(stack.pixels, expected)
    assert stack.channels == ("miRFP", "mScarlet3")[: len(expected)]
    assert not run.has(0, 1)
    first = pixels[0, 0] if axes == "tcyx" else pixels[0]
    np.testing.assert_array_equal(run.labels("labels", 0, 0), first)
    if axes == "tcyx":
        stim = run.stack(0, 0, role=FrameRole.STIM)
        assert stim.channels == ("stim_0",)
        np.testing.assert_array_equal(stim.pixels[0], pixels[0, 2])


def test_a_recorded_plate_is_read(tmp_path: Path) -> None:
    store, pixels = tmp_path / "acquisition.ome.zarr", random_pixels(3, 3, 2, 8, 12)
    wells = [{"path": f"A/{n}", "rowIndex": 0, "columnIndex": n - 1} for n in (1, 2, 3)]
    write_ome_group(store, {"plate": {"wells": wells}})
    for well, mine in zip(wells, pixels, strict=True):
        write_ome_group(
            store / str(well["path"]), {"well": {"images": [{"path": "0"}]}}
        )
        write_zarr(store / str(well["path"]) / "0", "tcyx", mine)
    run = open_run(tmp_path)
    assert (run.fovs, run.channels) == ((0, 1, 2), ("miRFP", "mScarlet3"))
    for fov in run.fovs:
        np.testing.assert_array_equal(run.stack(fov, 2).pixels, pixels[fov, 2])
        np.testing.assert_array_equal(run.labels("labels", fov, 2), pixels[fov, 2, 0])
    assert not run.has(3, 0)
    assert run.label_names == ("labels",)


def test_recorded_folders_of_tiff_are_read(tmp_path: Path) -> None:
    pixels = random_pixels(2, 2, 3, 8, 12)
    plain: dict[str, Any] = {"compression": "zlib", "photometric": "minisblack"}
    for name in ("raw", "ref", "labels", "stim"):
        (tmp_path / name).mkdir()
    for fov, timestep in ((0, 0), (0, 1), (1, 0)):
        name = f"{fov:03d}_{timestep:05d}.tiff"
        stack = pixels[fov, timestep]
        folder, kept = ("ref", stack) if timestep else ("raw", stack[:2])
        tifffile.imwrite(tmp_path / folder / name, kept, **plain)
        labels = stack[0].astype(np.int32)
        tifffile.imwrite(tmp_path / "labels" / name, labels, **plain)
        tifffile.imwrite(tmp_path / "stim" / name, stack[:1], **plain)
    run = open_run(tmp_path)
    assert (run.fovs, run.n_timepoints) == ((0, 1), 2)
    assert (run.channels, run.label_names) == (("channel_0", "channel_1"), ("labels",))
    for fov, timestep in ((0, 0), (0, 1), (1, 0)):
        found = run.stack(fov, timestep).pixels
        np.testing.assert_array_equal(found, pixels[fov, timestep, :2])
        labels = run.labels("labels", fov, timestep)
        np.testing.assert_array_equal(labels, pixels[fov, timestep, 0])
        assert run.has(fov, timestep, "stim_0", role=FrameRole.STIM)
    assert not run.has(1, 1)
    ref = run.stack(0, 1, role=FrameRole.REF)
    assert ref.channels == ("ref_0",)
    np.testing.assert_array_equal(ref.pixels[0], pixels[0, 1, 2])
    assert len(run.cells) == 0
