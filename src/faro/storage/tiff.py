"""The writer of TIFF files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from faro.storage import disk
from faro.storage.tifftree import TiffTree, compression_problems
from faro.storage.writer import RunWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.errors import Problem
    from faro.model import RunNeeds
    from faro.storage.disk import AskedDurability
    from faro.storage.layout import Layout
    from faro.storage.tifftree import Compression


class TiffWriter(RunWriter):
    """Writes one run as OME-TIFF files, one per stack. Thread-safe.

    ``images/p000/p000_t00012.ome.tif`` holds the channels (and planes) of one position
    at one timepoint, with pixel size, stage position, channels, exposures and time. A
    file is under its name only when it is complete. What was not acquired has no file.
    ``faro export`` puts the files of a position into one.

    Parameters
    ----------
    path
        The run folder; absent or empty.
    compression
        ``"zstd"`` (needs the extra ``tiff``, also to read the files), ``"zlib"``, which
        every reader of TIFF knows, or ``"none"``.
    durability, free_bytes
        As of `OmeZarrWriter`.
    """

    layout: ClassVar[Layout] = "tiff"

    def __init__(
        self,
        path: str | Path,
        *,
        compression: Compression = "zstd",
        durability: AskedDurability = "auto",
        free_bytes: Callable[[Path], int] = disk.free_bytes,
    ) -> None:
        super().__init__(path, durability=durability, free_bytes=free_bytes)
        self._compression = compression

    def _settings(self) -> dict[str, Any]:
        return {"compression": self._compression}

    def _layout_problems(self, needs: RunNeeds) -> list[Problem]:
        del needs
        return compression_problems(self._compression)

    def _image_tree(self, needs: RunNeeds, *, uuid: str, created: str) -> TiffTree:
        del needs, created
        images = self._layout.tiffs
        return TiffTree(images, self._durability, self._compression, uuid=uuid)
