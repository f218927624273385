"""Names and paths of a run folder; the contract that a reader relies on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from faro.model import FrameRole

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "faro-run"
"""What ``run.json`` says it is."""

SCHEMA_VERSION: Final = "1.2"
"""Version of the layout; a reader refuses a newer major."""

Layout: TypeAlias = Literal["collection", "plate", "tiff"]
"""How the images of a run lie on disk."""

OTHERS: Final = "others.ome.zarr"
"""Collection inside a plate, of the series that are no fields."""

_SERIES = re.compile(r"p(\d{3,})(?:_(stim|ref))?(?:_(\d+))?(?:\.ome\.zarr)?")
_SEGMENT = re.compile(r"p(\d{3,})(?:_(\d{2,}))?\.arrows")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Where the parts of a run are.

    >>> from pathlib import PurePosixPath
    >>> RunLayout(PurePosixPath("run")).series("p000.ome.zarr").as_posix()
    'run/images.ome.zarr/p000.ome.zarr'
    """

    path: Path

    @property
    def run_json(self) -> Path:
        """What this run is; written once."""
        return self.path / "run.json"

    @property
    def journal(self) -> Path:
        """What happened, one JSON object per line; appended."""
        return self.path / "journal.jsonl"

    @property
    def summary(self) -> Path:
        """How it ended; there once the run was closed."""
        return self.path / "summary.json"

    @property
    def environment(self) -> Path:
        """Python, platform and versions of the libraries."""
        return self.path / "provenance" / "environment.json"

    @property
    def run_copy(self) -> Path:
        """A copy of ``run.json``, from which it can be made anew."""
        return self.path / "provenance" / "run.copy.json"

    @property
    def sources(self) -> Path:
        """The user's own code and files that took part: hashes, git state."""
        return self.path / "provenance" / "sources.json"

    def state(self, fov: int) -> Path:
        """Return the file of the newest state of one FOV."""
        return self.path / "state" / f"p{fov:03d}.json"

    def kept_mask(self, name: str, fov: int, timestep: int) -> Path:
        """Return the file of a mask that fires, until its label image is stored."""
        return self.path / "state" / f"p{fov:03d}_t{timestep:05d}_{name}.npy"

    @property
    def images(self) -> Path:
        """The NGFF collection of all series."""
        return self.path / "images.ome.zarr"

    @property
    def series_list(self) -> Path:
        """The group that lists the series."""
        return self.images / "OME" / "zarr.json"

    @property
    def ome_xml(self) -> Path:
        """OME-XML of all series."""
        return self.images / "OME" / "METADATA.ome.xml"

    @property
    def frames(self) -> Path:
        """The frame index of a finished run."""
        return self.path / "tables" / "frames.parquet"

    @property
    def tiffs(self) -> Path:
        """Folder of the images of a run that is stored as TIFF files."""
        return self.path / "images"

    @property
    def segments(self) -> Path:
        """Folder of the cell tables while the run goes on."""
        return self.path / "tables" / "cells"

    @property
    def cells(self) -> Path:
        """The cell table of a finished run."""
        return self.path / "tables" / "cells.parquet"

    def series(self, name: str) -> Path:
        """Return the image group of one series."""
        return self.images / name

    def segment(self, fov: int, number: int) -> Path:
        """Return the file of one part of the cell table of a FOV."""
        suffix = f"_{number:02d}" if number else ""
        return self.segments / f"p{fov:03d}{suffix}.arrows"


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """What a series holds.

    Attributes
    ----------
    number
        0 for the ordinary one; more where frames differ from the planned ones.

    Examples
    --------
    >>> SeriesKey(3, FrameRole.STIM).name
    'p003_stim.ome.zarr'
    >>> series_key("p003_2.ome.zarr")
    SeriesKey(fov=3, role=<FrameRole.IMAGE: 'image'>, number=2)
    """

    fov: int
    role: FrameRole = FrameRole.IMAGE
    number: int = 0

    @property
    def name(self) -> str:
        """Name of the image group in a collection."""
        return f"{self.stem}.ome.zarr"

    @property
    def stem(self) -> str:
        """Name without what says the format."""
        role = "" if self.role is FrameRole.IMAGE else f"_{self.role}"
        number = f"_{self.number}" if self.number else ""
        return f"p{self.fov:03d}{role}{number}"


def series_key(name: str) -> SeriesKey | None:
    """Return what the series ``name`` holds, None if it is not one of ours."""
    match = _SERIES.fullmatch(name)
    if match is None:
        return None
    fov, role, number = match.groups()
    return SeriesKey(int(fov), FrameRole(role or "image"), int(number or 0))


def segment_key(name: str) -> tuple[int, int] | None:
    """Return (fov, number) of a part of the cell table, None if it is none.

    >>> segment_key("p012.arrows"), segment_key("p012_03.arrows")
    ((12, 0), (12, 3))
    """
    match = _SEGMENT.fullmatch(name)
    return (int(match[1]), int(match[2] or 0)) if match else None


def is_label_name(name: str) -> bool:
    """Return whether ``name`` can be a folder on every system.

    >>> is_label_name("nuclei"), is_label_name("../nuclei")
    (True, False)
    """
    return _LABEL.fullmatch(name) is not None


def is_newer(version: str) -> bool:
    """Return whether a layout is of a newer major version than this one."""
    return _major(version) > _major(SCHEMA_VERSION)


def _major(version: str) -> int:
    """Return the major version; 0 where it cannot be read."""
    first = version.split(".")[0]
    return int(first) if first.isdigit() else 0


def is_free(path: Path) -> bool:
    """Return whether a run can be written to ``path``: absent, or an empty folder."""
    if not path.exists():
        return True
    return path.is_dir() and next(path.iterdir(), None) is None


def next_free(path: Path) -> Path:
    """Return ``path`` or the first free ``path_002``, ``path_003``, ..."""
    number, candidate = 1, path
    while not is_free(candidate):
        number += 1
        candidate = path.with_name(f"{path.name}_{number:03d}")
    return candidate
