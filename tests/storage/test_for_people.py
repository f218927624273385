"""What people want of a run: other layouts, curves, lazy arrays, tracks, a summary."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from geff import read
from geff.validate.data import ValidationConfig
from typer.testing import CliRunner

from faro.cli import app
from faro.errors import MissingFrameError, StorageError
from faro.model import CellTable, FrameRole, RunNeeds, Stack
from faro.storage import OmeZarrWriter, open_run, verify
from faro.storage.converting import convert
from faro.storage.graphfile import write_geff
from faro.storage.tiffread import read_tiff
from faro.storage.trackfiles import write_ctc

if TYPE_CHECKING:
    from pathlib import Path

    from faro.storage import Run

SHAPE = (6, 8)
GONE = (1, 2)
"""(fov, timestep) that was not acquired."""
ROWS = [
    # timestep, track, parent
    (0, 1, 0),
    (1, 1, 0),
    (3, 1, 0),
    (2, 2, 0),
    (3, 2, 0),
    (4, 3, 2),
    (4, 4, 2),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run: a track with a gap, and one that divides."""
    wells = {0: "A1", 1: "B2"}
    needs = RunNeeds(5, (0, 1), ("a", "b"), SHAPE, fov_wells=wells)
    writer = OmeZarrWriter(tmp_path_factory.mktemp("people") / "run")
    writer.open(needs, {})
    write(writer, range(5))
    writer.close({"reason": "completed", "n_errors": 0})
    return open_run(writer.path)


def write(writer: OmeZarrWriter, times: range) -> None:
    """Write the frames, labels and rows of some timepoints."""
    for fov in (0, 1):
        for t in times:
            if (fov, t) == GONE:
                continue
            pixels = np.full((2, *SHAPE), 10 * fov + t + 1, np.uint16)
            pixels[1] += 100
            writer.store_stack(Stack(pixels, ("a", "b"), fov, t), {})
            tracks = np.zeros(SHAPE, np.uint32)
            here = [(track, parent) for when, track, parent in ROWS if when == t]
            for row, (track, _) in enumerate(here):
                tracks[row, :3] = track
            writer.store_labels("tracks", fov, t, tracks)
            ids = np.array([track for track, _ in here], np.int64)
            table: dict[str, Any] = {
                "fov": np.full(len(ids), fov, np.int32),
                "timestep": np.full(len(ids), t, np.int32),
                "label": np.arange(1, len(ids) + 1, dtype=np.int32),
                "track_id": ids,
                "parent_id": np.array([p for _, p in here], np.int64),
                "y": np.arange(len(ids), dtype=float),
                "x": np.ones(len(ids)),
                "area": np.full(len(ids), 3, np.int64),
                "cnr": 0.1 * ids + t,
            }
            writer.store_cells(fov, t, CellTable(table))


def test_a_column_becomes_a_curve_per_track(run: Run) -> None:
    series = run.cells.pivot("cnr")
    assert series.timestep.tolist() == [0, 1, 2, 3, 4]
    assert list(zip(series.fov.tolist(), series.track_id.tolist(), strict=True)) == [
        (fov, track) for fov in (0, 1) for track in (1, 2, 3, 4)
    ]
    first = series.values[0]
    assert np.isnan(first[[2, 4]]).all()
    assert first[[0, 1, 3]].tolist() == pytest.approx([0.1, 1.1, 3.1])
    frame = series.to_pandas()
    flat = run.to_pandas().pivot_table(
        index="timestep", columns=["fov", "track_id"], values="cnr"
    )
    assert list(frame.columns) == list(flat.columns)
    assert list(frame.index) == list(flat.index)
    assert frame.to_numpy() == pytest.approx(flat.to_numpy(), nan_ok=True)
    expected = flat.mean(axis=1).to_numpy()
    assert series.mean() == pytest.approx(expected)
    assert series.std() == pytest.approx(flat.std(axis=1, ddof=0).to_numpy())
    with pytest.raises(KeyError, match=r"no column .erk.*cnr"):
        run.cells.pivot("erk")


def test_rows_are_chosen_in_the_words_of_pandas(run: Run) -> None:
    chosen = run.cells.query("fov == 1 and track_id in (3, 4)")
    assert chosen["timestep"].tolist() == [4, 4]
    assert chosen.units == run.cells.units
    assert len(run.cells.query("area > 3")) == 0
    assert len(run.cells.query("area > 3").pivot("cnr")) == 0


def test_rows_are_tables_of_pandas_and_of_polars(run: Run) -> None:
    pandas, polars = run.cells.to_pandas(), run.cells.to_polars()
    assert list(pandas.columns) == polars.columns == list(run.cells.names)
    for name in run.cells.names:
        assert pandas[name].tolist() == polars[name].to_list()


def test_arrays_are_read_when_they_are_computed(run: Run) -> None:
    images = run.lazy(1)
    assert images.shape == (5, 2, *SHAPE)
    assert images.chunks[0] == (1,) * 5
    assert int(images[3, 1, 0, 0].compute()) == 10 + 4 + 100
    assert not images[GONE[1]].compute().any()
    tracks = run.lazy(0, "tracks")
    assert tracks.shape == (5, *SHAPE)
    assert np.asarray(tracks).max() == 4
    with pytest.raises(MissingFrameError, match="no labels 'nuclei'"):
        run.lazy(0, "nuclei")
    with pytest.raises(MissingFrameError, match="no ref frame"):
        run.lazy(0, role=FrameRole.REF)


def test_a_run_that_goes_on_or_was_killed_is_read_in_the_same_way(
    run: Run, tmp_path: Path
) -> None:
    writer = OmeZarrWriter(tmp_path / "run")
    writer.open(RunNeeds(5, (0, 1), ("a", "b"), SHAPE), {})
    live = open_run(writer.path)
    assert live.napari_tracks(0)[0].shape == (0, 4)
    with pytest.raises(KeyError, match="no cell was found so far"):
        live.cells.pivot("cnr")
    with pytest.raises(StorageError, match="no tracks of fov 0"):
        write_geff(live, tmp_path / "none.geff", 0)
    write(writer, range(3))
    writer.sync()
    shutil.copytree(writer.path, tmp_path / "killed")  # as SIGKILL leaves it
    write(writer, range(3, 5))
    writer.sync()
    until, killed = run.cells.query("timestep < 3"), open_run(tmp_path / "killed")
    for other, rows in ((live, run.cells), (killed, until)):
        assert other.summary is None
        assert other.cells.to_polars().equals(rows.to_polars())
        assert other.cells.to_pandas().equals(rows.to_pandas())
        curves = rows.pivot("cnr")
        given = other.cells.pivot("cnr").values
        assert np.array_equal(given, curves.values, equal_nan=True)
        data, _, properties = other.napari_tracks(1)
        assert len(data) == len(properties["cnr"]) == (rows["fov"] == 1).sum()
    for role in ("images", "tracks"):
        name = None if role == "images" else role
        expected = np.asarray(run.lazy(1, name))
        assert np.array_equal(np.asarray(live.lazy(1, name)), expected)
        assert np.array_equal(np.asarray(killed.lazy(1, name))[:3], expected[:3])
    writer.close({})


def test_tracks_are_given_as_napari_takes_them(run: Run) -> None:
    data, graph, properties = run.napari_tracks(0)
    assert data[:, :2].tolist() == [
        [1, 0],
        [1, 1],
        [1, 3],
        [2, 2],
        [2, 3],
        [3, 4],
        [4, 4],
    ]
    assert graph == {3: [2], 4: [2]}
    assert set(properties) >= {"cnr", "area"}
    assert all(len(values) == len(data) for values in properties.values())


def test_tracks_are_written_for_the_cell_tracking_challenge(
    run: Run, tmp_path: Path
) -> None:
    files = write_ctc(run, tmp_path / "01_RES", 0)
    lines = (tmp_path / "01_RES/res_track.txt").read_text("ascii").splitlines()
    assert lines == ["1 0 1 0", "2 3 3 1", "3 2 3 0", "4 4 4 3", "5 4 4 3"]
    assert len(files) == 6
    masks = [read_tiff(tmp_path / f"01_RES/mask{t:03d}.tif") for t in range(5)]
    there = [sorted(set(np.unique(mask).tolist()) - {0}) for mask in masks]
    assert there == [[1], [1], [3], [2, 3], [4, 5]]
    assert masks[0].dtype == np.uint16
    with pytest.raises(StorageError, match="is not replaced"):
        write_ctc(run, tmp_path / "01_RES", 0)
    with pytest.raises(StorageError, match="no tracks of fov 7"):
        write_ctc(run, tmp_path / "07_RES", 7)


def test_tracks_are_written_as_a_graph(run: Run, tmp_path: Path) -> None:
    given = ["export", str(run.path), "--geff", "-o", str(tmp_path), "--position", "0"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    checks = ValidationConfig(graph=True)
    graph, metadata = read(tmp_path / "p000.geff", data_validation=checks)
    at = {n: (int(v["t"]), int(v["track_id"])) for n, v in graph.nodes(data=True)}
    assert sorted(at.values()) == sorted((time, track) for time, track, _ in ROWS)
    assert sorted((at[a], at[b]) for a, b in graph.edges) == [
        ((0, 1), (1, 1)),
        ((1, 1), (3, 1)),
        ((2, 2), (3, 2)),
        ((3, 2), (4, 3)),
        ((3, 2), (4, 4)),
    ]
    assert [axis.name for axis in metadata.axes] == ["t", "y", "x"]
    assert sorted(v["cnr"] for _, v in graph.nodes(data=True)) == pytest.approx(
        sorted(run.cells.query("fov == 0")["cnr"])
    )
    with pytest.raises(StorageError, match="is not replaced"):
        write_geff(run, tmp_path / "p000.geff", 0)
    with pytest.raises(StorageError, match="no tracks of fov 7"):
        write_geff(run, tmp_path / "p007.geff", 7)


@pytest.mark.parametrize("layout", ["collection", "plate", "tiff"])
def test_a_run_is_converted_to_every_layout_and_back(
    run: Run, layout: str, tmp_path: Path
) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    given = ["convert", str(run.path), "-o", str(there), "--layout", layout]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert "9 stacks, 9 label images and 13 rows" in result.output
    if layout == "tiff":
        with tifffile.TiffFile(there / "images/p000/p000_t00000.ome.tif") as file:
            assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
    convert(open_run(there), OmeZarrWriter(back))
    again = open_run(back)
    for fov in (0, 1):
        for t in range(5):
            assert again.has(fov, t) == run.has(fov, t)
            if run.has(fov, t):
                then, now = run.stack(fov, t), again.stack(fov, t)
                assert np.array_equal(then.pixels, now.pixels)
    for name in run.cells.names:
        assert run.cells[name].tolist() == again.cells[name].tolist()
    assert not [p for p in verify(there) if p.severity == "error"]
    assert not [p for p in verify(back) if p.severity == "error"]


def test_public_runs_keep_their_ids_beside_repaired_tracks(
    shared_data: Path, tmp_path: Path
) -> None:
    source = open_run(shared_data / "erk_ktr")
    done = convert(source, OmeZarrWriter(tmp_path / "own"))
    made = open_run(tmp_path / "own")
    assert done.n_cells == len(made.cells) == len(source.cells)
    keys = {(r["fov"], r["timestep"], r["label"]) for r in _records(source)}
    assert {(r["fov"], r["timestep"], r["label"]) for r in _records(made)} == keys
    assert (made.cells["particle"] + 1 == made.cells["track_id"]).mean() > 0.99
    names = ("fov", "timestep", "track_id")
    ids = np.stack([made.cells[name] for name in names], axis=1)
    assert len(np.unique(ids, axis=0)) == len(ids)


def test_info_says_what_is_inside(run: Run, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(run.path)])
    assert result.exit_code == 0
    said = dict(line.split(None, 1) for line in result.output.splitlines())
    assert said["images"] == "2 positions x 5 timepoints, (6, 8) (Y, X) uint16"
    assert said["channels"] == "a, b"
    assert said["cells"] == "13 rows, 8 tracks"
    assert said["state"] == "completed, no errors"
    killed = OmeZarrWriter(tmp_path / "killed")
    killed.open(RunNeeds(1, (0,), ("a",), SHAPE), {})
    killed.record("run_started")
    told = CliRunner().invoke(app, ["info", str(killed.path)]).output
    assert "not closed: it is going on, or was killed" in told
    killed.close({})


def _records(run: Run) -> list[dict[str, int]]:
    names = ("fov", "timestep", "label")
    columns = [run.cells[name].tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
