"""Images that no FARO wrote, as runs: axes in any order, both zarr versions, TIFF."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import zarr
from ome_zarr.format import FormatV04, FormatV05
from typer.testing import CliRunner

from faro.cli import app
from faro.errors import StorageError
from faro.storage import open_run
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

SHAPE = (64, 80)
UNITS = {"t": "second", "y": "micrometer", "x": "micrometer"}


def pixels(axes: str, seed: int = 0) -> npt.NDArray[np.uint16]:
    """Return numbered pixels with these axes."""
    sizes = {"t": 3, "c": 2, "z": 4, "y": SHAPE[0], "x": SHAPE[1]}
    shape = [sizes[axis] for axis in axes]
    return (np.arange(np.prod(shape)) + seed).astype(np.uint16).reshape(shape)


def write_zarr(path: Path, axes: str, version: str, seed: int = 0) -> None:
    """Write an OME-Zarr image with the reference library."""
    form = FormatV04() if version == "0.4" else FormatV05()
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    with warnings.catch_warnings():  # the library warns of itself when it is loaded
        warnings.simplefilter("ignore", DeprecationWarning)
        from ome_zarr.writer import write_image
    write_image(
        pixels(axes, seed),
        group,
        scale_factors=(),
        fmt=form,
        axes=list(axes),
        scale={axis: 0.325 if axis in "yx" else 1.0 for axis in axes},
        axes_units={axis: unit for axis, unit in UNITS.items() if axis in axes},
    )


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["tcyx", "tczyx", "tyx", "yx"])
def test_an_ome_zarr_image_is_a_position(
    axes: str, version: str, tmp_path: Path
) -> None:
    path = tmp_path / "image.ome.zarr"
    write_zarr(path, axes, version)
    run, expected = open_run(path), pixels(axes)
    assert run.pixel_size_um == pytest.approx(0.325)
    assert (run.fovs, run.image_shape) == ((0,), SHAPE)
    assert run.n_timepoints == (3 if "t" in axes else 1)
    for t in range(run.n_timepoints):
        for c, name in enumerate(run.channels):
            place = tuple({"t": t, "c": c}.get(a, slice(None)) for a in axes)
            found = run.volume(0, t, name)
            assert np.array_equal(found if "z" in axes else found[0], expected[place])
    assert run.cells.names == ()
    assert not run.has(0, 3)


def test_a_folder_of_images_is_a_run_with_positions(tmp_path: Path) -> None:
    for number in range(3):
        write_zarr(tmp_path / f"{number}.ome.zarr", "tcyx", "0.5", seed=number)
    run = open_run(tmp_path)
    assert run.fovs == (0, 1, 2)
    assert [int(run.frame(p, 0, run.channels[0])[0, 0]) for p in run.fovs] == [0, 1, 2]


@pytest.mark.parametrize("axes", ["TCYX", "TZCYX", "CYX", "YX"])
def test_an_ome_tiff_is_a_position(axes: str, tmp_path: Path) -> None:
    path, expected = tmp_path / "image.ome.tif", pixels(axes.lower())
    names = {"Channel": {"Name": ["DAPI", "GFP"]}} if "C" in axes else {}
    said = {
        "axes": axes,
        "PhysicalSizeX": 0.65,
        "PhysicalSizeXUnit": "\u00b5m",
        **names,
    }
    tifffile.imwrite(path, expected, metadata=said)
    for run in (open_run(path), open_run(tmp_path)):
        assert run.pixel_size_um == pytest.approx(0.65)
        assert run.channels == (("DAPI", "GFP") if "C" in axes else ("channel_0",))
        for t in range(run.n_timepoints):
            for c, name in enumerate(run.channels):
                place = tuple({"T": t, "C": c}.get(a, slice(None)) for a in axes)
                found = run.volume(0, t, name)
                same = found if "Z" in axes else found[0]
                assert np.array_equal(same, expected[place])


def test_axes_and_types_that_are_not_understood_are_named(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "rgb.ome.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb"
    )
    with pytest.raises(StorageError, match=r"has axes \(y, x, s\)"):
        open_run(tmp_path / "rgb.ome.tif")
    tifffile.imwrite(tmp_path / "float.ome.tif", np.zeros((8, 8), np.float32))
    with pytest.raises(StorageError, match="float32"):
        open_run(tmp_path / "float.ome.tif")


def test_plain_images_are_replayed_and_analysed_again(tmp_path: Path) -> None:
    cells = np.stack([synthetic_stack((96, 96), 6, 4)[0] for _ in range(3)])
    tifffile.imwrite(tmp_path / "movie.ome.tif", cells, metadata={"axes": "TCYX"})
    pipeline = tmp_path / "p.toml"
    pipeline.write_text('[pipeline]\nfeatures = ["ShapeFeatures"]\n', encoding="utf-8")
    for verb in ("replay", "reanalyze"):
        given = [verb, str(tmp_path / "movie.ome.tif"), "-o", str(tmp_path / verb)]
        result = CliRunner().invoke(app, [*given, "--pipeline", str(pipeline)])
        assert result.exit_code == 0, result.output
    one, other = (open_run(tmp_path / verb) for verb in ("replay", "reanalyze"))
    assert len(one.cells) == len(other.cells) > 10
    assert one.cells["track_id"].tolist() == other.cells["track_id"].tolist()
    assert (other.summary or {})["n_stacks"] == 3
