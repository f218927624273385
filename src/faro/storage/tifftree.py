"""Series as folders of OME-TIFF files, one file per stack."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
import tifffile

from faro.errors import Problem
from faro.storage import disk
from faro.storage.environment import faro_version
from faro.storage.omexml import SeriesFacts, ome_xml_of_planes
from faro.storage.series import LabelArray, Series, label_dtype
from faro.storage.tiffread import image_file, label_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from faro.model import Stack
    from faro.storage.chunks import StoredArray
    from faro.storage.disk import Durability
    from faro.storage.layout import SeriesKey
    from faro.storage.ngff import ImageFacts

Compression: TypeAlias = Literal["zstd", "zlib", "none"]
"""How pages are compressed; zstd needs imagecodecs, also to read it."""

UM_PER_CM: Final = 1e4
NS_PER_S: Final = 1e9


def compression_problems(compression: Compression) -> list[Problem]:
    """Return why a compression cannot be used here."""
    if compression != "zstd" or find_spec("imagecodecs") is not None:
        return []
    what = "zstd in TIFF files needs the library 'imagecodecs'."
    remedy = "Install it with: pip install 'faro-microscopy[tiff]', or give "
    return [Problem("writer/compression", what, f'{remedy}compression="zlib".')]


def page_options(
    compression: Compression, pixel_size_um: float | None
) -> dict[str, Any]:
    """Return how `tifffile` writes the pages of an image."""
    options: dict[str, Any] = {
        "photometric": "minisblack",
        "metadata": None,
        "software": f"faro-microscopy {faro_version()}",
    }
    if compression != "none":
        options |= {"compression": compression, "predictor": True}
    if pixel_size_um:
        per_cm = UM_PER_CM / pixel_size_um
        options |= {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}
    return options


class TiffTree:
    """Folders of OME-TIFF files, ``p000/p000_t00000.ome.tif``.

    Parameters
    ----------
    path
        Folder of the series.
    uuid
        Of the run.
    """

    equal_t: Final = False

    def __init__(
        self, path: Path, durability: Durability, compression: Compression, *, uuid: str
    ) -> None:
        self._path, self._durability = path, durability
        self._compression, self._uuid = compression, uuid
        disk.make_folder(path, synced=durability == "power-loss")

    def create(
        self, key: SeriesKey, facts: ImageFacts, n_timepoints: int
    ) -> TiffSeries:
        """Create the folder of a series."""
        folder = self._path / key.stem
        disk.make_folder(folder, synced=self._durability == "power-loss")
        writer = TiffFiles(self._compression, self._durability, self._uuid)
        return TiffSeries(folder, facts, n_timepoints, writer)

    def list_series(self, series: Sequence[SeriesFacts]) -> None:
        """Do nothing: every file says itself what it is."""


class TiffFiles:
    """Writes TIFF files whole, under their name only when complete."""

    def __init__(
        self, compression: Compression, durability: Durability, uuid: str
    ) -> None:
        self._compression, self._synced = compression, durability == "power-loss"
        self.uuid = uuid

    def write(
        self,
        path: Path,
        pages: npt.NDArray[Any],
        pixel_size_um: float | None,
        description: bytes | None = None,
    ) -> None:
        """Write ``pages`` (Y, X) or with more axes before them, in their order.

        Raises
        ------
        StorageError
            If they cannot be written.
        """
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer,
            pages,
            description=description,
            **page_options(self._compression, pixel_size_um),
        )
        disk.write_atomic(path, buffer.getvalue(), synced=self._synced)

    def make_folder(self, path: Path) -> None:
        """Create a folder."""
        disk.make_folder(path, synced=self._synced)


class TiffSeries(Series):
    """The stacks of one FOV and role that share a format, as files; thread-safe.

    Parameters
    ----------
    folder
        Where the files are; exists.
    """

    def __init__(
        self, folder: Path, facts: ImageFacts, n_timepoints: int, files: TiffFiles
    ) -> None:
        super().__init__(folder.name, facts)
        self._folder, self._files = folder, files
        self._n_timepoints = n_timepoints

    @property
    def n_timepoints(self) -> int:
        """Length of the time axis."""
        return self._n_timepoints

    def describe(self, facts: ImageFacts) -> None:
        """Replace what the next files say; each says what was known when stored."""
        self.facts = facts

    def note(self, record: Mapping[str, Any]) -> None:
        """Do nothing: the file of a stack says all of it."""

    def finish(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Do nothing: every file is complete."""

    def _grow(self, n_timepoints: int) -> None:
        self._n_timepoints = max(self._n_timepoints, n_timepoints)

    def _store(self, stack: Stack, at: list[int]) -> None:
        del at  # A file names its own channels.
        self._grow(stack.timestep + 1)
        path = image_file(self._folder, stack.timestep)
        size_um = self.facts.place.pixel_size_um
        self._files.write(path, stack.pixels, size_um, self._xml(stack))

    def _xml(self, stack: Stack) -> bytes:
        """Return the OME-XML of the file of one stack; its own t is 0."""
        form = replace(self.facts.format, channels=stack.channels)
        line = {
            "timestep": 0,
            "channels": stack.channels,
            "acquired_s": stack.acquired_s,
            "exposures_ms": stack.exposures_ms,
            "position_um": stack.position_um,
            "z_um": stack.z_um,
            "z_offsets_um": stack.z_offsets_um,
        }
        title = f"{self.facts.faro['name']} t={stack.timestep}"
        facts = SeriesFacts(
            self.name, title, form, self.facts.place, n_timepoints=1, lines=(line,)
        )
        planes = [
            (0, channel, z)
            for channel in range(len(stack.channels))
            for z in range(form.n_z or 1)
        ]
        wall = datetime.fromtimestamp(stack.wall_ns / NS_PER_S, UTC)
        created = wall.isoformat(timespec="milliseconds")
        return ome_xml_of_planes(facts, planes, uuid=self._files.uuid, created=created)

    def _link(self, timestep: int, source: StoredArray) -> bool:  # noqa: ARG002
        return False  # arrays have no TIFF files

    def _new_label(self, name: str, like: LabelArray) -> TiffLabels:
        self._files.make_folder(label_file(self._folder, name, 0).parent)
        return TiffLabels(self._folder, name, like, self._files, self.facts)


class TiffLabels:
    """The label images of one name and series, a file each."""

    def __init__(
        self,
        folder: Path,
        name: str,
        like: LabelArray,
        files: TiffFiles,
        facts: ImageFacts,
    ) -> None:
        self._folder, self._name, self._files, self._facts = folder, name, files, facts
        self.dtype, self.shape = np.dtype(label_dtype(like)), like.shape

    def grow(self, n_timepoints: int) -> None:
        """Do nothing: there is a file for each timepoint that was stored."""

    def link(self, timestep: int, source: StoredArray, /) -> bool:  # noqa: ARG002
        """Return False: arrays have no TIFF files."""
        return False

    def write(self, timestep: int, labels: LabelArray, /) -> None:
        """Store labels (Y, X) or (Z, Y, X); a second time replaces."""
        path = label_file(self._folder, self._name, timestep)
        self._files.write(path, labels, self._facts.place.pixel_size_um)
