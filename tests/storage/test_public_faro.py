"""Recordings of the public FARO project, with a real one as the judge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import tensorstore as ts

from faro.errors import MissingFrameError, StorageError
from faro.storage import PublicFaroRun, open_source

if TYPE_CHECKING:
    from pathlib import Path

    from faro.protocols import FrameSource


def test_the_real_recording_is_a_frame_source(recording: Path) -> None:
    source: FrameSource = PublicFaroRun(recording)
    assert source.channels == ("miRFP", "mScarlet3")
    assert (source.fovs, source.n_timepoints) == ((0, 1), 3)
    assert (source.image_shape, source.image_dtype) == ((1024, 1024), "uint16")
    assert source.pixel_size_um is None
    path = recording / "acquisition.ome.zarr" / "0"
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}
    expected = ts.open(spec).result()[2, 1, 1].read().result()
    np.testing.assert_array_equal(source.frame(1, 2, "mScarlet3"), expected)


def test_centroids_of_the_labels_are_where_the_table_says(recording: Path) -> None:
    run = PublicFaroRun(recording)
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


def test_rows_come_once_and_ids_start_at_one(recording: Path) -> None:
    run = PublicFaroRun(recording)
    assert run.n_duplicates == 218
    assert len(run.cells) == 870 - 218
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
    whole, parts = PublicFaroRun(recording).cells, PublicFaroRun(tmp_path).cells
    assert len(parts) == len(whole)
    assert parts["area_nuc"].sum() == whole["area_nuc"].sum()
    with pytest.raises(StorageError, match=r"holds no events\.json"):
        PublicFaroRun(tmp_path).events()


def test_what_was_not_stored_is_missing_and_not_black(recording: Path) -> None:
    run = PublicFaroRun(recording)
    assert run.has(0, 0, "miRFP")
    with pytest.raises(MissingFrameError, match="no labels 'stim_mask' of fov 0"):
        run.labels("stim_mask", 0, 0)
    with pytest.raises(MissingFrameError, match="Label images there: stim_mask, "):
        run.labels("nuclei", 0, 0)
    for fov, timestep, channel in ((0, 3, "miRFP"), (2, 0, "miRFP"), (0, 0, "DAPI")):
        assert not run.has(fov, timestep, channel)
        with pytest.raises(MissingFrameError, match="no frame of fov"):
            run.frame(fov, timestep, channel)


def test_the_events_are_those_of_the_recording(recording: Path) -> None:
    events = PublicFaroRun(recording).events()
    assert [(e.index["t"], e.index["p"]) for e in events] == [
        (t, p) for t in range(3) for p in range(2)
    ]
    assert [channel.config for channel in events[0].channels] == ["miRFP", "mScarlet3"]
    assert [channel.config for channel in events[-1].ref_channels] == ["mCitrine"]


def test_either_kind_of_run_is_opened(recording: Path) -> None:
    assert isinstance(open_source(recording), PublicFaroRun)


def test_a_frame_whose_chunk_is_gone_is_missing(
    recording: Path, tmp_path: Path
) -> None:
    store = tmp_path / "acquisition.ome.zarr"
    (store / "0").mkdir(parents=True)
    original = recording / "acquisition.ome.zarr"
    (store / "zarr.json").write_bytes((original / "zarr.json").read_bytes())
    for name in ("zarr.json", "0.1.0.0.0"):
        (store / "0" / name).symlink_to(original / "0" / name)
    run = PublicFaroRun(tmp_path)
    assert run.has(1, 0)
    assert not run.has(0, 0)
    assert run.label_names == ()
    assert len(run.cells) == 0


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is no public FARO recording"):
        PublicFaroRun(tmp_path)


def test_other_axes_are_refused(tmp_path: Path) -> None:
    store = tmp_path / "acquisition.ome.zarr"
    (store / "0").mkdir(parents=True)
    axes = [{"name": name} for name in "tzyx"]
    ome = {"multiscales": [{"axes": axes}]}
    (store / "zarr.json").write_text(json.dumps({"attributes": {"ome": ome}}))
    (store / "0" / "zarr.json").write_text("{}")
    with pytest.raises(StorageError, match=r"has axes \['t', 'z', 'y', 'x'\]"):
        PublicFaroRun(tmp_path)
