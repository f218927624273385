"""Which files of a run hold what: from a line of the journal to a file, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from faro.errors import FaroError
from faro.storage.chunks import SHARDING
from faro.storage.jsontext import read_document
from faro.storage.layout import SeriesKey, series_key
from faro.storage.tiffread import image_file, label_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from faro.storage.reader import Run

LABELS: Final = "labels"
_CHUNK = re.compile(r"c\.(\d+)(?:\.\d+)+")
_TIFF = re.compile(r".*_t(\d{5,})(?:\.ome)?\.tif")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file with the pixels of one timepoint.

    Attributes
    ----------
    series
        Path of its series in the folder of the images.
    label
        Name of the label image, empty for the images themselves.
    """

    path: Path
    series: str
    label: str
    timestep: int


class Places:
    """The image files of one run.

    Parameters
    ----------
    run
        Of ours.
    """

    def __init__(self, run: Run) -> None:
        self._is_tiff = run.info.get("layout") == "tiff"
        folder = "images" if self._is_tiff else "images.ome.zarr"
        self.images: Path = run.path / folder

    def array_folders(self) -> Iterator[Path]:
        """Yield the folders of all arrays, of images and labels; none of TIFF files."""
        if not self._is_tiff:
            for path in sorted(self.images.rglob("zarr.json")):
                if path.parent.name == "0" and _is_array(path):
                    yield path.parent

    def of_frame(self, line: Mapping[str, Any]) -> Path | None:
        """Return the file of a stack, None where it shares one with others."""
        series, timestep = self.images / line["series"], line["timestep"]
        if self._is_tiff:
            return image_file(series, timestep)
        return _chunk_file(series / "0", timestep)

    def of_labels(self, series: str, name: str, timestep: int) -> Path | None:
        """Return the file of a label image, None where it shares one with others."""
        if self._is_tiff:
            return label_file(self.images / series, name, timestep)
        return _chunk_file(self.images / series / LABELS / name / "0", timestep)

    def ordinary_series(self) -> Iterator[str]:
        """Yield the series that labels go with: those of planned imaging frames."""
        folders = self.array_folders()
        names = {"/".join(f.relative_to(self.images).parts[:-1]) for f in folders}
        if self._is_tiff:
            names = {folder.name for folder in self.images.iterdir()}
        for name in sorted(names):
            key = series_key(name.rpartition("/")[2])
            if f"/{LABELS}/" not in name and (key is None or key == SeriesKey(key.fov)):
                yield name

    def fov_of(self, series: str) -> int | None:
        """Return the position index of a series, None if it cannot be told."""
        key = series_key(series.rpartition("/")[2])
        if key is not None:
            return key.fov
        try:
            group = read_document(self.images / series / "zarr.json")
            return int(group["attributes"]["faro"]["fov"])
        except (FaroError, KeyError, ValueError):
            return None

    def files(self) -> Iterator[ImageFile]:
        """Yield every file that holds the pixels of one timepoint alone."""
        if self._is_tiff:
            yield from self._tiffs()
        for folder in self.array_folders():
            if not _one_file_each(folder):
                continue
            parts = folder.relative_to(self.images).parts
            label = parts[-2] if LABELS in parts else ""
            series = "/".join(parts[: parts.index(LABELS)] if label else parts[:-1])
            for file in sorted(folder.iterdir()):
                if match := _CHUNK.fullmatch(file.name):
                    yield ImageFile(file, series, label, int(match[1]))

    def _tiffs(self) -> Iterator[ImageFile]:
        for file in sorted(self.images.rglob("*.tif")):
            if match := _TIFF.fullmatch(file.name):
                parts = file.relative_to(self.images).parts
                label = parts[2] if LABELS in parts else ""
                yield ImageFile(file, parts[0], label, int(match[1]))


def _is_array(metadata: Path) -> bool:
    """Return whether a ``zarr.json`` is of an array; a field of a plate is none."""
    try:
        return bool(read_document(metadata)["node_type"] == "array")
    except (FaroError, KeyError):
        return False


def _one_file_each(folder: Path) -> bool:
    """Return whether every timepoint of an array has a file of its own."""
    try:
        metadata = read_document(folder / "zarr.json")
        shape: list[int] = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        return shape[0] == 1
    except (FaroError, ValueError, KeyError, IndexError, TypeError):
        return False


def _chunk_file(folder: Path, timestep: int) -> Path | None:
    """Return the file of one timepoint of an array in our own layout."""
    if not _one_file_each(folder):
        return None
    rank = len(read_document(folder / "zarr.json")["shape"])
    return folder / f"c.{timestep}{'.0' * (rank - 1)}"


def is_packed(metadata: Mapping[str, Any]) -> bool:
    """Return whether the shards of an array hold several timepoints."""
    codec = metadata["codecs"][0]
    shape: list[int] = metadata["chunk_grid"]["configuration"]["chunk_shape"]
    return codec["name"] == SHARDING and shape[0] > 1
